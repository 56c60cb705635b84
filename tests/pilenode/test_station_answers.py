"""Promises of the answers to the command line: true records, who it was, and never more than a frame holds."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from config.load import load
from config.tariff import flat_schedule
from pilenode.ipc.codec import encode
from pilenode.ipc.messages import Done, ForgetConfig, Refused, SessionsReply, Status, StatusReply
from pilenode.ipc.messages import Sessions as AskSessions
from pilenode.ipc.wish import Wish
from pilenode.station.acts import Acts
from pilenode.station.answers import Answers
from pilenode.station.control import Peer
from pilenode.station.entries import NewFact, SessionFacts
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.records import record
from pilenode.station.sessions import Sessions
from pilenode.station.terms import Terms
from pilenode.station.tests_runner import Prover
from pilenode.upstream.facts import (
    Body,
    Checkpoint,
    Fact,
    FactKind,
    SessionEnded,
    SessionStarted,
    canonical,
)
from pilenode.upstream.facts_time import Anchor
from tests.pilenode.bills import NO_BILL

if TYPE_CHECKING:
    from pathlib import Path

TARIFF = flat_schedule("t1", 520, 300)
STARTED = SessionStarted(
    order="o1", port=2, source="upstream", plan=Wish(energy_wh=500), tariff=TARIFF, tariff_version="t1", guard_boot="g"
)
READING = Checkpoint(port=2, start_register_mwh=1000, register_mwh=9000, on_ms=61_999, power_w=5)
ENDED = SessionEnded(
    order="o1",
    port=2,
    reason="full",
    age_ms=400,
    start_register_mwh=1000,
    end_register_mwh=9500,
    energy_wh=9,
    duration_s=70,
    electricity_fen=3,
    service_fen=2,
    tariff_version="t1",
    money=NO_BILL,
)


def fact(seq: int, kind: FactKind, body: Body) -> Fact:
    """Return a row."""
    return Fact(
        seq=seq,
        boot="b",
        boottime_ms=0,
        wall_ms=10_000 * seq,
        clock="ntp",
        kind=kind,
        session="s1",
        body=msgspec.Raw(canonical(body)),
        hash="0" * 64,
    )


START, LAST, END = (
    fact(1, FactKind.SESSION_STARTED, STARTED),
    fact(2, FactKind.CHECKPOINT, READING),
    fact(3, FactKind.SESSION_ENDED, ENDED),
)


@pytest.mark.parametrize(
    ("facts", "state", "seconds", "register"),
    [
        (SessionFacts(START, None, None), "starting", None, None),
        (SessionFacts(START, LAST, None), "running", 61, 9000),
        (SessionFacts(START, LAST, END), "ended", 70, 9500),
        (SessionFacts(START, None, END), "ended", 70, 9500),
    ],
)
def test_record_tells_what_the_facts_tell(
    facts: SessionFacts, state: str, seconds: int | None, register: int | None
) -> None:
    """A session is starting, running or ended by its facts, with the newest of them."""
    told = record(facts, acked_seq=0)
    assert (told.session, told.order, told.port, told.source, told.plan) == ("s1", "o1", 2, "upstream", STARTED.plan)
    assert (told.state, told.duration_s, told.end_register_mwh) == (state, seconds, register)
    assert (told.started_wall_ms, told.clock, told.tariff_version) == (10_000, "ntp", "t1")


def test_end_is_dated_when_it_happened() -> None:
    """The end is dated before the row that tells it, by its age; fees and reason are those of the row."""
    told = record(SessionFacts(START, LAST, END), acked_seq=0)
    assert (told.ended_wall_ms, told.reason, told.energy_wh) == (29_600, "full", 9)
    assert (told.electricity_fen, told.service_fen) == (3, 2)


def test_a_session_without_a_clock_is_dated_by_the_anchors_of_its_boot() -> None:
    """What was written before the time was known is dated afterwards; a time that was known is left alone."""
    start = msgspec.structs.replace(START, clock="none", boottime_ms=5000, wall_ms=77)
    end = msgspec.structs.replace(END, clock="none", boottime_ms=75_400, wall_ms=70_477)
    known = {"b": [Anchor(boottime_ms=90_000, wall_ms=1_090_000, quality="ntp", step_ms=0, uncertainty_ms=10)]}
    told = record(SessionFacts(start, None, end), 0, known)
    assert (told.started_wall_ms, told.clock) == (1_005_000, "ntp")
    assert (told.ended_wall_ms, told.ended_clock) == (1_075_000, "ntp")
    assert record(SessionFacts(START, None, END), 0, known).started_wall_ms == START.wall_ms
    undated = record(SessionFacts(start, None, None), 0, {"other": known["b"]})
    assert (undated.started_wall_ms, undated.clock) == (77, "none")


@pytest.mark.parametrize(("acked_seq", "acknowledged"), [(2, False), (3, True), (4, True)])
def test_record_says_whether_its_end_is_confirmed(acked_seq: int, acknowledged: bool) -> None:  # noqa: FBT001 - a table
    """A session counts as confirmed when its end is, not when its start is."""
    assert record(SessionFacts(START, LAST, END), acked_seq).acknowledged is acknowledged


def test_history_never_outgrows_a_frame(tmp_path: Path) -> None:
    """However many sessions are asked for, the newest that fit one frame come, and it can be sent."""
    long_id = "x" * 56

    async def main() -> SessionsReply:
        journal = Journal(tmp_path / "j.db", reserve_bytes=0)
        await journal.recover()
        facts = []
        for number in range(1000):
            body = msgspec.structs.replace(STARTED, order=f"{long_id}{number}")
            session = f"{long_id}s{number}"
            end = msgspec.structs.replace(ENDED, reason="r" * 64)
            facts.append(NewFact(FactKind.SESSION_STARTED, body, session))
            facts.append(NewFact(FactKind.SESSION_ENDED, end, session))
        await journal.append(facts)
        terms = Terms(lease_s=60.0, checkpoint_s=60.0, tariff=lambda: TARIFF)
        guard = GuardLink(str(tmp_path / "none"))
        sessions = Sessions(journal, guard, terms, PlainHouse())
        prover = Prover(load("config/example.toml"), journal, guard, sessions)
        reply = await Answers("n1", journal, sessions, prover, Acts(journal, ()), dict).answer(
            AskSessions(limit=1000), Peer(1, 0, 0)
        )
        await journal.close()
        assert isinstance(reply, SessionsReply)
        return reply

    reply = asyncio.run(main())
    assert 300 < len(reply.sessions) < 1000
    assert reply.sessions[0].session.endswith("s999")
    assert encode(reply)


@pytest.mark.parametrize("flushed", [True, False])
def test_a_session_that_is_not_open_any_more_counts_as_unsent(tmp_path: Path, flushed: bool) -> None:  # noqa: FBT001
    """An end that is written while the status is put together is never missing on both sides.

    Nor is one that readers see already, while the writer still waits for the storage to flush it.
    """

    async def main() -> StatusReply:
        journal = Journal(tmp_path / "j.db", reserve_bytes=0)
        await journal.recover()
        await journal.append([NewFact(FactKind.SESSION_STARTED, STARTED, "s1")])
        await journal.acknowledge(journal.status().log_id, 1)
        read = journal.open_sessions

        async def read_late() -> list[SessionFacts]:
            before = journal._status
            await journal.append([NewFact(FactKind.SESSION_ENDED, ENDED, "s1")])
            if not flushed:
                journal._status = before
            return await read()

        journal.open_sessions = read_late  # type: ignore[method-assign]
        terms = Terms(lease_s=60.0, checkpoint_s=60.0, tariff=lambda: TARIFF)
        guard = GuardLink(str(tmp_path / "none"))
        sessions = Sessions(journal, guard, terms, PlainHouse())
        prover = Prover(load("config/example.toml"), journal, guard, sessions)
        reply = await Answers("n1", journal, sessions, prover, Acts(journal, ()), dict).answer(Status(), Peer(1, 0, 0))
        await journal.close()
        assert isinstance(reply, StatusReply)
        return reply

    reply = asyncio.run(main())
    assert (reply.sessions, reply.outbox) == ([], 1)


def test_forgetting_is_asked_of_whoever_keeps_what_is_desired(tmp_path: Path) -> None:
    """With the name that the kernel and the person give; where nothing can be desired, that is said."""

    async def main() -> list[str]:
        journal = Journal(tmp_path / "j.db", reserve_bytes=0)
        terms = Terms(lease_s=60.0, checkpoint_s=60.0, tariff=lambda: TARIFF)
        guard = GuardLink(str(tmp_path / "none"))
        sessions = Sessions(journal, guard, terms, PlainHouse())
        prover = Prover(load("config/example.toml"), journal, guard, sessions)
        answers = Answers("n1", journal, sessions, prover, Acts(journal, ()), dict)
        reply = await answers.answer(ForgetConfig(by="Li"), Peer(1, 0, 0))
        assert reply == Refused(code="nothing_desired")
        names: list[str] = []

        async def forget(by: str) -> Done:
            names.append(by)
            return Done()

        keeper: Any = SimpleNamespace(forget=forget)
        answers.desired = keeper
        assert await answers.answer(ForgetConfig(by="Li"), Peer(1, 0, 0)) == Done()
        await journal.close()
        return names

    assert asyncio.run(main()) == ["uid 0, pid 1: Li"]
