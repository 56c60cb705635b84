"""A model of what a disk may hold after a cut: the calls of a module are recorded, and every cut of them is laid out.

Flushed bytes and flushed names are there. Names that were changed since the last flush of their directory are there in
any ordered beginning; bytes that were not flushed are there, gone, or half there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Recorder:
    """Stands in the place of ``os`` in a module that works in one directory; forwards everything, and notes it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._files: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever os has
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """Open, and note a file that is made."""
        descriptor = os.open(path, flags, mode)
        self._files[descriptor] = "" if flags & os.O_DIRECTORY else path.name
        if flags & os.O_CREAT:
            self.calls.append(("create", path.name))
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write a part, as a system may."""
        count = os.write(descriptor, data[: max(1, len(data) // 2)])
        self.calls.append(("write", self._files[descriptor], bytes(data[:count])))
        return count

    def fsync(self, descriptor: int) -> None:
        """Flush a file or the directory."""
        name = self._files[descriptor]
        self.calls.append(("flush", name) if name else ("flush_names",))

    def replace(self, source: Path, target: Path) -> None:
        """Rename."""
        source.replace(target)
        self.calls.append(("rename", source.name, target.name))

    def unlink(self, path: Path) -> None:
        """Remove."""
        path.unlink()
        self.calls.append(("unlink", path.name))

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        """Make the directory itself; a cut before that is a cut with nothing in it."""
        path.mkdir(mode)


class Disk:
    """What calls have left: live and flushed names, each of a file of its own with live and flushed bytes."""

    def __init__(self) -> None:
        self._live: dict[str, int] = {}
        self._history: list[dict[str, int]] = [{}]  # names since the last flush of the directory, oldest first
        self._bytes: list[bytes] = []
        self._flushed: list[bytes | None] = []

    def do(self, call: tuple[Any, ...]) -> None:
        """Carry out one call."""
        word, *rest = call
        if word == "create":
            self._bytes.append(b"")
            self._flushed.append(None)
            self._name({**self._live, rest[0]: len(self._bytes) - 1})
        elif word == "write":
            self._bytes[self._live[rest[0]]] += rest[1]
        elif word == "flush":
            number = self._live[rest[0]]
            self._flushed[number] = self._bytes[number]
        elif word == "flush_names":
            self._history = [self._live]
        elif word == "rename":
            number = self._live[rest[0]]
            self._name({name: of for name, of in self._live.items() if name != rest[0]} | {rest[1]: number})
        elif word == "unlink":
            self._name({name: of for name, of in self._live.items() if name != rest[0]})

    def _name(self, names: dict[str, int]) -> None:
        self._live = names
        self._history.append(names)

    @property
    def live(self) -> dict[str, bytes]:
        """Return what a process sees: what a kill leaves."""
        return {name: self._bytes[number] for name, number in self._live.items()}

    def after_cut(self) -> Iterator[dict[str, bytes]]:
        """Yield what a kill or a power cut now may leave."""
        yield self.live
        for names in self._history:
            for kept in (0, 1, 2):  # unflushed bytes: none, half, all
                yield {name: self._after(number, kept) for name, number in names.items()}

    def _after(self, number: int, kept: int) -> bytes:
        flushed, written = self._flushed[number] or b"", self._bytes[number]
        return written[: max(len(flushed), len(written) * kept // 2)]
