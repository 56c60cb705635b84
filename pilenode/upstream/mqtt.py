"""MQTT as an upstream. The only importer of aiomqtt.

What aiomqtt 2.5 does not do and this file does:
- an attempt that ends without an answer to CONNECT leaves its socket open and waits its whole time-out even when the
  broker has hung up: ``_Client`` notices and cleans up. It also watches no descriptor that is closed by then;
- ``publish`` returns normally when the broker answers with an error, so nothing is ever concluded from it;
- it tells a time-out where the broker said why: after a failure that the broker had a part in, ``diagnosis`` asks again
  (not where nobody answered at all: a broker that comes back must not be met by twice its fleet);
- it waits with ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that comes in the same turn of the
  loop as the answer: a task that was told to end would go on for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pilenode import clock
from pilenode.identity import diagnosis
from pilenode.identity.store import Pair, Store
from pilenode.identity.words import BLAMED
from pilenode.upstream.channels import CHANNELS
from pilenode.upstream.contract import (
    MAX_ACK_BYTES,
    MAX_TIME_BYTES,
    Ack,
    IncomingCommand,
    Live,
    Problem,
    Time,
    UpstreamLostError,
    down,
    other_major,
    up,
)
from pilenode.upstream.desired import MAX_DESIRED_BYTES, IncomingConfig
from pilenode.upstream.dialect import PATIENCE_S, Dialect, Version

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from config.schema import Upstream as Settings
    from pilenode.upstream.contract import FactBatch, Hello, StateReport, UpLeaf
    from pilenode.upstream.facts import CommandResult

#: Larger messages are dropped unread (a broker that speaks 5 is asked not to send them at all).
MAX_MESSAGE_BYTES: Final = 64 * 1024
_MAX_WAITING: Final = 64
_KEEPALIVE_S: Final = 60
_LEAVE_S: Final = 2.0
#: How often a connection looks whether a new certificate is to be tried, seconds.
_LOOK_S: Final = 2.0
#: How often a new certificate is tried while the broker says nothing clear, before the old one is shown again.
_TRIES: Final = 3
_EXAMINE_S: Final = 3.0
#: Between two closer looks at a broker that does not let us in, seconds.
_DIAGNOSE_S: Final = 60.0
_RETAINED: Final = frozenset(one.leaf for one in CHANNELS if one.retained)
#: Names one connection: by chance, because a clock that starts anew at each boot would name two of them alike.
_SESSION_BITS: Final = 52
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


class _ReachedError(UpstreamLostError):
    """The broker is there and would not have us; what that was may have to do with the certificate."""


class _UnusableError(_ReachedError):
    """Certificate, key or password cannot be read."""


class _EarlyError(Exception):
    """The broker's certificate is not valid yet: the clock is behind."""


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

    def give_up(self, why: str) -> None:
        """End a standing connection as if it were lost."""
        if not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError(why))

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
        self.problem: Problem | None = None
        self._settings = settings
        self._node = node
        self._dialect = Dialect()
        self._store = Store(Path(settings.identity_dir)) if settings.identity_dir else None
        self._check_dates = True  # of the broker's certificate; not while the clock is behind them
        self._diagnosed_s: float | None = None
        self._stuck = False  # a certificate that was tried could not be moved
        self._looking: asyncio.Task[Problem] | None = None  # kept, or asyncio forgets it

    @property
    def url(self) -> str:
        """Return where the broker is."""
        return self._settings.url

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[MqttLink]:
        """Connect, subscribe and announce. Raises UpstreamLostError."""
        # Names one connection: the death of an older one, told late, must not be taken for the death of this one.
        session = secrets.randbits(_SESSION_BITS)
        client, version, pair = await self._open(session)
        link = MqttLink(client, version, self._node, self.dropped)
        watching = None
        try:
            await link.announce(Live(session=session, online=True))
            if self._looking is not None:
                self._looking.cancel()
            self.problem = self._diagnosed_s = self._looking = None
            await self._keep(pair)
            watching = asyncio.create_task(self._watch(client))
            yield link
        finally:
            if watching is not None:
                watching.cancel()
            client.timeout = _LEAVE_S
            with contextlib.suppress(UpstreamLostError):
                await link.announce(Live(session=session, online=False))  # an orderly end speaks no will
            await _leave(client)

    # -- certificates ------------------------------------------------------------------------------------------

    async def _open(self, session: int) -> tuple[_Client, Version, Pair]:
        """Connect with the best certificate that the broker takes. A new one that it does not is put aside."""
        self._stuck = False
        pairs = await asyncio.to_thread(self._pairs)
        blame = None
        for pair in pairs:
            has_another = pair.slot == "next" and pair is not pairs[-1]
            for left in reversed(range(_TRIES if has_another else 1)):
                try:
                    client, version = await self._open_with(pair, session)
                except _ReachedError as lost:
                    if not has_another:
                        self._look_closely_soon(pair, lost)
                        raise
                    problem = await self._look_closely(pair, lost)
                    if left == 0 or problem.code in BLAMED or isinstance(lost, _UnusableError):
                        blame = problem
                        break
                else:
                    await self._put_away(blame)
                    return client, version, pair
        raise UpstreamLostError("no certificate")  # pragma: no cover - the last pair has raised

    async def _put_away(self, blame: Problem | None) -> None:
        """Take the new certificate away that the broker would not have while it took the old one."""
        if blame is not None and self._store is not None:
            await self._move(self._store.reject, blame.code)

    def _pairs(self) -> tuple[Pair, ...]:
        settings = self._settings
        if self._store is None:
            configured = (Path(name) if name else None for name in (settings.certificate_file, settings.key_file))
            return (Pair("configured", *configured),)
        return self._store.pairs() or (Pair("none"),)

    async def _keep(self, pair: Pair) -> None:
        if pair.slot == "next" and self._store is not None:
            await self._move(self._store.promote)

    async def _move(self, move: Callable[..., None], *words: str) -> None:
        """Let a certificate that was tried change its place; where that fails, it is tried again next time only."""
        try:
            await asyncio.to_thread(move, *words)
        except OSError:
            self._stuck = True

    async def _watch(self, client: _Client) -> None:
        """End the connection when a new certificate is to be tried."""
        if self._store is None or self._stuck:
            return
        while not await asyncio.to_thread(self._store.has_next):  # noqa: ASYNC110 - another program puts it there
            await asyncio.sleep(_LOOK_S)
        client.give_up("a new certificate is to be tried")

    def _look_closely_soon(self, pair: Pair, lost: _ReachedError) -> None:
        """Find out why, without keeping the next attempt waiting, and not at every one."""
        now = clock.monotonic_s()
        if isinstance(lost, _UnusableError) or (
            self._diagnosed_s is not None and now - self._diagnosed_s < _DIAGNOSE_S
        ):
            return
        self._diagnosed_s = now
        self.problem = self.problem or Problem("broker_hangs_up", str(lost)[:200])
        self._looking = asyncio.create_task(self._look_closely(pair, lost))

    async def _look_closely(self, pair: Pair, lost: _ReachedError) -> Problem:
        if isinstance(lost, _UnusableError) and self.problem is not None:
            return self.problem
        found = await asyncio.to_thread(self._examine, pair)
        # Let in this time: what it was has passed.
        problem = Problem(found.code or "broker_hangs_up", found.detail or str(lost)[:200])
        self.problem = problem
        return problem

    def _examine(self, pair: Pair) -> diagnosis.Diagnosis:
        try:
            return diagnosis.examine(diagnosis.target(self._settings, self._node, pair), _EXAMINE_S)
        except (OSError, ValueError) as error:
            return diagnosis.Diagnosis("identity_unreadable", str(error)[:200])

    # -- one connection ----------------------------------------------------------------------------------------

    async def _open_with(self, pair: Pair, session: int) -> tuple[_Client, Version]:
        refusals = []
        for version, patience_s in self._dialect.plan(clock.monotonic_s()):
            try:
                client = await self._attempt(version, patience_s, session, pair)
            except _RefusedError as refusal:
                self._dialect.refused(version, clock.monotonic_s())
                refusals.append(f"{version.value}: {refusal}")
                continue
            self._dialect.worked(version, clock.monotonic_s())
            client.timeout = PATIENCE_S
            return client, version
        raise _ReachedError("; ".join(refusals))

    async def _attempt(self, version: Version, patience_s: float, session: int, pair: Pair) -> _Client:
        """Return a connected client. Raises _RefusedError when another version may work, else UpstreamLostError."""
        self._check_dates = True
        try:
            return await self._enter(await self._client(version, patience_s, session, pair))
        except _EarlyError:
            self._check_dates = False
            return await self._enter(await self._client(version, patience_s, session, pair))

    async def _enter(self, client: _Client) -> _Client:
        try:
            await client.enter()
        except aiomqtt.MqttCodeError as error:
            client.abandon()
            if _reason(error) in _VERSION_REASONS:
                raise _RefusedError(str(error)) from error
            raise _ReachedError(str(error)) from error
        except aiomqtt.MqttError as error:
            client.abandon()
            if client.reached:
                raise _RefusedError(str(error)) from error
            raise self._not_reached(error) from error
        except ValueError as error:  # a name that cannot be one
            raise UpstreamLostError(f"address: {error}") from error
        except BaseException:
            client.abandon()
            raise
        return client

    def _not_reached(self, error: aiomqtt.MqttError) -> Exception:
        """Return what a connection that did not come about is to be called, and remember why it did not."""
        cause = error.__context__  # aiomqtt hides it, but does not forget it
        if diagnosis.clock_is_behind(cause) and self._check_dates:
            return _EarlyError()
        if cause is None:
            return UpstreamLostError(str(error))
        found = diagnosis.of_error(cause, has_certificate=True)
        self.problem = Problem(found.code, found.detail)
        return _ReachedError(str(error)) if found.code in BLAMED else UpstreamLostError(str(error))

    async def _client(self, version: Version, patience_s: float, session: int, pair: Pair) -> _Client:
        settings = self._settings
        try:
            parts = urlsplit(settings.url)
            port = parts.port or diagnosis.PORTS[parts.scheme]
            password, tls = await asyncio.to_thread(_secrets, settings, pair, check_dates=self._check_dates)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.problem = Problem("identity_unreadable", str(error)[:200])
            raise _UnusableError(f"address or credentials: {error}") from error
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

    async def facts(self, batch: FactBatch) -> None:
        """Send a batch of facts."""
        await self._publish("ev", batch)

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


def _secrets(settings: Settings, pair: Pair, *, check_dates: bool) -> tuple[str | None, ssl.SSLContext | None]:
    """Return password and TLS context. Reads files: not for the event loop. Raises OSError and ValueError."""
    password = None
    if settings.password_file:
        password = Path(settings.password_file).read_text(encoding="utf-8").strip()
    if urlsplit(settings.url).scheme != "mqtts":
        return password, None
    certificate, key = (str(path) if path is not None else "" for path in (pair.certificate, pair.key))
    return password, diagnosis.tls_context(settings.ca_file, certificate, key, check_dates=check_dates)


def _reason(error: aiomqtt.MqttCodeError) -> int:
    """Return the reason of a refused CONNECT as MQTT 5 numbers it."""
    return error.rc if isinstance(error.rc, int) else getattr(error.rc, "value", 0)


async def _leave(client: _Client) -> None:
    # Whatever the broker does to a connection that is being left is of no interest any more.
    with contextlib.suppress(Exception):
        await client.__aexit__(None, None, None)
    client.abandon()
