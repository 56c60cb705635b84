"""Made-up sessions are what their labels say."""

from __future__ import annotations

import pytest

from hil_rig.synthetic import generate, sessions
from hil_rig.synthetic_cells import LFP, NMC, LeadAcid, Lithium, interpolate
from hil_rig.synthetic_events import ANOMALY_KINDS, NORMAL_KINDS


def test_the_same_seed_makes_the_same_session() -> None:
    """And another seed another one."""
    assert generate(5, "normal") == generate(5, "normal")
    assert generate(5, "normal")[1] != generate(6, "normal")[1]


def test_kinds_take_turns() -> None:
    """Eighteen sessions hold every kind once, under names of their own."""
    made = [name for name, _, _ in sessions(18)]
    assert {name.rsplit("-", 1)[0] for name in made} == {*NORMAL_KINDS, *ANOMALY_KINDS}
    assert len(set(made)) == 18


@pytest.mark.parametrize("kind", [*NORMAL_KINDS, *ANOMALY_KINDS])
def test_a_label_lies_within_its_curve(kind: str) -> None:
    """The window opens before the curve ends and closes after it opens; columns are of one length."""
    _, curve, label = generate(11, kind)
    assert label["cut_from_s"] < label["cut_by_s"]
    assert label["cut_from_s"] < curve.t_s[-1]
    assert label["expect"] == ("full" if kind in NORMAL_KINDS else "anomaly")
    assert len(curve.t_s) == len(curve.volts) == len(curve.watts) == len(curve.wh)


def power(kind: str, at_s: float) -> tuple[float, float]:
    """Return the powers one minute before and three minutes after a moment of the label."""
    _, curve, label = generate(11, kind)
    index = int((label["event_s"] if at_s == 0 else at_s) / 2)
    return curve.watts[index - 30], curve.watts[index + 90]


def test_events_happen_when_the_label_says() -> None:
    """Pulled is nothing, a second charger is more."""
    before, after = power("unplugged_mains", 0)
    assert before > 25
    assert after == 0
    before, after = power("splitter", 0)
    assert after > 1.15 * before


def test_a_lithium_cell_tapers_at_constant_voltage() -> None:
    """The rate at a fixed voltage falls as the cell fills."""
    cell, rates = Lithium(NMC, 0.9, 0.15, 0.1), []
    for _ in range(600):
        rates.append(min(0.3, cell.rate_at(4.2)))
        cell.charge(rates[-1], 10.0)
    assert rates[-1] < 0.2 * max(rates)
    assert cell.soc > 0.98


def test_a_lead_acid_cell_gases_when_full() -> None:
    """At the limit its rate falls to gassing, which warmth and heating raise again."""
    sound, failing = LeadAcid(0.9, 0.0004, 0.4, 0.5), LeadAcid(0.9, 0.004, 0.4, 0.5, heating=56.0)
    rates: list[tuple[float, float]] = []
    for _ in range(3000):
        pair = (min(0.15, sound.rate_at(2.45)), min(0.15, failing.rate_at(2.45)))
        rates.append(pair)
        for cell, rate in zip((sound, failing), pair, strict=True):
            cell.charge(rate, 10.0)
    assert rates[-1][0] < 0.012
    assert rates[-1][1] > 1.3 * min(rate for _, rate in rates)


def test_open_circuit_voltages_rise() -> None:
    """And go on straight beyond the ends."""
    for table in (NMC, LFP):
        values = [interpolate(table, soc / 100) for soc in range(-5, 106)]
        assert values == sorted(values)
