"""Promises of cards in a real station process: a reader on a pty, swipes, lists, power for nobody who may not have it.

The guard is scripted; the station, its journal, its socket and the reader's thread are the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from hil_rig.card_serial import Tty, rdm6300_frame
from hil_rig.child import environment, python
from pilenode.ipc import client
from pilenode.ipc.acts import AnyAct, DenyCard, LearnCard, ListedCard, SetCards
from pilenode.ipc.messages import (
    Done,
    Facts,
    FactsReply,
    Grant,
    Perform,
    Release,
    Status,
    StatusReply,
    StoredFact,
)
from pilenode.station.card_id import card_id, read_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pilenode.ipc.messages import CardsReport, ControlRequest, ReaderReport
    from tests.pilenode.conftest import FakeGuard

pytestmark = pytest.mark.bench

Reply = TypeVar("Reply")
PROGRAM = """
import sys, msgspec
from pathlib import Path
from config.schema import Config
from pilenode.station.main import run
sys.exit(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)))
"""
UID, OTHER = bytes.fromhex("0100072A5F"), bytes.fromhex("0100072A60")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds in the other process."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


class Cabinet:
    """A station process with one reader named "front" that serves ports 2 and 1, in this order."""

    def __init__(self, directory: Path, guard: Path, tty: Tty) -> None:
        self.directory = directory
        self.tty = tty
        self.socket = directory / "control.sock"
        self.settings: dict[str, object] = {
            "node": {"id": "n1"},
            "guard": {"socket": str(guard)},
            "station": {"data_dir": str(directory / "data"), "control_socket": str(self.socket), "poll_s": 0.05},
            "bus": [{"name": "b", "device": "/dev/null"}],
            "port": [
                {"number": number, "meter": {"model": "m", "unit": number, "bus": "b"}, "relay": {"pin": 3 + number}}
                for number in (1, 2)
            ],
            "reader": [{"name": "front", "kind": "rdm6300", "device": tty.device, "ports": [2, 1]}],
            "cards": {"debounce_s": 1.0},
            "tariff": [{"version": "t", "electricity_milli_yuan_per_kwh": 520, "service_milli_yuan_per_kwh": 300}],
        }
        self.process: asyncio.subprocess.Process | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Cabinet]:
        """Run it while the block lasts, and end it at once."""
        config = self.directory / "config.json"
        config.write_bytes(msgspec.json.encode(self.settings))
        with (self.directory / "station.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *python("-c", PROGRAM, str(config)), stderr=log, env=environment()
            )
        try:
            await until(self._answers)
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _answers(self) -> bool:
        try:
            return (await self.reader()).state == "ready" and (await self.cards()).key_id is not None
        except (client.RequestError, IndexError):
            return False

    async def ask(self, request: ControlRequest, expected: type[Reply]) -> Reply:
        """Ask like the command line."""
        return await asyncio.to_thread(client.ask, str(self.socket), request, expected)

    async def act(self, act: AnyAct) -> str:
        """Carry out an act and return the code of its refusal, "" for none."""
        try:
            await self.ask(Perform(act=act, by="Li"), Done)
        except client.RequestError as error:
            return error.code
        return ""

    async def reader(self) -> ReaderReport:
        """Return what the status tells of the reader."""
        return (await self.ask(Status(), StatusReply)).readers[0]

    async def cards(self) -> CardsReport:
        """Return what the status tells of cards."""
        report = (await self.ask(Status(), StatusReply)).cards
        assert report is not None
        return report

    async def facts(self, kind: str) -> list[StoredFact]:
        """Return every fact of a kind."""
        return (await self.ask(Facts(kinds=[kind]), FactsReply)).facts

    async def swipe(self, uid: bytes) -> ReaderReport:
        """Hold a card against the reader and return its report once the outcome stands there."""
        before = sum((await self.reader()).outcomes.values())
        self.tty.say(rdm6300_frame(uid))

        async def told() -> bool:
            return sum((await self.reader()).outcomes.values()) > before

        await until(told)
        return await self.reader()

    async def becomes(self, state: str) -> None:
        """Wait until the reader is in a state."""

        async def there() -> bool:
            return (await self.reader()).state == state

        await until(there)

    async def ended(self) -> None:
        """Wait until a session has its end."""

        async def there() -> bool:
            return bool(await self.facts("session_ended"))

        await until(there)

    def card(self, uid: bytes) -> str:
        """Return what the cabinet calls a card."""
        return card_id(uid.hex(), read_key(self.directory / "data" / "card.key"))


def test_swipe_begins_swipe_ends_and_denial_wins(tmp_path: Path, guard: FakeGuard) -> None:
    """The life of a card, from unknown over listed to denied, with every fact and no number of a card anywhere."""

    async def main(tty: Tty) -> None:
        cabinet = Cabinet(tmp_path, guard.path, tty)
        async with guard, cabinet.running():
            assert (await cabinet.swipe(OTHER)).last_outcome == "card_unknown"
            listed = [ListedCard(card=cabinet.card(UID)), ListedCard(card=cabinet.card(OTHER))]
            assert await cabinet.act(SetCards(version=7, cards=listed)) == ""
            report = await cabinet.swipe(UID)
            assert (report.last_outcome, report.last_port, report.last_card) == ("started", 2, cabinet.card(UID))
            (grant,) = [request for request in guard.requests if isinstance(request, Grant)]
            assert grant.plan.energy_wh is not None
            assert (grant.port, 3655 < grant.plan.energy_wh < 3665) == (2, True)  # 3 yuan at 0.82 yuan/kWh
            assert (await cabinet.reader()).outcomes == {"card_unknown": 1, "started": 1}
            guard.run(2, 1_250_000, 3600.0)
            await asyncio.sleep(1.1)
            assert (await cabinet.swipe(UID)).last_outcome == "ended"
            assert [request.reason for request in guard.requests if isinstance(request, Release)] == ["user"]
            await cabinet.ended()
            assert await cabinet.act(DenyCard(card=cabinet.card(OTHER), reason="stolen")) == ""
            assert (await cabinet.swipe(OTHER)).last_outcome == "card_denied"
            await _facts_stand(cabinet)
        for path in [*(tmp_path / "data").rglob("*"), tmp_path / "station.log"]:
            if path.is_file():
                assert not _holds_number(path.read_bytes()), path

    with Tty(tmp_path / "tty") as tty:
        asyncio.run(main(tty))


async def _facts_stand(cabinet: Cabinet) -> None:
    (started,) = await cabinet.facts("session_started")
    body = msgspec.json.decode(started.body)
    assert (body["source"], body["by"], body["card"]) == ("card", "front", cabinet.card(UID))
    assert (body["payment"]["limit_fen"], body["offline"]) == (300, True)
    refused = [msgspec.json.decode(fact.body) for fact in await cabinet.facts("start_refused")]
    assert [(one["code"], one["card"], one["source"]) for one in refused] == [
        ("card_unknown", cabinet.card(OTHER), "card"),
        ("card_denied", cabinet.card(OTHER), "card"),
    ]
    (ended,) = await cabinet.facts("session_ended")
    charged_fen = msgspec.json.decode(ended.body)["money"]["bill"]["charged_fen"]
    assert (await cabinet.cards()).debt_fen == charged_fen > 0


def _holds_number(content: bytes) -> bool:
    """Return whether the number of a card stands in a file, in any spelling that a careless line would use."""
    spellings = [form for uid in (UID, OTHER) for form in (uid, uid.hex().encode(), uid.hex().upper().encode())]
    return any(form in content for form in spellings)


def test_a_reader_that_is_unplugged_comes_back_and_a_kill_changes_no_card(tmp_path: Path, guard: FakeGuard) -> None:
    """The session of a card is ended by its second swipe, though reader and station were gone in between."""

    async def main(tty: Tty) -> None:
        cabinet = Cabinet(tmp_path, guard.path, tty)
        async with guard:
            async with cabinet.running():
                assert await cabinet.act(LearnCard(reader="back")) == "card_reader_unknown"
                assert await cabinet.act(LearnCard(reader="front", name="test card")) == ""
                assert (await cabinet.swipe(UID)).last_outcome == "learned"
                await asyncio.sleep(1.1)
                tty.vanish()
                await cabinet.becomes("lost")
                assert (await cabinet.reader()).code == "reader_lost"
                tty.appear()
                await cabinet.becomes("ready")
                assert (await cabinet.swipe(UID)).last_outcome == "started"
                assert (await cabinet.cards()).debt_fen == 300  # its reserve
            key = (tmp_path / "data" / "card.key").read_bytes()
            async with cabinet.running():
                assert (await cabinet.cards()).learned == 1
                assert (await cabinet.swipe(UID)).last_outcome == "ended"
                await cabinet.ended()
            assert (tmp_path / "data" / "card.key").read_bytes() == key

    with Tty(tmp_path / "tty") as tty:
        asyncio.run(main(tty))


def test_a_lost_list_and_a_bad_key_take_no_card_and_end_nothing(tmp_path: Path, guard: FakeGuard) -> None:
    """Half a list is no list, and the same version sent again heals it; a key nobody can read is a state with words."""

    async def main(tty: Tty) -> None:
        cabinet = Cabinet(tmp_path, guard.path, tty)
        async with guard:
            async with cabinet.running():
                listed = [ListedCard(card=cabinet.card(uid)) for uid in (UID, OTHER)]
                assert await cabinet.act(SetCards(version=1, cards=listed)) == ""
            (path,) = (tmp_path / "data" / "cards").iterdir()
            path.write_bytes(path.read_bytes()[:-1])
            async with cabinet.running():
                assert (await cabinet.cards()).trouble == "card_list_damaged"
                assert (await cabinet.swipe(UID)).last_outcome == "card_list_damaged"
                assert await cabinet.act(SetCards(version=1, cards=listed)) == ""
                assert (await cabinet.cards()).trouble is None
                assert (await cabinet.swipe(OTHER)).last_outcome == "started"

    with Tty(tmp_path / "tty") as tty:
        asyncio.run(main(tty))
