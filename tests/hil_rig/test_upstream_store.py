"""Promises of the store, in SQLite and in PostgreSQL alike: every fact once, whatever arrives, and read out once."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from hil_rig.power_cuts_writer import ended, reading, started
from hil_rig.upstream import Store
from hil_rig.upstream.bench import measure
from hil_rig.upstream.database import LostError, RefusedError
from hil_rig.upstream.presence import Latest
from hil_rig.upstream.store import Answer, Heard
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import NO_LINK, Ack, FactBatch, Hello, Live, Resend
from pilenode.upstream.facts import CommandResult, Fact, FactKind
from pilenode.upstream.facts_journal import LogSalvaged
from tests.hil_rig.logs import LOG_ID, chain, sent, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from hil_rig.upstream.postgres import Postgres

FACTS = chain(12)


def batch(*seqs: int) -> FactBatch:
    """Return those facts as one batch."""
    return FactBatch(log_id=LOG_ID, facts=[FACTS[seq - 1] for seq in seqs])


def seqs(store: Store, node: str | None = "n") -> list[int]:
    """Return what is stored."""
    return [row.fact.seq for row in store.rows(node)]


def test_confirmation_is_the_end_of_the_unbroken_beginning(where: Path | str) -> None:
    """A gap holds the confirmation back until it is filled, in whatever order batches come."""
    with Store(where) as store:
        assert store.keep("n", batch(1, 2)) == 2
        assert store.keep("n", batch(5, 6)) == 2
        assert store.keep("n", batch(4)) == 2
        assert store.keep("n", batch(3)) == 6
        assert seqs(store) == [1, 2, 3, 4, 5, 6]


def test_repeated_facts_are_kept_once_and_counted(where: Path | str) -> None:
    """What arrives again changes nothing and is counted; what contradicts is counted apart and does not win."""
    with Store(where) as store:
        store.keep("n", batch(1, 2, 3))
        assert store.keep("n", batch(2, 3, 4)) == 4
        assert (store.duplicates("n"), store.contradictions("n")) == (2, 0)
        forged = msgspec.structs.replace(FACTS[0], body=msgspec.Raw(b'{"version":"forged"}'))
        store.keep("n", FactBatch(log_id=LOG_ID, facts=[forged]))
        assert (store.duplicates(), store.contradictions()) == (2, 1)
        assert bytes(store.rows("n")[0].fact.body) == bytes(FACTS[0].body)


def test_nodes_and_logs_do_not_mix(where: Path | str) -> None:
    """The same numbers of another node or of a new log are other facts."""
    with Store(where) as store:
        store.keep("n", batch(1, 2))
        assert store.keep("m", batch(1)) == 1
        other = msgspec.structs.replace(FACTS[0], hash="")  # it has another link in another log
        assert store.keep("n", FactBatch(log_id="f" * 16, facts=[other])) == 1
        assert (seqs(store, "n"), seqs(store, "m"), store.duplicates()) == ([1, 2, 1], [1], 0)


def test_log_met_in_the_middle_is_asked_for_from_its_beginning(where: Path | str) -> None:
    """What the cabinet believes confirmed and is not here is wanted again: the backend was set back, or is new."""
    with Store(where) as store:
        hello = Hello(version="1", log_id=LOG_ID, first_unacked=5, last=7, head=FACTS[6].hash)
        assert store.greet("n", hello) == Ack(log_id=LOG_ID, upto=0, hash=NO_LINK, resend=Resend(since=1, upto=4))
        store.keep("n", batch(1, 2))
        assert store.greet("n", hello).resend == Resend(since=3, upto=4)
        store.keep("n", batch(3, 4))
        assert store.greet("n", hello) == Ack(log_id=LOG_ID, upto=4, hash=FACTS[3].hash)


def test_everything_survives_reopening(where: Path | str) -> None:
    """What was confirmed is there after a restart of the backend."""
    with Store(where) as store:
        store.keep("n", batch(1, 2, 3))
    with Store(where) as store:
        assert store.complete("n", LOG_ID) == 3
        assert store.broken_link("n", LOG_ID) is None


@pytest.mark.parametrize("broken", [1, 3, 5])
def test_broken_chain_is_found(where: Path | str, broken: int) -> None:
    """A fact that does not continue the chain is named."""
    facts = list(FACTS[:5])
    facts[broken - 1] = msgspec.structs.replace(facts[broken - 1], wall_ms=77)
    with Store(where) as store:
        store.keep("n", FactBatch(log_id=LOG_ID, facts=facts))
        assert store.broken_link("n", LOG_ID) == broken


# -- what several connections do to one log ---------------------------------------------------------------------


def pieces(facts: list[Fact], chance: random.Random) -> list[list[Fact]]:
    """Return a log in overlapping batches, some of them twice, in any order."""
    cut, at = [], 0
    while at < len(facts):
        length = chance.randint(1, 30)
        cut.append(facts[max(0, at - chance.randint(0, 3)) : at + length])
        at += length
    cut += chance.sample(cut, len(cut) // 3)
    chance.shuffle(cut)
    return cut


def test_workers_at_the_same_log_lose_nothing_and_double_nothing(where: Path | str) -> None:
    """Four connections commit shuffled, overlapping and repeated batches of the same logs at the same time."""
    chance = random.Random(5)  # noqa: S311 - any order will do
    logs = [f"{number:016x}" for number in range(1, 4)]
    facts = {log_id: chain(200, log_id) for log_id in logs}
    work = [Heard("n", sent(piece, log_id)) for log_id in logs for piece in pieces(facts[log_id], chance)]
    chance.shuffle(work)
    delivered = sum(len(heard.message.facts) for heard in work if isinstance(heard.message, FactBatch))
    trouble: list[Exception] = []
    with Store(where) as store:

        def worker(number: int) -> None:
            try:
                with Store(where) as own:
                    mine = work[number::4]
                    for at in range(0, len(mine), 3):
                        own.commit(mine[at : at + 3])
            except Exception as error:  # noqa: BLE001 - told by the test
                trouble.append(error)

        threads = [threading.Thread(target=worker, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert trouble == []
        for log_id in logs:
            assert store.head("n", log_id) == (200, facts[log_id][-1].hash)
            assert store.broken_link("n", log_id) is None
            assert [row.fact.seq for row in store.rows("n") if row.log_id == log_id] == list(range(1, 201))
        assert (store.contradictions(), store.duplicates()) == (0, delivered - 600)


@pytest.fixture
def postgres_store(postgres: Postgres) -> Iterator[Store]:
    """Return a store in PostgreSQL."""
    with Store(postgres.database()) as store:
        yield store


@pytest.mark.bench
@pytest.mark.needs("postgres")
def test_one_commit_is_all_or_nothing(postgres_store: Store) -> None:
    """What the database will not have takes nothing along into it, and leaves nothing behind."""
    bad = sent([msgspec.structs.replace(FACTS[0], boot="\x00")], "f" * 16)
    with pytest.raises(RefusedError):
        postgres_store.commit([Heard("n", batch(1, 2)), Heard("n", bad)])
    assert (postgres_store.rows(), postgres_store.logs()) == ([], [])
    assert postgres_store.keep("n", batch(1, 2)) == 2


@pytest.mark.bench
@pytest.mark.needs("postgres")
def test_a_commit_waits_for_the_log_of_the_database(postgres: Postgres) -> None:
    """A server that is told to answer before it has written anything is told otherwise: an answer is a promise."""
    with Store(postgres.database() + "%20-csynchronous_commit%3Doff") as store:
        assert store._run("SHOW synchronous_commit") == [("on",)]


def test_a_batch_without_sense_is_refused(where: Path | str) -> None:
    """Whoever hands a batch over directly gets no further than a worker does."""
    with Store(where) as store:
        with pytest.raises(RefusedError):
            store.keep("n", batch(2, 1))
        assert store.rows() == []


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    """No store is better than one that only seems to be."""
    with pytest.raises(LostError):
        Store(tmp_path / "no" / "such" / "directory" / "b.db")
    with pytest.raises(LostError):
        Store("postgresql://rig@127.0.0.1:1/none?connect_timeout=2")


def test_tables_of_another_version_are_left_alone(where: Path | str) -> None:
    """Nobody writes into tables that he does not know; the next version brings a way to get there."""
    with Store(where) as store:
        store.keep("n", batch(1, 2))
        if isinstance(where, str):
            store._run("COMMENT ON TABLE log IS 'pilenode 2'")
        else:
            store._run("PRAGMA user_version = 2")
    with pytest.raises(RefusedError, match="another version"):
        Store(where)


# -- gaps and histories ----------------------------------------------------------------------------------------


def test_an_open_gap_is_asked_for_once_by_one_of_several(where: Path | str) -> None:
    """After five seconds without progress, not before, and the next time after ten."""
    with Store(where) as store, Store(where) as other:
        store.commit([Heard("n", batch(1, 2)), Heard("n", batch(7, 8)), Heard("m", batch(1, 2))], 1_000)
        assert store.overdue(5_999) == []
        asked = [Answer("n", Ack(log_id=LOG_ID, upto=2, hash=FACTS[1].hash, resend=Resend(since=3, upto=6)))]
        assert (store.overdue(6_000), other.overdue(6_000)) == (asked, [])
        assert (other.overdue(15_999), other.overdue(16_000)) == ([], asked)
        store.commit([Heard("n", batch(3, 4, 5, 6))], 17_000)
        assert store.overdue(10**9) == []
        assert store.complete("n", LOG_ID) == 8


def test_a_gap_of_a_log_that_was_given_up_is_not_asked_for(where: Path | str) -> None:
    """When a new log says that it took the place of the old one, nobody will fill the gaps of that."""
    story = LogSalvaged(cause="renounced", old_log_id=LOG_ID)
    with Store(where) as store:
        store.commit([Heard("n", batch(1, 2)), Heard("n", batch(7, 8))], 1_000)
        store.keep("n", sent(told([NewFact(FactKind.LOG_SALVAGED, story)], "f" * 16), "f" * 16))
        assert store.overdue(10**9) == []


def test_two_facts_under_one_number_are_both_kept(where: Path | str) -> None:
    """Behind a gap the cabinet's own history stands at the end; the other one is kept aside, once, with its words."""
    forged = sent(chain(8, words="forged ")[5:8])
    with Store(where) as store:
        store.keep("n", batch(1, 2))
        store.keep("n", forged)
        store.keep("n", sent(FACTS[2:8]))
        store.keep("n", forged)
        store.keep("n", forged)
        assert store.head("n", LOG_ID) == (8, FACTS[7].hash)
        assert [bytes(row.fact.body) for row in store.rows("n")] == [bytes(fact.body) for fact in FACTS[:8]]
        kept = [bytes(msgspec.json.decode(content, type=Fact).body) for _, _, content in store.aside("n")]
        assert set(kept) == {bytes(fact.body) for fact in forged.facts}
        assert store.contradictions("n") == len(kept) == 3
        assert store.broken("n", LOG_ID) is None


