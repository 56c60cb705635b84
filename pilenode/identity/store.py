"""The directory of a managed identity. A key and its certificate are one directory and move as one.

``pending``   a new key (``key.pem``) and the request for its certificate (``request.csr``)
``next``      a certificate has been installed; it has not connected yet
``current``   has connected
``previous``  was current before
``rejected``  was next, and the broker would not have it; ``reason`` says why

Every change is a rename of a directory. Cut off between two of them, the next look finds a state that works: ``next``
without ``current`` is used and becomes ``current`` when it has connected.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from pilenode.identity.words import IdentityError

KEY: Final = "key.pem"
CERTIFICATE: Final = "certificate.pem"
REQUEST: Final = "request.csr"
REASON: Final = "reason"
MAX_FILE_BYTES: Final = 64 * 1024


class Pair(NamedTuple):
    """A certificate and its key. ``slot`` is "next", "current", "configured", or "none" with empty paths."""

    slot: str
    certificate: Path | None = None
    key: Path | None = None


class Store:
    """The identity in ``directory``, which belongs to the station's user."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def pairs(self) -> tuple[Pair, ...]:
        """Return what may be shown to the broker, best first; empty when there is nothing yet."""
        slots = [slot for slot in ("next", "current") if (self.directory / slot / CERTIFICATE).is_file()]
        return tuple(Pair(slot, self.directory / slot / CERTIFICATE, self.directory / slot / KEY) for slot in slots)

    def has_next(self) -> bool:
        """Return whether a certificate waits to be tried."""
        return (self.directory / "next" / CERTIFICATE).is_file()

    def rejected(self) -> str:
        """Return why the last rejected certificate was, empty when none was."""
        try:
            return (self.directory / "rejected" / REASON).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def request(self, key: bytes, csr: bytes, *, again: bool) -> Path:
        """Keep a new key with its request and return the path of the request. Raises IdentityError and OSError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (self.directory / "pending").exists() and not again:
            raise IdentityError("identity_pending")
        made = self._made()
        self._write(made / KEY, key)
        self._write(made / REQUEST, csr)
        self._move(made, "pending")
        return self.directory / "pending" / REQUEST

    def install(self, certificate: bytes) -> None:
        """Put ``certificate`` beside the pending key and let it be tried. Raises OSError."""
        self._write(self.directory / "pending" / CERTIFICATE, certificate)
        self._move(self.directory / "pending", "next")

    def promote(self) -> None:
        """Make ``next``, which has connected, the current one, and keep the old one. Raises OSError."""
        if (self.directory / "current").exists():
            self._move(self.directory / "current", "previous")
        self._move(self.directory / "next", "current")

    def reject(self, reason: str) -> None:
        """Take ``next`` away, which the broker would not have. Raises OSError."""
        self._write(self.directory / "next" / REASON, reason.encode())
        self._move(self.directory / "next", "rejected")

    def _made(self) -> Path:
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=self.directory))  # 0700
        self._give(made)
        return made

    def _write(self, path: Path, content: bytes) -> None:
        """Write a whole file with mode 0600, or nothing."""
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._give(part)
        part.replace(path)
        _sync(path.parent)

    def _give(self, path: Path) -> None:
        """Hand what root makes here to whom the directory belongs to."""
        if os.geteuid() == 0:
            owner = self.directory.stat()
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _move(self, source: Path, slot: str) -> None:
        target = self.directory / slot
        old = self.directory / f".old-{slot}"
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        source.rename(target)
        _sync(self.directory)
        shutil.rmtree(old, ignore_errors=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
