"""What every message from upstream that orders something passes first: size, depth, keys said twice, a signature.

Pure, and bounded before anything is decoded. A signed message travels as ``{"signed": <base64 of its JSON>, "sig":
<base64>, "key": <name>}``. The signature is over those very bytes (``pilenode.station.signatures``), so nobody has to
agree on how JSON is written.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pilenode.ipc.bounded import UnfitError
from pilenode.ipc.messages import Identifier
from pilenode.upstream.desired import MAX_DESIRED_BYTES

#: What decoding may raise, whatever the bytes are.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SIGNATURE_CHARACTERS: Final = 88  # 64 bytes in base64


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


def opened(payload: bytes) -> Seal:
    """Return what is in an envelope. Raises UnfitError."""
    try:
        envelope = msgspec.json.decode(payload, type=Envelope)
        content = base64.b64decode(envelope.signed, validate=True)
        return Seal(content, base64.b64decode(envelope.sig, validate=True), envelope.key)
    except (*UNREADABLE, binascii.Error, ValueError) as error:
        raise UnfitError("malformed", f"envelope: {error}") from None
