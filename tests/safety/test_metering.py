"""Can the meter be believed? One boundary table each: limit - 1, limit, limit + 1; one reading fewer, one more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import metering
from safety.circuit import ALWAYS_ON, Circuit
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMITS = PortLimits()
TIMEOUT = Missing(MissingReason.TIMEOUT, 0.0)


def watched(readings: Iterable[MeterReading], circuit: Circuit = ALWAYS_ON) -> metering.Metering:
    """Return the memory after these readings."""
    memory = metering.Metering()
    for reading in readings:
        memory = metering.observe(memory, reading, LIMITS, circuit)
    return memory


def codes(readings: list[MeterReading], after_s: float = 0.0, circuit: Circuit = ALWAYS_ON) -> tuple[str, ...]:
    """Return what stands ``after_s`` seconds after the newest of these readings."""
    now = readings[-1].taken_s + after_s
    return metering.standing(watched(readings, circuit), PortInputs(readings[-1]), LIMITS, circuit, now)


def same(seconds: float, *, every_s: float = 1.0, **values: float) -> list[MeterReading]:
    """Return readings without any difference over exactly ``seconds``."""
    wanted = {"voltage_v": 220.3, "current_a": 1.0, "power_w": 200.0} | values
    times = [every_s * i for i in range(int(seconds / every_s) + 1)]
    return [MeterReading(taken_s=taken_s, **wanted) for taken_s in dict.fromkeys([*times, seconds])]


# -- lost --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_s", "expected"), [(0.0, ()), (3.0, ()), (3.001, ("meter_lost",))])
def test_a_reading_past_its_age_is_no_reading(age_s: float, expected: tuple[str, ...]) -> None:
    """3 s, not a millisecond more."""
    assert codes([MeterReading(100.0, 220.3, 1.0, 200.0)], age_s) == expected


@pytest.mark.parametrize(
    ("waited_s", "error", "expected"), [(3.0, None, ()), (3.1, None, ("meter_lost",)), (0.0, TIMEOUT, ("meter_lost",))]
)
def test_a_meter_that_never_answered_is_lost(waited_s: float, error: Missing | None, expected: tuple[str, ...]) -> None:
    """A failed poll tells at once, and otherwise the age limit."""
    never = PortInputs(Missing(MissingReason.NEVER_READ, 0.0), meter_error=error)
    assert metering.standing(metering.Metering(), never, LIMITS, ALWAYS_ON, waited_s) == expected


def test_a_meter_whose_only_answers_were_bad_is_lost() -> None:
    """Any other reason than not having been asked says that it was asked."""
    inputs = PortInputs(TIMEOUT)
    assert metering.standing(metering.Metering(), inputs, LIMITS, ALWAYS_ON, 0.0) == ("meter_lost",)


# -- frozen ------------------------------------------------------------------------------------------------------

STUCK, FROZEN = ("meter_stuck",), ("meter_frozen", "meter_stuck")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(59.0, ()), (59.9, ()), (60.0, STUCK), (61.0, STUCK), (299.0, STUCK), (299.9, STUCK), (300.0, FROZEN)],
)
def test_values_that_stay_the_same_are_stuck_and_then_frozen(seconds: float, expected: tuple[str, ...]) -> None:
    """A warning after 60 s and a cut after 5 min of readings without any difference."""
    assert codes(same(seconds)) == expected


@pytest.mark.parametrize("change", [{"voltage_v": 220.4}, {"current_a": 1.001}, {"power_w": 200.1}])
def test_the_smallest_difference_of_any_value_is_life(change: dict[str, float]) -> None:
    """Voltage, current and power must all stand still, and one other reading starts the time again."""
    readings = same(400.0)
    readings[200] = replace(readings[200], **change)
    assert codes(readings[:300]) == STUCK  # 98 s since the other reading
    assert codes(readings[:260]) == ()
    assert codes(readings[:200]) == STUCK


def test_a_register_that_counts_is_life() -> None:
    """1 Wh in 18 s at 200 W: volts, amperes and watts may agree by chance."""
    readings = [replace(r, energy_wh=500.0 + r.taken_s // 18, energy_taken_s=r.taken_s) for r in same(400.0)]
    assert codes(readings) == ()
    still = [replace(r, energy_wh=500.0, energy_taken_s=r.taken_s) for r in same(400.0)]
    assert codes(still) == FROZEN


def test_silence_is_not_stillness() -> None:
    """A meter that says nothing for five minutes is lost and not frozen."""
    assert codes(same(10.0), 300.0) == ("meter_lost",)


@pytest.mark.parametrize(("gap_s", "expected"), [(3.0, FROZEN), (3.1, ())])
def test_readings_must_have_kept_coming(gap_s: float, expected: tuple[str, ...]) -> None:
    """The same values before and after a silence prove nothing about the time between."""
    readings = same(250.0)
    later = [replace(r, taken_s=r.taken_s + 250.0 + gap_s) for r in same(50.0)]
    assert codes([*readings, *later]) == expected


def test_only_the_time_since_the_relay_closed_counts() -> None:
    """An idle port may show the same for hours."""
    readings = same(400.0)
    assert codes(readings, circuit=Circuit(closed_s=None)) == ()
    assert codes(readings, circuit=Circuit(closed_s=341.0)) == ()
    assert codes(readings, circuit=Circuit(closed_s=340.0)) == STUCK


def test_a_relay_that_opened_and_closed_again_starts_anew() -> None:
    """What was seen before the new closing does not count, even before a new reading has come."""
    memory = watched(same(400.0))
    inputs = PortInputs(same(400.0)[-1])
    assert metering.standing(memory, inputs, LIMITS, Circuit(closed_s=None), 400.1) == ()
    assert metering.standing(memory, inputs, LIMITS, Circuit(closed_s=400.05), 400.1) == ()


@pytest.mark.parametrize(
    ("volts", "seconds", "expected"),
    [(230.0, 179.9, ()), (230.0, 180.0, STUCK), (230.0, 899.9, STUCK), (230.0, 900.0, FROZEN), (230.1, 300.0, FROZEN)],
)
def test_whole_volts_without_a_load_need_three_times_as_long(
    volts: float, seconds: float, expected: tuple[str, ...]
) -> None:
    """Nothing but the voltage moves there, and a meter of 1 V steps shows one for minutes."""
    assert codes(same(seconds, voltage_v=volts, current_a=0.0, power_w=0.0)) == expected


@pytest.mark.parametrize(("volts", "expected"), [(0.0, ()), (29.9, ()), (30.0, FROZEN)])
def test_a_dead_supply_is_not_a_frozen_meter(volts: float, expected: tuple[str, ...]) -> None:
    """Zero volts stay zero volts; that is the supply's fault and has its own code."""
    assert codes(same(1000.0, voltage_v=volts, current_a=0.0, power_w=0.0)) == expected


