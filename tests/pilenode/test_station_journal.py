"""Promises of the journal: no gaps, chained, append-only, one start and one end per session, trouble is typed."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from sqlite_utils import Database

from config.tariff import flat_schedule
from pilenode.ipc.wish import Wish
from pilenode.station import journal as module
from pilenode.station import schema
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_rows import to_fact
from pilenode.station.journal_writer import Writer, migrations
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import (
    GENESIS,
    Boot,
    Checkpoint,
    CommandResult,
    Fact,
    FactKind,
    Fault,
    PeriodicResult,
    SessionEnded,
    SessionStarted,
    canonical,
    link,
)
from tests.pilenode.bills import NO_BILL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

Result = TypeVar("Result")
TERMS = flat_schedule("t1", 520, 300)


def on_journal(path: Path, work: Callable[[Journal], Awaitable[Result]], **options: Any) -> Result:  # noqa: ANN401 - passed on
    """Run ``work`` on the opened journal at ``path``."""

    async def main() -> Result:
        journal = Journal(path, **options)
        try:
            await journal.recover()
            return await work(journal)
        finally:
            await journal.close()

    return asyncio.run(main())


def boots(count: int) -> list[NewFact]:
    """Return that many facts of no importance."""
    return [NewFact(FactKind.BOOT, Boot(version=str(number))) for number in range(count)]


def started(session: str, order: str, port: int = 1) -> NewFact:
    """Return the start of a session."""
    body = SessionStarted(
        order=order,
        port=port,
        source="cli",
        tariff=TERMS,
        tariff_version="t1",
        guard_boot="g",
        plan=Wish(energy_wh=500),
    )
    return NewFact(FactKind.SESSION_STARTED, body, session)


def reading(session: str, register_mwh: int) -> NewFact:
    """Return a checkpoint."""
    body = Checkpoint(port=1, start_register_mwh=0, register_mwh=register_mwh, on_ms=1000, power_w=200)
    return NewFact(FactKind.CHECKPOINT, body, session)


def ended(session: str, order: str = "o") -> NewFact:
    """Return the end of a session."""
    body = SessionEnded(
        order=order,
        port=1,
        reason="full",
        age_ms=0,
        start_register_mwh=0,
        end_register_mwh=1000,
        energy_wh=1,
        duration_s=60,
        electricity_fen=0,
        service_fen=0,
        tariff_version="t1",
        money=NO_BILL,
    )
    return NewFact(FactKind.SESSION_ENDED, body, session)


def fault(event: int, guard_boot: str = "g") -> NewFact:
    """Return a fault."""
    body = Fault(guard_boot=guard_boot, event=event, age_ms=0, port=1, code="over_current")
    return NewFact(FactKind.FAULT_LATCHED, body)


def test_sequence_has_no_gap_after_a_refused_batch(tmp_path: Path) -> None:
    """A batch that is refused writes nothing and uses up no number."""

    async def work(journal: Journal) -> list[int]:
        assert await journal.append(boots(2)) == [1, 2]
        assert await journal.append([started("s1", "o1")]) == [3]
        with pytest.raises(JournalConflictError):
            await journal.append([*boots(3), started("s2", "o1"), *boots(3)])
        return await journal.append(boots(2))

    assert on_journal(tmp_path / "j.db", work) == [4, 5]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(started("s1", "o1"), started("s1", "o2"), id="one start per session"),
        pytest.param(started("s1", "o1"), started("s2", "o1"), id="one start per order"),
        pytest.param(ended("s1"), ended("s1"), id="one end per session"),
        pytest.param(fault(7), fault(7), id="one fact per event of a guard"),
        pytest.param(
            NewFact(FactKind.COMMAND_RESULT, CommandResult(id="c", ok=True)),
            NewFact(FactKind.COMMAND_RESULT, CommandResult(id="c", ok=False)),
            id="one result per command",
        ),
    ],
)
def test_what_may_exist_once_cannot_exist_twice(tmp_path: Path, first: NewFact, second: NewFact) -> None:
    """The database itself refuses the second one, and the log goes on."""

    async def work(journal: Journal) -> int:
        await journal.append([first])
        with pytest.raises(JournalConflictError):
            await journal.append([second])
        await journal.append(boots(1))
        return journal.status().last_seq

    assert on_journal(tmp_path / "j.db", work) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(started("s1", "o1"), started("s2", "o2"), id="two orders"),
        pytest.param(ended("s1"), ended("s2"), id="two ends"),
        pytest.param(fault(7), fault(7, "other"), id="two guards"),
        pytest.param(
            NewFact(FactKind.COMMAND_RESULT, CommandResult(id=None, ok=False)),
            NewFact(FactKind.COMMAND_RESULT, CommandResult(id=None, ok=False)),
            id="results of commands without an id",
        ),
        pytest.param(reading("s1", 1), reading("s1", 1), id="readings"),
    ],
)
def test_what_is_different_is_kept(tmp_path: Path, first: NewFact, second: NewFact) -> None:
    """The uniqueness is not wider than meant."""
    assert on_journal(tmp_path / "j.db", lambda journal: journal.append([first, second])) == [1, 2]


@pytest.mark.parametrize("statement", ["UPDATE fact SET wall_ms = 0", "DELETE FROM fact"])
def test_facts_are_never_changed_or_removed(tmp_path: Path, statement: str) -> None:
    """Not even somebody with a database tool changes or removes a fact by accident."""
    on_journal(tmp_path / "j.db", lambda journal: journal.append(boots(1)))
    database = sqlite3.connect(tmp_path / "j.db")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    database.close()


def test_commit_waits_for_the_storage(tmp_path: Path) -> None:
    """The writer runs WAL with synchronous FULL: a returned append survives a power cut."""
    writer = Writer(tmp_path / "j.db")
    try:
        assert writer._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert writer._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    finally:
        writer.close()


def test_log_survives_a_restart_under_its_own_id(tmp_path: Path) -> None:
    """Opening again continues the same log: same id, next number, chain and acknowledgement unbroken."""

    async def first(journal: Journal) -> str:
        await journal.append(boots(5))
        assert await journal.acknowledge(journal.status().log_id, 3)
        return journal.status().log_id

    async def second(journal: Journal) -> tuple[str, int, int, list[Fact]]:
        status = journal.status()
        await journal.append(boots(2))
        return status.log_id, status.last_seq, status.acked_seq, await journal.unacked(100)

    log_id = on_journal(tmp_path / "j.db", first)
    again, last, acked, facts = on_journal(tmp_path / "j.db", second)
    assert (again, last, acked) == (log_id, 5, 3)
    assert [fact.seq for fact in facts] == [4, 5, 6, 7]
    assert len(log_id) == 16
    assert on_journal(tmp_path / "other.db", first) != log_id


def broken_link(path: Path) -> int | None:
    """Return the first row whose hash does not continue the chain."""
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    previous = GENESIS
    try:
        for expected, row in enumerate(database.execute("SELECT * FROM fact ORDER BY seq"), start=1):
            previous = link(previous, row["log_id"], to_fact(row))
            if row["seq"] != expected or previous != row["hash"]:
                return expected
    finally:
        database.close()
    return None


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE fact SET body = replace(body, '2', '3') WHERE seq = 3",
        "UPDATE fact SET wall_ms = wall_ms - 1 WHERE seq = 3",
        "UPDATE fact SET kind = 'checkpoint' WHERE seq = 3",
        "UPDATE fact SET session = 'x' WHERE seq = 3",
        "DELETE FROM fact WHERE seq = 3",
    ],
)
def test_chain_shows_every_change(tmp_path: Path, tampering: str) -> None:
    """Whoever changes or removes a row breaks the chain there."""
    on_journal(tmp_path / "j.db", lambda journal: journal.append(boots(5)))
    assert broken_link(tmp_path / "j.db") is None
    database = sqlite3.connect(tmp_path / "j.db")
    database.execute("DROP TRIGGER facts_never_change")
    database.execute("DROP TRIGGER facts_never_go")
    database.execute(tampering)
    database.commit()
    database.close()
    assert broken_link(tmp_path / "j.db") == 3


def test_every_fact_carries_its_three_clocks(tmp_path: Path) -> None:
    """Boot id, boottime, wall time and its quality stand on the row as they were at the commit."""
    at = Stamp("boot-7", 123, 456, ClockQuality.RTC)
    facts = on_journal(tmp_path / "j.db", lambda journal: _append_and_read(journal, boots(1)), now=lambda: at)
    fact = facts[0]
    assert (fact.boot, fact.boottime_ms, fact.wall_ms, fact.clock) == ("boot-7", 123, 456, "rtc")


async def _append_and_read(journal: Journal, facts: list[NewFact]) -> list[Fact]:
    await journal.append(facts)
    return await journal.unacked(1000)


def test_body_is_canonical_and_comes_back_byte_for_byte(tmp_path: Path) -> None:
    """The stored body is sorted JSON without spaces, and is handed out exactly as it was hashed."""
    fact = on_journal(tmp_path / "j.db", lambda journal: _append_and_read(journal, [reading("s", 42)]))[0]
    assert bytes(fact.body) == (
        b'{"count":{},"leg":1,"on_ms":1000,"port":1,"power_ms":[],"power_w":200,"register_mwh":42,'
        b'"start_register_mwh":0,"usage":{}}'
    )


@pytest.mark.parametrize(
    ("upto", "news", "acked"),
    [(0, False, 2), (1, False, 2), (2, False, 2), (3, True, 3), (5, True, 5), (6, False, 2), (2**60, False, 2)],
)
def test_acknowledgement_only_moves_forward_within_the_log(tmp_path: Path, upto: int, news: bool, acked: int) -> None:  # noqa: FBT001 - a table
    """Old, repeated and impossible acknowledgements change nothing."""

    async def work(journal: Journal) -> tuple[bool, int]:
        await journal.append(boots(5))
        await journal.acknowledge(journal.status().log_id, 2)
        return await journal.acknowledge(journal.status().log_id, upto), journal.status().acked_seq

    assert on_journal(tmp_path / "j.db", work) == (news, acked)


def test_acknowledgement_of_another_log_is_ignored(tmp_path: Path) -> None:
    """A backend that speaks of another log confirms nothing here."""

    async def work(journal: Journal) -> tuple[bool, int]:
        await journal.append(boots(5))
        return await journal.acknowledge("0" * 16, 3), journal.status().acked_seq

    assert on_journal(tmp_path / "j.db", work) == (False, 0)


def test_session_is_open_until_its_end_and_keeps_its_newest_reading(tmp_path: Path) -> None:
    """Open sessions are those with a start and no end, each with its newest durable reading."""

    async def work(journal: Journal) -> None:
        await journal.append([started("s1", "o1"), started("s2", "o2", 2), started("s3", "o3", 3)])
        await journal.append([reading("s1", 100), reading("s1", 200), ended("s2", "o2")])
        first, third = await journal.open_sessions()
        assert (first.start.session, third.start.session, third.reading, third.end) == ("s1", "s3", None, None)
        assert first.reading is not None
        assert msgspec.json.decode(first.reading.body, type=Checkpoint).register_mwh == 200
        newest = await journal.sessions(2)
        assert [facts.start.session for facts in newest] == ["s3", "s2"]
        assert newest[1].end is not None

    on_journal(tmp_path / "j.db", work)


def test_order_and_command_are_found_again(tmp_path: Path) -> None:
    """A known order leads to its start, a known command to its result, an unknown one to nothing."""

    async def work(journal: Journal) -> None:
        await journal.append([started("s1", "o1"), NewFact(FactKind.COMMAND_RESULT, CommandResult(id="c1", ok=True))])
        start, result = await journal.find_order("o1"), await journal.find_command("c1")
        assert start is not None
        assert start.session == "s1"
        assert result is not None
        assert msgspec.json.decode(result.body, type=CommandResult) == CommandResult(id="c1", ok=True)
        assert await journal.find_order("c1") is None
        assert await journal.find_command("o1") is None

    on_journal(tmp_path / "j.db", work)


def test_newest_event_of_a_guard_is_known(tmp_path: Path) -> None:
    """A station that comes back knows which events of which guard are facts already."""

    async def work(journal: Journal) -> tuple[int, int, int]:
        await journal.append([fault(3), fault(9), fault(5), fault(4, "other")])
        return (
            await journal.last_guard_event("g"),
            await journal.last_guard_event("other"),
            await journal.last_guard_event("new"),
        )

    assert on_journal(tmp_path / "j.db", work) == (9, 4, 0)


def periodic(test: str, *, ok: bool = True, event: int | None = None, guard_boot: str | None = None) -> NewFact:
    """Return the result of a periodic test."""
    return NewFact(FactKind.TESTED, PeriodicResult(test=test, ok=ok, event=event, guard_boot=guard_boot))


def test_newest_event_of_a_guard_may_be_a_test(tmp_path: Path) -> None:
    """Faults and tests count in one row of events."""

    async def work(journal: Journal) -> tuple[int, int]:
        await journal.append([fault(3), periodic("relays", event=7, guard_boot="g"), fault(5), periodic("rcd")])
        return await journal.last_guard_event("g"), await journal.last_guard_event("other")

    assert on_journal(tmp_path / "j.db", work) == (7, 0)


def test_newest_result_of_every_test_is_found(tmp_path: Path) -> None:
    """One row per test, the last one, good or bad."""

    async def work(journal: Journal) -> list[tuple[int, str, bool]]:
        assert await journal.last_tests() == []
        await journal.append([periodic("relays"), periodic("rcd", ok=False), *boots(2), periodic("relays", ok=False)])
        await journal.append([periodic("rcd")])
        bodies = [
            (fact.seq, msgspec.json.decode(fact.body, type=PeriodicResult)) for fact in await journal.last_tests()
        ]
        return sorted((seq, body.test, body.ok) for seq, body in bodies)

    assert on_journal(tmp_path / "j.db", work) == [(5, "relays", False), (6, "rcd", True)]


def test_a_result_of_guard_exists_once_and_those_of_people_as_often_as_they_like(tmp_path: Path) -> None:
    """The same event twice is refused; results that are no event never collide."""

    async def work(journal: Journal) -> None:
        await journal.append([periodic("relays", event=7, guard_boot="g"), periodic("rcd"), periodic("rcd")])
        with pytest.raises(JournalConflictError):
            await journal.append([periodic("relays", event=7, guard_boot="g")])

    on_journal(tmp_path / "j.db", work)


def first_version(path: Path, monkeypatch: pytest.MonkeyPatch, facts: list[NewFact]) -> str:
    """Make a journal as the first version made it, with ``facts``; return its id."""
    connection = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as first:
        first.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        migrations().apply(Database(connection, execute_plugins=False))
    (log_id,) = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
    digest = GENESIS
    for seq, new in enumerate(facts, start=1):
        body = canonical(new.body)
        fact = Fact(
            seq=seq, boot="b", boottime_ms=1, wall_ms=2, clock="ntp", kind=new.kind, body=msgspec.Raw(body), hash=""
        )
        digest = link(digest, log_id, fact)
        row = (seq, log_id, "b", 1, 2, "ntp", new.kind, new.session, body.decode(), digest)
        connection.execute(schema.INSERT, row)
    connection.close()
    return str(log_id)


def test_journal_of_the_first_version_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it held is still there, chained, and results of tests can be added."""
    log_id = first_version(tmp_path / "j.db", monkeypatch, [fault(3), *boots(2)])

    async def new(journal: Journal) -> tuple[str, list[int], int]:
        await journal.append([periodic("relays", event=4, guard_boot="g")])
        kept = [fact.seq for fact in await journal.unacked(10)]
        return journal.status().log_id, kept, await journal.last_guard_event("g")

    assert on_journal(tmp_path / "j.db", new) == (log_id, [1, 2, 3, 4], 4)


