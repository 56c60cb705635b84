"""MQTT as an upstream. The only importer of aiomqtt.

What aiomqtt 2.5 does not do and this file does:
- an attempt that ends without an answer to CONNECT leaves its socket open and waits its whole time-out even when the
  broker has hung up: ``_Client`` notices and cleans up. It also watches no descriptor that is closed by then;
- ``publish`` returns normally when the broker answers with an error, so nothing is ever concluded from it;
- it waits with ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that comes in the same turn of the
  loop as the answer: a task that was told to end would go on for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import ssl
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pilenode import clock
from pilenode.upstream.channels import CHANNELS
from pilenode.upstream.contract import (
    MAX_ACK_BYTES,
    MAX_TIME_BYTES,
    Ack,
    IncomingCommand,
    Live,
    Time,
    UpstreamLostError,
    down,
    other_major,
    up,
)
from pilenode.upstream.dialect import PATIENCE_S, Dialect, Version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from config.schema import Upstream as Settings
    from pilenode.upstream.contract import FactBatch, Hello, StateReport, UpLeaf
    from pilenode.upstream.facts import CommandResult

#: Larger messages are dropped unread (a broker that speaks 5 is asked not to send them at all).
MAX_MESSAGE_BYTES: Final = 64 * 1024
_MAX_WAITING: Final = 64
_KEEPALIVE_S: Final = 60
_LEAVE_S: Final = 2.0
_RETAINED: Final = frozenset(one.leaf for one in CHANNELS if one.retained)
#: Names one connection: by chance, because a clock that starts anew at each boot would name two of them alike.
_SESSION_BITS: Final = 52
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_PROTOCOLS: Final = {Version.V5: aiomqtt.ProtocolVersion.V5, Version.V311: aiomqtt.ProtocolVersion.V311}
#: CONNACK reasons that are about the version: unspecified (an answer in 3.1.1 is read as this), malformed packet,
#: protocol error, unsupported protocol version (MQTT 5.0, 3.2.2.2).
_VERSION_REASONS: Final = frozenset({0x80, 0x81, 0x82, 0x84})

_silent = logging.getLogger("pilenode.upstream.mqtt")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


_Answer = TypeVar("_Answer")
_Said = TypeVar("_Said", Ack, Time)


class _RefusedError(Exception):
    """The broker is there and did not accept the connection in this version."""


class _Client(aiomqtt.Client):
    """A client that tells a silent broker from an absent one, and leaves nothing open behind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - aiomqtt's own signature
        super().__init__(*args, **kwargs)
        self.reached = False  # the transport stood; what failed after that is the protocol
        self._answered = False  # the answer to CONNECT is not waited for any more

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ANN401 - aiomqtt's own signature
        self.reached = True
        super()._on_socket_open(client, userdata, sock)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002 - as above
        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # noqa: BLE001 - whatever breaks a write has broken the connection
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def watch() -> None:
            # aiomqtt takes the descriptor when it asks; by now it may be closed, or belong to somebody else.
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(watch)  # may come from the thread that connects

    def _on_disconnect(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - aiomqtt's own signature
        super()._on_disconnect(*args, **kwargs)
        # aiomqtt ignores a hang-up before CONNACK. May come from the thread that connects.
        self._loop.call_soon_threadsafe(self._hung_up)

    def _hung_up(self) -> None:
        if not self._answered and not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("the broker hung up"))

    async def _wait_for(self, fut: Awaitable[_Answer], timeout: float | None) -> _Answer:  # noqa: ASYNC109 - aiomqtt's own signature
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    async def enter(self) -> None:
        """Connect. Raises MqttCodeError when the broker says no, MqttError when it says nothing or is not there."""
        try:
            await self.__aenter__()
        finally:
            self._answered = True

    def abandon(self) -> None:
        """Close the socket of a connection that never came about or broke."""
        self._client.disconnect()
        self._client.loop_write()
        if self._disconnected.done():
            self._disconnected.exception()  # seen; asyncio would complain about it later


class MqttUpstream:
    """A backend behind an MQTT broker. ``node`` is this cabinet's name in every topic."""

    def __init__(self, settings: Settings, node: str) -> None:
        self.dropped: Counter[str] = Counter()
        self._settings = settings
        self._node = node
        self._dialect = Dialect()

    @property
    def url(self) -> str:
        """Return where the broker is."""
        return self._settings.url

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[MqttLink]:
        """Connect, subscribe and announce. Raises UpstreamLostError."""
        # Names one connection: the death of an older one, told late, must not be taken for the death of this one.
        session = secrets.randbits(_SESSION_BITS)
        client, version = await self._open(session)
        link = MqttLink(client, version, self._node, self.dropped)
        try:
            await link.announce(Live(session=session, online=True))
            yield link
        finally:
            client.timeout = _LEAVE_S
            with contextlib.suppress(UpstreamLostError):
                await link.announce(Live(session=session, online=False))  # an orderly end speaks no will
            await _leave(client)

    async def _open(self, session: int) -> tuple[_Client, Version]:
        refusals = []
        for version, patience_s in self._dialect.plan(clock.monotonic_s()):
            try:
                client = await self._attempt(version, patience_s, session)
            except _RefusedError as refusal:
                self._dialect.refused(version, clock.monotonic_s())
                refusals.append(f"{version.value}: {refusal}")
                continue
            self._dialect.worked(version, clock.monotonic_s())
            client.timeout = PATIENCE_S
            return client, version
        raise UpstreamLostError("; ".join(refusals))

    async def _attempt(self, version: Version, patience_s: float, session: int) -> _Client:
        """Return a connected client. Raises _RefusedError when another version may work, else UpstreamLostError."""
        client = await self._client(version, patience_s, session)
        try:
            await client.enter()
        except aiomqtt.MqttCodeError as error:
            client.abandon()
            if _reason(error) in _VERSION_REASONS:
                raise _RefusedError(str(error)) from error
            raise UpstreamLostError(str(error)) from error
        except aiomqtt.MqttError as error:
            client.abandon()
            if client.reached:
                raise _RefusedError(str(error)) from error
            raise UpstreamLostError(str(error)) from error
        except ValueError as error:  # a name that cannot be one
            raise UpstreamLostError(f"address: {error}") from error
        except BaseException:
            client.abandon()
            raise
        return client

    async def _client(self, version: Version, patience_s: float, session: int) -> _Client:
        settings = self._settings
        try:
            parts = urlsplit(settings.url)
            port = parts.port or _PORTS[parts.scheme]
            password, tls = await asyncio.to_thread(_secrets, settings, tls=parts.scheme == "mqtts")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UpstreamLostError(f"address or credentials: {error}") from error
        properties = None
        if version is Version.V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
            properties.MaximumPacketSize = 2 * MAX_MESSAGE_BYTES
        gone = msgspec.json.encode(Live(session=session, online=False))
        return _Client(
            parts.hostname or "",
            port,
            identifier=f"pn-{self._node}",
            protocol=_PROTOCOLS[version],
            username=settings.username or None,
            password=password,
            tls_context=tls,
            will=aiomqtt.Will(up(self._node, "live"), gone, qos=1, retain=True),
            keepalive=_KEEPALIVE_S,
            timeout=patience_s,
            properties=properties,
            max_queued_incoming_messages=_MAX_WAITING,
            logger=_silent,
        )


