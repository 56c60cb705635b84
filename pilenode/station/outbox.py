"""When to send what of the outbox, as values: the window, its two lanes, its time-outs, the pace, a batch's size. Pure.

A fact counts as done when the journal says that it is acknowledged, never because it was sent. Every connection begins
at the first fact that is not; what is not confirmed in time is sent again from there (go back n), for ever.

While a backlog is being sent, what happens meanwhile goes first: the facts up to ``mark`` are the backlog, those above
it the fresh ones. A backend takes them in any order and confirms what has no gap before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pilenode.upstream.contract import MAX_BATCH_BYTES, MAX_BATCH_FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.upstream.facts import Fact

#: Facts of one lane that may be on their way without being confirmed: what a fast link takes while the backend commits
#: and this card remembers the confirmation. A slow link never has that many: the next batch waits for the broker.
WINDOW_FACTS: Final = 32 * MAX_BATCH_FACTS
#: The doubling of the time-out ends here, seconds.
_MAX_TIMEOUT_S: Final = 600.0
_MAX_DOUBLINGS: Final = 20
#: After a broker that did not take a message: the first pause, doubled with every further one, seconds.
_NOT_TAKEN_S: Final = 5.0
#: Room for what stands around the facts of a batch, bytes.
_FRAME_BYTES: Final = 256
#: What stands around the body and the names of a fact: the words of JSON, three numbers of 16 digits, clock and link.
_AROUND_BYTES: Final = 264


@dataclass(frozen=True, slots=True)
class Window:
    """How far one connection has got. ``deadline_s``: when the oldest unconfirmed fact is overdue (monotonic).

    ``sent``: the backlog is sent up to here; ``fresh``: the fresh facts are, from ``mark`` on. Without a backlog there
    is one lane, and both are the same.
    """

    acked: int
    sent: int
    timeout_s: float
    mark: int = 0
    fresh: int = 0
    attempt: int = 0
    deadline_s: float | None = None

    @property
    def catching_up(self) -> bool:
        """Return whether there is a backlog."""
        return self.sent < self.mark

    @property
    def room(self) -> int:
        """Return how many facts of the backlog may be sent now; without one, how many at all."""
        return max(0, WINDOW_FACTS - (self.sent - self.acked))

    @property
    def fresh_room(self) -> int:
        """Return how many fresh facts may be sent now."""
        return max(0, WINDOW_FACTS - (self.last - self.mark)) if self.catching_up else self.room

    @property
    def last(self) -> int:
        """Return the newest fact that was sent; fresh facts are those above it."""
        return max(self.fresh, self.mark) if self.catching_up else self.sent

    @property
    def on_its_way(self) -> bool:
        """Return whether anything was sent and is not confirmed."""
        return self.sent > self.acked or (self.catching_up and self.last > self.mark)

    def after_sending(self, upto: int, now: float, chance: float, *, is_fresh: bool = False) -> Window:
        """Return the window after facts up to ``upto`` went out. ``chance`` is a random number in 0 to 1."""
        deadline_s = now + self.patience_s(chance) if self.deadline_s is None else self.deadline_s
        if is_fresh and self.catching_up:
            return replace(self, fresh=max(self.fresh, upto), deadline_s=deadline_s)
        return replace(self, sent=max(self.sent, upto), deadline_s=deadline_s).merged()

    def after_ack(self, acked: int, now: float, chance: float) -> Window:
        """Return the window after the journal's acknowledged ``seq`` was seen. An old one changes nothing."""
        if acked <= self.acked:
            return self
        news = replace(self, acked=acked, sent=max(self.sent, acked), attempt=0, deadline_s=None).merged()
        return replace(news, deadline_s=now + news.patience_s(chance)) if news.on_its_way else news

    def after_waiting(self, now: float) -> Window:
        """Return the window at ``now``: back to the first unconfirmed fact when that is overdue."""
        return self if self.deadline_s is None or now < self.deadline_s else self.gone_back()

    def gone_back(self) -> Window:
        """Return the window with everything unconfirmed still to be sent, as a backlog."""
        attempt = min(self.attempt + 1, _MAX_DOUBLINGS)
        return replace(self, sent=self.acked, mark=self.last, fresh=0, attempt=attempt, deadline_s=None)

    def merged(self) -> Window:
        """Return the window with one lane again, once the backlog has been sent."""
        return self if self.catching_up else replace(self, sent=max(self.sent, self.fresh), fresh=0)

    def patience_s(self, chance: float) -> float:
        """Return how long the next facts may stay unconfirmed: doubled with every failure, a little spread out."""
        doubled = min(max(_MAX_TIMEOUT_S, self.timeout_s), self.timeout_s * 2.0**self.attempt)
        return doubled * (1 + 0.2 * chance)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of the backlog may be sent: ``bytes_s`` in the mean, one second's worth at once. 0: as fast as can be.

    A debt is allowed, so that a batch larger than that may go at all. Times are monotonic, seconds.
    """

    bytes_s: float
    credit: float = 0.0
    at_s: float | None = None

    def wait_s(self, now: float) -> float:
        """Return how long to wait before anything of the backlog is sent."""
        credit = self._credit(now)
        return 0.0 if self.bytes_s <= 0 or credit > 0 else (1.0 - credit) / self.bytes_s

    def after_sending(self, size: int, now: float) -> Pace:
        """Return the pace after so many bytes went out."""
        return self if self.bytes_s <= 0 else replace(self, credit=self._credit(now) - size, at_s=now)

    def _credit(self, now: float) -> float:
        earned = self.bytes_s if self.at_s is None else self.bytes_s * max(0.0, now - self.at_s)
        return min(self.bytes_s, self.credit + earned)


@dataclass(frozen=True, slots=True)
class Patience:
    """Facts that can wait, do: up to ``most_s``, or until something goes that cannot. Times are monotonic, seconds."""

    most_s: float
    since_s: float | None = None

    def wait_s(self, now: float, *, count: int, urgent: bool) -> float:
        """Return how long the facts that were not sent yet may still wait, 0 when they are to be sent now."""
        if urgent or count >= MAX_BATCH_FACTS:
            return 0.0
        return self.most_s if self.since_s is None else max(0.0, self.since_s + self.most_s - now)

    def seen(self, now: float, *, waiting: bool) -> Patience:
        """Return the patience after it was seen whether anything waits."""
        if not waiting:
            return replace(self, since_s=None)
        return self if self.since_s is not None else replace(self, since_s=now)


def fit(facts: Sequence[Fact]) -> list[Fact]:
    """Return the longest beginning of ``facts`` that fits one batch; never nothing if there is something.

    Their sizes are judged, not made: a fact is never longer than that, unless its names are full of control characters.
    """
    room, count = MAX_BATCH_BYTES - _FRAME_BYTES, 0
    for fact in facts[:MAX_BATCH_FACTS]:
        room -= _AROUND_BYTES + len(fact.body) + len(fact.boot) + len(fact.kind) + len(fact.session or "")
        if count and room < 0:
            break
        count += 1
    return list(facts[:count])


def not_taken_s(times: int, chance: float) -> float:
    """Return the pause after a broker did not take a message, ``times`` in a row before; half of it is chance."""
    return min(_MAX_TIMEOUT_S, _NOT_TAKEN_S * 2.0 ** min(times, _MAX_DOUBLINGS)) * (0.5 + 0.5 * chance)
