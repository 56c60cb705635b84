"""The hours in which charging is allowed, as moments. Pure; every moment is ms since the epoch, UTC.

Local clock times are those of the zone's wall. Where a zone shifts its clock, a time that occurs twice counts the
first time, and one that does not occur counts as long after midnight as it would have been.

Hours need a clock: a cabinet that does not know the time enforces none (the caller asks only with a trusted one). They
are for neighbours and operators; nothing that protects depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from pilenode.station.local_time import local

if TYPE_CHECKING:
    from collections.abc import Iterable

    from config.schema_session import Session

DAY_MINUTES: Final = 24 * 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def minute_of(text: str) -> int:
    """Return the minute of the day of "HH:MM" (0 to 1440 for "24:00")."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def moment_ms(day: date, minute: int, zone: ZoneInfo) -> int:
    """Return the moment of a local minute of the day (up to 1440, the end of the day)."""
    midnight = datetime.combine(day + timedelta(days=minute // DAY_MINUTES), time(), zone)
    local = midnight + timedelta(minutes=minute % DAY_MINUTES)
    return (local.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Allowed hours. ``windows``: from and to as minutes of the local day, past midnight where "to" is not later."""

    windows: tuple[tuple[int, int], ...]
    zone: ZoneInfo
    ends_sessions: bool = False

    def open_at(self, at_ms: int) -> bool:
        """Return whether sessions may start."""
        return self._always() or self._around(at_ms) is not None

    def closes_at(self, at_ms: int) -> int | None:
        """Return the end of the hours that hold ``at_ms``; None when they are over, or never end."""
        found = None if self._always() else self._around(at_ms)
        return None if found is None else found[1]

    def opens_at(self, at_ms: int) -> int | None:
        """Return when the next hours begin, None when ``at_ms`` lies within some."""
        if self.open_at(at_ms):
            return None
        return min(begins for begins, _ in self._stretches(at_ms) if begins > at_ms)

    def deadline_ms(self, at_ms: int) -> int | None:
        """Return when a session that runs at ``at_ms`` has to end for the hours' sake, None: not for theirs.

        The present moment itself once they are over.
        """
        if not self.ends_sessions or self._always():
            return None
        closes_ms = self.closes_at(at_ms)
        return at_ms if closes_ms is None else closes_ms

    def _always(self) -> bool:
        """Return whether no minute of the day is left out."""
        reached = 0
        for begins, ends in sorted(_of_one_day(self.windows)):
            if begins > reached:
                return False
            reached = max(reached, ends)
        return not self.windows or reached >= DAY_MINUTES

    def _around(self, at_ms: int) -> tuple[int, int] | None:
        return next(((begins, ends) for begins, ends in self._stretches(at_ms) if begins <= at_ms < ends), None)

    def _stretches(self, at_ms: int) -> list[tuple[int, int]]:
        """Return the allowed stretches from two days before to two days after, those that touch made one."""
        today = local(at_ms, self.zone).date()
        found: list[tuple[int, int]] = []
        for begins, ends in sorted(
            (moment_ms(day, begin, self.zone), moment_ms(day, end if end > begin else end + DAY_MINUTES, self.zone))
            for day in (today + timedelta(days=shift) for shift in range(-2, 3))
            for begin, end in self.windows
        ):
            if found and begins <= found[-1][1]:
                found[-1] = (found[-1][0], max(ends, found[-1][1]))
            elif begins < ends:
                found.append((begins, ends))
        return found


def _of_one_day(windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the windows cut at midnight."""
    found = []
    for begins, ends in windows:
        found += [(begins, ends)] if ends > begins else [(begins, DAY_MINUTES), (0, ends)]
    return found


def hours_of(session: Session, timezone: str) -> Hours:
    """Return the hours of a configuration. ``timezone`` is a name that zoneinfo knows."""
    windows = tuple((minute_of(one.from_), minute_of(one.to)) for one in session.allowed)
    return Hours(windows, ZoneInfo(timezone), session.at_end == "end")
