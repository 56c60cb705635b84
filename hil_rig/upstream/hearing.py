"""What a cabinet says, taken apart and held against its bounds. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from hil_rig.upstream.intake import well_formed
from hil_rig.upstream.presence import checked
from hil_rig.upstream.store import Heard, Said
from pilenode.upstream.channels import CHANNELS, UP
from pilenode.upstream.contract import Hello, other_major
from pilenode.upstream.facts import CommandResult
from pilenode.upstream.packing import PackingError, unpack

_PARTS: Final = 5  # pn/v1/<node>/up/<leaf>
_MAX_BYTES: Final = {one.leaf: one.max_bytes for one in CHANNELS if one.way == UP}


class NonsenseError(ValueError):
    """A message that is not kept; its words are what it is counted under."""


def hear(topic: str, payload: bytes) -> Heard:
    """Return what a message says. Raises NonsenseError, before more than its bound is parsed."""
    parts = topic.split("/")
    if len(parts) != _PARTS or parts[3] != UP:
        raise NonsenseError("topic")
    node, leaf = parts[2], parts[4]
    if leaf not in _MAX_BYTES:
        raise NonsenseError("unknown")
    if len(payload) > _MAX_BYTES[leaf]:
        raise NonsenseError("oversized")
    if other_major(payload) is not None:
        raise NonsenseError("protocol_mismatch")
    try:
        return Heard(node, _message(leaf, payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PackingError) as error:
        raise NonsenseError(leaf) from error


def _message(leaf: str, payload: bytes) -> Said:
    if leaf == "ev":
        batch = unpack(payload)
        if not well_formed(batch.facts):
            raise NonsenseError(leaf)
        return batch
    if leaf == "hello":
        return msgspec.json.decode(payload, type=Hello)
    if leaf == "res":
        return msgspec.json.decode(payload, type=CommandResult)
    if leaf in ("st", "live"):
        return checked(leaf, payload)
    raise NonsenseError("unknown")
