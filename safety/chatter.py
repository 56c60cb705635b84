"""Poor contact of one socket: the current keeps breaking off and coming back (``poor_contact``).

A break begins with a reading below a fifth of the recent power and ends with one of at least half of it; it counts when
that comes within seven seconds of the last one with power. ``chatter_breaks`` of them within ``chatter_window_s`` are a
sparking contact, unless they come as slowly as the pulses of a charger: the median distance must be below nine seconds.

What is none: a pause or a pulled plug (does not come back in time), a pulled and replugged one (a few breaks), a power
cut or a meter's answer of zeros (the voltage is gone too), a load that steps. A sparking contact sampled every 1.5 s
shows about every second break, and anything between nothing and all of the power, because a meter averages.

A break that the meter never shows cannot count: breaks of 0.3 s every 8 s, read every 1.3 s, stay unseen here and are
left to the temperature probe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.circuit import Circuit
    from safety.limits import PortLimits
    from safety.reading import MeterReading

#: A break: below this share of the recent power; back: above that one. What is between belongs to what was before.
_BREAK_SHARE, _BACK_SHARE = 0.2, 0.5
#: Less power than this does not feed an arc, W: 30 W are 0.15 to 0.3 A at the mains.
_LEVEL_W = 30.0
#: Contact open up to 3 s, the charger's soft start up to 2 s, and a reading up to 1.5 s late on either side, s.
_RETURN_S = 7.0
#: The recent power is the highest of late; it fades in this time, s, far slower than a contact sparks.
_FADE_S = 20.0
#: Chargers that pulse do so every 10 s at the fastest (made-up sessions; 19 s in the stored curve o028).
_BEAT_S = 9.0


@dataclass(frozen=True, slots=True)
class Chatter:
    """Memory of the rule, for the closing at ``closed_s``.

    ``level_w``: the recent power; ``held_s``: the newest reading that showed about that much, None before there is
    one. ``broke_s``: first reading of a break that has not ended; ``breaks_s``: the newest ended ones, by their
    beginning. ``found``: there were enough; stays until the relay is opened.
    """

    closed_s: float | None = None
    level_w: float = 0.0
    held_s: float | None = None
    broke_s: float | None = None
    breaks_s: tuple[float, ...] = ()
    found: bool = False


def observe(memory: Chatter, reading: MeterReading, limits: PortLimits, circuit: Circuit) -> Chatter:
    """Return the memory with one more reading."""
    if circuit.closed_s is None:
        return Chatter()
    if circuit.closed_s != memory.closed_s:
        memory = Chatter(circuit.closed_s)
    return memory if reading.taken_s <= circuit.closed_s else _follow(memory, reading, limits)


def _follow(memory: Chatter, reading: MeterReading, limits: PortLimits) -> Chatter:
    taken_s, power_w = reading.taken_s, reading.power_w
    if reading.voltage_v < limits.voltage_low_v:
        # The supply's doing. What the load does next, coming back, is not the contact's either.
        return replace(memory, level_w=0.0, held_s=None, broke_s=None)
    if memory.held_s is None or taken_s - memory.held_s > _RETURN_S:
        return replace(memory, level_w=power_w, held_s=taken_s, broke_s=None)
    if power_w >= _BACK_SHARE * memory.level_w:
        return _held(memory, power_w, taken_s, memory.held_s, limits)
    if memory.broke_s is None and memory.level_w >= _LEVEL_W and power_w < _BREAK_SHARE * memory.level_w:
        return replace(memory, broke_s=taken_s)
    return memory


def _held(memory: Chatter, power_w: float, taken_s: float, held_s: float, limits: PortLimits) -> Chatter:
    faded_w = memory.level_w * (1.0 - (taken_s - held_s) / _FADE_S)
    breaks_s = memory.breaks_s
    if memory.broke_s is not None:
        breaks_s = (*breaks_s, memory.broke_s)[-limits.chatter_breaks :]
    return replace(
        memory,
        level_w=max(power_w, faded_w),
        held_s=taken_s,
        broke_s=None,
        breaks_s=breaks_s,
        found=memory.found or _is_chatter(breaks_s, limits),
    )


def _is_chatter(breaks_s: tuple[float, ...], limits: PortLimits) -> bool:
    if len(breaks_s) < limits.chatter_breaks or breaks_s[-1] - breaks_s[0] > limits.chatter_window_s:
        return False
    distances_s = sorted(later - earlier for earlier, later in pairwise(breaks_s))
    return not distances_s or distances_s[len(distances_s) // 2] < _BEAT_S


def standing(memory: Chatter, limits: PortLimits, now: float) -> tuple[str, ...]:  # noqa: ARG001
    """Return ``poor_contact`` when it stands; neither silence nor quiet ends it while the relay is closed."""
    return ("poor_contact",) if memory.found else ()
