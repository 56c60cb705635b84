"""Promises of salvage: nothing is deleted, what is needed goes on in a new log that says so, whatever interrupts it."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_rig.power_cuts_writer import ended, reading, started
from pilenode.station import journal_open, journal_room, journal_salvage, journal_writer, schema
from pilenode.station.entries import JournalFailedError, JournalPolicy, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_carry import RECENT_MS, Found, Picture
from pilenode.station.journal_check import CorruptError, broken_link
from pilenode.station.journal_pages import Pages, is_fact
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import (
    GENESIS,
    CommandResult,
    Fact,
    FactKind,
    FaultReset,
    canonical,
    link,
)
from pilenode.upstream.facts_journal import LogSalvaged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Result = TypeVar("Result")
PAGE = 4096
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def at(wall_ms: int = NOW_MS) -> Stamp:
    """Return a moment that is known."""
    return Stamp("boot", 1000, wall_ms, ClockQuality.NTP)


def on_journal(path: Path, work: Callable[[Journal], Awaitable[Result]], **options: Any) -> Result:  # noqa: ANN401 - passed on
    """Run ``work`` on the opened journal at ``path``."""

    async def main() -> Result:
        journal = Journal(path, **({"now": at} | options))
        try:
            await journal.recover()
            return await work(journal)
        finally:
            await journal.close()

    return asyncio.run(main())


def result(name: str) -> NewFact:
    """Return the result of a command."""
    return NewFact(FactKind.COMMAND_RESULT, CommandResult(id=name, ok=True, detail="x" * 150))


def standing(words: str) -> NewFact:
    """Return a fact of a kind that never leaves."""
    return NewFact(FactKind.FAULT_RESET, FaultReset(port=1, by=words))


def rows(path: Path) -> list[sqlite3.Row]:
    """Return every row of a sound journal, whose chain holds."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        (log_id,) = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
        assert broken_link(log_id, connection.execute(schema.AFTER, (0, -1)), 0, GENESIS) is None
        return connection.execute("SELECT * FROM fact ORDER BY seq").fetchall()


def told(path: Path) -> LogSalvaged:
    """Return what the first fact of a salvaged log says."""
    first = rows(path)[0]
    assert first["kind"] == "log_salvaged"
    return msgspec.json.decode(first["body"], type=LogSalvaged)


async def nothing(journal: Journal) -> Journal:
    """Return the journal as it is after it was opened."""
    return journal


def test_a_file_that_is_no_database_is_set_aside_whole(tmp_path: Path) -> None:
    """Its bytes stay under another name, a new log says so first, and the status does not hide it."""
    path, bytes_of_it = tmp_path / "j.db", b"this is not a database" * 500
    path.write_bytes(bytes_of_it)

    async def work(journal: Journal) -> list[int]:
        status = journal.status()
        assert status.problem is None
        assert not status.ok
        assert status.set_aside[0] in (status.trouble or "")
        return await journal.append([standing("later")])

    assert on_journal(path, work) == [2]
    assert told(path).cause == "corrupt"
    assert (told(path).recovered, told(path).carried) == (0, 0)
    assert (tmp_path / told(path).file).read_bytes() == bytes_of_it


async def busy(journal: Journal) -> str:
    """Write a log of sessions, readings, results and decisions, half of it confirmed; one session stays open."""
    for number in range(60):
        await journal.append([started(f"s{number}"), *(reading(f"s{number}", value) for value in range(10))])
        await journal.append([ended(f"s{number}"), result(f"c{number}"), standing(f"person {number}")])
    await journal.append([started("open"), reading("open", 1), reading("open", 2)])
    await journal.acknowledge(journal.status().log_id, 400)
    return journal.status().log_id


@pytest.fixture(scope="module")
def busy_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of which nothing is wrong, to be copied."""
    path = tmp_path_factory.mktemp("busy") / "j.db"
    on_journal(path, busy)
    return path


@pytest.fixture
def path(busy_log: Path, tmp_path: Path) -> Path:
    """Return a busy log of one's own."""
    return Path(shutil.copy(busy_log, tmp_path / "j.db"))


