"""Promises about reading a whole log: every fact once, up to a fixed end, and a broken chain is found."""

from __future__ import annotations

import msgspec
import pytest

from pilenode.ipc.messages import FactsReply, StoredFact
from pilenode.station.chain import Chain
from pilenode.station.read_log import EVERY_KIND, walk
from pilenode.upstream.facts import Boot, Fact, FactKind, link
from tests.pilenode.ledger_models import LOG_ID, MORNING_MS, Log


class Counter:
    """Keeps the numbers of the facts it was given."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def take(self, fact: Fact) -> None:
        """Keep one."""
        self.seqs.append(fact.seq)


def log_of(count: int) -> Log:
    """Return a log of that many facts."""
    log = Log()
    for number in range(count):
        log.add(FactKind.BOOT, Boot(version=str(number)))
    return log


def chain_of(facts: list[Fact]) -> Chain:
    """Return the chain after ``facts``."""
    chain = Chain(LOG_ID)
    for fact in facts:
        chain.take(fact)
    return chain


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
def test_every_fact_is_read_once(count: int) -> None:
    """By pages of ten, also where the last page is full, and an empty log has an end too."""
    log, taker, told = log_of(count), Counter(), list[tuple[int, int]]()
    first = walk(lambda after: log.page([*EVERY_KIND], after, 10), [taker], lambda seq, last: told.append((seq, last)))
    assert taker.seqs == [*range(1, count + 1)]
    assert first.last_seq == count
    assert told == [(seq, count) for seq in range(10, count, 10)]


def test_a_log_that_grows_is_read_up_to_where_it_was() -> None:
    """A busy cabinet cannot keep a reader for ever."""
    log, taker = log_of(12), Counter()

    def page(after: int) -> FactsReply:
        reply = log.page([*EVERY_KIND], after, 10)
        for number in range(10):
            log.add(FactKind.BOOT, Boot(version=f"x{number}"))
        return reply

    walk(page, [taker], lambda *_: None)
    assert taker.seqs == [*range(1, 13)]


def test_facts_of_some_kinds_only() -> None:
    """The end is reached although the newest fact is of another kind."""
    log, taker = log_of(3), Counter()
    walk(lambda after: log.page(["checkpoint"], after, 10), [taker], lambda *_: None)
    assert taker.seqs == []


def test_a_whole_chain_is_whole_and_its_head_is_the_newest_fact() -> None:
    """Of the empty log, too."""
    log = log_of(5)
    chain = chain_of(log.facts)
    assert (chain.broken_at, chain.seq, chain.hash) == (None, 5, log.facts[-1].hash)
    assert (chain_of([]).broken_at, chain_of([]).seq, chain_of([]).hash) == (None, 0, "0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"body": msgspec.Raw(b'{"version":"forged"}')},
        {"wall_ms": MORNING_MS + 1},
        {"clock": "rtc"},
        {"kind": "checkpoint"},
        {"session": "s"},
        {"hash": "0" * 64},
        {"hash": "z" * 64},
        {"boot": "other"},
    ],
)
def test_a_changed_fact_breaks_the_chain_there(change: dict[str, object]) -> None:
    """Whatever was changed; the head is told all the same."""
    log = log_of(5)
    facts = [*log.facts]
    facts[2] = msgspec.structs.replace(facts[2], **change)
    chain = chain_of(facts)
    assert (chain.broken_at, chain.seq, chain.hash) == (3, 5, log.facts[-1].hash)


def test_a_fact_that_is_missing_or_stands_twice_breaks_the_chain() -> None:
    """A gap, a repetition, a missing beginning, and the log of another cabinet."""
    facts = log_of(5).facts
    assert chain_of([*facts[:2], *facts[3:]]).broken_at == 4
    assert chain_of([*facts[:2], *facts[1:]]).broken_at == 2
    assert chain_of(facts[1:]).broken_at == 2
    other = Chain("f" * 16)
    other.take(facts[0])
    assert other.broken_at == 1


def test_a_gap_is_found_although_the_links_were_made_to_fit() -> None:
    """Numbers have no holes, whatever the hashes say."""
    first = log_of(1).facts[0]
    second = msgspec.structs.replace(first, seq=3)
    digest = link(bytes.fromhex(first.hash), LOG_ID, second).hex()
    assert chain_of([first, msgspec.structs.replace(second, hash=digest)]).broken_at == 3


def test_a_stored_fact_is_the_same_after_the_socket() -> None:
    """The chain can be checked from what the socket gives."""
    log, chain = log_of(3), Chain(LOG_ID)

    def page(after: int) -> FactsReply:
        return msgspec.json.decode(msgspec.json.encode(log.page([*EVERY_KIND], after, 2)), type=FactsReply)

    walk(page, [chain], lambda *_: None)
    assert (chain.broken_at, chain.seq) == (None, 3)
    assert StoredFact.__struct_fields__ == Fact.__struct_fields__