def test_a_cabinet_with_another_history_is_shown_ours(where: Path | str) -> None:
    """Less than we have, or another head: the answer carries our end and our link, from which it sees that."""
    with Store(where) as store:
        store.keep("n", batch(1, 2, 3, 4))
        ours = Ack(log_id=LOG_ID, upto=4, hash=FACTS[3].hash)
        less = Hello(version="1", log_id=LOG_ID, first_unacked=1, last=2, head=FACTS[1].hash)
        other = Hello(version="1", log_id=LOG_ID, first_unacked=5, last=4, head="5e" * 32)
        assert (store.greet("n", less), store.greet("n", other)) == (ours, ours)


# -- a log that took the place of another one -------------------------------------------------------------------


class Ticking:
    """A clock that goes on by itself."""

    def __init__(self) -> None:
        self._ms = 1_800_000_000_000

    def __call__(self) -> Stamp:
        """Return the next moment."""
        self._ms += 1_000
        return Stamp("boot", self._ms - 1_700_000_000_000, self._ms, ClockQuality.NTP)


async def everything(journal: Journal) -> FactBatch:
    """Return all of the present log as it is sent."""
    return sent(await journal.stretch(0, 200), journal.status().log_id)


def on_journal(path: Path, work: Callable[[Journal], Awaitable[None]]) -> None:
    """Run ``work`` on a real journal."""

    async def main() -> None:
        journal = Journal(path, now=Ticking(), reserve_bytes=0)
        try:
            await journal.recover()
            await work(journal)
        finally:
            await journal.close()

    asyncio.run(main())


