"""As much of MQTT 3.1.1 as a simulated cabinet says and hears: ten thousand clients of a library are too many.

Section numbers are those of the OASIS standard, 29 October 2014.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

_SHORT: Final = struct.Struct(">H")
#: Flags of CONNECT (3.1.2.3): clean session; will with QoS 1, retained.
_CLEAN: Final = 0x02
_WILL: Final = 0x04 | 0x08 | 0x20
_LEVEL: Final = 4
_CONTINUED: Final = 0x80
_MOST_LENGTH_BYTES: Final = 4


class Kind(IntEnum):
    """Types of packets (2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class GarbledError(Exception):
    """The broker sent what is no packet."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it came. ``flags`` are the lower four bits of its first byte."""

    kind: Kind
    flags: int
    body: bytes


def _text(words: str | bytes) -> bytes:
    raw = words.encode() if isinstance(words, str) else words
    return _SHORT.pack(len(raw)) + raw


def _packet(kind: Kind, flags: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, _CONTINUED)
        length.append(digit | (_CONTINUED if size else 0))
        if not size:
            return bytes((kind << 4 | flags, *length)) + body


def connect(client: str, keepalive_s: int, will_topic: str, will: bytes) -> bytes:
    """Return CONNECT with a clean session and a retained will."""
    head = _text("MQTT") + bytes((_LEVEL, _CLEAN | _WILL)) + _SHORT.pack(keepalive_s)
    return _packet(Kind.CONNECT, 0, head + _text(client) + _text(will_topic) + _text(will))


def subscribe(number: int, topics: tuple[str, ...]) -> bytes:
    """Return SUBSCRIBE with QoS 1."""
    return _packet(Kind.SUBSCRIBE, 2, _SHORT.pack(number) + b"".join(_text(topic) + b"\x01" for topic in topics))


def publish(number: int, topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    """Return PUBLISH with QoS 1."""
    return _packet(Kind.PUBLISH, 2 | retain, _text(topic) + _SHORT.pack(number) + payload)


def puback(number: bytes) -> bytes:
    """Return PUBACK; ``number`` as it came."""
    return _packet(Kind.PUBACK, 0, number)


PING: Final = _packet(Kind.PINGREQ, 0, b"")
DISCONNECT: Final = _packet(Kind.DISCONNECT, 0, b"")


async def read(reader: asyncio.StreamReader) -> Packet:
    """Return the next packet. Raises asyncio.IncompleteReadError at the end, OSError and GarbledError."""
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    for _ in range(_MOST_LENGTH_BYTES):
        digit = (await reader.readexactly(1))[0]
        length |= (digit & ~_CONTINUED) << shift
        shift += 7
        if not digit & _CONTINUED:
            break
    try:
        kind = Kind(first >> 4)
    except ValueError as error:
        raise GarbledError(f"type {first >> 4}") from error
    return Packet(kind, first & 0x0F, await reader.readexactly(length))


def published(packet: Packet) -> tuple[str, bytes, bytes]:
    """Return topic, packet identifier (empty with QoS 0) and payload of a PUBLISH."""
    (length,) = _SHORT.unpack_from(packet.body)
    topic, rest = packet.body[2 : 2 + length].decode(), packet.body[2 + length :]
    return (topic, rest[:2], rest[2:]) if packet.flags & 0x06 else (topic, b"", rest)