class MqttLink:
    """One connection to a broker."""

    def __init__(self, client: _Client, version: Version, node: str, dropped: Counter[str]) -> None:
        self._client = client
        self._version = version
        self._node = node
        self._dropped = dropped
        self._ack, self._cmd, self._time = down(node, "ack"), down(node, "cmd"), down(node, "time")

    @property
    def protocol(self) -> str:
        """Return what is spoken."""
        return self._version.value

    async def announce(self, live: Live) -> None:
        """Tell that the cabinet is there, after it can hear; or that it leaves."""
        if live.online:
            try:
                await self._client.subscribe([(self._ack, 1), (self._cmd, 1), (self._time, 1)])
            except aiomqtt.MqttError as error:
                raise UpstreamLostError(str(error)) from error
        await self._publish("live", live)

    async def hello(self, message: Hello) -> None:
        """Send the first message of a connection."""
        await self._publish("hello", message)

    async def facts(self, batch: FactBatch) -> None:
        """Send a batch of facts."""
        await self._publish("ev", batch)

    async def state(self, report: StateReport) -> None:
        """Send the present state."""
        await self._publish("st", report)

    async def result(self, result: CommandResult) -> None:
        """Send what became of a command."""
        await self._publish("res", result)

    async def incoming(self) -> AsyncIterator[Ack | Time | IncomingCommand]:
        """Yield what the backend says, until the connection is lost."""
        try:
            async for message in self._client.messages:
                heard = self._hear(message)
                if heard is not None:
                    yield heard
        except aiomqtt.MqttError as error:
            raise UpstreamLostError(str(error)) from error

    def _hear(self, message: aiomqtt.Message) -> Ack | Time | IncomingCommand | None:
        topic, payload = message.topic.value, message.payload
        caps = {self._ack: MAX_ACK_BYTES, self._cmd: MAX_MESSAGE_BYTES, self._time: MAX_TIME_BYTES}
        if not isinstance(payload, bytes) or topic not in caps:
            self._dropped["foreign"] += 1
        elif len(payload) > caps[topic]:
            self._dropped["oversized"] += 1
        elif topic == self._cmd:
            return IncomingCommand(payload, retained=message.retain)  # whose refusal is answered, not only counted
        elif other_major(payload) is not None:
            self._dropped["protocol_mismatch"] += 1
        elif topic == self._time and message.retain:
            self._dropped["retained_time"] += 1  # as old as the broker likes
        else:
            return self._decode(payload, Time, "time") if topic == self._time else self._decode(payload, Ack, "ack")
        return None

    def _decode(self, payload: bytes, kind: type[_Said], word: str) -> _Said | None:
        try:
            return msgspec.json.decode(payload, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._dropped[f"malformed_{word}"] += 1
        return None

    async def _publish(self, leaf: UpLeaf, message: msgspec.Struct) -> None:
        try:
            payload, retain = msgspec.json.encode(message), leaf in _RETAINED
            await self._client.publish(up(self._node, leaf), payload, qos=1, retain=retain)
        except aiomqtt.MqttError as error:
            raise UpstreamLostError(str(error)) from error


def _secrets(settings: Settings, *, tls: bool) -> tuple[str | None, ssl.SSLContext | None]:
    """Return password and TLS context. Reads files: not for the event loop. Raises OSError and ValueError."""
    password = None
    if settings.password_file:
        password = Path(settings.password_file).read_text(encoding="utf-8").strip()
    if not tls:
        return password, None
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate_file:
        context.load_cert_chain(settings.certificate_file, settings.key_file or None)
    return password, context


def _reason(error: aiomqtt.MqttCodeError) -> int:
    """Return the reason of a refused CONNECT as MQTT 5 numbers it."""
    return error.rc if isinstance(error.rc, int) else getattr(error.rc, "value", 0)


async def _leave(client: _Client) -> None:
    # Whatever the broker does to a connection that is being left is of no interest any more.
    with contextlib.suppress(Exception):
        await client.__aexit__(None, None, None)
    client.abandon()
