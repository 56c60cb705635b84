"""The energy register of a meter, held against the power that the same meter shows.

While a relay is closed the power is summed up from reading to reading, and every newly read register value is compared
with that sum at the value's own time. A register that contradicts its power stands still, runs away, jumps or runs
back. One such value proves nothing: of the two words of a register one may be read before the carry and one after it
(field lessons §6: 16 spikes in two days). So a contradiction must be repeated, and once two values have agreed none
that contradicts them is taken as the new truth.

Two sums, because meters show nothing below a dead band of some watts while their registers count, or the reverse:
``least_wh`` leaves out what is below ``implausible_w``, ``most_wh`` adds that much on top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.limits import PortLimits
    from safety.reading import MeterReading

#: Share of the summed power that a working register counts at least, and the most it may count (reliability 1.2).
_LEAST_SHARE = 0.1
_MOST_SHARE = 1.2
#: Two steps of the coarsest register in use (10 Wh): one for rounding at either end of a difference.
SLACK_WH = 20.0
#: A register that is not read anew for so long while energy flows may as well stand still, seconds. It is due every
#: second while a session runs.
UNREAD_S = 60.0
#: Where registers begin again at zero, Wh: 4, 5 and 6 digits of kWh, and 32 bits of 0.1, 1/3.2, 1 and 10 Wh.
_ENDS_WH = (1e7, 1e8, 1e9, 2**32 / 10, 2**32 / 3.2, 2.0**32, 2.0**32 * 10)
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the register, in Wh, and where the sums stood then.

    ``first_wh``: first value, less ``most_wh`` then. ``high_wh``: highest value that contradicted nothing, at
    ``high_most_wh``. ``mark_wh``: value at ``mark_least_wh``, when it had last moved by what was due since the one
    before. ``agreed``: a second value has agreed with the first, which may have been torn itself.
    """

    first_wh: float
    high_wh: float
    high_most_wh: float
    mark_wh: float
    mark_least_wh: float
    agreed: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """Memory of the rule; energies in Wh, times in seconds.

    ``at_s``, ``power_w``: newest reading. ``least_wh``, ``most_wh``: the sums. ``read_s``: when the register was last
    read anew, before the first time when the sums began; ``read_least_wh``: the sum then. ``contradictions``: values
    in a row that contradict the power, since ``since_s``.
    """

    at_s: float
    power_w: float
    least_wh: float
    most_wh: float
    read_s: float
    read_least_wh: float = 0.0
    known: Known | None = None
    contradictions: int = 0
    since_s: float | None = None


def observe(memory: Register | None, reading: MeterReading, limits: PortLimits) -> Register | None:
    """Return the memory with one more reading, taken while the relay was closed.

    Where there is no register value there is nothing to be held against the power, and the memory is None.
    """
    if reading.energy_wh is None or reading.energy_taken_s is None:
        return None
    if memory is None:
        memory = Register(reading.taken_s, reading.power_w, 0.0, 0.0, reading.taken_s)
    else:
        mean_w = (memory.power_w + reading.power_w) / 2.0
        least_wh, most_wh = _flow_wh(mean_w, reading.taken_s - memory.at_s, limits)
        memory = Register(
            reading.taken_s,
            reading.power_w,
            memory.least_wh + least_wh,
            memory.most_wh + most_wh,
            memory.read_s,
            memory.read_least_wh,
            memory.known,
            memory.contradictions,
            memory.since_s,
        )
    # a value from before the sums began cannot be compared with them
    anew = reading.energy_taken_s > memory.read_s or (memory.known is None and reading.energy_taken_s == memory.read_s)
    return _compare(memory, reading.energy_wh, reading.energy_taken_s, limits) if anew else memory


def stands(memory: Register | None, limits: PortLimits, now: float) -> bool:
    """Return whether the register has contradicted its power for long enough, or is not read any more."""
    if memory is None:
        return False
    if memory.contradictions >= limits.implausible_samples and memory.since_s is not None:
        return now - memory.since_s >= limits.implausible_s
    unread_wh = memory.least_wh - memory.read_least_wh
    return unread_wh >= limits.energy_check_wh and memory.at_s - memory.read_s >= UNREAD_S


def _flow_wh(power_w: float, seconds: float, limits: PortLimits) -> tuple[float, float]:
    """Return what ``power_w`` over ``seconds`` adds to a register: what is due at least, and the most there may be.

    The loads of a rig run at any speed from life to ``time_scale``; in life both are one.
    """
    hours = seconds / _SECONDS_PER_HOUR
    least_w = power_w if power_w > limits.implausible_w else 0.0
    return least_w * hours, (_MOST_SHARE * power_w + limits.implausible_w) * limits.time_scale * hours


def _compare(memory: Register, energy_wh: float, taken_s: float, limits: PortLimits) -> Register:
    # the register is read a little after the power of the same reading
    least_wh, most_wh = _flow_wh(memory.power_w, taken_s - memory.at_s, limits)
    now_least_wh, now_most_wh = memory.least_wh + least_wh, memory.most_wh + most_wh
    fresh = Known(energy_wh - now_most_wh, energy_wh, now_most_wh, energy_wh, now_least_wh)
    known, contradictions, since_s = memory.known, 0, None
    if known is not None and not _contradicts(known, energy_wh, now_least_wh, now_most_wh, limits):
        known = _learn(known, energy_wh, now_least_wh, now_most_wh)
    elif known is None or _went_round(known, energy_wh, now_most_wh):
        known = fresh
    else:
        known = known if known.agreed else fresh
        contradictions = memory.contradictions + 1
        since_s = taken_s if memory.since_s is None else memory.since_s
    return Register(
        memory.at_s,
        memory.power_w,
        memory.least_wh,
        memory.most_wh,
        taken_s,
        now_least_wh,
        known,
        contradictions,
        since_s,
    )


def _contradicts(known: Known, energy_wh: float, least_wh: float, most_wh: float, limits: PortLimits) -> bool:
    """Return whether the register ran back, jumped, runs away or stands still."""
    due_wh = least_wh - known.mark_least_wh
    return (
        energy_wh < known.high_wh - SLACK_WH
        or energy_wh - known.high_wh > most_wh - known.high_most_wh + SLACK_WH
        or energy_wh - known.first_wh > most_wh + SLACK_WH
        or (due_wh >= limits.energy_check_wh and energy_wh - known.mark_wh < _LEAST_SHARE * due_wh)
    )


def _learn(known: Known, energy_wh: float, least_wh: float, most_wh: float) -> Known:
    """Return what is known with a value that contradicts nothing."""
    if energy_wh <= known.high_wh:
        return known if known.agreed else replace(known, agreed=True)
    moved = energy_wh - known.mark_wh >= _LEAST_SHARE * (least_wh - known.mark_least_wh)
    mark_wh, mark_least_wh = (energy_wh, least_wh) if moved else (known.mark_wh, known.mark_least_wh)
    return Known(known.first_wh, energy_wh, most_wh, mark_wh, mark_least_wh, agreed=True)


def _went_round(known: Known, energy_wh: float, most_wh: float) -> bool:
    """Return whether the register came to its end and began at zero again, which is no fault."""
    allowed_wh = most_wh - known.high_most_wh + SLACK_WH
    return any(-SLACK_WH <= energy_wh + end_wh - known.high_wh <= allowed_wh for end_wh in _ENDS_WH)
