"""When to send what of the outbox, as values: the window, its time-outs, the size of a batch, the pauses. Pure.

A fact counts as done when the journal says that it is acknowledged, never because it was sent. Every connection begins
at the first fact that is not; what is not confirmed in time is sent again from there (go back n), for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.upstream.contract import MAX_BATCH_BYTES, MAX_BATCH_FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.upstream.facts import Fact

#: Facts that may be on their way without being confirmed: enough to fill a slow link, few to send again.
WINDOW_FACTS: Final = 4 * MAX_BATCH_FACTS
#: The doubling of the time-out ends here, seconds.
_MAX_TIMEOUT_S: Final = 600.0
_MAX_DOUBLINGS: Final = 20
#: Room for what stands around the facts of a batch, bytes.
_FRAME_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Window:
    """How far one connection has got. ``deadline_s``: when the oldest unconfirmed fact is overdue (monotonic)."""

    acked: int
    sent: int
    timeout_s: float
    attempt: int = 0
    deadline_s: float | None = None

    @property
    def room(self) -> int:
        """Return how many facts may be sent now."""
        return max(0, WINDOW_FACTS - (self.sent - self.acked))

    def after_sending(self, upto: int, now: float, chance: float) -> Window:
        """Return the window after facts up to ``upto`` went out. ``chance`` is a random number in 0 to 1."""
        deadline_s = self.deadline_s
        if deadline_s is None:
            deadline_s = now + self.patience_s(chance)
        return replace(self, sent=max(self.sent, upto), deadline_s=deadline_s)

    def after_ack(self, acked: int, now: float, chance: float) -> Window:
        """Return the window after the journal's acknowledged ``seq`` was seen. An old one changes nothing."""
        if acked <= self.acked:
            return self
        fresh = replace(self, acked=acked, sent=max(self.sent, acked), attempt=0, deadline_s=None)
        return fresh if fresh.sent == acked else replace(fresh, deadline_s=now + fresh.patience_s(chance))

    def after_waiting(self, now: float) -> Window:
        """Return the window at ``now``: back to the first unconfirmed fact when that is overdue."""
        if self.deadline_s is None or now < self.deadline_s:
            return self
        return replace(self, sent=self.acked, attempt=min(self.attempt + 1, _MAX_DOUBLINGS), deadline_s=None)

    def patience_s(self, chance: float) -> float:
        """Return how long the next facts may stay unconfirmed: doubled with every failure, a little spread out."""
        doubled = min(max(_MAX_TIMEOUT_S, self.timeout_s), self.timeout_s * 2.0**self.attempt)
        return doubled * (1 + 0.2 * chance)


def fit(facts: Sequence[Fact]) -> list[Fact]:
    """Return the longest beginning of ``facts`` that fits one batch; never nothing if there is something."""
    room = MAX_BATCH_BYTES - _FRAME_BYTES
    chosen: list[Fact] = []
    for fact in facts[:MAX_BATCH_FACTS]:
        room -= len(msgspec.json.encode(fact)) + 1
        if chosen and room < 0:
            break
        chosen.append(fact)
    return chosen


def pause_s(attempt: int, base_s: float, cap_s: float, chance: float) -> float:
    """Return the pause before connection ``attempt`` (0 is the first): full jitter, so that a fleet does not march."""
    return chance * min(cap_s, base_s * 2.0 ** min(attempt, _MAX_DOUBLINGS))
