"""Energy, sessions, refusals, use and faults of a cabinet by local day or month. A fold over facts.

- A session, its energy and its fees belong to the period in which it ended.
- The time for which a port had power is laid out backwards from the end of its session and divided at local midnight,
  so that no port is in use for longer than its day.
- What happened while the clock could not be trusted is counted apart (period None) and never put anywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Collection
    from zoneinfo import ZoneInfo

    from pilenode.upstream.facts import Fact

Span = Literal["day", "month"]
#: Where nothing else is said (``node.timezone``).
DEFAULT_TIMEZONE: Final = "Asia/Shanghai"
#: The facts that statistics are made of.
KINDS: Final = (FactKind.SESSION_ENDED, FactKind.START_REFUSED, FactKind.FAULT_LATCHED, FactKind.FAULT_FOUND)
#: A clock beyond 9999-12-31 is none.
_LAST_MS: Final = 253_402_214_400_000
#: No session has power for longer than 12 h (``completion.max_duration_s``); what claims more is laid out so far.
_LONGEST_MS: Final = 7 * 86_400_000


class _Ended(msgspec.Struct):
    """What of ``SessionEnded`` is counted."""

    port: int
    energy_wh: int
    duration_s: int
    electricity_fen: int
    service_fen: int
    age_ms: int = 0


class _Coded(msgspec.Struct):
    """What of ``StartRefused`` and ``Fault`` is counted."""

    code: str
    age_ms: int = 0


@dataclass(slots=True)
class Sums:
    """What happened in one period. ``on_ms``: how long each port had power in it."""

    sessions: int = 0
    energy_wh: int = 0
    electricity_fen: int = 0
    service_fen: int = 0
    on_ms: Counter[int] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: Sums) -> None:
        """Add another period to this one."""
        self.sessions += other.sessions
        self.energy_wh += other.energy_wh
        self.electricity_fen += other.electricity_fen
        self.service_fen += other.service_fen
        for mine, theirs in ((self.refusals, other.refusals), (self.faults, other.faults)):
            mine.update(theirs)
        self.on_ms.update(other.on_ms)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One period as it is told. ``period``: "2026-11-30", "2026-11", None: time unknown.

    ``length_s``: how much of the period the log covers; ``use_permille``: mean time with power of a port within it,
    by port; None where the time is unknown.
    """

    period: str | None
    sessions: int
    energy_wh: int
    electricity_fen: int
    service_fen: int
    length_s: int | None
    on_s: dict[int, int]
    use_permille: int | None
    use_permille_by_port: dict[int, int]
    refusals: dict[str, int]
    faults: dict[str, int]


