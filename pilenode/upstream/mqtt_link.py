"""One connection to a broker: what a cabinet says and hears over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pilenode.ipc.bounded import UnfitError, outer_keys
from pilenode.upstream.channels import CHANNELS
from pilenode.upstream.contract import (
    MAX_ACK_BYTES,
    MAX_TIME_BYTES,
    Ack,
    IncomingCommand,
    Live,
    NotTakenError,
    Problem,
    Time,
    UpstreamLostError,
    down,
    other_major,
    up,
)
from pilenode.upstream.desired import MAX_DESIRED_BYTES, IncomingConfig
from pilenode.upstream.dialect import Version
from pilenode.upstream.packing import DEFLATED, JSON, pack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pilenode.upstream.contract import FactBatch, Hello, StateReport, UpLeaf
    from pilenode.upstream.drops import Drops
    from pilenode.upstream.facts import CommandResult
    from pilenode.upstream.mqtt_client import Client

#: Larger messages are dropped unread (a broker that speaks 5 is asked not to send them at all).
MAX_MESSAGE_BYTES: Final = 64 * 1024
_RETAINED: Final = frozenset(one.leaf for one in CHANNELS if one.retained)
#: Reasons in the answer to a publish: no matching subscribers; those from here on are errors; quota exceeded, packet
#: identifier in use aside (MQTT 5.0, table 3-4).
_NOBODY: Final = 0x10
_REFUSED_FROM: Final = 0x80
_REASONS: Final = {0x97: "upstream_quota"}
_Said = TypeVar("_Said", Ack, Time)


class MqttLink:
    """One connection to a broker."""

    def __init__(self, client: Client, version: Version, node: str, dropped: Drops) -> None:
        self._client = client
        self._version = version
        self._node = node
        self._dropped = dropped
        self._ack, self._cmd, self._time = down(node, "ack"), down(node, "cmd"), down(node, "time")
        self._cfg = down(node, "cfg")

    @property
    def protocol(self) -> str:
        """Return what is spoken."""
        return self._version.value

    async def announce(self, live: Live) -> None:
        """Tell that the cabinet is there, after it can hear; or that it leaves."""
        if live.online:
            try:
                await self._client.subscribe([(self._ack, 1), (self._cmd, 1), (self._time, 1), (self._cfg, 1)])
            except aiomqtt.MqttError as error:
                raise UpstreamLostError(str(error)) from error
        await self._publish("live", live)

    async def hello(self, message: Hello) -> None:
        """Send the first message of a connection."""
        await self._publish("hello", message)

    async def facts(self, batch: FactBatch) -> int:
        """Send a batch of facts. Return how many bytes that were."""
        payload = await asyncio.to_thread(pack, batch)  # some ms of a small processor: others have a turn meanwhile
        await self._say("ev", payload, JSON if payload[:1] == b"{" else DEFLATED)
        return len(payload)

    async def state(self, report: StateReport) -> None:
        """Send the present state."""
        await self._publish("st", report)

    async def result(self, result: CommandResult) -> None:
        """Send what became of a command."""
        await self._publish("res", result)

    async def incoming(self) -> AsyncIterator[Ack | Time | IncomingCommand | IncomingConfig]:
        """Yield what the backend says, until the connection is lost."""
        try:
            async for message in self._client.messages:
                heard = self._hear(message)
                if heard is not None:
                    yield heard
        except aiomqtt.MqttError as error:
            raise UpstreamLostError(str(error.__cause__ or error)) from error  # the library's own words say less

    def _hear(self, message: aiomqtt.Message) -> Ack | Time | IncomingCommand | IncomingConfig | None:
        topic, payload = message.topic.value, message.payload
        caps = {self._ack: MAX_ACK_BYTES, self._cmd: MAX_MESSAGE_BYTES, self._time: MAX_TIME_BYTES}
        if topic == self._cfg and isinstance(payload, bytes):
            # Like a command it is refused with a reason; a little more than may be read is enough to know that it is.
            return IncomingConfig(payload[: MAX_DESIRED_BYTES + 1])
        if not isinstance(payload, bytes) or topic not in caps:
            self._dropped.note("foreign")
        elif len(payload) > caps[topic]:
            self._dropped.note("oversized")
        elif topic == self._cmd:
            return IncomingCommand(payload, retained=message.retain)  # whose refusal is answered, not only counted
        elif (unfit := _unfit(payload, caps[topic])) is not None:
            self._dropped.note(f"malformed_{topic.rpartition('/')[2]}" if unfit == "malformed" else unfit)
        elif other_major(payload) is not None:
            self._dropped.note("protocol_mismatch")
        elif topic == self._time and message.retain:
            self._dropped.note("retained_time")  # as old as the broker likes
        else:
            return self._decode(payload, Time, "time") if topic == self._time else self._decode(payload, Ack, "ack")
        return None

    def _decode(self, payload: bytes, kind: type[_Said], word: str) -> _Said | None:
        try:
            return msgspec.json.decode(payload, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._dropped.note(f"malformed_{word}")
        return None

    async def _publish(self, leaf: UpLeaf, message: msgspec.Struct) -> None:
        await self._say(leaf, msgspec.json.encode(message), JSON)

    async def _say(self, leaf: UpLeaf, payload: bytes, content_type: str) -> None:
        properties = None
        if self._version is Version.V5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
            properties.ContentType = content_type
        try:
            reason = await self._client.say(
                up(self._node, leaf), payload, retain=leaf in _RETAINED, properties=properties
            )
        except aiomqtt.MqttError as error:
            raise UpstreamLostError(str(error)) from error
        problem = not_taken(reason)
        if problem is not None and not (reason == _NOBODY and leaf in _RETAINED):  # the broker keeps it for who comes
            raise NotTakenError(problem)


def _unfit(payload: bytes, most_bytes: int) -> str | None:
    """Return why nobody should decode ``payload``, None when it is fit."""
    try:
        outer_keys(payload, most_bytes)
    except UnfitError as unfit:
        return unfit.code
    return None


def not_taken(reason: int) -> Problem | None:
    """Return what a reason of the broker's answer to a publish means, None where it took the message (MQTT 5, 3.4.2.1).

    With "no matching subscribers" the broker has taken it and thrown it away.
    """
    if reason == _NOBODY:
        return Problem("upstream_nobody_listens", f"0x{reason:02x}")
    if reason < _REFUSED_FROM:
        return None
    return Problem(_REASONS.get(reason, "upstream_publish_refused"), f"0x{reason:02x}")
