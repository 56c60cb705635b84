"""Which wall time the station believes, and when it writes that down. Pure: readings go in, decisions come out.

Rules of this file:
- within one boot the calendar is a fixed **offset** to CLOCK_BOOTTIME, which never steps. Whatever somebody does to the
  system's clock, the station believes it only where a time service stands behind the change;
- the station never sets the system's clock;
- ntp is better than the server's word, that better than a hardware clock, that better than nothing. An offset once
  believed is kept to the end of the boot or until something better comes;
- a hardware clock is believed only next to what the journal knows of the last trusted time: not earlier, and not more
  than a year later;
- every belief states how wrong it may be if its source tells the truth, and becomes vaguer as its source recedes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilenode.station.wallclock import CEILING_MS, FLOOR_MS, SLACK_MS, ClockQuality, Stamp, quality
from pilenode.upstream.facts_time import Anchor

if TYPE_CHECKING:
    from pilenode.station.wallclock import Reading
    from pilenode.upstream.facts import Fact

#: A boottime clock gains or loses at most one part in this many: 100 ppm, an assumption with room for the crystal of a
#: board in a cabinet outdoors (clock_fault of guard latches far above that).
_DRIFT: Final = 10_000
#: How wrong a source may be by itself, ms: assumptions. timesyncd takes no server further off than that; a backend is
#: a server with a time service of its own; a hardware clock drifts through months without power.
NTP_MS: Final = 1_000
SERVER_MS: Final = 1_000
RTC_MS: Final = 300_000
#: What ``pilenode.clock.boot_id`` says where the kernel tells none: then no two moments are known to share a boot.
UNKNOWN_BOOT: Final = "unknown"
#: A tie of boottime and calendar that moves by more than this has stepped, ms.
STEP_MS: Final = 1_000
#: An answer later than this says too little, ms.
MAX_ROUND_TRIP_MS: Final = 10_000
#: A time that was told without being asked for may have been on its way this long, ms: an assumption.
UNASKED_MS: Final = 30_000
#: A server that contradicts ntp by more than this is wrong, ms.
CONTRADICTION_MS: Final = 3_600_000
#: A hardware clock this far ahead of the last trusted time has lost its time, ms (a year).
_FAR_MS: Final = 365 * 86_400_000
#: An anchor that has become vaguer than the present belief by this much is written anew, ms.
_VAGUE_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Past:
    """What the journal knows: the newest trusted wall time of earlier boots, None when there never was one."""

    wall_ms: int | None


@dataclass(frozen=True, slots=True)
class Belief:
    """wall = boottime + ``offset_ms``. ``uncertainty_ms`` was that at boottime ``since_ms``, when its source spoke.

    Only of ntp: ``seen_ms`` is the boottime at which the system's clock last agreed with it, ``synced_ms`` what the
    system then told of its last synchronisation.
    """

    boot: str
    offset_ms: int
    quality: ClockQuality
    uncertainty_ms: int
    since_ms: int
    seen_ms: int = 0
    synced_ms: int | None = None

    def uncertainty_at(self, boottime_ms: int) -> int:
        """Return how wrong it may be at that boottime, before or after its source spoke."""
        return self.uncertainty_ms + drift_ms(boottime_ms - self.since_ms)


@dataclass(frozen=True, slots=True)
class Told:
    """A time the server told. ``asked_ms`` and ``received_ms`` are boottimes of the question and of the answer.

    ``asked_ms`` None: it was told without being asked for.
    """

    wall_ms: int
    received_ms: int
    asked_ms: int | None = None


def drift_ms(span_ms: int) -> int:
    """Return how far a boottime clock may be off after that long."""
    return -(-abs(span_ms) // _DRIFT)


def look(reading: Reading, belief: Belief | None, past: Past | None) -> Belief | None:
    """Return what is believed after a reading of the system's clock. ``past`` None: the journal is not read yet."""
    found = quality(reading)
    offset_ms = reading.wall_ms - reading.boottime_ms
    if found is ClockQuality.NTP and reading.synced_ms is not None:
        since_ms = min(max(0, reading.synced_ms - offset_ms), reading.boottime_ms)
        fresh = Belief(reading.boot, offset_ms, found, NTP_MS, since_ms, reading.boottime_ms, reading.synced_ms)
        return fresh if belief is None or _follows(fresh, belief) else belief
    if found is ClockQuality.RTC and belief is None and past is not None and _plausible(reading.wall_ms, past):
        return Belief(reading.boot, offset_ms, found, RTC_MS, reading.boottime_ms)
    return belief


