"""Ed25519 signatures of commands and configuration by operations keys. The only importer of cryptography on this side.

The private keys are with operations, never on the broker and never on a cabinet: who owns the broker can then switch
off, and nothing else. The file holds public keys, one a line, ``<name> <base64 of the 32 bytes>``; ``#`` begins a
comment. It is read again when it has changed: a new key is added, operations change over, the old one is taken out.
"""

from __future__ import annotations

import base64
import binascii
import re
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from pilenode.station.envelope import Seal

#: Stands before the signed bytes, so that a signature for one purpose is worth nothing for another.
PURPOSE: Final = b"pilenode-command-v1\n"
CONFIG_PURPOSE: Final = b"pilenode-config-v1\n"
MAX_KEYS: Final = 16
_MAX_FILE_BYTES: Final = 8 * 1024
_KEY_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}")


class KeysError(Exception):
    """The file of keys cannot be read or is none. Nothing that needs a signature is accepted then."""


class KeyRing:
    """The operations keys of one cabinet. Reads ``path`` when a signature is looked at: not for the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, bytes] = {}

    def refusal(self, seal: Seal | None, purpose: bytes = PURPOSE) -> tuple[str, str]:
        """Return why ``seal`` does not count for ``purpose``, code and detail; ``("", "")`` when it counts."""
        if seal is None:
            return "unsigned", ""
        try:
            keys = self._read()
        except KeysError as error:
            return "keys_unreadable", str(error)[:200]
        raw = keys.get(seal.key)
        if raw is None:
            return "unknown_key", seal.key
        return ("", "") if _verifies(raw, seal, purpose) else ("bad_signature", seal.key)

    def _read(self) -> dict[str, bytes]:
        try:
            told = self._path.stat()
            if not stat.S_ISREG(told.st_mode):
                raise KeysError("not a file")
            seen = (told.st_ino, told.st_mtime_ns, told.st_size)
            if seen != self._seen:
                with self._path.open("rb") as file:
                    text = file.read(_MAX_FILE_BYTES + 1)
                self._seen, self._keys = None, {}
                self._keys = parse_keys(text)
                self._seen = seen
        except OSError as error:
            raise KeysError(error.strerror or "cannot be read") from None
        return self._keys


def parse_keys(text: bytes) -> dict[str, bytes]:
    """Return the raw public keys in ``text`` by name. Raises KeysError for a file with anything wrong in it."""
    if len(text) > _MAX_FILE_BYTES:
        raise KeysError(f"longer than {_MAX_FILE_BYTES} bytes")
    found: dict[str, bytes] = {}
    try:
        lines = text.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise KeysError("not ASCII") from None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            name, encoded = words
            raw = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise KeysError(f"line {number}: expected a name and a key in base64") from None
        if len(raw) != _KEY_BYTES or _NAME.fullmatch(name) is None or name in found:
            raise KeysError(f"line {number}: not an Ed25519 key of 32 bytes under a name of its own")
        found[name] = raw
    if not 1 <= len(found) <= MAX_KEYS:
        raise KeysError(f"{len(found)} keys; expected 1 to {MAX_KEYS}")
    return found


def _verifies(raw: bytes, seal: Seal, purpose: bytes) -> bool:
    # Costs as much memory as the rest of the station's libraries together: only where keys are configured.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        key: Ed25519PublicKey = Ed25519PublicKey.from_public_bytes(raw)
        key.verify(seal.signature, purpose + seal.content)
    except (InvalidSignature, ValueError):
        return False
    return True
