"""Promises of the link to guard: one question at a time, never a wrong answer, silence is noticed in time."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from pilenode.ipc.codec import encode
from pilenode.ipc.messages import (
    Done,
    GetEvents,
    GetSnapshot,
    Grant,
    GuardRequest,
    Hello,
    PortSnapshot,
    Refused,
    Renew,
    Snapshot,
)
from pilenode.station.guard_link import RETRY_PAUSE_S, GuardAbsentError, GuardLink

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pilenode.conftest import FakeGuard


def test_greets_once_and_asks_over_one_connection(guard: FakeGuard) -> None:
    """The protocol is agreed on first; later questions use the same connection."""

    async def main() -> None:
        async with guard:
            link = GuardLink(str(guard.path))
            assert [port.port for port in (await link.snapshot()).ports] == [1, 2, 3]
            assert await link.request(Grant(port=1, session="s1", ttl_s=60)) == Done()
            assert await link.request(Renew(port=1, session="s2", ttl_s=60)) == Refused(code="wrong_session")
            assert guard.count(Hello) == 1
            await link.close()

    asyncio.run(main())


def test_questions_of_many_tasks_get_their_own_answers(guard: FakeGuard) -> None:
    """However many ask at once, every one gets the answer to its own question."""

    async def main() -> None:
        guard.set(2, session="s2", state="on")
        async with guard:
            link = GuardLink(str(guard.path))
            asked: list[GuardRequest] = [GetSnapshot(), Renew(port=2, session="s2", ttl_s=1), GetEvents(since=0)] * 20
            replies = await asyncio.gather(*(link.request(request) for request in asked))
            names = [type(reply).__name__ for reply in replies]
            assert names == ["Snapshot", "Done", "Events"] * 20
            await link.close()

    asyncio.run(main())


def test_absent_guard_is_said_at_once(guard: FakeGuard) -> None:
    """Without a socket the answer is immediate, and the socket is not hammered."""

    async def main() -> None:
        now = [0.0]
        link = GuardLink(str(guard.path), monotonic=lambda: now[0])
        with pytest.raises(GuardAbsentError):
            await link.snapshot()
        async with guard:
            with pytest.raises(GuardAbsentError):
                await link.snapshot()
            assert guard.requests == []
            now[0] += RETRY_PAUSE_S
            assert isinstance(await link.snapshot(), Snapshot)
            await link.close()

    asyncio.run(main())


def test_guard_that_restarts_is_found_again(guard: FakeGuard) -> None:
    """A lost connection costs one question; the next one connects anew and is greeted by the new guard."""

    async def main() -> None:
        link = GuardLink(str(guard.path), monotonic=itertools.count().__next__)
        async with guard:
            await link.snapshot()
        guard.restart("boot-2")
        async with guard:
            with pytest.raises(GuardAbsentError):
                await link.snapshot()
            assert (await link.snapshot()).guard_boot == "boot-2"
            await link.close()

    asyncio.run(main())


def test_answer_to_a_question_that_was_given_up_is_never_taken_for_another(guard: FakeGuard) -> None:
    """After a time-out the connection is dropped: the late answer cannot become the answer to the next question."""

    async def main() -> None:
        link = GuardLink(str(guard.path), timeout_s=0.1, monotonic=itertools.count().__next__)
        async with guard:
            await link.snapshot()
            guard.silent = True
            begun = time.monotonic()
            with pytest.raises(GuardAbsentError):
                await link.request(GetEvents(since=0))
            assert time.monotonic() - begun < 0.3
            guard.silent = False
            assert isinstance(await link.request(GetSnapshot()), Snapshot)
            assert guard.count(Hello) == 2
            await link.close()

    asyncio.run(main())


def test_cancelled_question_drops_the_connection(guard: FakeGuard) -> None:
    """A question whose asker is gone leaves nothing behind that a later one could read."""

    async def main() -> None:
        link = GuardLink(str(guard.path))
        async with guard:
            await link.snapshot()
            guard.silent = True
            task = asyncio.create_task(link.request(GetEvents(since=0)))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            guard.silent = False
            assert isinstance(await link.request(GetSnapshot()), Snapshot)
            assert guard.count(Hello) == 2
            await link.close()

    asyncio.run(main())


def test_other_protocol_is_not_spoken_to(guard: FakeGuard) -> None:
    """A guard of another protocol version is absent, and the log can say why."""

    async def main() -> None:
        guard.protocol += 1
        async with guard:
            with pytest.raises(GuardAbsentError, match="does not speak protocol 1"):
                await GuardLink(str(guard.path)).snapshot()
            await asyncio.sleep(0.01)

    asyncio.run(main())


@pytest.mark.parametrize(
    "babble",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="another protocol"),
        pytest.param(b"\x00\x00\x00\x02{}", id="no message"),
        pytest.param(b"\xff\xff\xff\xff", id="announces 4 GiB"),
        pytest.param(encode(Done()), id="wrong kind of answer"),
        pytest.param(encode(Done()) * 2, id="two answers"),
        pytest.param(b"", id="hangs up"),
        pytest.param(encode(Done())[:7], id="half an answer"),
    ],
)
def test_whoever_babbles_is_absent(tmp_path: Path, babble: bytes) -> None:
    """Whatever sits at the other end and does not speak our protocol is an absent guard, never a crash."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(babble)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(serve, str(tmp_path / "babbler.sock"))
        with pytest.raises(GuardAbsentError):
            await GuardLink(str(tmp_path / "babbler.sock"), timeout_s=0.5).snapshot()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_events_are_told_until_they_were_handled(guard: FakeGuard) -> None:
    """Every event comes with every look until the looker says that it was handled; after that only newer ones."""

    async def main() -> None:
        link = GuardLink(str(guard.path))
        async with guard:
            for _ in range(3):
                guard.tell("finding", 1, code="meter_lost")
            first, again = await link.look(), await link.look()
            assert [event.seq for event in first.events] == [event.seq for event in again.events] == [1, 2, 3]
            link.handled(again)
            guard.tell("cleared", 1, code="meter_lost")
            assert [event.seq for event in (await link.look()).events] == [4]
            await link.close()

    asyncio.run(main())


