"""Promises of retention: only confirmed and old facts leave, readings first, and the chain can still be followed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_rig.power_cuts_writer import ended, reading, started
from pilenode.station import schema
from pilenode.station.entries import JournalFailedError, JournalPolicy, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_check import broken_link
from pilenode.station.journal_trim import DAY_MS, runs
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import (
    GENESIS,
    Boot,
    FactKind,
    FaultReset,
)
from pilenode.upstream.facts_journal import FactsRemoved, Removed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

Result = TypeVar("Result")
BEGIN_MS = 1_800_000_000_000
POLICY = JournalPolicy(reserve_bytes=0, telemetry_days=10, record_days=200)


class Calendar:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ms = BEGIN_MS
        self.quality = ClockQuality.NTP

    def __call__(self) -> Stamp:
        """Return the moment that it shows."""
        return Stamp("boot", self.ms - BEGIN_MS, self.ms, self.quality)


def on_journal(
    path: Path, work: Callable[[Journal, Calendar], Awaitable[Result]], policy: JournalPolicy = POLICY
) -> Result:
    """Run ``work`` on the opened journal at ``path``."""

    async def main() -> Result:
        calendar = Calendar()
        journal = Journal(path, now=calendar, policy=policy)
        try:
            await journal.recover()
            return await work(journal, calendar)
        finally:
            await journal.close()

    return asyncio.run(main())


BOOT = NewFact(FactKind.BOOT, Boot(version="x"))
STANDING = NewFact(FactKind.FAULT_RESET, FaultReset(port=1, by="person"))
SESSION = [started("s"), reading("s", 1), STANDING, reading("s", 2), ended("s"), BOOT]


def held(path: Path) -> list[int]:
    """Return the numbers of the facts that are there, in a log whose chain holds over its holes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        (log_id,) = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
        assert broken_link(log_id, connection.execute(schema.AFTER, (0, -1)), 0, GENESIS) is None
        last, there, gone = connection.execute(schema.COUNTS).fetchone()
        assert last == there + gone
        return [row[0] for row in connection.execute("SELECT seq FROM fact ORDER BY seq")]


async def age(journal: Journal, calendar: Calendar, ms: int) -> None:
    """Let time go by, write something then, and look after the journal."""
    calendar.ms += ms
    await journal.append([STANDING])
    journal._house._aged_s = None
    await journal.tend()


@pytest.mark.parametrize(
    ("age_ms", "left"),
    [
        pytest.param(10 * DAY_MS, [1, 2, 3, 4, 5, 6, 7], id="readings not yet"),
        pytest.param(10 * DAY_MS + 1, [1, 3, 5, 6, 7, 8], id="readings"),
        pytest.param(200 * DAY_MS, [1, 3, 5, 6, 7, 8], id="sessions and events not yet"),
        pytest.param(200 * DAY_MS + 1, [3, 7, 8], id="sessions and events"),
    ],
)
def test_confirmed_facts_leave_when_they_are_old_enough(tmp_path: Path, age_ms: int, left: list[int]) -> None:
    """Each class at its own age and not a millisecond earlier; what stands stays for ever; the run is a fact itself."""

    async def work(journal: Journal, calendar: Calendar) -> int:
        await journal.append(SESSION)
        await journal.acknowledge(journal.status().log_id, 6)
        await age(journal, calendar, age_ms)
        assert [fact.kind for fact in await journal.facts(["facts_removed"], 0, 10)] == ["facts_removed"] * (8 in left)
        return journal.status().removed

    assert on_journal(tmp_path / "j.db", work) == 7 - len([seq for seq in left if seq < 8])
    assert held(tmp_path / "j.db") == left


@pytest.mark.parametrize(("acked", "left"), [(0, [1, 2, 3, 4, 5, 6, 7]), (4, [1, 3, 5, 6, 7, 8]), (5, [3, 6, 7, 8])])
def test_age_alone_takes_nothing_that_is_not_confirmed(tmp_path: Path, acked: int, left: list[int]) -> None:
    """However old: without the backend's confirmation of a session's end the session stays."""

    async def work(journal: Journal, calendar: Calendar) -> None:
        await journal.append(SESSION)
        await journal.acknowledge(journal.status().log_id, acked)
        await age(journal, calendar, 1000 * DAY_MS)

    on_journal(tmp_path / "j.db", work)
    assert held(tmp_path / "j.db") == left


@pytest.mark.parametrize("quality", [ClockQuality.NONE, ClockQuality.RTC])
def test_a_clock_that_knows_nothing_ages_nothing(tmp_path: Path, quality: ClockQuality) -> None:
    """Facts of a cabinet that does not know the time are not taken for old ones, nor is the day it wakes up in."""

    async def work(journal: Journal, calendar: Calendar) -> None:
        calendar.quality = quality
        await journal.append(SESSION)
        await journal.acknowledge(journal.status().log_id, 6)
        await age(journal, calendar, 1000 * DAY_MS)

    on_journal(tmp_path / "j.db", work)
    assert len(held(tmp_path / "j.db")) == (7 if quality == ClockQuality.NONE else 3)