def log_id_of(path: Path) -> str:
    """Return the id of a log."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()[0])


def damage(path: Path, page: int, content: bytes = b"\xa5" * PAGE) -> None:
    """Overwrite a page (from 1)."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content)


def leaf_of(path: Path, seq: int) -> int:
    """Return the page that holds a fact."""
    with path.open("rb") as file:
        pages = Pages(file, None)
        return next(place.page for key, place in pages.rows() if key == seq and is_fact(pages.values(place)))


def test_a_damaged_page_costs_what_stood_on_it(path: Path) -> None:
    """All other facts are found; what is needed of them goes on, word for word and with its own time."""
    old_id = log_id_of(path)
    before = {row["seq"]: row for row in rows(path)}
    damage(path, leaf_of(path, 500))

    async def work(journal: Journal) -> tuple[list[str | None], Fact | None]:
        assert journal.status().log_id != old_id
        assert journal.status().acked_seq == 0
        return [facts.start.session for facts in await journal.open_sessions()], await journal.find_order("o-s59")

    sessions, order = on_journal(path, work, now=lambda: at(NOW_MS + DAY_MS))
    assert "open" in sessions
    assert order is not None
    story = told(path)
    assert (story.old_log_id, story.old_last_seq) == (old_id, len(before))
    assert story.recovered + story.damaged + story.missing == len(before)
    assert 5 <= story.missing < 40
    carried = rows(path)[1:]
    assert len(carried) == story.carried
    originals = {(row["kind"], row["session"], row["body"], row["wall_ms"]) for row in before.values()}
    assert {(row["kind"], row["session"], row["body"], row["wall_ms"]) for row in carried} <= originals
    assert sum(row["kind"] == "fault_reset" for row in carried) >= 60 - story.missing
    assert [row["body"] for row in carried if row["kind"] == "checkpoint" and row["session"] == "open"] == [
        before[len(before)]["body"]
    ]


def test_what_is_only_in_the_write_ahead_log_is_found_too(tmp_path: Path) -> None:
    """Facts that were not yet moved into the file are found as well."""
    path, other = tmp_path / "j.db", tmp_path / "other" / "j.db"
    other.parent.mkdir()

    async def work(journal: Journal) -> int:
        await journal.append([standing(f"person {number}") for number in range(300)])
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{other}{suffix}")
        return journal.status().last_seq

    last = on_journal(path, work)
    assert other.stat().st_size < 3 * PAGE < Path(f"{other}-wal").stat().st_size
    journal_salvage.salvage(other, at())
    on_journal(other, nothing)
    assert (told(other).recovered, told(other).missing, told(other).carried) == (last, 0, last)
    assert Path(f"{other.with_name(told(other).file)}-wal").exists()


class CutError(Exception):
    """The power went."""