# -- implausible -------------------------------------------------------------------------------------------------


def lying(seconds: float, every_s: float, *, factor: float | None = 0.5, watts: float = 400.0) -> list[MeterReading]:
    """Return readings of 2 A whose watts are not those of their power factor; the voltage moves."""
    readings = same(seconds, every_s=every_s, voltage_v=200.0, current_a=2.0, power_w=watts)
    return [replace(r, voltage_v=200.0 + i % 2 * 0.1, power_factor=factor) for i, r in enumerate(readings)]


@pytest.mark.parametrize(
    ("factor", "watts", "expected"),
    [
        (0.5, 230.0, False),  # 200 W + 10 % + 10 W
        (0.5, 230.2, True),
        (0.5, 170.0, False),  # 200 W - 10 % - 10 W
        (0.5, 169.8, True),
        (-0.5, 230.0, False),  # the sign only says which way the transformer faces
        (-0.5, 230.2, True),
        (1.0, 450.0, False),
        (1.0, 450.4, True),
        (None, 450.0, False),  # nothing has more than its volt-amperes
        (None, 450.4, True),
        (None, 30.0, False),  # a tenth of the volt-amperes, less 10 W
        (None, 29.8, True),
        (0.05, 29.8, True),  # watts and factor agree, but no load is like that
    ],
)
def test_watts_must_fit_volts_amperes_and_power_factor(factor: float | None, watts: float, *, expected: bool) -> None:
    """10 % + 10 W around 200 V x 2 A x pf; without a power factor a tenth of it to all of it."""
    readings = [replace(r, voltage_v=200.0, power_factor=factor) for r in same(5.0, current_a=2.0, power_w=watts)]
    assert ("meter_implausible" in codes(readings)) is expected