def _follows(fresh: Belief, belief: Belief) -> bool:
    """Return whether a clock said to be of ntp is: it has not stepped, or has been set by the service since."""
    if belief.quality is not ClockQuality.NTP or abs(fresh.offset_ms - belief.offset_ms) <= STEP_MS:
        return True
    return fresh.synced_ms != belief.synced_ms and fresh.since_ms >= belief.seen_ms - SLACK_MS


def _plausible(wall_ms: int, past: Past) -> bool:
    return past.wall_ms is None or past.wall_ms - 2 * RTC_MS <= wall_ms <= past.wall_ms + _FAR_MS


def take(boot: str, told: Told, belief: Belief | None) -> Belief | str:
    """Return what is believed after the server told the time, or why it is refused (a word for the counters)."""
    if not FLOOR_MS <= told.wall_ms < CEILING_MS:
        return "absurd_time"
    # It was that time at the backend somewhere between question and answer; the middle is wrong by half of it at most.
    way_ms = UNASKED_MS if told.asked_ms is None else told.received_ms - told.asked_ms
    if told.asked_ms is not None and not 0 <= way_ms <= MAX_ROUND_TRIP_MS:
        return "late_time"
    half_ms = -(-way_ms // 2)
    offset_ms = told.wall_ms + half_ms - told.received_ms
    # One more: every one of the three clocks was cut to whole milliseconds.
    fresh = Belief(boot, offset_ms, ClockQuality.SERVER, half_ms + 1 + SERVER_MS, told.received_ms)
    if belief is None or belief.quality.rank < fresh.quality.rank:
        return fresh
    apart_ms = abs(offset_ms - belief.offset_ms)
    vague_ms = belief.uncertainty_at(told.received_ms)
    if belief.quality is ClockQuality.NTP:
        return "contradicts_ntp" if apart_ms > CONTRADICTION_MS else belief
    return fresh if fresh.uncertainty_ms <= vague_ms or apart_ms > fresh.uncertainty_ms + vague_ms else belief


def stamp(reading: Reading, belief: Belief | None) -> Stamp:
    """Return the moment of ``reading`` as it is believed."""
    if belief is None:
        return Stamp(reading.boot, reading.boottime_ms, max(0, reading.wall_ms), ClockQuality.NONE)
    wall_ms = max(0, reading.boottime_ms + belief.offset_ms)
    uncertainty_ms = belief.uncertainty_at(reading.boottime_ms)
    return Stamp(reading.boot, reading.boottime_ms, wall_ms, belief.quality, uncertainty_ms)


def due(last: Anchor | None, at: Stamp) -> Anchor | None:
    """Return the anchor to be written at ``at``, None when the ``last`` one of this boot still says it all."""
    if at.uncertainty_ms is None:
        return None
    anchor = Anchor(
        boottime_ms=at.boottime_ms,
        wall_ms=at.wall_ms,
        quality=at.clock,
        step_ms=0 if last is None else at.wall_ms - at.boottime_ms - (last.wall_ms - last.boottime_ms),
        uncertainty_ms=at.uncertainty_ms,
    )
    if last is None or last.quality != anchor.quality or abs(anchor.step_ms) > STEP_MS:
        return anchor
    vague_ms = last.uncertainty_ms + drift_ms(at.boottime_ms - last.boottime_ms)
    return anchor if vague_ms > at.uncertainty_ms + _VAGUE_MS else None


def recall(boot: str, newest: Fact | None, anchor: Anchor | None) -> tuple[Past, Belief | None]:
    """Return past and belief of a process that starts, from the journal.

    ``newest``: its newest fact with a trusted clock; ``anchor``: the newest anchor of this boot, None when there is
    none. The belief of this boot outlives the process: only so is a step that happened while it was away no news.
    """
    past = Past(None if newest is None else newest.wall_ms)
    if newest is None or anchor is None or newest.boot != boot or boot == UNKNOWN_BOOT:
        return past, None
    anchored_ms = anchor.wall_ms - anchor.boottime_ms
    same = newest.clock == anchor.quality
    return past, Belief(
        boot,
        newest.wall_ms - newest.boottime_ms if same else anchored_ms,
        ClockQuality(anchor.quality),
        anchor.uncertainty_ms,
        anchor.boottime_ms,
        newest.boottime_ms if same else anchor.boottime_ms,
    )
