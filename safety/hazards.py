"""Protective rules of one port: every rule module observes the readings, then says which of its codes stand.

Rules of these files (``overload``, ``voltage``, ``heat``, ``metering``, ``switching``, ``chatter``):
- a rule that needs time keeps ``*_since_s`` in its memory and compares it with ``now``: when readings stop coming,
  a condition that stood goes on standing, so silence never makes a verdict milder;
- a rule that counts samples counts *readings*, not ticks: the same reading judged twice is one sample;
- no rule decides what a relay does; it names what stands, the catalogue says what that does, the engine acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety import chatter, heat, metering, overload, switching, voltage
from safety.circuit import ALWAYS_ON, Circuit
from safety.inputs import PortInputs
from safety.overload import suspicious
from safety.reading import MeterReading

if TYPE_CHECKING:
    from safety.limits import PortLimits

__all__ = ["HazardMemory", "PortInputs", "judge", "suspicious"]


@dataclass(frozen=True, slots=True)
class HazardMemory:
    """What the rules of one port remember between ticks. ``judged_s``: taken_s of the newest reading that counted."""

    judged_s: float | None = None
    overload: overload.Overload = overload.Overload()
    voltage: voltage.Voltage = voltage.Voltage()
    heat: heat.Heat = heat.Heat()
    metering: metering.Metering = metering.Metering()
    switching: switching.Switching = switching.Switching()
    chatter: chatter.Chatter = chatter.Chatter()


def judge(
    memory: HazardMemory, inputs: PortInputs, limits: PortLimits, now: float, circuit: Circuit = ALWAYS_ON
) -> tuple[HazardMemory, tuple[str, ...]]:
    """Return the new memory and the codes of everything that stands on this port now, most urgent first."""
    for reading in (*inputs.earlier, inputs.meter):
        if isinstance(reading, MeterReading) and (memory.judged_s is None or reading.taken_s > memory.judged_s):
            memory = _observe(memory, reading, limits, circuit)
    newest = inputs.meter if isinstance(inputs.meter, MeterReading) else None
    memory = HazardMemory(
        memory.judged_s,
        memory.overload,
        memory.voltage,
        heat.feel(memory.heat, inputs.probe, newest, limits),
        memory.metering,
        switching.follow(memory.switching, limits, circuit),
        memory.chatter,
    )
    return memory, (
        *heat.standing(memory.heat, inputs.probe, limits, now),
        *switching.standing(memory.switching, limits, circuit, now),
        *overload.standing(memory.overload, limits, now),
        *chatter.standing(memory.chatter, limits, now),
        *voltage.standing(memory.voltage, limits, circuit, now),
        *metering.standing(memory.metering, inputs, limits, circuit, now),
        *(("relay_worn",) if inputs.worn else ()),
    )


def _observe(memory: HazardMemory, reading: MeterReading, limits: PortLimits, circuit: Circuit) -> HazardMemory:
    return HazardMemory(
        reading.taken_s,
        overload.observe(memory.overload, reading, limits),
        voltage.observe(memory.voltage, reading, limits, circuit),
        memory.heat,
        metering.observe(memory.metering, reading, limits, circuit),
        switching.observe(memory.switching, reading, limits, circuit),
        chatter.observe(memory.chatter, reading, limits, circuit),
    )