@pytest.mark.parametrize(("watts", "expected"), [(0.0, False), (10.0, False), (10.1, True)])
def test_a_power_factor_of_zero_bears_the_slack(watts: float, *, expected: bool) -> None:
    """A charger in standby may show a little current, a watt or two and no power factor."""
    readings = [replace(r, power_factor=0.0) for r in same(5.0, current_a=0.3, power_w=watts)]
    assert ("meter_implausible" in codes(readings)) is expected


@pytest.mark.parametrize(
    ("every_s", "seconds", "expected"),
    [
        (2.5, 5.0, True),  # exactly 3 readings in 5 s
        (5.0, 5.0, False),  # 2 readings
        (0.1, 4.9, False),  # 50 readings in too short a time
        (0.1, 5.0, True),
    ],
)
def test_a_contradiction_takes_readings_and_time(every_s: float, seconds: float, *, expected: bool) -> None:
    """A torn reading or two, or one torn set read many times, is no lie."""
    limits = replace(LIMITS, meter_max_age_s=10.0)
    memory = metering.Metering()
    readings = lying(seconds, every_s)
    for reading in readings:
        memory = metering.observe(memory, reading, limits, ALWAYS_ON)
    found = metering.standing(memory, PortInputs(readings[-1]), limits, ALWAYS_ON, readings[-1].taken_s)
    assert ("meter_implausible" in found) is expected


def test_a_sound_reading_starts_the_count_again() -> None:
    """The readings are consecutive."""
    readings = lying(20.0, 1.0)
    for index in range(4, 21, 5):
        readings[index] = replace(readings[index], power_w=200.0)
    assert codes(readings) == ()


def test_a_meter_that_lies_with_an_open_relay_lies() -> None:
    """No session starts on it: power without current is a wrong profile or a broken meter."""
    readings = same(5.0, current_a=0.0, power_w=10.1)
    assert codes(readings, circuit=Circuit()) == ("meter_implausible",)
    assert codes(same(5.0, current_a=0.0, power_w=10.0), circuit=Circuit()) == ()


def test_silence_in_a_contradiction_does_not_stop_its_clock() -> None:
    """Three readings that contradict themselves, and then nothing more."""
    assert "meter_implausible" not in codes(lying(2.0, 1.0), 2.9)
    assert "meter_implausible" in codes(lying(2.0, 1.0), 3.0)


def test_a_contradiction_before_a_silence_is_forgotten_after_it() -> None:
    """Two torn readings a minute apart and a third one are three jumps of the load."""
    readings = [replace(lying(1.0, 1.0)[0], taken_s=t) for t in (0.0, 1.0, 60.0, 61.0)]
    assert codes(readings) == ()


# -- all of them -------------------------------------------------------------------------------------------------


def test_codes_come_most_urgent_first() -> None:
    """What cuts stands before what only warns."""
    readings = [
        replace(r, power_w=2000.0, energy_wh=1.0, energy_taken_s=r.taken_s) for r in same(300.0, voltage_v=220.3)
    ]
    assert codes(readings, 4.0) == (
        "meter_lost", "meter_frozen", "meter_implausible", "energy_implausible", "meter_stuck",
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.floats(0.05, 4.0),
            st.sampled_from([0.0, 219.9, 220.0, 220.3]),
            st.sampled_from([0.0, 1.0, 6.0]),
            st.sampled_from([0.0, 220.0, 1300.0]),
            st.sampled_from([None, 0.5, 1.0]),
            st.sampled_from([None, 0.0, 0.0, 20.0, 100.0, -100.0]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 40),
    st.floats(0.0, 1000.0),
)
def test_silence_never_makes_a_verdict_milder(
    steps: list[tuple[float, float, float, float, float | None, float | None]], repeat: int, silence_s: float
) -> None:
    """Whatever stands at the newest reading stands after any silence."""
    now, energy_wh = 0.0, 1000.0
    readings = []
    for dt, volts, amps, watts, factor, gained in steps:
        for _ in range(repeat):
            now += dt
            energy_wh = max(0.0, energy_wh + (gained or 0.0))
            known = None if gained is None else energy_wh
            readings.append(MeterReading(now, volts, amps, watts, factor, known, None if known is None else now))
    assert set(codes(readings)) <= set(codes(readings, silence_s))