def test_journal_that_is_not_open_says_so_everywhere(tmp_path: Path) -> None:
    """Before it was opened, everything is a typed failure and the status names the problem."""

    async def main() -> None:
        journal = Journal(tmp_path / "j.db")
        for call in (journal.append(boots(1)), journal.ensure_room(), journal.unacked(1), journal.open_sessions()):
            with pytest.raises(JournalFailedError):
                await call
        assert journal.status().problem
        await journal.close()

    asyncio.run(main())


def test_missing_directory_fails_and_recovers_when_it_is_there(tmp_path: Path) -> None:
    """A storage that is not mounted yet is a state, not the end: the journal opens once it is there."""
    directory = tmp_path / "later"

    async def main() -> None:
        journal = Journal(directory / "j.db")
        with pytest.raises(JournalFailedError):
            await journal.recover()
        directory.mkdir()
        await journal.recover()
        assert await journal.append(boots(1)) == [1]
        assert journal.status().problem is None
        await journal.close()

    asyncio.run(main())


def test_no_room_is_said_before_anything_is_promised(tmp_path: Path) -> None:
    """With less room than the reserve nothing starts, while what runs is still written."""

    async def work(journal: Journal) -> list[int]:
        with pytest.raises(JournalFailedError, match="bytes free"):
            await journal.ensure_room()
        return await journal.append(boots(1))

    assert on_journal(tmp_path / "j.db", work, reserve_bytes=2**62) == [1]
    on_journal(tmp_path / "j.db", lambda journal: journal.ensure_room(), reserve_bytes=0)


