"""Another way of reading what was sent, with the standard library alone: what is beyond doubt no message, and who may.

The doors hold the product against this. It shares no code with the product on purpose.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Collection

NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def read(text: bytes) -> dict[str, object] | None:
    """Return the object in ``text``, None when it is none or says a key twice."""
    try:
        found = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_number(value: object, most: float) -> bool:
    """Return whether ``value`` is a number above 0 and not above ``most``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most


def is_name(value: object) -> bool:
    """Return whether ``value`` can name something."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def started_port(one: dict[str, object] | None, kind: str, known: Collection[str] | None = None) -> int | None:
    """Return the port that a request to start names, None when it is no such request.

    ``kind`` is the key that says what a request is; keys besides ``known`` (None: any) make it none.
    """
    if one is None or one.get(kind) != "start" or not is_number(one.get("port"), 99) or not is_name(one.get("order")):
        return None
    if known is not None and not set(one) <= set(known):
        return None
    return int(cast("float", one["port"]))


def opened(envelope: dict[str, object] | None) -> tuple[bytes, bytes, object] | None:
    """Return content, signature and name of the key of a signed message, None when it is none."""
    if envelope is None:
        return None
    signed, signature = envelope.get("signed"), envelope.get("sig")
    if not isinstance(signed, str) or not isinstance(signature, str):
        return None
    try:
        return base64.b64decode(signed, validate=True), base64.b64decode(signature, validate=True), envelope.get("key")
    except (binascii.Error, ValueError):
        return None
