"""Session ids: 26 characters that sort by time and cannot be guessed (the shape of a ULID)."""

from __future__ import annotations

import secrets
from typing import Final

#: Crockford's base 32: no I, L, O or U.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_BITS: Final = 48
_RANDOM_BITS: Final = 80
_LENGTH: Final = 26


def new_session_id(wall_ms: int) -> str:
    """Return a new id for a session that starts at ``wall_ms`` (ms since the epoch, taken modulo 2**48)."""
    number = (wall_ms % (1 << _TIME_BITS)) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
