"""Promises of the journal's tables: a reading costs little to write, and no question walks through all readings."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from pilenode.station import journal_trim, schema
from pilenode.station.entries import DEFAULT_POLICY, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_classes import OF_SESSION, TELEMETRY
from pilenode.station.journal_trim import DAY_MS, Trim
from pilenode.station.journal_writer import Writer
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import Boot, Checkpoint, FactKind, LegEnded, SessionStarted
from tests.pilenode.test_station_journal import TERMS, ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_MS = 1_800_000_000_000
BOOT = NewFact(FactKind.BOOT, Boot(version="1"))


def reading(session: str, on_ms: int = 1000) -> NewFact:
    """Return a reading of a session."""
    body = Checkpoint(port=1, start_register_mwh=0, register_mwh=5, on_ms=on_ms, power_w=200)
    return NewFact(FactKind.CHECKPOINT, body, session)


def start(session: str) -> NewFact:
    """Return the start of a session."""
    body = SessionStarted(order=session, port=1, source="cli", tariff=TERMS, tariff_version="t1", guard_boot="g1")
    return NewFact(FactKind.SESSION_STARTED, body, session)


def at(wall_ms: int, clock: ClockQuality = ClockQuality.NTP) -> Stamp:
    """Return a moment."""
    return Stamp("boot", 1000, wall_ms, clock, None if clock is ClockQuality.NONE else 1000)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """Return an open journal."""
    with closing(Writer(tmp_path / "j.db")) as opened:
        yield opened


QUESTIONS = {
    name: value
    for module in (schema, journal_trim)
    for name, value in vars(module).items()
    if isinstance(value, str) and "FROM fact" in value and name not in {"_HOLES", "_KINDS", "__doc__"}
}
#: These walk through the log, and say so: a client asks for readings themselves; the last few thousand rows at most.
WALKS = {"OF_KINDS_AND_READINGS", "OF_ALL_THAT", "COUNTS", "NEWEST_TRUSTED"}


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_no_question_walks_through_all_facts(writer: Writer, name: str) -> None:
    """Every statement finds what it asks for by a key or an index."""
    question = QUESTIONS[name]
    count = max((number for number in range(1, 5) if f"?{number}" in question), default=question.count("?"))
    plan = [row[3] for row in writer._connection.execute(f"EXPLAIN QUERY PLAN {question}", ["[]"] * count)]
    assert plan
    whole = [step for step in plan if step.startswith(("SCAN fact", "SCAN old"))]
    scans = [step for step in whole if " INDEX " not in step]
    scans += [step for step in plan if "AUTOMATIC" in step]
    if name not in WALKS | {"HEAD", "NEWEST", "LAST"}:  # the end of the table is at hand
        assert scans == []


def test_a_reading_is_in_no_index(writer: Writer) -> None:
    """All indexes leave readings out, so that a commit with one touches little but the end of the table."""
    writer.append([start("s1"), reading("s1")], at(NOW_MS))
    indexes = writer._connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'fact'")
    holds = []
    for (name,) in indexes.fetchall():
        (partial,) = writer._connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        condition = partial.partition(" WHERE ")[2]
        query = f"SELECT count(*) FROM fact WHERE kind = 'checkpoint' AND ({condition})"  # noqa: S608 - our own words
        if writer._connection.execute(query).fetchone()[0]:
            holds.append(name)
    assert holds == []


def test_statements_name_the_classes_that_the_journal_has() -> None:
    """What is written as a literal, so that SQLite finds its index, is what the classes say."""
    assert {FactKind.CHECKPOINT} == TELEMETRY
    assert all(f"'{kind}'" in journal_trim._SESSIONS for kind in OF_SESSION | TELEMETRY)


@pytest.mark.parametrize("turn", ["none", "paused", "paused and modified", "going on"])
def test_the_last_reading_of_a_session_is_found(tmp_path: Path, turn: str) -> None:
    """However its legs stand, and whatever others have written meanwhile."""
    paused = LegEnded(
        port=1, leg=1, cause="load", reason="shed", start_register_mwh=0, end_register_mwh=9, energy_mwh=9, on_ms=2000
    )
    modified = msgspec.convert({"port": 1, "plan": {}, "source": "cli"}, type=_body(FactKind.SESSION_MODIFIED))
    further = {"port": 1, "leg": 2, "cause": "load", "pause_ms": 1, "guard_boot": "g1"}
    turns = {
        "none": [],
        "paused": [NewFact(FactKind.LEG_ENDED, paused, "s1")],
        "paused and modified": [
            NewFact(FactKind.LEG_ENDED, paused, "s1"),
            NewFact(FactKind.SESSION_MODIFIED, modified, "s1"),  # type: ignore[arg-type]
        ],
        "going on": [
            NewFact(FactKind.LEG_ENDED, paused, "s1"),
            NewFact(FactKind.LEG_STARTED, msgspec.convert(further, type=_body(FactKind.LEG_STARTED)), "s1"),  # type: ignore[arg-type]
            reading("s1", 3000),
        ],
    }[turn]

    async def main() -> tuple[int | None, bool]:
        journal = Journal(tmp_path / "j.db", now=lambda: at(NOW_MS))
        await journal.recover()
        await journal.append([start("s1"), start("s2"), reading("s1"), reading("s2"), reading("s1", 2000)])
        await journal.append([*turns, *[reading("s2")] * 50])
        found = {facts.start.session: facts.reading for facts in await journal.open_sessions()}
        await journal.append([start("s3")])
        late = {facts.start.session: facts.reading for facts in await journal.open_sessions()}["s3"]
        await journal.close()
        last = found["s1"]
        return None if last is None else msgspec.json.decode(last.body, type=Checkpoint).on_ms, late is None

    assert asyncio.run(main()) == (3000 if turn == "going on" else 2000, True)


def _body(kind: FactKind) -> type[msgspec.Struct]:
    from pilenode.upstream.facts import BODY_TYPES  # noqa: PLC0415 - for two kinds only

    return BODY_TYPES[kind]


@pytest.mark.parametrize(
    ("log", "trusted"),
    [
        ([], None),
        ([(BOOT, 1, "none")], None),
        ([(BOOT, 1, "ntp")], 1),
        ([(BOOT, 1, "ntp"), (reading("s1"), 2, "ntp")], 2),
        ([(BOOT, 1, "ntp"), (reading("s1"), 2, "ntp"), (reading("s1"), 3, "none"), (BOOT, 4, "none")], 2),
        ([(reading("s1"), 1, "ntp"), (BOOT, 2, "none")], 1),
        ([(reading("s1"), 1, "ntp"), (BOOT, 2, "ntp"), (reading("s1"), 3, "none")], 2),
    ],
)
def test_the_newest_trusted_time_may_be_that_of_a_reading(
    tmp_path: Path, log: list[tuple[NewFact, int, str]], trusted: int | None
) -> None:
    """The clock of a new boot is held against the newest time that was trusted, whatever fact has it."""
    moments = iter(log)

    async def main() -> int | None:
        stamps = iter([at(NOW_MS), *(at(wall_ms, ClockQuality(clock)) for _, wall_ms, clock in log)])
        journal = Journal(tmp_path / "j.db", now=lambda: next(stamps))
        await journal.recover()
        for fact, _, _ in moments:
            await journal.append([fact])
        found = await journal.newest_trusted()
        await journal.close()
        return None if found is None else found.wall_ms

    assert asyncio.run(main()) == trusted


@pytest.mark.parametrize("readings", [0, 1, 4])
def test_no_reading_younger_than_the_limit_goes(writer: Writer, readings: int) -> None:
    """Readings between an old and a young fact are judged by their own times."""
    writer.append([start("s1"), start("s2"), BOOT], at(NOW_MS - 200 * DAY_MS))
    old = NOW_MS - DEFAULT_POLICY.telemetry_days * DAY_MS
    for count in range(8):
        writer.append([reading("s1"), reading("s2")], at(old - (readings - count) * 60_000))
    writer.append([BOOT, reading("s1"), reading("s2")], at(NOW_MS))
    writer.acknowledge(writer.log_id, writer.last_seq)
    assert writer.change(Trim(DEFAULT_POLICY, writer.acked, NOW_MS), at(NOW_MS)) == 2 * readings
    left = writer._connection.execute("SELECT count(*) FROM fact WHERE kind = 'checkpoint' AND wall_ms < ?", (old,))
    assert left.fetchone()[0] == 0


def test_an_older_journal_gets_the_new_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the version before is migrated with its facts, and both find the same."""
    path = tmp_path / "j.db"
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:-1])
        with closing(Writer(path)) as writer:
            writer.append([start("s1"), *[reading("s1")] * 500], at(NOW_MS))
    with closing(Writer(path)) as writer, closing(sqlite3.connect(path)) as reader:
        found = reader.execute(schema.LAST_READING, ("s1", 1, 10_000)).fetchone()
        assert found[0] == writer.last_seq == 501
        assert reader.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_readings_are_taken_out_from_where_it_stopped(writer: Writer) -> None:
    """Each run goes on behind the last one; what an open session still needed then goes with the session."""
    policy = replace(DEFAULT_POLICY, telemetry_days=1, record_days=10)
    day_ms = NOW_MS - 30 * DAY_MS
    writer.append([start("s1"), reading("s1"), reading("s1"), BOOT], at(day_ms))
    writer.append([BOOT], at(day_ms + 5 * DAY_MS))
    writer.acknowledge(writer.log_id, writer.last_seq)

    def trim(wall_ms: int) -> int:
        return writer.change(Trim(policy, writer.acked, wall_ms), at(wall_ms))

    def trimmed() -> int:
        return int(writer._connection.execute("SELECT value FROM meta WHERE key = 'trimmed'").fetchone()[0])

    assert (trim(day_ms + 3 * DAY_MS), trimmed()) == (1, 2)  # the newest one stays: the session is open
    assert (trim(day_ms + 3 * DAY_MS), trimmed()) == (0, 2)
    writer.append([reading("s1"), ended("s1"), BOOT], at(day_ms + 5 * DAY_MS))
    writer.append([BOOT], at(day_ms + 8 * DAY_MS))
    writer.acknowledge(writer.log_id, writer.last_seq)
    assert trim(day_ms + 7 * DAY_MS) == 2
    writer.append([BOOT], at(day_ms + 25 * DAY_MS))
    assert trim(day_ms + 25 * DAY_MS) > 0
    left = writer._connection.execute("SELECT count(*) FROM fact WHERE session = 's1'").fetchone()[0]
    assert left == 0
