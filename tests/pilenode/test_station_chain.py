"""Promises of whoever checks a chain: every break is named, a hole that names itself is none, nothing else passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from hil_rig.upstream.store import Store
from pilenode.station.chain import Chain
from pilenode.upstream.contract import FactBatch
from pilenode.upstream.facts import GENESIS, Boot, Fact, FactKind, canonical, link
from pilenode.upstream.facts_journal import Removed

if TYPE_CHECKING:
    from pathlib import Path

LOG_ID = "0123456789abcdef"


def made(count: int) -> list[Fact]:
    """Return a log of that many facts."""
    facts, previous = [], GENESIS
    for seq in range(1, count + 1):
        fact = Fact(
            seq=seq,
            boot="b",
            boottime_ms=seq,
            wall_ms=seq,
            clock="ntp",
            kind=FactKind.BOOT,
            body=msgspec.Raw(canonical(Boot(version=str(seq)))),
            hash="",
        )
        previous = link(previous, LOG_ID, fact)
        facts.append(msgspec.structs.replace(fact, hash=previous.hex()))
    return facts


def hole(facts: list[Fact], since: int, upto: int) -> list[Fact]:
    """Return the log with a hole that names itself."""
    body = msgspec.Raw(msgspec.json.encode(Removed(since=since)))
    row = msgspec.structs.replace(facts[upto - 1], kind=FactKind.REMOVED, body=body)
    return [*facts[: since - 1], row, *facts[upto:]]


def broken(facts: list[Fact]) -> int | None:
    """Return where the chain breaks."""
    chain = Chain(LOG_ID)
    for fact in facts:
        chain.take(fact)
    return chain.broken_at


FACTS = made(6)


@pytest.mark.parametrize(
    ("facts", "at"),
    [
        (FACTS, None),
        (hole(FACTS, 2, 4), None),
        (hole(FACTS, 1, 5), None),
        ([*FACTS[:1], *FACTS[2:]], 3),
        (hole(FACTS, 3, 4)[:2] + hole(FACTS, 4, 5)[3:], 5),
        ([FACTS[0], msgspec.structs.replace(FACTS[1], wall_ms=77), *FACTS[2:]], 2),
        (
            [
                msgspec.structs.replace(one, hash="0" * 64) if one.kind == FactKind.REMOVED else one
                for one in hole(FACTS, 2, 4)
            ],
            5,
        ),
    ],
    ids=["whole", "a hole", "a hole at the beginning", "a fact is missing", "two", "changed", "a hole that lies"],
)
def test_a_break_is_found_and_a_hole_with_a_name_is_none(facts: list[Fact], at: int | None) -> None:
    """The chain goes on from the link that a hole keeps; what does not follow is told by its number."""
    assert broken(facts) == at


def test_a_backend_is_complete_over_a_hole_and_not_over_a_gap(tmp_path: Path) -> None:
    """It confirms what follows a hole, and waits for what is merely missing."""
    with Store(tmp_path / "b.db") as store:
        assert store.keep("n", FactBatch(log_id=LOG_ID, facts=hole(FACTS, 2, 4))) == 6
        assert store.broken_link("n", LOG_ID) is None
    with Store(tmp_path / "c.db") as store:
        assert store.keep("n", FactBatch(log_id=LOG_ID, facts=[FACTS[0], *FACTS[2:]])) == 1
