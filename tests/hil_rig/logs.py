"""Logs of facts for tests of whoever takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.upstream.contract import FactBatch
from pilenode.upstream.facts import GENESIS, Boot, Fact, FactKind, canonical, link
from pilenode.upstream.facts_journal import Removed
from pilenode.upstream.packing import thinned

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG_ID = "0123456789abcdef"


def chain(count: int, log_id: str = LOG_ID, words: str = "") -> list[Fact]:
    """Return the first facts of a log, each with its link. ``words`` make it another log than without."""
    facts, previous = [], GENESIS
    for seq in range(1, count + 1):
        fact = Fact(
            seq=seq,
            boot="b",
            boottime_ms=seq,
            wall_ms=seq,
            clock="ntp",
            kind=FactKind.BOOT,
            body=msgspec.Raw(canonical(Boot(version=f"{words}{seq}"))),
        )
        previous = link(previous, log_id, fact)
        facts.append(msgspec.structs.replace(fact, hash=previous.hex()))
    return facts


def hole(facts: list[Fact], since: int, upto: int) -> Fact:
    """Return the row that stands in the place of facts."""
    body = msgspec.Raw(msgspec.json.encode(Removed(since=since)))
    return msgspec.structs.replace(facts[upto - 1], kind=FactKind.REMOVED, body=body)


def sent(facts: Iterable[Fact], log_id: str = LOG_ID) -> FactBatch:
    """Return facts as a cabinet sends them."""
    return FactBatch(log_id=log_id, facts=thinned(list(facts)))
