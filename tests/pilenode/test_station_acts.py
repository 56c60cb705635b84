"""Promises about administrative acts: durable before they count, refusals on record, pictures that follow the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc import acts, messages
from pilenode.ipc.acts import Act, LiftLock, Lock
from pilenode.ipc.messages import Done, Refused
from pilenode.station.acts import Acts
from pilenode.station.desk import Who
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.upstream.facts import ActRefused, Boot, Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pilenode.station.wallclock import Stamp

LOCK = Lock(lock="l-1", port=2, kind="lockout", authority="fire office", reason="wires")
WHO = Who("upstream", "c-1")


class Doorman:
    """A desk that takes every lock and refuses to lift one."""

    acts: tuple[type[Act], ...] = (Lock, LiftLock)
    kinds = (FactKind.BOOT,)

    def __init__(self) -> None:
        self.kept: list[int] = []

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Decide by the type alone."""
        del who, now
        if isinstance(act, LiftLock):
            return Refused(code="not_allowed", detail="never")
        return [NewFact(FactKind.BOOT, Boot(version="taken"))]

    def keep(self, fact: Fact) -> None:
        """Remember the number."""
        self.kept.append(fact.seq)


def test_the_shared_types_are_those_of_the_messages() -> None:
    """The acts bound their fields as the messages do."""
    assert (acts.Identifier, acts.PortNumber, acts.Words) == (
        messages.Identifier,
        messages.PortNumber,
        messages.Words,
    )


def test_an_act_is_durable_before_it_counts_and_a_refusal_is_on_record(tmp_path: Path) -> None:
    """The desk learns of its own fact from the journal; what it refuses stands there with its code."""

    async def story() -> None:
        journal, desk = Journal(tmp_path / "j.db"), Doorman()
        await journal.recover()
        desks = Acts(journal, [desk])
        assert await desks.perform(LOCK, WHO) == Done()
        assert desk.kept == [1]
        lifted = await desks.perform(LiftLock(lock="l-1", authority="a", reason="b"), WHO)
        assert lifted == Refused(code="not_allowed", detail="never")
        assert desk.kept == [1]
        (fact,) = await journal.facts([FactKind.ACT_REFUSED], 0, 10)
        body = msgspec.json.decode(fact.body, type=ActRefused)
        assert (body.act, body.code, body.source, body.by) == ("lift_lock", "not_allowed", "upstream", "c-1")
        await journal.close()

    asyncio.run(story())


def test_pictures_are_made_of_all_earlier_facts_and_of_those_of_others(tmp_path: Path) -> None:
    """A new process reads everything once, page by page, and later only what is new."""

    async def story() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        for _ in range(3):
            await journal.append([NewFact(FactKind.BOOT, Boot(version=str(number))) for number in range(400)])
        desk = Doorman()
        desks = Acts(journal, [desk])
        assert await desks.catch_up()
        assert desk.kept == [*range(1, 1201)]
        await journal.append([NewFact(FactKind.BOOT, Boot(version="x"))])
        assert await desks.catch_up()
        assert desk.kept[-2:] == [1200, 1201]
        await journal.close()

    asyncio.run(story())


def test_without_a_journal_nothing_is_decided(tmp_path: Path) -> None:
    """An act that could not be kept is refused."""

    async def story() -> None:
        journal = Journal(tmp_path / "none" / "j.db")
        desks = Acts(journal, [Doorman()])
        outcome = await desks.perform(LOCK, WHO)
        assert isinstance(outcome, Refused)
        assert outcome.code == "journal_failed"
        assert not await desks.catch_up()
        await journal.close()

    asyncio.run(story())


def test_an_act_of_no_desk_is_malformed(tmp_path: Path) -> None:
    """Nobody guesses."""

    async def story() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        assert await Acts(journal, ()).perform(LOCK, WHO) == Refused(code="malformed", detail="Lock")
        await journal.close()

    asyncio.run(story())


def test_a_log_that_was_replaced_decides_nothing_in_this_process(tmp_path: Path) -> None:
    """Pictures made of two logs would count twice; the next process makes them of the new one alone."""

    async def story() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        desks = Acts(journal, [Doorman()])
        assert await desks.perform(LOCK, WHO) == Done()
        desks._log_id = "0" * 16
        assert await desks.perform(LOCK, WHO) == Refused(code="journal_failed", detail="the log is a new one")
        assert not await desks.catch_up()
        await journal.close()

    asyncio.run(story())
