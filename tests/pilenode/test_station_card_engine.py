"""Promises between cards and sessions: what a session may cost becomes energy, and nothing that goes wrong spreads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.schema import Config
from drivers.card_reader import CardSeen
from pilenode import clock
from pilenode.ipc.messages import PortSnapshot, Refused, Snapshot, StartReply
from pilenode.ipc.wish import Wish
from pilenode.station.card_desk import CardStart, Outcome, Running
from pilenode.station.card_engine import CardEngine
from pilenode.station.card_service import STALE_S, CardService, rules_of
from pilenode.station.cards import DAY_MS, Rules
from pilenode.station.entries import JournalStatus
from pilenode.upstream.facts_load import StartQueued
from pilenode.upstream.facts_money import Payment
from tests.pilenode.card_rig import SHANGHAI, Rig

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.station.sessions import StartRequest

WISH = CardStart(2, "card-1", "a" * 32, "front", 300, offline=True)


class FakeSessions:
    """Takes starts and stops, and shows two ports."""

    def __init__(self) -> None:
        self.requests: list[StartRequest] = []
        self.stops: list[tuple[int, str, str | None, str | None]] = []
        ports = [PortSnapshot(port=number, state="idle", closed=False) for number in (1, 2)]
        self.snapshot: Snapshot | None = Snapshot(
            guard_boot="g", last_event=0, uptime_s=1.0, contactor=False, cabinet_faults=[], ports=ports
        )
        self.running: tuple[object, ...] = ()
        self.waiting: tuple[StartQueued, ...] = ()

    async def start(self, request: StartRequest) -> StartReply:
        """Keep it."""
        self.requests.append(request)
        return StartReply(session="S", port=request.port)

    async def stop(self, port: int, reason: str, *, session: str | None = None, order: str | None = None) -> Refused:
        """Keep it."""
        self.stops.append((port, reason, session, order))
        return Refused(code="guard_absent")


def test_a_wish_becomes_a_session_with_an_end() -> None:
    """It ends at its amount and is never charged more; whose card it is goes with it."""
    sessions = FakeSessions()
    engine = CardEngine(sessions)  # type: ignore[arg-type]
    asyncio.run(engine.start(WISH))
    (request,) = sessions.requests
    assert (request.plan, request.payment) == (Wish(amount_fen=300), Payment(mode="postpaid", limit_fen=300))
    assert (request.source, request.by, request.card) == ("card", "front", "a" * 32)
    assert (request.port, request.order, request.offline) == (2, "card-1", True)
    assert asyncio.run(engine.stop(2, "user", session="S")) == Refused(code="guard_absent")
    assert sessions.stops == [(2, "user", "S", None)]


def test_a_start_that_waits_is_the_cards_own_and_is_left_by_its_order() -> None:
    """A second swipe takes it out of the queue, nobody else's starts on its port, and no second one is begun."""
    sessions = FakeSessions()
    sessions.waiting = (
        StartQueued(order="card-7", port=2, source="card", owner="a" * 32, position=1, expected_ma=2000),
    )
    engine = CardEngine(sessions)  # type: ignore[arg-type]
    (waiting,) = engine.running()
    assert (waiting.port, waiting.card) == (2, "a" * 32)
    assert engine.why_not(1) is None
    assert engine.why_not(2) is not None
    asyncio.run(engine.stop(2, "user_card", session=waiting.session))
    assert sessions.stops == [(2, "user_card", None, "card-7")]


def test_what_stands_in_the_way_of_a_port() -> None:
    """Guard's newest picture; without one nothing starts."""
    sessions = FakeSessions()
    engine = CardEngine(sessions)  # type: ignore[arg-type]
    assert engine.why_not(1) is None
    assert engine.why_not(3) == Refused(code="unknown_port")
    sessions.snapshot = None
    assert engine.why_not(1) == Refused(code="guard_absent")


class Broken(Rig):
    """An engine with a bug that comes once."""

    bug = False

    def running(self) -> list[Running]:
        """Fail once."""
        if self.bug:
            self.bug = False
            raise RuntimeError("a bug of ours")
        return self.sessions

    def status(self) -> JournalStatus:
        """Return a sound journal."""
        return JournalStatus("0" * 16, len(self.facts), self.acked, None)


@pytest.fixture
def rig(tmp_path: Path) -> Broken:
    """Return a cabinet of values."""
    return Broken(tmp_path)


def service(rig: Broken, told: list[Outcome], **cards: object) -> CardService:
    """Return the service over it."""
    port = {"number": 1, "meter": {"model": "m", "unit": 1, "bus": "b"}, "relay": {"pin": 4}}
    settings_ = {
        "node": {"id": "n1"},
        "station": {"data_dir": str(rig.folder)},
        "bus": [{"name": "b", "device": "/dev/null"}],
        "port": [port],
        "reader": [{"name": "front", "kind": "rdm6300", "device": "/dev/null"}],
        "cards": cards,
    }

    async def caught_up() -> bool:
        return True

    return CardService(
        msgspec.convert(settings_, Config),
        journal=rig,  # type: ignore[arg-type]
        engine=rig,
        zone=SHANGHAI,
        caught_up=caught_up,
        connected=lambda: False,
        told=told.append,
        now=rig.now,
    )


def test_a_bug_in_one_swipe_does_not_end_the_next(rig: Broken) -> None:
    """It is an outcome, counted and told; the reader goes on."""
    told: list[Outcome] = []
    cards = service(rig, told)
    cards._find_key()
    rig.bug = True
    now_s = clock.monotonic_s()
    for uid, ago_s in (("0100072A5F", 0), ("0100072A60", 0), ("0000000000", 0), ("0100072A61", STALE_S + 0.1)):
        asyncio.run(cards._card(CardSeen("front", uid, now_s - ago_s)))
    assert [one.code for one in told] == ["internal", "card_unknown", "bad_number", "stale"]
    assert not any("0100072A" in str(one) for one in told)


def test_without_a_key_no_card_is_taken(rig: Broken) -> None:
    """A key file that is not there is told in the status, and looked for again."""
    told: list[Outcome] = []
    path = rig.folder / "district.key"
    cards = service(rig, told, key_file=str(path))
    cards._find_key()
    seen = CardSeen("front", "0100072A5F", clock.monotonic_s())
    asyncio.run(cards._card(seen))
    report = cards.report()
    assert (told[0].code, report.trouble, report.key_id) == ("card_no_key", "card_no_key", None)
    assert "district.key" in report.detail
    path.write_text("00" * 32)
    path.chmod(0o640)
    cards._find_key()
    asyncio.run(cards._card(seen))
    assert (told[1].code, cards.report().trouble) == ("card_unknown", None)


def test_the_table_becomes_the_rules(rig: Broken) -> None:
    """In fen and milliseconds, and its defaults are those of the rules."""
    config = service(rig, [])._config
    assert rules_of(config.cards) == Rules()
    changed = msgspec.structs.replace(config.cards, list_max_age_days=1, debounce_s=1.5, offline_starts=False)
    rules = rules_of(changed)
    assert (rules.list_max_age_ms, rules.debounce_ms, rules.offline_starts) == (DAY_MS, 1_500, False)


def test_cards_that_are_switched_off_open_no_reader(rig: Broken) -> None:
    """The service waits to be ended, and shows no reader."""

    async def main() -> None:
        cards = service(rig, [], enabled=False)
        task = asyncio.create_task(cards.run())
        await asyncio.sleep(0.01)
        assert (cards.readers(), cards.report().enabled, task.done()) == ([], False, False)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
