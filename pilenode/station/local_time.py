"""Local time: the half-hour slots prices and statistics go by, midnights, and "07:30". Pure, integers only.

Moments are ms since the epoch. A **slot** is half an hour of the *local* clock, numbered 0 to 47 from midnight; that is
what a tariff is written in. Where the local clock jumps (summer time, a zone that changes sides), a day has fewer or
more slots than 48 and one number may come twice. A slot ends where the local clock shows a full or half hour, and where
it jumps, whichever is first; nothing else of this file assumes how far or at which minute clocks jump.

Zones come from the system's tz database through ``zoneinfo``; where that lacks a zone, ``config`` says so at start.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import tzinfo

SLOT_MIN: Final = 30
SLOTS: Final = 48
SLOT_MS: Final = SLOT_MIN * 60_000
_DAY_MS: Final = SLOTS * SLOT_MS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_DAY: Final = timedelta(days=1)
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def local(wall_ms: int, zone: tzinfo) -> datetime:
    """Return what the local clock and calendar show at ``wall_ms``."""
    return (_EPOCH + timedelta(milliseconds=wall_ms)).astimezone(zone)


def slot_of(wall_ms: int, zone: tzinfo) -> int:
    """Return the number of the slot, 0 to 47."""
    shown = local(wall_ms, zone)
    return (shown.hour * 60 + shown.minute) // SLOT_MIN


def next_slot_ms(wall_ms: int, zone: tzinfo) -> int:
    """Return the first moment after ``wall_ms`` at which a slot begins; at most half an hour away."""
    into_ms = (wall_ms + _offset_ms(wall_ms, zone)) % SLOT_MS
    whole = wall_ms + SLOT_MS - into_ms
    return _jump(wall_ms, whole, zone) if _offset_ms(whole, zone) != _offset_ms(wall_ms, zone) else whole


def local_midnight_ms(wall_ms: int, zone: tzinfo) -> int:
    """Return the first moment of the local day of ``wall_ms``. Where midnight is jumped over, that of the jump."""
    return _first_ms(local(wall_ms, zone).date(), time(), zone)


def next_midnight_ms(wall_ms: int, zone: tzinfo) -> int:
    """Return the first moment of the next local day there is."""
    return _first_ms(local(wall_ms, zone).date() + _DAY, time(), zone)


def parse_clock(text: str) -> int | None:
    """Return the minutes after midnight of "HH:MM" (00:00 to 23:59), None when it is not one."""
    found = _CLOCK.fullmatch(text)
    return None if found is None else int(found[1]) * 60 + int(found[2])


def next_clock_ms(wall_ms: int, minutes: int, zone: tzinfo) -> int:
    """Return the first moment after ``wall_ms`` at which the local clock shows ``minutes`` after midnight (0 to 1439).

    A time that is jumped over counts as shown at the jump; one that comes twice is shown twice. A day that does not
    exist at all (Apia, 2011-12-30) shows nothing.
    """
    wanted = time(minutes // 60, minutes % 60)
    today = local(wall_ms, zone).date()
    for days in range(-1, 4):
        for moment in _moments(today + days * _DAY, wanted, zone):
            if moment > wall_ms:
                return moment
    raise AssertionError("no local clock stands still for three days")


def _first_ms(day: date, wanted: time, zone: tzinfo) -> int:
    early, late = _both(day, wanted, zone)
    return _jump(late, early, zone) if early > late else early


def _moments(day: date, wanted: time, zone: tzinfo) -> tuple[int, ...]:
    early, late = _both(day, wanted, zone)
    if early <= late:
        return (early, late)
    return (_jump(late, early, zone),) if early - late < _DAY_MS else ()


def _both(day: date, wanted: time, zone: tzinfo) -> tuple[int, int]:
    """Return the moment by the offset before a jump and by the one after it: the first is later only in a gap."""
    shown = datetime.combine(day, wanted, zone)
    return _wall_ms(shown), _wall_ms(shown.replace(fold=1))


def _jump(before: int, upto: int, zone: tzinfo) -> int:
    """Return the first moment in (``before``, ``upto``] with another offset than ``before`` has."""
    offset = _offset_ms(before, zone)
    while upto - before > 1:
        middle = (before + upto) // 2
        before, upto = (middle, upto) if _offset_ms(middle, zone) == offset else (before, middle)
    return upto


def _wall_ms(shown: datetime) -> int:
    return (shown.astimezone(UTC) - _EPOCH) // _MS


def _offset_ms(wall_ms: int, zone: tzinfo) -> int:
    return (local(wall_ms, zone).utcoffset() or timedelta()) // _MS
