"""Desires a configuration of a cabinet, as a backend does: one retained message, that counts whenever it is heard."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiomqtt
import msgspec

from pilenode.station.signatures import CONFIG_PURPOSE
from pilenode.upstream.contract import down
from pilenode.upstream.desired import Desired, digest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_TIMEOUT_S: Final = 10.0
_PORT: Final = 1883


def message(node: str, version: int, body: str, key: tuple[str, Ed25519PrivateKey] | None = None) -> bytes:
    """Return what a backend sends; with ``key`` (name and private key of operations) signed."""
    wanted = Desired(node=node, version=version, sha256=digest(body), body=body)
    content = msgspec.json.encode(wanted)
    if key is None:
        return content
    name, private = key
    signature = base64.b64encode(private.sign(CONFIG_PURPOSE + content)).decode()
    return msgspec.json.encode({"signed": base64.b64encode(content).decode(), "sig": signature, "key": name})


async def desire(
    url: str, node: str, version: int, body: str, *, key: tuple[str, Ed25519PrivateKey] | None = None
) -> None:
    """Let the broker at ``url`` keep ``body`` as what ``node`` is to be configured like.

    What becomes of it stands in the state and in the facts ``config_applied`` and ``config_refused``. Returns when the
    broker has it; raises aiomqtt.MqttError.
    """
    await _keep(url, down(node, "cfg"), message(node, version, body, key))


async def desire_nothing(url: str, node: str) -> None:
    """Take back what the broker keeps; nothing changes at the cabinet."""
    await _keep(url, down(node, "cfg"), b"")


async def _keep(url: str, topic: str, payload: bytes) -> None:
    parts = urlsplit(url)
    name = f"desire-{secrets.token_hex(4)}"
    async with aiomqtt.Client(parts.hostname or "127.0.0.1", parts.port or _PORT, identifier=name) as client:
        await client.publish(topic, payload, qos=1, retain=True, timeout=_TIMEOUT_S)