@pytest.mark.parametrize("step", range(11))
def test_a_salvage_that_is_cut_short_anywhere_is_carried_on(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """After a cut between any two steps the next opening ends with the same new log and one file set aside."""
    old_id = log_id_of(path)
    damage(path, leaf_of(path, 500))
    left = [step]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
            left[0] -= 1
            if left[0] < 0:
                raise CutError
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as cut:
        cut.setattr(Path, "rename", counted(Path.rename))
        cut.setattr(Path, "unlink", counted(Path.unlink))
        cut.setattr(journal_salvage, "sync_directory", counted(journal_room.sync_directory))
        with pytest.raises(CutError):
            journal_salvage.salvage(path, at())
    assert journal_salvage.begun(path) == (0 < step < 10)
    status = on_journal(path, nothing).status()
    assert (status.problem, len(status.set_aside)) == (None, 1)
    assert told(path).old_log_id == old_id
    assert not journal_salvage.begun(path)
    assert sorted(entry.name for entry in tmp_path.iterdir() if "rebuilt" in entry.name) == []


def test_salvage_has_as_many_steps_as_are_cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above leaves out no step: without a cut it counts to the end."""
    count = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
            count[0] += 1
            return real(*arguments, **options)

        return call

    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(journal_salvage, "sync_directory", counted(journal_room.sync_directory))
    journal_salvage.salvage(path, at())
    assert count == [11]


def test_a_log_that_lost_what_was_promised_is_not_gone_on_with(tmp_path: Path) -> None:
    """Where the storage has forgotten a written fact its number is not used again: a new log begins."""
    path, old = tmp_path / "j.db", tmp_path / "old.db"

    async def work(journal: Journal) -> tuple[str, str]:
        await journal.append([standing("first")])
        await journal._run("write", lambda: journal._opened().checkpoint(0.0, at_once=True))
        shutil.copy(path, old)
        await journal.append([standing("second")])
        first_id = journal.status().log_id
        await journal._run("write", journal._close_writer)
        shutil.copy(old, path)  # the write-ahead log has gone with the last connection
        await journal.recover()
        return first_id, journal.status().log_id

    first_id, second_id = on_journal(path, work)
    assert first_id != second_id
    assert (told(path).cause, told(path).old_last_seq, told(path).carried) == ("lost_tail", 1, 1)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """The ballast says that there was a journal; without one an empty directory is a new cabinet."""
    path, policy = tmp_path / "j.db", JournalPolicy(ballast_bytes=4096, reserve_bytes=0)
    on_journal(path, nothing, policy=policy)
    assert rows(path) == []
    path.unlink()
    on_journal(path, nothing, policy=policy)
    assert (told(path).cause, told(path).file) == ("missing", "")
    assert on_journal(tmp_path / "other.db", nothing).status().last_seq == 0


def test_a_log_of_which_the_backend_holds_more_is_renounced(tmp_path: Path) -> None:
    """Asked for by name a new log begins with what is needed; another name changes nothing."""

    async def work(journal: Journal) -> tuple[str, str, str]:
        await journal.append([started("s"), standing("person")])
        first = journal.status().log_id
        await journal.renounce("0" * 16, "not this one")
        second = journal.status().log_id
        await journal.renounce(first, "backend has 7, here are 2")
        assert [facts.start.session for facts in await journal.open_sessions()] == ["s"]
        return first, second, journal.status().log_id

    first, second, third = on_journal(tmp_path / "j.db", work)
    assert first == second != third
    assert (told(tmp_path / "j.db").cause, told(tmp_path / "j.db").carried) == ("renounced", 2)


def test_what_looks_wrong_once_is_read_again_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single bad look sets nothing aside."""
    log_id = log_id_of(path)
    looks = []

    def once(_: sqlite3.Connection) -> None:
        looks.append(1)
        if len(looks) == 1:
            raise CorruptError("corrupt", "a bit fell over on the way")

    monkeypatch.setattr(journal_writer, "check_pages", once)
    status = on_journal(path, nothing).status()
    assert (status.log_id, status.set_aside, len(looks)) == (log_id, (), 2)


def test_a_storage_that_ruins_everything_is_not_fed_for_ever(tmp_path: Path) -> None:
    """After so many files set aside it stays a failure that a person has to end."""
    path = tmp_path / "j.db"
    for number in range(journal_open.MOST_ASIDE):
        (tmp_path / f"j.db{journal_salvage.ASIDE}{number}").touch()
    path.write_bytes(b"no database" * 1000)

    async def main() -> None:
        journal = Journal(path)
        with pytest.raises(JournalFailedError, match="replaced"):
            await journal.recover()
        await journal.close()

    asyncio.run(main())
    assert path.read_bytes() == b"no database" * 1000


# -- what is taken over --------------------------------------------------------------------------------------------


def chained(news: list[tuple[NewFact, int]]) -> list[Found]:
    """Return a log of facts, each with its time, as it is found when nothing is wrong."""
    previous, found = GENESIS, []
    for seq, (new, wall_ms) in enumerate(news, start=1):
        fact = Fact(
            seq=seq,
            boot="b",
            boottime_ms=1,
            wall_ms=wall_ms,
            clock="ntp",
            kind=new.kind,
            session=new.session,
            body=msgspec.Raw(canonical(new.body)),
            hash="",
        )
        previous = link(previous, "log", fact)
        found.append(Found(seq, previous, fact))
    return found


def carried(found: list[Found], acked: int = 10**6) -> tuple[int, ...]:
    """Return what is taken over of a log."""
    picture = Picture("log", acked)
    for one in found:
        picture.take(one)
    return picture.done().carry


@pytest.mark.parametrize(("age_ms", "kept"), [(RECENT_MS - 1, True), (RECENT_MS, False)])
def test_confirmed_sessions_and_events_stay_behind_when_they_are_old(age_ms: int, kept: bool) -> None:  # noqa: FBT001 - a table
    """Confirmed and older than the limit: left in the old file; decisions and open sessions never are."""
    old = NOW_MS - age_ms
    news = [(started("s"), old), (ended("s"), old), (result("c"), old), (standing("p"), old), (started("o"), old)]
    assert carried([*chained([*news, (standing("now"), NOW_MS)])]) == ((1, 2, 3, 4, 5, 6) if kept else (4, 5, 6))


def test_what_nobody_has_confirmed_is_taken_over_however_old_it_is() -> None:
    """A session whose end is not confirmed goes on whole, its confirmed start with it."""
    news = [(started("s"), 0), (result("c"), 0), (reading("s", 1), 0), (ended("s"), 0), (standing("now"), NOW_MS)]
    assert carried(chained(news), acked=3) == (1, 4, 5)


def test_the_newest_reading_of_an_open_session_is_taken_over() -> None:
    """One of them, the last; of a session that has ended none."""
    news = [(new, NOW_MS) for new in (started("s"), reading("s", 1), started("e"), reading("e", 1), reading("s", 2))]
    assert carried(chained([*news, (ended("e"), NOW_MS)])) == (1, 3, 5, 6)


def test_a_row_that_the_chain_contradicts_is_not_taken_over() -> None:
    """What follows it goes on, as unproven; behind a hole everything is proven again."""
    found = chained([(standing(str(number)), NOW_MS) for number in range(6)])
    lie = found[2].fact
    assert lie is not None
    found[2] = Found(3, found[2].digest, msgspec.structs.replace(lie, wall_ms=1))
    picture = Picture("log", 0)
    for one in [*found[:3], found[3], Found(5, found[4].digest, since=5), found[5]]:
        picture.take(one)
    finding = picture.done()
    assert (finding.carry, finding.damaged, finding.unproven, finding.missing) == ((1, 2, 4, 6), 1, 1, 0)


# -- reading pages -------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=3000), min_size=1, max_size=12), st.booleans())
def test_pages_give_back_what_sqlite_gives(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    moved: bool,  # noqa: FBT001 - drawn
) -> None:
    """Every row, however long, from the file and from the write-ahead log."""
    path = tmp_path_factory.mktemp("pages") / "j.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for _, statements in schema.MIGRATIONS:
            for statement in statements:
                connection.execute(statement)
        for seq, text in enumerate(texts, start=1):
            body = msgspec.json.encode({"text": text}).decode()
            session = text[:5] or None
            connection.execute(schema.INSERT, (seq, "l", "b", seq**7, -seq, "ntp", "k", session, body, bytes(32)))
        if moved:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        expected = {row[0]: [None, *row[1:]] for row in connection.execute("SELECT * FROM fact")}
        with path.open("rb") as file, Path(f"{path}-wal").open("rb") as wal:
            pages = Pages(file, wal)
            found = {key: pages.values(place) for key, place in pages.rows() if is_fact(pages.values(place))}
    assert found == expected


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_makes_salvage_fail_or_lie(path: Path, seed: int) -> None:
    """Whatever bytes are spoiled: it ends with a sound log of facts that are word for word those of the old one."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    before = {(row["kind"], row["session"], row["body"]): row["seq"] for row in rows(path)}
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 30, 1000))):
        begin = chance.randrange(len(content))
        content[begin : begin + chance.choice((1, 8, 512))] = chance.randbytes(1)
    del content[chance.choice((len(content), len(content) - 1, len(content) // 2)) :]
    path.write_bytes(content)
    journal_salvage.salvage(path, at())
    status = on_journal(path, nothing).status()
    assert status.problem is None
    found = rows(path)[1:]
    story = told(path)
    assert story.carried == len(found)
    strangers = [row for row in found if (row["kind"], row["session"], row["body"]) not in before]
    assert len(strangers) <= story.unproven
