"""How a batch of facts goes over the wire: deflated JSON, in which the reader can compute almost every link. Pure.

A payload is JSON, or the same deflated (RFC 1950). Which of both it is its first byte tells: "{" or 0x78.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.upstream.contract import FactBatch
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.upstream.facts import Fact

#: What a payload may become when it is inflated, bytes. A single fact may be larger than a batch: a bill of a thousand
#: pieces.
MAX_INFLATED_BYTES: Final = 256 * 1024
#: By which readers that look at properties know the two forms (MQTT 5).
JSON: Final = "application/json"
DEFLATED: Final = "application/json+zlib"
#: Shorter ones are not worth it, bytes.
_DEFLATE_FROM: Final = 200
_LEVEL: Final = 5
_ZLIB: Final = 0x78


class PackingError(ValueError):
    """A payload is not a deflated text, or too much of one."""


def thinned(facts: Sequence[Fact]) -> list[Fact]:
    """Return ``facts`` without the links that the reader computes: all but the last and those that stand for holes."""
    last = len(facts) - 1
    return [
        fact if at == last or fact.kind == FactKind.REMOVED else msgspec.structs.replace(fact, hash="")
        for at, fact in enumerate(facts)
    ]


def pack(batch: FactBatch) -> bytes:
    """Return the payload of a batch."""
    plain = msgspec.json.encode(batch)
    return plain if len(plain) < _DEFLATE_FROM else zlib.compress(plain, _LEVEL)


def inflated(payload: bytes) -> bytes:
    """Return the JSON text of a payload. Raises PackingError, before more than the allowed size is unpacked."""
    if payload[:1] != bytes([_ZLIB]):
        return payload
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(payload, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise PackingError(str(error)) from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise PackingError("too large or cut off")
    if unpacker.unused_data:
        raise PackingError("something follows")
    return text


def unpack(payload: bytes) -> FactBatch:
    """Return the batch in a payload. Raises PackingError, msgspec.DecodeError and UnicodeDecodeError."""
    return msgspec.json.decode(inflated(payload), type=FactBatch)