def test_over_the_budget_readings_go_confirmed_or_not_and_nothing_else(tmp_path: Path) -> None:
    """The newest reading of a session without an end stays; what has gone is told upstream in its place."""

    async def work(journal: Journal, _: Calendar) -> None:
        await journal.append([*SESSION, started("open"), reading("open", 1), reading("open", 2)])
        await journal.tend()
        rows = await journal.unacked(100)
        assert [(fact.seq, fact.kind) for fact in rows if fact.kind == "removed"] == [
            (2, "removed"), (4, "removed"), (8, "removed"),
        ]  # fmt: skip
        assert msgspec.json.decode(rows[1].body, type=Removed) == Removed(since=2)
        (run,) = await journal.facts(["facts_removed"], 0, 10)
        assert msgspec.json.decode(run.body, type=FactsRemoved) == FactsRemoved(
            cause="room", count=3, unconfirmed=3, upto=8
        )
        assert [fact.seq for fact in await journal.facts(["removed", "boot"], 0, 10)] == [2, 4, 6, 8]
        await journal.tend()
        with pytest.raises(JournalFailedError, match="must be kept"):
            await journal.ensure_room()
        assert not journal.status().ok
        assert await journal.append([ended("open")]) == [11]

    on_journal(tmp_path / "j.db", work, JournalPolicy(reserve_bytes=0, budget_bytes=4096))
    assert held(tmp_path / "j.db") == [1, 3, 5, 6, 7, 9, 10, 11]


def test_links_of_facts_beside_holes_are_known(tmp_path: Path) -> None:
    """What the backend's head is compared with: every fact that is there and the last one of each hole."""

    async def work(journal: Journal, calendar: Calendar) -> None:
        await journal.append([started("s"), *(reading("s", value) for value in range(5)), ended("s")])
        await journal.acknowledge(journal.status().log_id, 7)
        links = [await journal.link_at(seq) for seq in range(8)]
        await age(journal, calendar, 100 * DAY_MS)
        assert [await journal.link_at(seq) for seq in range(8)] == [*links[:2], None, None, None, None, *links[6:]]
        assert await journal.link_at(0) == GENESIS.hex()

    on_journal(tmp_path / "j.db", work)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM fact",
        "INSERT INTO gap VALUES (2, 1, zeroblob(32))",
        "INSERT INTO gap SELECT seq + 1, 3, hash FROM fact WHERE seq = 5",
        "DELETE FROM gap",
        "UPDATE gap SET since = since + 1",
        "UPDATE gap SET upto = upto + 1",
    ],
)
def test_no_hole_can_be_made_or_hidden_by_accident(tmp_path: Path, statement: str) -> None:
    """The database itself refuses a removal that is not told, and a hole that tells an untruth."""

    async def work(journal: Journal, calendar: Calendar) -> None:
        await journal.append(SESSION)
        await journal.acknowledge(journal.status().log_id, 6)
        await age(journal, calendar, 100 * DAY_MS)

    on_journal(tmp_path / "j.db", work)
    with closing(sqlite3.connect(tmp_path / "j.db")) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("srebx"), st.integers(0, 2)), max_size=40), st.integers(1, 7))
def test_holes_never_break_a_log(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, int]], batch: int
) -> None:
    """Whatever comes and goes in whatever order: the chain holds, nothing unconfirmed or standing has gone."""
    path = tmp_path_factory.mktemp("trim") / "j.db"

    async def work(journal: Journal, calendar: Calendar) -> tuple[int, list[int]]:
        running, stands = 0, []
        for word, days in story:
            calendar.ms += days * 3 * DAY_MS
            if word == "s":
                running += 1
                await journal.append([started(f"s{running}")])
            elif word == "r" and running:
                await journal.append([reading(f"s{running}", value) for value in range(batch)])
            elif word == "e" and running:
                await journal.append([ended(f"s{running}")])
                running += 1
                await journal.append([started(f"s{running}")])
            elif word == "b":
                await journal.append([BOOT])
                stands += await journal.append([STANDING])
            else:
                await journal.acknowledge(journal.status().log_id, journal.status().last_seq - days)
            journal._house._aged_s = None
            await journal.tend()
        return journal.status().acked_seq, stands

    acked, stands = on_journal(path, work, JournalPolicy(reserve_bytes=0, telemetry_days=7, record_days=30))
    there = held(path)
    assert set(stands) <= set(there)
    last = there[-1] if there else 0
    assert set(range(acked + 1, last + 1)) <= set(there)


@pytest.mark.parametrize(
    ("seqs", "found"), [([], []), ([4], [(4, 4)]), ([1, 2, 3], [(1, 3)]), ([1, 3, 4, 9], [(1, 1), (3, 4), (9, 9)])]
)
def test_runs_are_what_follows_one_another(seqs: list[int], found: list[tuple[int, int]]) -> None:
    """One hole for each run, no more."""
    assert runs(seqs) == found
