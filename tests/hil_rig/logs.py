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

    from pilenode.station.entries import NewFact

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


def told(news: Iterable[NewFact], log_id: str = LOG_ID) -> list[Fact]:
    """Return what a journal would make of facts, one a minute."""
    facts, previous = [], GENESIS
    for seq, new in enumerate(news, start=1):
        fact = Fact(
            seq=seq,
            boot="b",
            boottime_ms=60_000 * seq,
            wall_ms=1_800_000_000_000 + 60_000 * seq,
            clock="ntp",
            kind=new.kind,
            session=new.session,
            body=msgspec.Raw(canonical(new.body)),
        )
        previous = link(previous, log_id, fact)
        facts.append(msgspec.structs.replace(fact, hash=previous.hex()))
    return facts
