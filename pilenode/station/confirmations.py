"""What an acknowledgement of the backend is worth, and when this log has to be given up because of one. Pure.

The backend names the link of the newest fact that it has. Only who has the same history is believed. A backend that
holds facts of this log which are not in it has seen a past that this storage lost: a card that was restored, or that
confirmed what it did not keep. Numbers must never be used twice, so this log ends and a new one begins. As that may
also be a mistake of the backend, it has to say so twice, and it can do so once an hour only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.contract import NO_LINK
from pilenode.upstream.facts_journal import LogSalvaged

if TYPE_CHECKING:
    from pilenode.station.entries import JournalStatus
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.contract import Ack
    from pilenode.upstream.facts import Fact

#: A log that began because the last one was given up is not given up for so long, ms.
_AGAIN_MS: Final = 3_600_000
#: Nor is one given up while so many set-aside files wait for a person: the journal keeps eight at most.
_MOST_ASIDE: Final = 4
_MOST_PENDING: Final = 32


class Pending:
    """Acknowledgements that arrived faster than the card remembers them.

    A later one of the same log that goes further stands for the one before it: its link is made of all links before.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._acks: deque[Ack] = deque(maxlen=_MOST_PENDING)

    def add(self, ack: Ack) -> None:
        """Take one more."""
        last = self._acks[-1] if self._acks else None
        if last is not None and last.log_id == ack.log_id and last.upto < ack.upto and last.resend is None:
            self._acks.pop()
        self._acks.append(ack)  # of too many the oldest goes: whatever it confirmed is confirmed again
        self.arrived.set()

    async def next(self) -> Ack:
        """Wait for the oldest and take it out."""
        while not self._acks:
            self.arrived.clear()
            await self.arrived.wait()
        return self._acks.popleft()


class Verdict(Enum):
    """What an acknowledgement is worth."""

    NEW = "new"
    OLD = "old"
    FOREIGN = "foreign"  # of another log
    DIFFERS = "differs"  # of this log, but with another history


def judge(ack: Ack, status: JournalStatus, link: str | None) -> Verdict:
    """Return what ``ack`` is worth. ``link``: that of fact ``ack.upto`` in this log, None where it is not known."""
    if ack.log_id != status.log_id:
        return Verdict.FOREIGN
    known = NO_LINK if ack.upto == 0 else link
    if ack.upto > status.last_seq or (known is not None and known != ack.hash):
        return Verdict.DIFFERS
    return Verdict.NEW if ack.upto > status.acked_seq else Verdict.OLD


def may_be_given_up(status: JournalStatus, began: Fact | None, now: Stamp) -> bool:
    """Return whether this log may be given up. ``began``: the ``log_salvaged`` that it began with, None for none."""
    if len(status.set_aside) >= _MOST_ASIDE:
        return False
    if began is None or msgspec.json.decode(began.body, type=LogSalvaged).cause != "renounced":
        return True
    if began.boot == now.boot:
        return now.boottime_ms - began.boottime_ms >= _AGAIN_MS
    both_dated = ClockQuality.NONE not in (began.clock, now.clock)
    return both_dated and now.wall_ms - began.wall_ms >= _AGAIN_MS
