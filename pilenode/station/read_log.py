"""Walks through the facts of a log by pages, as the control socket gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pilenode.upstream.facts import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilenode.ipc.messages import FactsReply

#: For those who check the chain: every kind there is.
EVERY_KIND: Final = tuple(FactKind)


class Taker(Protocol):
    """Whoever wants every fact, oldest first."""

    def take(self, fact: Fact) -> None:
        """Take one more fact."""


def walk(page: Callable[[int], FactsReply], takers: Sequence[Taker], tell: Callable[[int, int], None]) -> FactsReply:
    """Give every fact to all ``takers``, up to the end that the log has now, and return the first page.

    ``page`` returns the facts above a ``seq``; ``tell`` is told after each page how far of how much it is. Facts
    written meanwhile are left out, so that a busy cabinet cannot keep a reader for ever.
    """
    first = reply = page(0)
    while True:
        for stored in reply.facts:
            if stored.seq > first.last_seq:
                return first
            fact = msgspec.convert(stored, Fact, from_attributes=True)
            for taker in takers:
                taker.take(fact)
        if not reply.facts or reply.facts[-1].seq >= first.last_seq:
            return first
        tell(reply.facts[-1].seq, first.last_seq)
        reply = page(reply.facts[-1].seq)