async def live_a_day(journal: Journal) -> None:
    """Write a session that ended, one that goes on, and a command."""
    for news in (started("a"), reading("a", 500), ended("a"), started("b"), reading("b", 700)):
        await journal.append([news])
    await journal.append([NewFact(FactKind.COMMAND_RESULT, CommandResult(id="c", op="stop", ok=True))])


@pytest.mark.parametrize("arrived", [0, 4])
def test_a_salvaged_log_is_counted_once(where: Path | str, tmp_path: Path, arrived: int) -> None:
    """However much of the old log arrived, and again after a second salvage: each fact counts once, none is missing."""

    async def work(journal: Journal) -> None:
        await live_a_day(journal)
        old = await everything(journal)
        with Store(where) as store, Store(tmp_path / "whole.db") as whole:
            whole.keep("n", old)
            if arrived:
                store.keep("n", sent(old.facts[:arrived], old.log_id))
            for _ in range(2):
                log_id = journal.status().log_id
                await journal.renounce(log_id, "the backend holds more")
                store.keep("n", await everything(journal))
            await journal.append([ended("b")])
            new = await everything(journal)
            store.keep("n", new)
            whole.keep("n", sent(old.facts, old.log_id))
            assert new.facts[0].kind == FactKind.LOG_SALVAGED
            assert store.complete("n", new.log_id) == len(new.facts)
            found, wanted = store.statistics("n"), whole.statistics("n")
            assert (found.sessions, found.orders, found.commands) == (wanted.sessions, wanted.orders, 1) == (2, 2, 1)
            assert (found.ended, found.energy_wh) == (2, 2)
            for kind in (FactKind.SESSION_STARTED, FactKind.SESSION_ENDED, FactKind.COMMAND_RESULT):
                assert sorted(row.fact.session or "" for row in store.once("n", kind)) == sorted(
                    {row.fact.session or "" for row in store.rows("n", kind)}
                )
            assert len(store.rows("n", FactKind.SESSION_STARTED)) == 4 + sum(
                fact.kind == FactKind.SESSION_STARTED for fact in old.facts[:arrived]
            )

    on_journal(tmp_path / "j.db", work)


