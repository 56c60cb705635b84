"""What cards owe: a fold over the facts of sessions, so that a restart and a power cut change nothing. Pure.

A session by card costs its reserve while it has no price, and its price from then on. It counts
- as *debt* of the cabinet until the backend has acknowledged its end;
- against the *day* of its card on every local day that it touches, as long as it is debt, and to the end of the last
  such day when it was started without the backend: what was acknowledged later was lent all the same.

Days. A session whose start has no trusted time is put in its day by the clock that counts through (``boottime``) once
the time is known in the same boot; an end that nobody can place was a day after the start at most. One whose day
nobody can tell counts as today until it is acknowledged, and to the end of its boot. Without a trusted clock now,
today is all of those, all debt, and the last day that the journal knows. A day that lies ahead, because the clock was
set back, counts as today.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.cards import DAY_MS, Present, Usage
from pilenode.upstream.facts import FactKind, SessionStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact

KINDS: Final = (FactKind.SESSION_STARTED, FactKind.SESSION_ENDED)

#: Sessions that nobody will ask about again are thrown away when there are this many more than after the last time.
_SPARE: Final = 500
#: No session is longer: guard gives power for 12 h at most, and the rest is room for pauses.
_LONGEST_MS: Final = DAY_MS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: 9999-12-30 UTC: a clock that says more has gone mad, and the calendar ends.
_LATEST_MS: Final = 253_402_128_000_000


class _Charged(msgspec.Struct):
    charged_fen: int


class _Money(msgspec.Struct):
    bill: _Charged


class _Fees(msgspec.Struct):
    """What is looked for in the end of a session: what is to be paid."""

    money: _Money


@dataclass(frozen=True, slots=True)
class Moment:
    """When a fact was written. ``trusted`` False: ``wall_ms`` means nothing."""

    boot: str
    boottime_ms: int
    wall_ms: int
    trusted: bool

    @classmethod
    def of(cls, at: Fact | Stamp) -> Moment:
        """Return the moment of a fact, or of now."""
        return cls(at.boot, at.boottime_ms, at.wall_ms, at.clock != "none")


@dataclass(frozen=True, slots=True)
class Spent:
    """One session by card. ``end_seq`` None: it has no price yet, and ``fen`` is its reserve."""

    card: str
    begun: Moment
    offline: bool
    fen: int
    ended: Moment | None = None
    end_seq: int | None = None

    def is_debt(self, acked_seq: int) -> bool:
        """Return whether the backend does not know its price."""
        return self.end_seq is None or self.end_seq > acked_seq


def local_day(wall_ms: int, zone: tzinfo) -> int:
    """Return the day of a moment in ``zone`` as a number that grows by one at every local midnight."""
    return (_EPOCH + timedelta(milliseconds=min(wall_ms, _LATEST_MS))).astimezone(zone).toordinal()


class Exposure:
    """The sessions by card that still matter. ``acked`` tells up to where the backend has acknowledged."""

    def __init__(self, zone: tzinfo, acked: Callable[[], int]) -> None:
        self._zone = zone
        self._acked = acked
        self._sessions: dict[str, Spent] = {}
        self._keep = _SPARE
        self.not_before_ms = 0  # newest trusted time of a fact

    def keep(self, fact: Fact) -> None:
        """Take one fact of ``KINDS``, in order of ``seq``."""
        at = Moment.of(fact)
        if at.trusted:
            self.not_before_ms = max(self.not_before_ms, at.wall_ms)
        name = fact.session or ""
        if fact.kind == FactKind.SESSION_STARTED:
            started = msgspec.json.decode(fact.body, type=SessionStarted)
            if started.card is not None:
                self._sessions[name] = Spent(started.card, at, started.offline, started.payment.limit_fen or 0)
        elif fact.kind == FactKind.SESSION_ENDED and name in self._sessions:
            fees = msgspec.json.decode(fact.body, type=_Fees)
            fen = fees.money.bill.charged_fen
            self._sessions[name] = replace(self._sessions[name], fen=fen, ended=at, end_seq=fact.seq)
        if len(self._sessions) > self._keep:
            self._forget()

    def present(self, now: Stamp) -> Present:
        """Return what is known of the time."""
        return Present(now.wall_ms, now.clock != "none", self.not_before_ms)

    def usage(self, card: str, now: Stamp, running: int) -> Usage:
        """Return what ``card`` and all cards owe now; ``running`` is how many sessions it has."""
        acked = self._acked()
        at = Moment.of(now)
        day_fen = sum(one.fen for one in self._sessions.values() if one.card == card and self._today(one, at, acked))
        return Usage(day_fen, self.debt_fen(), running)

    def debt_fen(self) -> int:
        """Return what all cards owe that the backend does not know of."""
        return _sum(one for one in self._sessions.values() if one.is_debt(self._acked()))

    def _today(self, one: Spent, now: Moment, acked: int) -> bool:
        """Return whether a session counts against the day of ``now``."""
        debt = one.is_debt(acked)
        if not debt and not one.offline:
            return False
        if one.ended is None:
            return True
        last = self._last_day(one, one.ended, now)
        if last is None:
            return debt or one.ended.boot == now.boot
        if now.trusted:
            return last >= local_day(now.wall_ms, self._zone)
        return debt or last >= local_day(self.not_before_ms, self._zone)

    def _last_day(self, one: Spent, ended: Moment, now: Moment) -> int | None:
        """Return the last local day that a session may have touched, None when nobody can tell."""
        day = self._day(ended, now)
        if day is None and one.begun.trusted:
            return local_day(one.begun.wall_ms + _LONGEST_MS, self._zone)
        return day

    def _day(self, at: Moment, now: Moment) -> int | None:
        """Return the local day of a moment, None when nobody can tell."""
        if at.trusted:
            return local_day(at.wall_ms, self._zone)
        if now.trusted and at.boot == now.boot:
            return local_day(now.wall_ms - (now.boottime_ms - at.boottime_ms), self._zone)
        return None

    def _forget(self) -> None:
        """Throw away what the backend knows and no day to come can hold: it ended two days before all that is known.

        An acknowledged session without a trusted time goes too, once it is of another boot than the newest one.
        """
        acked = self._acked()
        newest = next(reversed(self._sessions.values())).begun.boot
        self._sessions = {name: one for name, one in self._sessions.items() if self._matters(one, acked, newest)}
        self._keep = len(self._sessions) + _SPARE

    def _matters(self, one: Spent, acked: int, newest_boot: str) -> bool:
        if one.ended is None or one.is_debt(acked):
            return True
        if one.ended.trusted or one.begun.trusted:
            known_ms = one.ended.wall_ms if one.ended.trusted else one.begun.wall_ms + _LONGEST_MS
            return known_ms > self.not_before_ms - 2 * DAY_MS
        return one.ended.boot == newest_boot


def _sum(spent: Iterable[Spent]) -> int:
    return sum(one.fen for one in spent)
