"""The directory of desired configuration: one file that says where everything stands, and the texts it names.

``book.json``              which text is in force, waits, or is on trial (``pilenode.station.desired``)
``<version>-<sha256>.toml``  a text; written before the book names it, removed when it names it no more

Every file is written under another name, flushed, renamed, and its directory flushed: a power cut at any moment leaves
the old book or the new one, and a book names whole texts only. Nothing here follows a symbolic link, and a text counts
only with the hash that the book has of it, so a file that somebody has put in its place is none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.desired import Book
from pilenode.upstream.desired import MAX_BODY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.station.desired import Text

FOLDER: Final = "desired"
BOOK: Final = "book.json"
_ASIDE: Final = "book.damaged"
_NEW: Final = ".new"
_MAX_BOOK_BYTES: Final = 256 * 1024


class DamagedError(Exception):
    """A file is not what was written there. ``str()`` says how, for people."""


class DesiredStore:
    """The directory ``folder``, which belongs to the station alone. Blocks: not for the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self) -> Book:
        """Return the book; an empty one where there is none. Raises DamagedError and OSError."""
        try:
            content = self._read(BOOK, _MAX_BOOK_BYTES)
        except FileNotFoundError:
            return Book()
        try:
            return msgspec.json.decode(content, type=Book)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DamagedError(f"{BOOK}: {error}") from None

    def set_aside(self) -> None:
        """Put a damaged book aside for a person, the newest one only. Raises OSError."""
        self._refuse_link()
        os.replace(self.folder / BOOK, self.folder / _ASIDE)  # noqa: PTH105 - one name for what the tests cut
        self._flush()

    def save(self, book: Book) -> None:
        """Make ``book`` what counts. Raises OSError; the old one counts then."""
        self._write(BOOK, msgspec.json.encode(book))

    def keep(self, text: Text, body: str) -> None:
        """Make a text durable, for a book that will name it. Raises OSError."""
        self._write(_name(text), body.encode())

    def read(self, text: Text) -> str:
        """Return the body of a text that the book names. Raises DamagedError."""
        try:
            content = self._read(_name(text), MAX_BODY_BYTES)
        except OSError as error:
            raise DamagedError(f"{_name(text)}: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != text.sha256:
            raise DamagedError(f"{_name(text)}: the content is not what was written")
        try:
            return content.decode()
        except UnicodeDecodeError:  # what has this hash was text
            raise DamagedError(f"{_name(text)}: no UTF-8") from None

    def tidy(self, book: Book) -> None:
        """Remove what ``book`` does not name and what was half written. What cannot be removed harms nobody."""
        kept = {BOOK, _ASIDE, *map(_name, book.texts)}
        with contextlib.suppress(OSError):
            self._refuse_link()
            for name in sorted({*os.listdir(self.folder)} - kept):  # noqa: PTH208 - as above
                with contextlib.suppress(OSError):
                    os.unlink(self.folder / name)  # noqa: PTH108 - as above

    def _read(self, name: str, most: int) -> bytes:
        self._refuse_link()
        descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DamagedError(f"{name}: not a file")
            content = file.read(most + 1)
        if len(content) > most:
            raise DamagedError(f"{name}: longer than {most} bytes")
        return content

    def _write(self, name: str, content: bytes) -> None:
        self._make_folder()
        path, fresh = self.folder / name, self.folder / (name + _NEW)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)  # noqa: PTH108 - as above
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(fresh, path)  # noqa: PTH105 - as above
        self._flush()

    def _make_folder(self) -> None:
        try:
            os.mkdir(self.folder, 0o700)  # noqa: PTH102 - as above
        except FileExistsError:
            self._refuse_link()
        else:
            _flush(self.folder.parent)

    def _refuse_link(self) -> None:
        if self.folder.is_symlink():  # what is around it is the station's alone, so nobody exchanges it after this look
            raise NotADirectoryError(errno.ENOTDIR, "a symbolic link", str(self.folder))

    def _flush(self) -> None:
        _flush(self.folder)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(text: Text) -> str:
    """Return the file name of a text: digits and hex only, whatever anybody sent."""
    return f"{text.version}-{text.sha256}.toml"
