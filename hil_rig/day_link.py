"""A broker and a backend within one process: takes what a cabinet would publish, counts it, stores and confirms it.

The cabinet's side is its own (``pilenode.upstream.mqtt_link``), down to the bytes of every payload. The backend's is
the reference store. Between them nothing is lost and everything takes a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import aiomqtt
import msgspec

from hil_rig.upstream.store import Heard, Store
from pilenode import clock
from pilenode.upstream.contract import Hello, Live, Time, down
from pilenode.upstream.dialect import Version
from pilenode.upstream.drops import Drops
from pilenode.upstream.mqtt_link import MqttLink
from pilenode.upstream.packing import unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from paho.mqtt.properties import Properties

    from config.schema import Upstream as Settings
    from pilenode.upstream.contract import Problem
    from pilenode.upstream.mqtt_client import Client

#: From here to the backend and its commit, seconds.
_AWAY_S: Final = 0.15
#: Around every publish: TCP, IP and TLS, bytes.
OVERHEAD_BYTES: Final = 60
#: Fixed header and length of MQTT up to 16 KiB, length of the topic, packet identifier.
_HEADER_BYTES: Final = 3 + 2 + 2


@dataclass(slots=True)
class Wire:
    """What went over the line, per leaf of the topic. ``sent`` is payload, topic, MQTT header and overhead."""

    publishes: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    batches: list[int] = field(default_factory=list)  # facts in each batch

    def count(self, topic: str, payload: bytes, properties: bytes = b"\0") -> None:
        """Count one publish."""
        leaf = topic.rpartition("/")[2]
        self.publishes[leaf] += 1
        self.sent[leaf] += len(payload) + len(topic.encode()) + len(properties) + _HEADER_BYTES + OVERHEAD_BYTES


class _Desk:
    """Stands for the client of one connection and for everything behind it."""

    def __init__(self, node: str, store: Store, up: Wire, down_: Wire) -> None:
        self._node = node
        self._store = store
        self._up = up
        self._down = down_
        self._inbox: asyncio.Queue[aiomqtt.Message] = asyncio.Queue()

    async def subscribe(self, _: object) -> None:
        """Take any subscription."""

    @property
    def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield what is for the cabinet."""
        return self._messages()

    async def _messages(self) -> AsyncIterator[aiomqtt.Message]:
        while True:
            yield await self._inbox.get()

    async def say(self, topic: str, payload: bytes, *, retain: bool, properties: Properties | None) -> int:
        """Take a publish; return the reason of the answer, 0: taken."""
        del retain
        packed = properties.pack() if properties is not None else b"\0"  # type: ignore[no-untyped-call] # paho's own
        self._up.count(topic, payload, packed)
        await asyncio.sleep(_AWAY_S)
        leaf = topic.rpartition("/")[2]
        if leaf == "hello":
            hello = msgspec.json.decode(payload, type=Hello)
            self.send("time", msgspec.json.encode(Time(wall_ms=clock.wall_ms(), asked_ms=hello.asked_ms)))
            self.send("ack", msgspec.json.encode(self._store.greet(self._node, hello)))
        elif leaf == "ev":
            batch = unpack(payload)
            self._up.batches.append(len(batch.facts))
            (answer,) = self._store.commit([Heard(self._node, batch)])
            self.send("ack", msgspec.json.encode(answer.ack))
        return 0

    def send(self, leaf: str, payload: bytes) -> None:
        """Send something to the cabinet."""
        topic = down(self._node, leaf)  # type: ignore[arg-type]
        self._down.count(topic, payload)
        self._inbox.put_nowait(aiomqtt.Message(topic, payload, 1, False, 1, None))  # noqa: FBT003 - aiomqtt's own


class DayUpstream:
    """Reaches the backend at once, for as long as the day lasts (in the place of ``MqttUpstream``)."""

    url = "day://"

    def __init__(self, settings: Settings, node: str) -> None:
        del settings
        self.dropped = Drops(clock.monotonic_s)
        self.problem: Problem | None = None
        self.up, self.down = Wire(), Wire()
        self.store = Store(Path(":memory:"))
        self._node = node
        self._desk: _Desk | None = None

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[MqttLink]:
        """Connect."""
        self._desk = _Desk(self._node, self.store, self.up, self.down)
        link = MqttLink(cast("Client", self._desk), Version.V5, self._node, self.dropped)
        await link.announce(Live(session=1, online=True))
        yield link

    def command(self, payload: bytes) -> None:
        """Send a command to the cabinet."""
        if self._desk is not None:
            self._desk.send("cmd", payload)