def test_a_copy_counts_where_only_another_cabinet_has_the_like(where: Path | str) -> None:
    """Copies are of the old log of the same cabinet; what merely looks the same elsewhere is another fact."""
    facts = told([started("a"), ended("a")], LOG_ID)
    story = LogSalvaged(cause="corrupt", old_log_id=LOG_ID, carried=2)
    copy = told([NewFact(FactKind.LOG_SALVAGED, story), started("a"), ended("a")], "f" * 16)
    with Store(where) as store:
        store.keep("m", sent(facts))
        store.keep("n", sent(copy, "f" * 16))
        assert [len(store.sessions(node)) for node in ("m", "n", None)] == [1, 1, 2]
        assert len(store.once("n", FactKind.SESSION_STARTED)) == 1


# -- what else is kept -----------------------------------------------------------------------------------------


def live(session: int, *, online: bool) -> Heard:
    """Return a presence."""
    return Heard("n", Latest("live", msgspec.json.encode(Live(session=session, online=online))))


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        ([(1, True), (1, False)], (1, False)),
        ([(1, False), (1, True)], (1, False)),  # the same the other way round
        ([(1, True), (2, True), (1, False)], (2, True)),  # a late will
        ([(1, True), (1, False), (2, True)], (2, True)),
        ([(1, False), (2, False)], (2, False)),
    ],
)
def test_a_late_will_is_not_the_death_of_a_newer_connection(
    tmp_path: Path, said: list[tuple[int, bool]], stands: tuple[int, bool]
) -> None:
    """Presence is right in whatever order workers commit it."""
    heard = [live(session, online=online) for session, online in said]
    content = msgspec.json.encode(Live(session=stands[0], online=stands[1]))
    with Store(tmp_path / "b.db") as store:
        store.commit(heard)
        assert store.latest("n", "live") == content
        for one in heard:
            store.commit([Heard("m", one.message)])
        assert store.latest("m", "live") == content


@pytest.mark.parametrize(
    ("second_ms", "newer"), [(1_000_001, True), (999_999, False), (400_001, False), (400_000, True), (5, True)]
)
def test_a_state_that_came_late_does_not_win(tmp_path: Path, second_ms: int, *, newer: bool) -> None:
    """A little older means overtaken; ten minutes and more mean that the clock of the cabinet was set."""
    states = [msgspec.json.encode({"wall_ms": wall_ms}) for wall_ms in (1_000_000, second_ms)]
    with Store(tmp_path / "b.db") as store:
        store.commit([Heard("n", Latest("st", state)) for state in states])
        assert store.latest("n", "st") == states[newer]


def test_results_and_states_are_kept_once(where: Path | str) -> None:
    """A result that a broker hands over twice is one result, two of one command are two; of states the newest stays."""
    done, again = CommandResult(id="c", op="stop", ok=True), CommandResult(id="c", op="stop", ok=False, code="expired")
    with Store(where) as store:
        for result in (done, done, again, CommandResult(id=None, ok=False)):
            assert store.commit([Heard("n", result)]) == []
        assert len(store.results("n")) == 3
        assert store.results("m") == []
        for wall_ms in (1, 2):
            store.commit([Heard("n", Latest("st", msgspec.json.encode({"wall_ms": wall_ms})))])
        assert store.latest("n", "st") == b'{"wall_ms":2}'


def test_many_logs_are_not_confirmed_unasked(where: Path | str) -> None:
    """A worker that comes back greets a few cabinets, not a fleet."""
    with Store(where) as store:
        for number in range(3):
            store.keep(f"n{number}", batch(1, 2))
        assert store.heads(3) == [(f"n{number}", LOG_ID, 2, FACTS[1].hash) for number in range(3)]
        assert store.heads(2) == []
        assert store.head("stranger", LOG_ID) == (0, NO_LINK)


def test_the_bench_takes_whole_logs_into_both(where: Path | str) -> None:
    """What is measured is complete at the end, and a fact at rest is larger than its body."""
    row = measure("short", where, nodes=2, count=450)
    assert (row.facts, row.good) == (900, True)
    assert row.bytes > row.body_bytes > 300
    assert 0 < row.index_bytes < row.bytes
