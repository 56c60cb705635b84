"""JSON from outside is looked over before anybody decodes it: size, depth, keys said twice. Pure.

Decoders stop at none of these: the last of two equal keys wins, and who checked the first has checked nothing. What is
found is a refusal with a stable code. No text costs more time than a small multiple of its length.
"""

from __future__ import annotations

import json
import re
from typing import Final

#: The deepest message of any contract (prices of a tariff) has seven levels; one is left for fields not known here.
MAX_LEVELS: Final = 8
_MAX_DETAIL: Final = 200
#: One that never ends takes the rest of the text: to look for its end again from every quote in it would take for ever.
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BRACKETS: Final = b"[{]}"
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_OPENING: Final = b"[{"


class UnfitError(ValueError):
    """A text that is no message: ``code`` of the catalogue ("oversized", "duplicate_key", …), and what exactly."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        # A key may hold half a surrogate pair, which is JSON and can be written nowhere.
        self.detail = detail[:_MAX_DETAIL].encode(errors="replace").decode()

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


def outer_keys(text: bytes, most_bytes: int, most_levels: int = MAX_LEVELS) -> frozenset[str]:
    """Return the keys of the outermost object of ``text``, none when it is no object. Raises UnfitError."""
    if len(text) > most_bytes:
        raise UnfitError("oversized")
    if _deeper(text, most_levels):
        raise UnfitError("too_deep")
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once)
    except UnfitError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnfitError("malformed", str(error)) from None
    return frozenset(found) if isinstance(found, dict) else frozenset()


def _deeper(text: bytes, most_levels: int) -> bool:
    """Return whether ``text`` is nested deeper, found without recursion and without building anything."""
    level = 0
    for bracket in _STRINGS.sub(b"", text).translate(None, _NO_BRACKETS):
        level += 1 if bracket in _OPENING else -1
        if level > most_levels:
            return True
    return False


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise UnfitError("duplicate_key", key)
        found[key] = value
    return found
