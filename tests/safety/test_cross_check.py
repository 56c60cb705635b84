"""Promises of the cross checks: instruments that agree pass, one that lies is found, and too little proves nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.cross_check import CrossLimits, Registers, comparable, judge_meters, judge_probes, ports_wh, window

LIMITS = CrossLimits()
HOUR_S = 3600.0

# -- probes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off_k", "wrong"), [(7.9, ()), (8.0, ()), (8.1, ("3",)), (-8.0, ()), (-8.1, ("3",))])
def test_a_probe_far_from_the_median_is_named(off_k: float, wrong: tuple[str, ...]) -> None:
    """Up to the spread, either way, all is well; beyond it that probe and no other is named."""
    verdict = judge_probes({"1": 25.0, "2": 25.0, "3": 25.0 + off_k, "cabinet": 25.0}, LIMITS)
    assert (verdict.ok, verdict.wrong) == (not wrong, wrong)
    assert ("3 " in verdict.detail) is bool(wrong)


def test_a_liar_does_not_drag_the_median_along() -> None:
    """One probe at 85 °C among four: it is named, the others are not."""
    verdict = judge_probes({"1": 20.0, "2": 22.0, "3": 85.0, "4": 24.0}, LIMITS)
    assert verdict.wrong == ("3",)
    assert verdict.detail == "4 probes, 20.0 to 85.0 °C; 3 85.0 °C (median 23.0)"


@pytest.mark.parametrize(("off_k", "ok"), [(8.0, True), (8.1, False)])
def test_of_two_that_disagree_both_are_named(off_k: float, ok: bool) -> None:  # noqa: FBT001 - a table
    """With two probes the same difference counts, but nobody can tell which one is wrong."""
    verdict = judge_probes({"1": 25.0, "cabinet": 25.0 + off_k}, LIMITS)
    assert (verdict.ok, verdict.wrong) == (ok, () if ok else ("1", "cabinet"))


def test_a_probe_without_a_value_fails() -> None:
    """Silence is not agreement; with nothing at all there is nothing to agree with."""
    verdict = judge_probes({"1": 25.0, "2": None, "3": 25.0}, LIMITS)
    assert (verdict.ok, verdict.wrong) == (False, ("2",))
    assert verdict.detail == "2 probes, 25.0 to 25.0 °C; 2 no value"
    assert judge_probes({"1": None, "2": None}, LIMITS).wrong == ("1", "2")
    assert not judge_probes({}, LIMITS).ok


@given(st.lists(st.floats(-40, 100), min_size=3, max_size=20), st.floats(-4, 4))
def test_probes_that_agree_are_never_named(spread: list[float], shift_k: float) -> None:
    """Whatever the temperature of the cabinet: values within half the spread of one another pass."""
    base_c = spread[0]
    values: dict[str, float | None] = {str(number): base_c + shift_k * (number % 2) for number in range(len(spread))}
    assert judge_probes(values, LIMITS).ok


# -- meters --------------------------------------------------------------------------------------------------


def registers(hours: float, inlet_wh: float, *ports: float) -> Registers:
    """Return the registers of a cabinet at one moment."""
    return Registers(hours * HOUR_S, 50_000.0 + inlet_wh, {n: 1000.0 * n + wh for n, wh in enumerate(ports, 1)})


START = registers(0, 0, 0, 0, 0)
# 10 kWh over two ports in 10 h: 5 % are 500 Wh, three registers of 10 Wh, own consumption 300 Wh.
LOW, HIGH = 10_000 - 500 - 30, 10_000 + 500 + 30 + 300


@pytest.mark.parametrize(
    ("inlet_wh", "ok"),
    [(LOW - 1, False), (LOW, True), (LOW + 1, True), (10_150, True), (HIGH - 1, True), (HIGH, True), (HIGH + 1, False)],
)
def test_the_inlet_agrees_within_tolerance_and_own_consumption(inlet_wh: float, ok: bool) -> None:  # noqa: FBT001 - a table
    """Less than the ports only by tolerance, more by tolerance and what the cabinet needs for itself."""
    verdict = judge_meters(START, registers(10, inlet_wh, 6000, 4000, 0), LIMITS)
    assert verdict is not None
    assert verdict.ok is ok
    assert (verdict.wrong == ()) is ok
    assert verdict.detail == (
        f"ports 10.00 kWh, inlet {inlet_wh / 1000:.2f} kWh in 10.0 h (allowed {LOW / 1000:.2f} to {HIGH / 1000:.2f})"
    )


@pytest.mark.parametrize(("flowed_wh", "judged"), [(999.0, False), (1000.0, True), (1001.0, True)])
def test_too_little_energy_proves_nothing(flowed_wh: float, judged: bool) -> None:  # noqa: FBT001 - a table
    """Below the least energy there is no verdict, neither good nor bad."""
    assert (judge_meters(START, registers(1, flowed_wh, flowed_wh, 0, 0), LIMITS) is not None) is judged


def test_coarse_registers_need_more_energy() -> None:
    """Twenty steps must have been counted, whatever the step is."""
    coarse = CrossLimits(step_wh=100.0)
    assert judge_meters(START, registers(1, 1990, 1990, 0, 0), coarse) is None
    assert judge_meters(START, registers(1, 2000, 2000, 0, 0), coarse) is not None


def test_a_port_that_counts_nothing_is_found_by_the_inlet() -> None:
    """A meter that stands still while its port charges: the energy at the inlet alone is enough to judge."""
    verdict = judge_meters(START, registers(2, 3000, 1000, 0, 0), LIMITS)
    assert verdict is not None
    assert (verdict.ok, verdict.wrong) == (False, ("inlet", "1", "2", "3"))
    still = judge_meters(START, registers(2, 1200, 0, 0, 0), LIMITS)
    assert still is not None
    assert not still.ok


@pytest.mark.parametrize(
    "after",
    [
        registers(1, -1, 10, 10, 10),
        registers(1, 50, -1, 10, 10),
        registers(1, 50, 10, 10),
        registers(1, 50, 10, 10, 10, 10),
    ],
)
def test_registers_that_do_not_belong_together_are_not_compared(after: Registers) -> None:
    """A register that ran back, is gone or is new begins another comparison."""
    assert not comparable(START, after)
    assert comparable(START, START)


@given(
    st.lists(st.floats(0, 50_000), min_size=1, max_size=20), st.floats(0, 24), st.floats(-0.02, 0.02), st.floats(0, 1)
)
def test_meters_of_class_one_never_fail(counted: list[float], hours: float, error: float, own: float) -> None:
    """Two per cent of error, steps of 10 Wh and any own consumption up to the limit make no false alarm."""
    ports = [wh // 10 * 10 for wh in counted]
    inlet_wh = (sum(counted) * (1 + error) + own * LIMITS.own_w * hours) // 10 * 10
    before, after = registers(0, 0, *(0.0 for _ in counted)), registers(hours, inlet_wh, *ports)
    assert comparable(before, after)
    assert ports_wh(before, after) == pytest.approx(sum(ports))
    verdict = judge_meters(before, after, LIMITS)
    assert verdict is None or verdict.ok


@pytest.mark.parametrize(
    ("hours", "inlet_wh", "counted_wh", "busy", "begins_anew"),
    [
        (1, 20.0, 0.0, False, True),
        (1, 40.0, 0.0, False, True),  # 30 Wh of its own and a register step
        (1, 41.0, 0.0, False, False),
        (1, 20.0, 0.0, True, False),
        (1, 20.0, 1.0, False, False),
        (1, -1.0, 0.0, True, True),
        (100, 3010.0, 0.0, False, True),
        (100, 3011.0, 0.0, False, False),
    ],
)
def test_a_comparison_begins_with_the_first_charge(
    hours: float,
    inlet_wh: float,
    counted_wh: float,
    busy: bool,  # noqa: FBT001 - a table
    begins_anew: bool,  # noqa: FBT001 - a table
) -> None:
    """Rest is left out, unless the inlet has counted what the cabinet alone cannot have used."""
    now = registers(hours, inlet_wh, counted_wh, 0, 0)
    assert window(START, now, busy=busy, limits=LIMITS) is (now if begins_anew else START)
    assert window(None, now, busy=busy, limits=LIMITS) is now
