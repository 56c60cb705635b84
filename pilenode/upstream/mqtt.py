"""MQTT as an upstream: finds a connection that the broker takes (``mqtt_client``, ``mqtt_link``).

aiomqtt tells a time-out where the broker said why: after a failure that the broker had a part in, ``diagnosis`` asks
again (not where nobody answered at all: a broker that comes back must not be met by twice its fleet).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pilenode import clock
from pilenode.identity import diagnosis
from pilenode.identity.store import Pair, Store
from pilenode.identity.words import BLAMED
from pilenode.upstream.contract import Live, NotTakenError, Problem, UpstreamLostError, up
from pilenode.upstream.dialect import PATIENCE_S, Dialect, Version
from pilenode.upstream.drops import Drops
from pilenode.upstream.mqtt_client import Client
from pilenode.upstream.mqtt_link import MAX_MESSAGE_BYTES, MqttLink
from pilenode.upstream.way_out import WayOut, has_carrier, has_no_way_out

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from config.schema import Upstream as Settings

_MAX_WAITING: Final = 64
#: A connection that says nothing is asked for a sign of life this often, seconds, a tenth more or less. What is sent
#: and not answered is noticed after ``PATIENCE_S``.
_KEEPALIVE_S: Final = 240
_LEAVE_S: Final = 2.0
#: How often a connection looks whether a new certificate is to be tried, seconds.
_LOOK_S: Final = 2.0
#: How often a new certificate is tried while the broker says nothing clear, before the old one is shown again.
_TRIES: Final = 3
_EXAMINE_S: Final = 3.0
#: Between two closer looks at a broker that does not let us in, seconds.
_DIAGNOSE_S: Final = 60.0
#: Names one connection: by chance, because a clock that starts anew at each boot would name two of them alike.
_SESSION_BITS: Final = 52
_PROTOCOLS: Final = {Version.V5: aiomqtt.ProtocolVersion.V5, Version.V311: aiomqtt.ProtocolVersion.V311}
#: CONNACK reasons that are about the version: unspecified (an answer in 3.1.1 is read as this), malformed packet,
#: protocol error, unsupported protocol version (MQTT 5.0, 3.2.2.2).
_VERSION_REASONS: Final = frozenset({0x80, 0x81, 0x82, 0x84})

_NO_LINK: Final = "no interface has a link"

_silent = logging.getLogger("pilenode.upstream.mqtt")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class _RefusedError(Exception):
    """The broker is there and did not accept the connection in this version."""


class _ReachedError(UpstreamLostError):
    """The broker is there and would not have us; what that was may have to do with the certificate."""


class _UnusableError(_ReachedError):
    """Certificate, key or password cannot be read."""


class _EarlyError(Exception):
    """The broker's certificate is not valid yet: the clock is behind."""


class MqttUpstream:
    """A backend behind an MQTT broker. ``node`` is this cabinet's name in every topic."""

    def __init__(self, settings: Settings, node: str) -> None:
        self.dropped = Drops(clock.monotonic_s)
        self.problem: Problem | None = None
        self._settings = settings
        self._node = node
        self._dialect = Dialect()
        self._way_out = WayOut()
        self._random = secrets.SystemRandom()
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
        if self._way_out.is_shut(self.url, clock.monotonic_s()):
            self.problem = Problem("broker_unreachable", _NO_LINK)
            raise UpstreamLostError(_NO_LINK, local=True)
        client, version, pair = await self._open(session)
        link = MqttLink(client, version, self._node, self.dropped)
        watching = None
        try:
            with contextlib.suppress(NotTakenError):  # what it does not take of facts is told where facts are sent
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
            with contextlib.suppress(UpstreamLostError, NotTakenError):
                await link.announce(Live(session=session, online=False))  # an orderly end speaks no will
            await _leave(client)

    # -- certificates ------------------------------------------------------------------------------------------

    async def _open(self, session: int) -> tuple[Client, Version, Pair]:
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

    async def _watch(self, client: Client) -> None:
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

    async def _open_with(self, pair: Pair, session: int) -> tuple[Client, Version]:
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

    async def _attempt(self, version: Version, patience_s: float, session: int, pair: Pair) -> Client:
        """Return a connected client. Raises _RefusedError when another version may work, else UpstreamLostError."""
        self._check_dates = True
        try:
            return await self._enter(await self._client(version, patience_s, session, pair))
        except _EarlyError:
            self._check_dates = False
            return await self._enter(await self._client(version, patience_s, session, pair))

    async def _enter(self, client: Client) -> Client:
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
            return UpstreamLostError(str(error), local=not has_carrier())
        found = diagnosis.of_error(cause, has_certificate=True)
        self.problem = Problem(found.code, found.detail)
        if found.code in BLAMED:
            return _ReachedError(str(error))
        return UpstreamLostError(str(error), local=has_no_way_out(cause))

    async def _client(self, version: Version, patience_s: float, session: int, pair: Pair) -> Client:
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
        return Client(
            parts.hostname or "",
            port,
            identifier=f"pn-{self._node}",
            protocol=_PROTOCOLS[version],
            username=settings.username or None,
            password=password,
            tls_context=tls,
            will=aiomqtt.Will(up(self._node, "live"), gone, qos=1, retain=True),
            keepalive=round(_KEEPALIVE_S * (0.9 + 0.2 * self._random.random())),
            timeout=patience_s,
            properties=properties,
            max_queued_incoming_messages=_MAX_WAITING,
            logger=_silent,
        )


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


async def _leave(client: Client) -> None:
    # Whatever the broker does to a connection that is being left is of no interest any more.
    with contextlib.suppress(Exception):
        await client.__aexit__(None, None, None)
    client.abandon()
