"""What every message from upstream that orders something passes first: size, depth, keys said twice, a signature.

Pure, and bounded before anything is decoded. A signed message travels as ``{"signed": <base64 of its JSON>, "sig":
<base64>, "key": <name>}``. The signature is over those very bytes (``pilenode.station.signatures``), so nobody has to
agree on how JSON is written.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pilenode.ipc.messages import Identifier
from pilenode.upstream.desired import MAX_DESIRED_BYTES

#: The deepest command of the contract (prices of a tariff) has seven levels; one is left for fields not known here.
MAX_DEPTH: Final = 8
MAX_DETAIL: Final = 200
#: What decoding may raise, whatever the bytes are.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SIGNATURE_CHARACTERS: Final = 88  # 64 bytes in base64
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A message with a signature; ``key`` is the name of the operations key that made it."""

    signed: Annotated[str, Meta(max_length=MAX_DESIRED_BYTES)]  # whoever opens it has looked at its size before
    sig: Annotated[str, Meta(min_length=_SIGNATURE_CHARACTERS, max_length=_SIGNATURE_CHARACTERS)]
    key: Identifier


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature as it came: over which bytes, by which key. Not looked at yet."""

    content: bytes
    signature: bytes
    key: str


class Broken(Exception):  # noqa: N818 - a verdict about a text, caught by whoever reads it
    """Why a text is no message: a code of the catalogue, and what exactly."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        # A key may hold half a surrogate pair, which is JSON and can be written nowhere.
        self.detail = detail[:MAX_DETAIL].encode(errors="replace").decode()


def look(text: bytes, most: int) -> frozenset[str]:
    """Return the keys of the outermost object after size, depth and repeated keys were found good. Raises Broken."""
    if len(text) > most:
        raise Broken("oversized")
    if _depth(text) > MAX_DEPTH:
        raise Broken("too_deep")
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Broken("malformed", str(error)) from None
    return frozenset(found) if isinstance(found, dict) else frozenset()


def opened(payload: bytes) -> Seal:
    """Return what is in an envelope. Raises Broken."""
    try:
        envelope = msgspec.json.decode(payload, type=Envelope)
        content = base64.b64decode(envelope.signed, validate=True)
        return Seal(content, base64.b64decode(envelope.sig, validate=True), envelope.key)
    except (*UNREADABLE, binascii.Error, ValueError) as error:
        raise Broken("malformed", f"envelope: {error}") from None


def _depth(text: bytes) -> int:
    """Return how deeply ``text`` is nested, found without recursion and without building anything."""
    depth = deepest = 0
    for token in _TOKENS.finditer(text):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise Broken("duplicate_key", next(key for key in keys if keys.count(key) > 1))
    return found
