"""Configuration that a backend wants a cabinet to have: retained, so that a cabinet finds it whenever it connects.

Unlike a command it may be as old as the broker likes: what counts is its version. An empty message takes it back from
the broker and changes nothing at the cabinet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pilenode.ipc.messages import Identifier
from pilenode.upstream.contract import PROTOCOL, Major
from pilenode.upstream.facts import MAX_INTEGER

#: Cap of the message, bytes. A signed one is base64 inside JSON, which leaves some 46 KiB for the text.
MAX_DESIRED_BYTES: Final = 64 * 1024
#: Cap of the text, bytes of UTF-8 (``config.desired_load.LONGEST_TEXT``).
MAX_BODY_BYTES: Final = 60 * 1024


class Desired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a cabinet is to be configured like: ``body`` is TOML of the keys that may be set from afar.

    ``version`` grows with every change; a lower one never counts again. ``sha256`` is that of the bytes of ``body``
    (UTF-8), in hex. ``node``: for which cabinet it is; a signed one must say so.
    """

    protocol: Major = PROTOCOL
    node: Identifier | None = None
    version: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    sha256: Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]
    body: Annotated[str, Meta(max_length=MAX_BODY_BYTES)]


@dataclass(frozen=True, slots=True)
class IncomingConfig:
    """A desired configuration as it arrived, not yet looked at."""

    payload: bytes


def digest(body: str) -> str:
    """Return the ``sha256`` of a text."""
    return hashlib.sha256(body.encode()).hexdigest()
