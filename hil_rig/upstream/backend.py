"""The MQTT side of the reference backend: takes what cabinets say, commits it, and only then acknowledges.

Rules of this file:
- one commit takes all that is waiting, so that many small messages cost one flush;
- nothing that a broker does or forgets costs a fact. The broker's own acknowledgement (PUBACK) goes out when a message
  was received, not when it is committed: what is lost in between has no ``Ack``, and the cabinet sends it again;
- no order is assumed between messages, workers or connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import aiomqtt
import msgspec

from hil_rig.upstream.connection import Share, client, entered
from hil_rig.upstream.database import LostError, RefusedError
from hil_rig.upstream.hearing import NonsenseError, hear
from hil_rig.upstream.store import Answer
from pilenode import clock
from pilenode.upstream.contract import ROOT, Ack, Hello, Time, down

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from hil_rig.upstream.store import Heard, Store
    from pilenode.upstream.mqtt_client import Client

#: Messages that one commit takes, at most.
_GROUP: Final = 128
_RETRY_S: Final = 0.2
_MAX_RETRY_S: Final = 5.0
_PUBLISH_S: Final = 2.0
#: How often it is looked for facts that have been missing for long, seconds.
_LOOK_S: Final = 1.0
#: On a new connection logs are confirmed unasked, if they are no more than this: a fleet would be a flood.
_FEW: Final = 500
#: The messages that a broker keeps have all come when none comes for this long, seconds.
_QUIET_S: Final = 2.0
#: How long a commit and its acknowledgements may take when the process is told to end, seconds.
_FINISH_S: Final = 8.0


class Backend:
    """Subscribes to every node, stores, acknowledges. ``dropped`` counts what did not make sense, by leaf.

    ``share``: it is one of several workers, and takes its share only (MQTT 5). ``die_after_commit``: ends the process
    after that many commits, before their acknowledgements; for rigs.
    """

    def __init__(
        self,
        url: str,
        store: Store,
        version: str = "3.1.1",
        share: Share | None = None,
        die_after_commit: int | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self.connected = asyncio.Event()
        self._url = url
        self._store = store
        self._version = version
        self._share = share
        self._commits_left = die_after_commit
        self._waiting: deque[aiomqtt.Message] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._told: asyncio.Task[None] | None = None  # the acknowledgements of the last commit
        self._telling: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, "store")  # one connection to the database, one thread for it

    async def run(self) -> None:
        """Stay connected until cancelled. A commit that has begun is finished and acknowledged before that."""
        try:
            while True:
                connection = client(self._url, self._version, self._share, self.dropped)
                with contextlib.suppress(aiomqtt.MqttError):
                    async with entered(connection):
                        await self._serve(connection)
                self.connected.clear()
                await asyncio.sleep(_RETRY_S)
        finally:
            self._thread.shutdown()

    async def _serve(self, connection: Client) -> None:
        topic = self._share.topic if self._share else f"{ROOT}/+/up/#"
        granted = await connection.subscribe(topic, qos=1)
        if any(getattr(reason, "is_failure", False) for reason in granted):
            raise aiomqtt.MqttError("may not subscribe")
        self.connected.set()
        parts = [self._listen(connection), self._work(connection), self._ask(connection)]
        if self._share and self._share.first:
            parts.append(self._read_kept())
        await _together(*parts)

    # -- hearing -----------------------------------------------------------------------------------------------

    async def _listen(self, connection: Client) -> None:
        async for message in connection.messages:
            await self._take(message, connection)

    async def _take(self, message: aiomqtt.Message, connection: Client | None = None) -> None:
        await self._room.wait()
        self._waiting.append(message)
        self._arrived.set()
        if len(self._waiting) >= _GROUP:
            self._room.clear()
        if connection is not None and message.topic.value.endswith("/hello"):
            self._aside(self._tell_time(connection, message))  # at once: the cabinet measures how long it takes

    async def _read_kept(self) -> None:
        """Read the states and presences that the broker keeps; what comes anew comes to whoever has the share."""
        async with entered(client(self._url, self._version)) as reader:
            await reader.subscribe([(f"{ROOT}/+/up/st", 1), (f"{ROOT}/+/up/live", 1)])
            messages = aiter(reader.messages)
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(_QUIET_S):
                        message = await anext(messages)
                    if not message.retain:
                        break  # what was kept comes first
                    await self._take(message)

    # -- committing --------------------------------------------------------------------------------------------

    async def _work(self, connection: Client) -> None:
        await self._confirm_known(connection)
        try:
            while True:
                await self._arrived.wait()
                await _through(self._commit_and_tell(connection))
        finally:
            if self._told is not None:
                await asyncio.wait({self._told}, timeout=_PUBLISH_S)

    async def _commit_and_tell(self, connection: Client) -> None:
        """Commit what waits, and begin to acknowledge it; the next commit need not wait for the broker."""
        group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
        self._room.set()
        if not self._waiting:
            self._arrived.clear()
        answers = await self._in_thread(group)
        if self._commits_left is not None:
            self._commits_left -= 1
            if self._commits_left == 0:
                os._exit(1)
        if self._told is not None:
            await self._told
        self._told = asyncio.create_task(self._tell(connection, answers))

    async def _in_thread(self, group: Sequence[aiomqtt.Message]) -> list[Answer]:
        loop, pause_s = asyncio.get_running_loop(), _RETRY_S
        heard: list[Heard] | None = None
        while True:
            try:
                if heard is None:
                    heard = await loop.run_in_executor(self._thread, self._understood, group)
                else:
                    await loop.run_in_executor(self._thread, self._store.reopen)
                return await loop.run_in_executor(self._thread, self._commit, heard)
            except LostError:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _MAX_RETRY_S)

    def _understood(self, group: Sequence[aiomqtt.Message]) -> list[Heard]:
        heard = []
        for message in group:
            try:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                heard.append(hear(message.topic.value, payload))
            except NonsenseError as nonsense:
                self.dropped[str(nonsense)] += 1
        return heard

    def _commit(self, heard: Sequence[Heard]) -> list[Answer]:
        if not heard:
            return []
        try:
            return self._store.commit(heard)
        except RefusedError:
            if len(heard) == 1:
                self.dropped["refused"] += 1
                return []
        return [answer for one in heard for answer in self._commit([one])]  # the bad one must not take others along

    # -- telling -----------------------------------------------------------------------------------------------

    async def _tell(self, connection: Client, answers: Sequence[Answer]) -> None:
        """Acknowledge: only now, after the commit, are the facts the backend's. What is not told is asked for again."""
        await asyncio.gather(*(self._say(connection, answer) for answer in answers), return_exceptions=True)

    @staticmethod
    async def _say(connection: Client, answer: Answer) -> None:
        # aiomqtt waits for the broker's answer even when the connection is gone.
        payload = msgspec.json.encode(answer.ack)
        await connection.publish(down(answer.node, "ack"), payload, qos=1, timeout=_PUBLISH_S)

    async def _confirm_known(self, connection: Client) -> None:
        """Acknowledge what was committed before the last end: whoever waits need not wait longer."""
        if self._share is None or self._share.first:
            loop = asyncio.get_running_loop()
            with contextlib.suppress(LostError):
                known = await loop.run_in_executor(self._thread, self._store.heads, _FEW)
                acks = [Answer(node, Ack(log_id=log_id, upto=upto, hash=link)) for node, log_id, upto, link in known]
                await self._tell(connection, acks)

    async def _ask(self, connection: Client) -> None:
        """Ask for facts that have been missing for long."""
        while True:
            await asyncio.sleep(_LOOK_S)
            with contextlib.suppress(LostError):
                overdue = await asyncio.get_running_loop().run_in_executor(self._thread, self._store.overdue)
                await self._tell(connection, overdue)

    async def _tell_time(self, connection: Client, message: aiomqtt.Message) -> None:
        with contextlib.suppress(NonsenseError, aiomqtt.MqttError):
            payload = message.payload if isinstance(message.payload, bytes) else b""
            heard = hear(message.topic.value, payload)
            if isinstance(heard.message, Hello):
                time = Time(wall_ms=clock.wall_ms(), asked_ms=heard.message.asked_ms)
                payload = msgspec.json.encode(time)
                await connection.publish(down(heard.node, "time"), payload, qos=1, timeout=_PUBLISH_S)

    def _aside(self, telling: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(telling)
        self._telling.add(task)  # kept, or asyncio forgets it
        task.add_done_callback(self._telling.discard)


async def _through(work: Coroutine[None, None, None]) -> None:
    """Carry ``work`` through, also when the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_FINISH_S)
        raise


async def _together(*parts: Coroutine[None, None, None]) -> None:
    """Run ``parts`` until one fails or all are done, end the others and raise what failed."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [end for end in ends if isinstance(end, Exception)]
    if errors:
        raise errors[0]