class Statistics:
    """Sums by local day; ``unknown`` takes what has no trusted time."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.days: dict[date, Sums] = {}
        self.unknown = Sums()
        self.zone = zone
        self.first_ms: int | None = None  # the first fact with a trusted time
        self._midnights: dict[date, int] = {}
        self._hours: dict[int, date] = {}

    def take(self, fact: Fact) -> None:
        """Take one more fact; those of other kinds only tell that the cabinet was there."""
        known = fact.clock != ClockQuality.NONE and fact.wall_ms < _LAST_MS
        if known and self.first_ms is None:
            self.first_ms = fact.wall_ms
        if fact.kind == FactKind.SESSION_ENDED:
            self._ended(fact, known=known)
        elif fact.kind in KINDS:
            body = msgspec.json.decode(fact.body, type=_Coded)
            sums = self._at(fact.wall_ms - body.age_ms) if known else self.unknown
            (sums.refusals if fact.kind == FactKind.START_REFUSED else sums.faults)[body.code] += 1

    def rows(self, span: Span, ports: Collection[int], now_ms: int | None) -> list[Row]:
        """Return the periods in order, the unknown one last if anything is in it.

        ``ports``: those whose use is told; ``now_ms``: where the log ends, None: not known, periods count whole.
        """
        found: dict[str, Sums] = {}
        lengths: Counter[str] = Counter()
        for day, sums in sorted(self.days.items()):
            name = day.isoformat() if span == "day" else f"{day:%Y-%m}"
            found.setdefault(name, Sums()).add(sums)
        for name in found:
            lengths[name] = self._length_ms(name, now_ms)
        rows = [_row(name, sums, lengths[name], ports) for name, sums in found.items()]
        return rows if self.unknown == Sums() else [*rows, _row(None, self.unknown, None, ports)]

    def _ended(self, fact: Fact, *, known: bool) -> None:
        body = msgspec.json.decode(fact.body, type=_Ended)
        end_ms = fact.wall_ms - body.age_ms
        sums = self._at(end_ms) if known else self.unknown
        sums.sessions += 1
        sums.energy_wh += body.energy_wh
        sums.electricity_fen += body.electricity_fen
        sums.service_fen += body.service_fen
        if not known:
            sums.on_ms[body.port] += body.duration_s * 1000
            return
        left_ms = min(body.duration_s * 1000, _LONGEST_MS)
        while left_ms > 0:
            day = self._day(end_ms - 1)
            part_ms = min(left_ms, end_ms - self._midnight_ms(day))
            self._sums(day).on_ms[body.port] += part_ms
            end_ms, left_ms = end_ms - part_ms, left_ms - part_ms

    def _at(self, wall_ms: int) -> Sums:
        return self._sums(self._day(wall_ms))

    def _sums(self, day: date) -> Sums:
        return self.days.setdefault(day, Sums())

    def _day(self, wall_ms: int) -> date:
        """Return the local day. Kept by quarter hour: no zone changes its day or its clock within one."""
        quarter = wall_ms // 900_000
        day = self._hours.get(quarter)
        if day is None:
            day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall_ms)).astimezone(self.zone).date()
            self._hours[quarter] = day
        return day

    def _midnight_ms(self, day: date) -> int:
        """Return when a local day begins. Where midnight is skipped, when the clock goes on."""
        if day not in self._midnights:
            self._midnights[day] = epoch_ms(datetime(day.year, day.month, day.day, tzinfo=self.zone))
        return self._midnights[day]

    def _length_ms(self, name: str, now_ms: int | None) -> int:
        first, after = bounds(name)
        begin_ms, end_ms = self._midnight_ms(first), self._midnight_ms(after)
        if self.first_ms is not None:
            # A session that was told late may lie before the first fact: the day is then not shortened.
            begin_ms = max(begin_ms, self.first_ms) if self.first_ms < end_ms else begin_ms
        if now_ms is not None and begin_ms < now_ms:
            end_ms = min(end_ms, now_ms)
        return end_ms - begin_ms


def epoch_ms(moment: datetime) -> int:
    """Return a moment with its zone as ms since the epoch, exactly."""
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def bounds(name: str) -> tuple[date, date]:
    """Return the first day of the period "2026-11" or "2026-11-30", and the first one after it. Raises ValueError."""
    if len(name) == len("2026-11-30"):
        first = date.fromisoformat(name)
        return first, first + timedelta(days=1)
    first = date.fromisoformat(f"{name}-01")
    return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1)


def _row(name: str | None, sums: Sums, length_ms: int | None, ports: Collection[int]) -> Row:
    shown = sorted({*ports, *sums.on_ms})
    use = {} if not length_ms else {port: min(1000, sums.on_ms[port] * 1000 // length_ms) for port in shown}
    return Row(
        period=name,
        sessions=sums.sessions,
        energy_wh=sums.energy_wh,
        electricity_fen=sums.electricity_fen,
        service_fen=sums.service_fen,
        length_s=None if length_ms is None else length_ms // 1000,
        on_s={port: sums.on_ms[port] // 1000 for port in shown},
        use_permille=sum(use.values()) // len(use) if use else None,
        use_permille_by_port=use,
        refusals=dict(sorted(sums.refusals.items())),
        faults=dict(sorted(sums.faults.items())),
    )
