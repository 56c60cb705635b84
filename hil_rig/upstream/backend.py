"""The MQTT side of the reference backend. Speaks 3.1.1 or 5; needs nothing of 5."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiomqtt
import msgspec

from pilenode import clock
from pilenode.upstream.contract import (
    ROOT,
    Ack,
    Command,
    Hello,
    StateReport,
    Time,
    down,
    other_major,
    up,
)
from pilenode.upstream.facts import CommandResult
from pilenode.upstream.packing import PackingError, unpack

if TYPE_CHECKING:
    from hil_rig.upstream.store import Store

VERSIONS: Final = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}
_RETRY_S: Final = 0.2
_REPEAT_S: Final = 1.0
_PUBLISH_S: Final = 2.0
_PARTS: Final = 5  # pn/v1/<node>/up/<leaf>

_silent = logging.getLogger("hil_rig.upstream")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def _client(url: str, version: str) -> aiomqtt.Client:
    parts = urlsplit(url)
    return aiomqtt.Client(
        parts.hostname or "127.0.0.1",
        parts.port or 1883,
        identifier=f"backend-{secrets.token_hex(4)}",
        protocol=VERSIONS[version],
        logger=_silent,
    )


class Backend:
    """Subscribes to every node, stores, acknowledges. ``dropped`` counts what did not make sense, by leaf."""

    def __init__(self, url: str, store: Store, version: str = "3.1.1") -> None:
        self.dropped: Counter[str] = Counter()
        self.connected = asyncio.Event()
        self._url = url
        self._store = store
        self._version = version

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with _client(self._url, self._version) as client:
                    await client.subscribe(f"{ROOT}/+/up/#", qos=1)
                    self.connected.set()
                    for node, log_id, _ in self._store.logs():  # whoever waits for us need not wait longer
                        await self._confirm(client, node, self._ack(node, log_id))
                    async for message in client.messages:
                        await self._take(client, message)
            self.connected.clear()
            await asyncio.sleep(_RETRY_S)

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        parts = message.topic.value.split("/")
        payload = message.payload if isinstance(message.payload, bytes) else b""
        if len(parts) != _PARTS:
            self.dropped["topic"] += 1
            return
        node, leaf = parts[2], parts[4]
        if other_major(payload) is not None:
            self.dropped["protocol_mismatch"] += 1
            return
        if leaf == "hello":
            await self._tell_time(client, node, payload)
        try:
            ack = self._keep(node, leaf, payload)
        except (msgspec.DecodeError, UnicodeDecodeError, PackingError):
            self.dropped[leaf] += 1
            return
        if ack is not None:
            await self._confirm(client, node, ack)  # only now, after the commit, is the fact the backend's

    @staticmethod
    async def _confirm(client: aiomqtt.Client, node: str, ack: Ack) -> None:
        # aiomqtt waits for the broker's answer even when the connection is gone.
        await client.publish(down(node, "ack"), msgspec.json.encode(ack), qos=1, timeout=_PUBLISH_S)

    @staticmethod
    async def _tell_time(client: aiomqtt.Client, node: str, payload: bytes) -> None:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            asked_ms = msgspec.json.decode(payload, type=Hello).asked_ms
            time = Time(wall_ms=clock.wall_ms(), asked_ms=asked_ms)
            await client.publish(down(node, "time"), msgspec.json.encode(time), qos=1, timeout=_PUBLISH_S)

    def _ack(self, node: str, log_id: str) -> Ack:
        upto, digest = self._store.head(node, log_id)
        return Ack(log_id=log_id, upto=upto, hash=digest)

    def _keep(self, node: str, leaf: str, payload: bytes) -> Ack | None:
        if leaf == "ev":
            batch = unpack(payload)
            self._store.keep(node, batch)
            return self._ack(node, batch.log_id)
        if leaf == "hello":
            hello = msgspec.json.decode(payload, type=Hello)
            self._store.greet(node, hello)
            return self._ack(node, hello.log_id)
        if leaf == "res":
            self._store.keep_result(node, msgspec.json.decode(payload, type=CommandResult))
        elif leaf in ("st", "live"):
            self._store.keep_latest(node, leaf, payload)
        else:
            self.dropped[leaf] += 1
        return None


async def send(
    url: str, node: str, command: Command, *, version: str = "3.1.1", timeout_s: float = 10.0
) -> CommandResult:
    """Send a command, again and again until the node says what became of it. Raises TimeoutError.

    A broker keeps no command for a node that is away, and the node answers a repeated one from its journal. A node that
    does not know the time asks for its challenge, which stands in its state.
    """
    async with asyncio.timeout(timeout_s), _client(url, version) as client:
        result_topic, state_topic = up(node, "res"), up(node, "st")
        asking = _Asking(client, down(node, "cmd"), command)
        await client.subscribe([(result_topic, 1), (state_topic, 1)])
        repeating = asyncio.create_task(asking.repeat())
        try:
            async for message in client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                if message.topic.value == state_topic:
                    asking.hear(payload)
                if message.topic.value != result_topic:
                    continue  # amqtt 0.12 hands every retained message to a new subscriber
                result = msgspec.json.decode(payload, type=CommandResult)
                if result.id == command.id and result.code != "challenge_needed":
                    return result
        finally:
            repeating.cancel()
    raise TimeoutError


class _Asking:
    """One command that is sent until it is answered, each time with the newest challenge."""

    def __init__(self, client: aiomqtt.Client, topic: str, command: Command) -> None:
        self._client = client
        self._topic = topic
        self._command = command
        self._news = asyncio.Event()

    def hear(self, state: bytes) -> None:
        """Take the challenge out of a state report."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            challenge = msgspec.json.decode(state, type=StateReport).challenge
            if challenge != self._command.nonce:
                self._command = msgspec.structs.replace(self._command, nonce=challenge)
                self._news.set()

    async def repeat(self) -> None:
        """Send it once a second, and at once when the challenge is another one."""
        while True:
            self._news.clear()
            await self._client.publish(self._topic, msgspec.json.encode(self._command), qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REPEAT_S):
                    await self._news.wait()
