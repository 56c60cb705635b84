"""The conductor: every rule hears every new reading once, in order, and all of them speak."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety import chatter, heat, metering, overload, switching, voltage
from safety.circuit import ALWAYS_ON, Circuit
from safety.hazards import HazardMemory, judge
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

LIMITS = PortLimits()
CLOSED = Circuit(closed_s=90.0, opened_s=None, fed_s=80.0, neighbours_v=220.0, neighbours_a=1.0)
FIRST = MeterReading(100.0, 265.0, 9.5, 1900.0, 0.75, 500.0, 100.0)
SECOND = replace(FIRST, taken_s=100.5, current_a=5.0, power_w=900.0)
LOST = Missing(MissingReason.TIMEOUT, 99.0)


def heard(*readings: MeterReading, memory: HazardMemory = HazardMemory()) -> HazardMemory:
    """Return what the rules remember when each of them is given these readings, one after the other."""
    for reading in readings:
        memory = HazardMemory(
            reading.taken_s,
            overload.observe(memory.overload, reading, LIMITS),
            voltage.observe(memory.voltage, reading, LIMITS, CLOSED),
            memory.heat,
            metering.observe(memory.metering, reading, LIMITS, CLOSED),
            switching.observe(memory.switching, reading, LIMITS, CLOSED),
            chatter.observe(memory.chatter, reading, LIMITS, CLOSED),
        )
    return memory


def judged(memory: HazardMemory, inputs: PortInputs, now: float) -> HazardMemory:
    """Return the memory after one judgement, without what the switching rule follows from tick to tick."""
    after = judge(memory, inputs, LIMITS, now, CLOSED)[0]
    return replace(after, switching=replace(after.switching, closed_s=CLOSED.closed_s))


def test_every_rule_hears_every_new_reading_in_its_order() -> None:
    """Those that were overtaken first, then the newest."""
    after = judged(HazardMemory(), PortInputs(SECOND, earlier=(FIRST,)), 100.6)
    assert replace(after, heat=heat.Heat()) == heard(FIRST, SECOND)
    assert heard(FIRST, SECOND) != heard(SECOND)


def test_a_reading_is_heard_once() -> None:
    """The same one again, an older one and none at all change nothing."""
    memory = judged(HazardMemory(), PortInputs(FIRST), 100.0)
    for inputs in (
        PortInputs(FIRST),
        PortInputs(replace(FIRST, taken_s=99.9)),
        PortInputs(LOST),
        PortInputs(FIRST, earlier=(replace(FIRST, taken_s=99.0), FIRST)),
    ):
        assert replace(judged(memory, inputs, 100.1), heat=memory.heat) == memory


def test_the_probe_is_felt_in_every_tick_with_the_newest_reading() -> None:
    """Also in a tick that brings no new one of the meter."""
    memory = judge(HazardMemory(), PortInputs(FIRST), LIMITS, 100.0, CLOSED)[0]
    probe = ProbeReading(101.0, 66.0)
    after, codes = judge(memory, PortInputs(FIRST, probe=probe), LIMITS, 101.0, CLOSED)
    assert after.heat == heat.feel(memory.heat, probe, FIRST, LIMITS)
    assert after.heat.loaded_s == 100.0
    assert "temperature_warning" in codes
    silent = judge(HazardMemory(), PortInputs(LOST, probe=probe), LIMITS, 101.0, CLOSED)[0]
    assert silent.heat == heat.feel(heat.Heat(), probe, None, LIMITS)


def test_everything_that_stands_is_named_the_most_urgent_first() -> None:
    """Heat, relay, load, contact, mains, meter: each rule module is asked, in this order."""
    memory = HazardMemory(
        overload=overload.Overload(current=overload.Strain(over_s=99.0)),
        chatter=chatter.Chatter(closed_s=90.0, found=True),
        switching=switching.Switching(closed_s=90.0, dead_count=LIMITS.weld_samples),
    )
    inputs = PortInputs(LOST, probe=ProbeReading(100.0, 66.0), meter_error=LOST)
    for tick in range(2):
        memory, codes = judge(memory, inputs, LIMITS, 100.0 + 10.0 * tick, CLOSED)
    assert codes == ("temperature_warning", "relay_not_closed", "over_current", "poor_contact", "meter_lost")
    high = HazardMemory()
    for second in range(8):
        high, codes = judge(high, PortInputs(replace(FIRST, taken_s=100.0 + second)), LIMITS, 100.0 + second, CLOSED)
    assert "over_voltage" in codes
    assert codes.index("over_current") < codes.index("over_voltage")


@pytest.mark.parametrize("circuit", [ALWAYS_ON, CLOSED])
def test_a_memory_begins_with_nothing(circuit: Circuit) -> None:
    """No reading, no count, no code but those of what is not there."""
    assert HazardMemory() == HazardMemory(
        None,
        overload.Overload(),
        voltage.Voltage(),
        heat.Heat(),
        metering.Metering(),
        switching.Switching(),
        chatter.Chatter(),
    )
    good = MeterReading(100.0, 220.0, 0.0, 0.0)
    assert judge(HazardMemory(), PortInputs(good), LIMITS, 100.0, circuit)[1] == ()
