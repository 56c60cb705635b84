"""What a cabinet knows a card by: a keyed hash of its number. The number itself is neither stored nor logged.

A number of four bytes is guessed in an hour by whoever has the hashes alone, so the hash has a key: HMAC-SHA-256
(RFC 2104) over the normalised number, cut to 128 bits, which RFC 2104 section 5 allows and which keeps lists short.
The key is a file that only the station reads: 64 hex digits. Whoever has that file too can still try all numbers.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: The key made at first start, in ``station.data_dir``.
KEY_FILE: Final = "card.key"
KEY_BYTES: Final = 32
#: Longest number of a card, bytes: ISO 14443 has 10 at most, keyboards type more.
MAX_UID_BYTES: Final = 16

_ID_DIGITS: Final = 32
_KEY_ID_DIGITS: Final = 8
_OTHERS_MAY_READ: Final = 0o007


class CardKeyError(Exception):
    """There is no usable key. The words are for a technician."""


def normalise(uid: str) -> str:
    """Return the number of a card as readers tell it: upper-case hex, highest byte first, no separators.

    Raises ValueError when it is none: not hex, half a byte, longer than MAX_UID_BYTES, or nothing but zeros.
    """
    digits = re.sub(r"[\s:.-]", "", uid).upper()
    if not re.fullmatch(r"([0-9A-F]{2}){1,%d}" % MAX_UID_BYTES, digits):  # noqa: UP031 - braces all over
        raise ValueError(f"a card number is 1 to {MAX_UID_BYTES} bytes in hex")
    if not digits.strip("0"):
        raise ValueError("a card number of nothing but zeros is a broken reader")
    return digits


def card_id(uid: str, key: bytes) -> str:
    """Return what lists, facts and sessions call the card with the number ``uid``: 32 hex digits."""
    return hmac.digest(key, normalise(uid).encode("ascii"), "sha256").hex()[:_ID_DIGITS]


def key_id(key: bytes) -> str:
    """Return the name of a key, 8 hex digits, which tells nothing about the key; no card has this input."""
    return hmac.digest(key, b"pilenode card key", "sha256").hex()[:_KEY_ID_DIGITS]


def read_key(path: Path) -> bytes:
    """Return the key in ``path``. Raises CardKeyError: not there, not 64 hex digits, or open to everybody."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise CardKeyError(str(error)) from error
    except ValueError as error:
        raise CardKeyError(f"{path}: not {2 * KEY_BYTES} hex digits") from error
    if len(key) != KEY_BYTES:
        raise CardKeyError(f"{path}: not {2 * KEY_BYTES} hex digits")
    if mode & _OTHERS_MAY_READ:
        raise CardKeyError(f"{path}: open to every user (chmod o= {path})")
    return key


def make_key(path: Path) -> bytes:
    """Return the key in ``path``, made durable there first where there is none. Raises CardKeyError."""
    try:
        if not path.exists():
            _write_once(path, secrets.token_bytes(KEY_BYTES).hex() + "\n")
    except OSError as error:
        raise CardKeyError(str(error)) from error
    return read_key(path)


def _write_once(path: Path, text: str) -> None:
    """Make ``text`` the durable content of a new file that nobody else reads."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
