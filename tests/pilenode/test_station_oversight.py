"""Promises about locks and ledger in a running station: known after a restart, shown, and followed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from config.schema import Config
from pilenode.ipc.acts import Lock
from pilenode.ipc.messages import Done, LedgerShown
from pilenode.station import oversight
from pilenode.station.acts import Acts
from pilenode.station.desk import Who
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.station.oversight import Oversight, place
from pilenode.station.statistics import DEFAULT_TIMEZONE
from pilenode.upstream.facts import FactKind
from tests.pilenode.ledger_models import DAY_MS, MORNING_MS, fault, stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

CONFIG = msgspec.convert(
    {
        "node": {"id": "n1", "site": "north gate"},
        "site": {"district": "D", "community": "C", "building": "B", "kind": "shed", "operator": "O"},
        "ledger": {"serious_days": 2, "normal_days": 5, "responsible": "Wang", "contingency": "close it"},
        "bus": [{"name": "main", "device": "/dev/x"}],
        "port": [
            {"number": number, "meter": {"model": "m", "unit": number, "bus": "main"}, "relay": {"pin": number}}
            for number in (1, 2)
        ],
    },
    Config,
)
LOCK = Lock(lock="l-1", port=2, kind="lockout", authority="Fire", reason="wires")


def test_what_reports_say_about_the_cabinet_is_its_configuration() -> None:
    """Every key of both tables, and the ports."""
    told = msgspec.structs.asdict(place(CONFIG))
    assert told == {
        "site": "north gate",
        "district": "D",
        "community": "C",
        "building": "B",
        "site_class": "shed",
        "operator": "O",
        "timezone": DEFAULT_TIMEZONE,
        "serious_days": 2,
        "normal_days": 5,
        "responsible": "Wang",
        "contingency": "close it",
        "ports": [1, 2],
    }


def test_the_pictures_follow_the_log_and_survive_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the log has been read the ledger is unknown, not empty; facts of others are taken in by themselves."""
    monkeypatch.setattr(oversight, "_FOLLOW_S", 0.0)

    async def until(found: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not found():  # noqa: ASYNC110 - what is waited for is a picture, not an event
                await asyncio.sleep(0)

    async def story() -> None:
        journal = Journal(tmp_path / "j.db", now=lambda: stamp(MORNING_MS))
        await journal.recover()
        seen = Oversight(CONFIG, journal, lambda: stamp(MORNING_MS + 3 * DAY_MS))
        acts = Acts(journal, seen.desks, lambda: stamp(MORNING_MS))
        assert seen.ledger() is None
        assert seen.locked(2) is None
        follower = asyncio.create_task(seen.follow(acts))
        await until(lambda: seen.ledger() == LedgerShown())
        assert await acts.perform(LOCK, Who("upstream", "c-1")) == Done()
        held = seen.locked(2)
        assert held is not None
        assert held.set.lock == "l-1"
        assert seen.locked(1) is None
        await journal.append([NewFact(FactKind.FAULT_LATCHED, fault("over_current"))])
        await until(lambda: (seen.ledger() or LedgerShown()).open == 2)
        follower.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await follower
        told = seen.ledger()
        assert told is not None
        # Two days for what has cut and latched, as the configuration says.
        assert (told.overdue, told.worst_code, told.worst_due_ms) == (1, "over_current", MORNING_MS + 2 * DAY_MS)

        again = Oversight(CONFIG, journal, lambda: stamp(0, "none"))
        assert await Acts(journal, again.desks).catch_up()
        assert [lock.lock for lock in again.locks()] == ["l-1"]
        assert again.now.clock == "none"
        await journal.close()

    asyncio.run(story())
