"""How the reference backend connects to a broker.

``mqtt://host:port``, or ``mqtts://host:port?ca=FILE&certificate=FILE&key=FILE``; left out: the authorities of the
system, and no certificate of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pilenode.identity.diagnosis import PORTS, tls_context
from pilenode.upstream.channels import MAX_UP_BYTES
from pilenode.upstream.contract import ROOT
from pilenode.upstream.mqtt_client import Client

if TYPE_CHECKING:
    import ssl
    from collections import Counter
    from collections.abc import AsyncIterator

VERSIONS: Final = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}
#: Messages that the broker may send before it has an answer to the first of them (MQTT 5).
_RECEIVE_MAXIMUM: Final = 200
#: How long the broker keeps what it has for a worker that is away, seconds (MQTT 5). Nothing depends on it.
_SESSION_S: Final = 3600
#: Messages that wait in this process. What comes on top is dropped and counted: the cabinets send it again.
_MAX_WAITING: Final = 1000
#: How long a broker is given that may not understand the version, seconds.
_PROBE_S: Final = 3.0

_silent = logging.getLogger("hil_rig.upstream")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


@dataclass(frozen=True, slots=True)
class Share:
    """One of several workers. ``group`` is what they have in common, ``name`` is its own.

    The ``first`` reads what the broker keeps, too: it hands that to no shared subscription.
    """

    group: str
    name: str
    first: bool = True

    @property
    def topic(self) -> str:
        """Return what the workers subscribe to together."""
        return f"$share/{self.group}/{ROOT}/+/up/#"


def client(
    url: str, version: str, share: Share | None = None, dropped: Counter[str] | None = None, timeout_s: float = 10.0
) -> Client:
    """Return a connection to be entered. A shared one keeps its name, so that the broker knows it again.

    Raises OSError when a file of a ``mqtts://`` URL cannot be used.
    """
    parts = urlsplit(url)
    more: dict[str, Any] = {}
    if version == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
        properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        properties.MaximumPacketSize = 2 * MAX_UP_BYTES
        if share is not None:
            properties.SessionExpiryInterval = _SESSION_S
            more["clean_start"] = False
        more["properties"] = properties
    return Client(
        parts.hostname or "127.0.0.1",
        parts.port or PORTS.get(parts.scheme, 1883),
        username=parts.username,
        password=parts.password,
        identifier=f"pn-backend-{share.group}-{share.name}" if share else f"pn-backend-{secrets.token_hex(4)}",
        protocol=VERSIONS[version],
        logger=_silent,
        tls_context=_tls(parts.query) if parts.scheme == "mqtts" else None,
        timeout=timeout_s,
        queue_type=_counting(dropped) if dropped is not None else None,
        max_queued_incoming_messages=_MAX_WAITING if dropped is not None else None,
        **more,
    )


@contextlib.asynccontextmanager
async def entered(connection: Client) -> AsyncIterator[Client]:
    """Connect, and leave nothing open. Raises aiomqtt.MqttError."""
    try:
        await connection.enter()
        try:
            yield connection
        finally:
            with contextlib.suppress(aiomqtt.MqttError):
                await connection.__aexit__(None, None, None)
    finally:
        connection.abandon()


def _tls(query: str) -> ssl.SSLContext:
    files = {name: values[-1] for name, values in parse_qs(query).items()}
    names = (files.get(name, "") for name in ("ca", "certificate", "key"))
    return tls_context(*names, check_dates=True)


def _counting(dropped: Counter[str]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """Return a queue that counts what it has no room for."""

    class Waiting(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            try:
                super().put_nowait(item)
            except asyncio.QueueFull:
                dropped["flood"] += 1
                raise

    return Waiting


async def best_version(url: str) -> str:
    """Return "5" when the broker understands it, else "3.1.1". Raises aiomqtt.MqttError when it is not there."""
    trial = client(url, "5", timeout_s=_PROBE_S)
    try:
        async with entered(trial):
            return "5"
    except aiomqtt.MqttError:
        if not trial.reached:
            raise
        return "3.1.1"
