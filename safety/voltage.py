"""Mains voltage at one port: too high, too low, or gone (``over_voltage under_voltage supply_lost fuse_open``).

A threshold must be passed by two readings at least and for its time; a single wild or zero answer does nothing. Over-
and under-voltage that stood are gone only when *readings* have shown the voltage ``voltage_hysteresis_v`` inside the
window for ``voltage_clear_s``: silence is no evidence, a gap longer than ``meter_max_age_s`` starts that time again.

Below ``supply_lost_v`` for ``supply_lost_s`` the supply is lost. It is this port's own loss (``fuse_open``) when
neighbours show voltage; but a neighbour's value may be ``meter_max_age_s`` old and from before the power cut, so that
name takes the longer of both times. ``under_voltage`` gives way to either name. A loss ends like an under-voltage, or
turns into one when the voltage comes back but stays low for ``voltage_s``.

A meter behind the relay says something only from ``close_settle_s`` after closing. No voltage from the closing on with
neighbours well is the relay's (``relay_not_closed`` of ``switching``) and nothing here; voltage that was there and
went is ``fuse_open``. With the relay open such a meter cannot see the supply come back: what stood ends after
``voltage_clear_s`` of readings with the relay open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.circuit import Circuit
    from safety.limits import PortLimits
    from safety.reading import MeterReading

#: Readings in a row that it takes at least: one may be a meter's glitch.
_SAMPLES = 2


@dataclass(frozen=True, slots=True)
class Excursion:
    """Memory of one threshold.

    ``since_s``: first of the ``count`` readings in a row beyond it. ``stood``: that lasted its time, and is not
    cleared yet. ``back_s``: first of the readings in a row since which the voltage is back.
    """

    since_s: float | None = None
    count: int = 0
    stood: bool = False
    back_s: float | None = None

    def stands(self, hold_s: float, now: float) -> bool:
        """Return whether it stands at ``now`` when the last reading stands until then."""
        return self.stood or (self.since_s is not None and self.count >= _SAMPLES and now - self.since_s >= hold_s)

    def beyond(self, taken_s: float) -> Excursion:
        """Return it with one more reading beyond the threshold."""
        return Excursion(taken_s if self.since_s is None else self.since_s, self.count + 1, self.stood)

    def within(self, hold_s: float, clear_s: float, taken_s: float, *, back: bool, gap: bool) -> Excursion:
        """Return it with one more reading on the good side; ``back``: inside the hysteresis, ``gap``: after silence."""
        if not self.stands(hold_s, taken_s):
            return Excursion()
        if not back:
            return Excursion(stood=True)
        back_s = taken_s if self.back_s is None or gap else self.back_s
        return Excursion() if taken_s - back_s >= clear_s else Excursion(stood=True, back_s=back_s)


@dataclass(frozen=True, slots=True)
class Voltage:
    """Memory of the rules.

    ``sag_s``: first of the readings in a row that were low but not nothing. ``alone_s``: first of the readings in a row
    without voltage while neighbours had it; ``everywhere``: the loss in progress was seen while none of them had.
    ``closed_s``: the closing that ``lived`` (voltage was seen since) is about. ``seen_s``: taken_s of the last reading.
    """

    high: Excursion = Excursion()
    low: Excursion = Excursion()
    lost: Excursion = Excursion()
    sag_s: float | None = None
    alone_s: float | None = None
    everywhere: bool = False
    closed_s: float | None = None
    lived: bool = False
    seen_s: float | None = None


def observe(memory: Voltage, reading: MeterReading, limits: PortLimits, circuit: Circuit) -> Voltage:
    """Return the memory with one more reading."""
    volts, taken_s = reading.voltage_v, reading.taken_s
    # A loss that stood is not forgotten when the relay opens: it clears by readings, not by being switched off.
    stood = circuit.closed_s is None and memory.lost.stands(limits.supply_lost_s, taken_s)
    lived = memory.lived and (memory.closed_s == circuit.closed_s or stood)
    lived = lived or (circuit.closed_s is not None and taken_s > circuit.closed_s and volts >= limits.supply_lost_v)
    judged = _sees_supply(taken_s, limits, circuit)
    dead = judged and volts < limits.supply_lost_v
    # What was never there since the closing says something about relay and supply, nothing about a low voltage.
    low = judged and volts < limits.voltage_low_v and (lived or not limits.meter_behind_relay)
    well = not judged or volts >= limits.voltage_low_v + limits.voltage_hysteresis_v
    not_high = volts <= limits.voltage_high_v - limits.voltage_hysteresis_v
    gap = memory.seen_s is not None and taken_s - memory.seen_s > limits.meter_max_age_s
    hold_s, clear_s = limits.voltage_s, limits.voltage_clear_s

    def track(before: Excursion, hold_s: float, *, beyond: bool, back: bool) -> Excursion:
        if beyond:
            return before.beyond(taken_s)
        return before.within(hold_s, clear_s, taken_s, back=back, gap=gap)

    sag_s = (taken_s if memory.sag_s is None else memory.sag_s) if low and not dead else None
    sagged = sag_s is not None and taken_s - sag_s >= hold_s
    after = Voltage(
        high=track(memory.high, hold_s, beyond=judged and volts > limits.voltage_high_v, back=not_high),
        low=track(memory.low, hold_s, beyond=low, back=well),
        lost=Excursion() if sagged else track(memory.lost, limits.supply_lost_s, beyond=dead, back=well),
        sag_s=sag_s,
        alone_s=memory.alone_s,
        everywhere=memory.everywhere,
        closed_s=circuit.closed_s,
        lived=lived,
        seen_s=taken_s,
    )
    return _whose(after, taken_s, limits, circuit, dead=dead)


def _sees_supply(taken_s: float, limits: PortLimits, circuit: Circuit) -> bool:
    if not limits.meter_behind_relay:
        return True
    if circuit.closed_s is None or circuit.fed_s is None:
        return False
    return taken_s >= max(circuit.closed_s, circuit.fed_s) + limits.closed_after_s


def _whose(memory: Voltage, taken_s: float, limits: PortLimits, circuit: Circuit, *, dead: bool) -> Voltage:
    """Return the memory with what a reading says about whose loss it is."""
    if not dead:
        return memory if memory.lost.stood else replace(memory, alone_s=None, everywhere=False)
    if circuit.neighbours_v is None or circuit.neighbours_v < limits.voltage_low_v:
        return replace(memory, alone_s=None, everywhere=True)
    alone_s = taken_s if memory.alone_s is None else memory.alone_s
    everywhere = memory.everywhere and taken_s - alone_s < _alone_hold_s(limits)
    return replace(memory, alone_s=alone_s, everywhere=everywhere)


def _alone_hold_s(limits: PortLimits) -> float:
    return max(limits.supply_lost_s, limits.meter_max_age_s)


def standing(memory: Voltage, limits: PortLimits, circuit: Circuit, now: float) -> tuple[str, ...]:  # noqa: ARG001
    """Return what stands: ``over_voltage``, and one of ``supply_lost``, ``fuse_open``, ``under_voltage``."""
    found = ["over_voltage"] if memory.high.stands(limits.voltage_s, now) else []
    loss = _loss(memory, limits, now)
    if loss is not None:
        found.append(loss)
    elif memory.low.stands(limits.voltage_s, now):
        found.append("under_voltage")
    return tuple(found)


def _loss(memory: Voltage, limits: PortLimits, now: float) -> str | None:
    if not memory.lost.stands(limits.supply_lost_s, now):
        return None
    if memory.everywhere:
        return "supply_lost"
    never_there = limits.meter_behind_relay and not memory.lived
    if memory.alone_s is None or now - memory.alone_s < _alone_hold_s(limits) or never_there:
        return None
    return "fuse_open"
