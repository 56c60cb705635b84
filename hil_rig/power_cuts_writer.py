"""The journal at mixed work, to be watched from outside: sessions, readings, confirmations, checkpoints, restarts.

Says on its standard output what had been promised when: ``T <seq> <link>`` after an append has returned, ``B <upto>``
before a confirmation is remembered, ``A <upto>`` after it was. Usage: python -m hil_rig.power_cuts_writer DIRECTORY
SEED STEPS SYNCHRONOUS FLUSHES.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from config.tariff import flat_schedule
from pilenode.station import journal_house, journal_trim, journal_writer
from pilenode.station.bill import settlement
from pilenode.station.entries import JournalPolicy, NewFact
from pilenode.station.journal import Journal
from pilenode.station.wallclock import FLOOR_MS, ClockQuality, Stamp
from pilenode.upstream.facts import (
    Boot,
    Checkpoint,
    CommandResult,
    FactKind,
    SessionEnded,
    SessionStarted,
)
from pilenode.upstream.facts_money import Payment

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "journal.db"
_TARIFF: Final = flat_schedule("t1", 520, 300)
_POSTPAID: Final = Payment(mode="postpaid")
#: One step is so much time of the clock that facts carry: their age plays a part in what is done.
_STEP_MS: Final = 3_600_000
#: Small enough that a run of some hundred steps does everything many times.
_POLICY: Final = JournalPolicy(ballast_bytes=64 * 1024, reserve_bytes=0, budget_bytes=10**9, telemetry_days=7)
_WAL_PAGES: Final = 40


def tell(words: str) -> None:
    """Say something at exactly this point of the trace."""
    os.write(1, f"{words}\n".encode())


def started(session: str) -> NewFact:
    """Return the start of a session."""
    body = SessionStarted(
        order=f"o-{session}",
        port=1,
        source="cli",
        tariff=_TARIFF,
        tariff_version="t1",
        payment=_POSTPAID,
        guard_boot="g",
    )
    return NewFact(FactKind.SESSION_STARTED, body, session)


def ended(session: str) -> NewFact:
    """Return the end of a session."""
    body = SessionEnded(
        order=f"o-{session}",
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
        money=settlement([], [], _POSTPAID, _TARIFF),
    )
    return NewFact(FactKind.SESSION_ENDED, body, session)


def reading(session: str, register_mwh: int = 0) -> NewFact:
    """Return a reading of a session."""
    body = Checkpoint(port=1, start_register_mwh=0, register_mwh=register_mwh, on_ms=1000, power_w=200)
    return NewFact(FactKind.CHECKPOINT, body, session)


def batches(chance: random.Random, steps: int) -> Iterator[list[NewFact]]:
    """Return what a cabinet writes: starts and ends by themselves, readings together, now and then a lot."""
    open_sessions: list[str] = []
    for step in range(steps):
        kind = chance.random()
        if kind < 0.25 or not open_sessions:  # noqa: PLR2004 - a mixture
            open_sessions.append(f"s{step}")
            yield [started(open_sessions[-1])]
        elif kind < 0.45:  # noqa: PLR2004 - a mixture
            yield [ended(open_sessions.pop(chance.randrange(len(open_sessions))))]
        elif kind < 0.85:  # noqa: PLR2004 - a mixture
            yield [reading(session, 1000 * step) for session in open_sessions]
        elif kind < 0.95:  # noqa: PLR2004 - a mixture
            yield [NewFact(FactKind.COMMAND_RESULT, CommandResult(id=f"c{step}", ok=True, detail="x" * 150))]
        else:
            yield [NewFact(FactKind.BOOT, Boot(version="x" * 40))] * 60


async def work(directory: Path, seed: int, steps: int) -> None:
    """Do ``steps`` steps of work in ``directory``."""
    chance, clock = random.Random(seed), [FLOOR_MS]

    def now() -> Stamp:
        return Stamp("boot", clock[0] - FLOOR_MS, clock[0], ClockQuality.NTP)

    journal = Journal(directory / NAME, now=now, policy=_POLICY)
    await journal.recover()
    for batch in batches(chance, steps):
        clock[0] += _STEP_MS
        await journal.append(batch)
        status = journal.status()
        tell(f"T {status.last_seq} {status.head}")
        if chance.random() < 0.2:  # noqa: PLR2004 - a mixture
            upto = chance.randint(status.acked_seq, status.last_seq)
            tell(f"B {upto}")
            await journal.acknowledge(status.log_id, upto)
            tell(f"A {upto}")
        if chance.random() < 0.1:  # noqa: PLR2004 - a mixture
            await journal.tend()
            tell(f"T {journal.status().last_seq} {journal.status().head}")
        if chance.random() < 0.02:  # noqa: PLR2004 - a mixture
            await journal.close()
            journal = Journal(directory / NAME, now=now, policy=_POLICY)
            await journal.recover()
    os._exit(0)  # as a cut: nothing is tidied up


def main(arguments: list[str]) -> None:
    """Work as told."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # only what is promised
    journal_writer._WAL_PAGES = _WAL_PAGES  # type: ignore[misc]  # noqa: SLF001 - a run must see many checkpoints
    journal_writer._CHECKPOINT_TRANSACTIONS = 25  # type: ignore[misc]  # noqa: SLF001 - as above
    journal_house.AGE_S = 0.0  # type: ignore[misc]
    journal_trim.BATCH = 40  # type: ignore[misc]  # and many small removals
    journal_writer.SYNCHRONOUS = arguments[3]  # type: ignore[misc]  # less than FULL promises too much
    journal_writer.FLUSHES_MORE = int(arguments[4])  # type: ignore[misc]
    asyncio.run(work(Path(arguments[0]), int(arguments[1]), int(arguments[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
