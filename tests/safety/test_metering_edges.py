"""The rules about the meter itself, on memories made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety import metering
from safety.circuit import ALWAYS_ON, Circuit
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.metering import Alike, Metering
from safety.reading import MeterReading, Missing, MissingReason

LIMITS = PortLimits()
ON = Circuit(closed_s=990.0, opened_s=None, fed_s=980.0, neighbours_v=220.0, neighbours_a=0.0)
OPEN = replace(ON, closed_s=None)
GOOD = MeterReading(1000.0, 220.0, 1.0, 200.0, None, 500.0, 1000.0)
LIE = replace(GOOD, power_w=900.0)


def standing(
    memory: Metering, now: float = 1000.0, limits: PortLimits = LIMITS, circuit: Circuit = ON
) -> tuple[str, ...]:
    """Return what stands while the newest reading is a good one of this moment."""
    return metering.standing(memory, PortInputs(replace(GOOD, taken_s=now)), limits, circuit, now)


def test_a_reading_that_fits_ends_the_count_of_those_that_do_not() -> None:
    """Nothing is left of it, count or time."""
    memory = metering.observe(Metering(), LIE, LIMITS, ON)
    assert (memory.contradictions, memory.contradicts_since_s) == (1, 1000.0)
    memory = metering.observe(memory, replace(GOOD, taken_s=1001.0), LIMITS, ON)
    assert (memory.contradictions, memory.contradicts_since_s) == (0, None)


@pytest.mark.parametrize(("now", "stands"), [(1004.9, False), (1005.0, True)])
def test_a_meter_lies_after_its_time_wherever_the_clock_stands(now: float, *, stands: bool) -> None:
    """Three readings and five seconds since the first."""
    memory = Metering(taken_s=1001.0, contradictions=3, contradicts_since_s=1000.0)
    assert ("meter_implausible" in standing(memory, now)) is stands
    assert standing(replace(memory, contradictions=2), 1010.0) == ()


def test_a_register_is_held_against_the_power_only_while_the_relay_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is remembered over an opening, and nothing stands after one."""
    assert metering.observe(Metering(), GOOD, LIMITS, ON).register is not None
    assert metering.observe(Metering(), GOOD, LIMITS, OPEN).register is None
    monkeypatch.setattr("safety.energy_register.stands", lambda *_: True)
    assert standing(Metering()) == ("energy_implausible",)
    assert standing(Metering(), circuit=OPEN) == ()


@pytest.mark.parametrize(("now", "lost"), [(1003.0, False), (1003.1, True)])
def test_a_meter_that_was_not_asked_yet_has_its_time_from_the_start(now: float, *, lost: bool) -> None:
    """Counted from when guard began to wait."""
    inputs = PortInputs(Missing(MissingReason.NEVER_READ, 1000.0))
    assert (metering.standing(Metering(), inputs, LIMITS, ALWAYS_ON, now) == ("meter_lost",)) is lost


def test_a_meter_that_is_patient_with_zeros_is_not_with_a_load() -> None:
    """Whole volts without a load are what a coarse meter shows for long; with one they must move."""
    shown = Alike((220.0, 1.0, 200.0, 500.0), 1000.0, 1060.0)
    idle = replace(shown, values=(220.0, 0.0, 0.0, 500.0))
    assert standing(Metering(alike=shown), 1060.0) == ("meter_stuck",)
    assert standing(Metering(alike=idle), 1060.0) == ()
    assert standing(Metering(alike=replace(idle, until_s=1180.0)), 1180.0) == ("meter_stuck",)
    assert standing(Metering(alike=replace(idle, values=(220.5, 0.0, 0.0, 500.0))), 1060.0) == ("meter_stuck",)


def test_nothing_alike_has_lasted_no_time() -> None:
    """Also where the limits are a second or less."""
    strict = replace(LIMITS, meter_stuck_s=0.5, meter_frozen_s=1.0)
    before = Alike((220.0, 1.0, 200.0, 500.0), 980.0, 1000.0)
    for alike in (None, before):
        assert standing(Metering(alike=alike), limits=strict) == ()
    assert standing(Metering(alike=replace(before, since_s=995.0)), limits=strict) == ("meter_frozen", "meter_stuck")