def test_many_events_are_fetched_page_by_page(guard: FakeGuard) -> None:
    """A look brings everything up to the snapshot, however many answers that takes."""

    async def main() -> None:
        link = GuardLink(str(guard.path))
        async with guard:
            for _ in range(450):
                guard.tell("finding", 1, code="meter_lost")
            news = await link.look()
            assert [event.seq for event in news.events] == list(range(1, 451))
            assert guard.count(GetEvents) == 3
            await link.close()

    asyncio.run(main())


def test_events_of_a_new_guard_are_told_from_the_first(guard: FakeGuard) -> None:
    """Sequence numbers belong to one boot: those of the old guard hide nothing of the new one."""

    async def main() -> None:
        link = GuardLink(str(guard.path))
        async with guard:
            for _ in range(5):
                guard.tell("finding", 1, code="meter_lost")
            link.handled(await link.look())
            guard.restart("boot-2")
            guard.tell("finding", 1, code="meter_lost")
            assert [event.seq for event in (await link.look()).events] == [1]
            await link.close()

    asyncio.run(main())


def test_guard_that_restarts_between_two_answers_is_not_believed(guard: FakeGuard) -> None:
    """A snapshot of one boot is never put together with the events of another."""

    async def main() -> None:
        link = GuardLink(str(guard.path))

        def restart(request: GuardRequest) -> None:
            if isinstance(request, GetEvents):
                guard.restart("boot-2")
                guard.tell("finding", 2, code="meter_lost")

        async with guard:
            guard.tell("finding", 1, code="meter_lost")
            guard.before_answer = restart
            with pytest.raises(GuardAbsentError, match="restarted"):
                await link.look()
            await link.close()

    asyncio.run(main())


def test_snapshot_carries_the_ports_as_they_are(guard: FakeGuard) -> None:
    """What guard shows arrives unchanged."""

    async def main() -> PortSnapshot:
        async with guard:
            guard.run(2, 1_234_567, 10.5)
            link = GuardLink(str(guard.path))
            shown = (await link.snapshot()).ports[1]
            await link.close()
            return shown

    assert asyncio.run(main()) == guard.ports[2]