def test_storage_that_hangs_is_a_failure_in_time_and_nothing_piles_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that does not answer costs the time-out, not the loop; what it did after all is seen again."""

    async def work(journal: Journal) -> None:
        monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.2)  # not while the file is opened
        now, answers = journal._now, threading.Event()

        def hang() -> Stamp:
            answers.wait(30.0)
            return now()

        journal._now = hang
        begun = time.monotonic()
        with pytest.raises(JournalFailedError):
            await journal.append([started("s1", "o1")])
        assert journal.status().problem == "the storage does not answer"
        journal._now = now
        with pytest.raises(JournalFailedError):
            await journal.append(boots(1))
        assert 0.35 < time.monotonic() - begun < 10.0  # twice the time-out, and not what the storage takes
        monkeypatch.setattr(module, "CALL_TIMEOUT_S", 10.0)
        answers.set()
        await journal.recover()
        assert journal.status().problem is None
        assert [facts.start.session for facts in await journal.open_sessions()] == ["s1"]
        assert await journal.append(boots(1)) == [2]

    on_journal(tmp_path / "j.db", work)


def test_second_writer_is_kept_out_while_one_writes(tmp_path: Path) -> None:
    """A database tool that holds the write lock makes an append fail; afterwards the journal opens again by itself."""

    async def work(journal: Journal) -> list[int]:
        other = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(JournalFailedError):
                await journal.append(boots(1))
        finally:
            other.execute("ROLLBACK")
            other.close()
        await journal.recover()
        return await journal.append(boots(1))

    assert on_journal(tmp_path / "j.db", work) == [1]
