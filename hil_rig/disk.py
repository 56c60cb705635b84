"""A small file system of its own that can be filled to the last byte and emptied again. Mounting it needs root."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

#: Room for a journal, its write-ahead log, its ballast and its reserve, small enough to be full at once.
SIZE_MB = 48
_CHUNK = 64 * 1024


class Filler:
    """Uses up what is free below ``path``, and gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Use up every byte that is free."""
        with self._filler.open("ab", buffering=0) as file:
            size = _CHUNK
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Give the bytes back."""
        self._filler.unlink(missing_ok=True)


class SmallDisk(Filler):
    """A tmpfs mounted on ``path`` while the context lasts. Raises subprocess.CalledProcessError without the right."""

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        options = f"size={SIZE_MB}m,mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pilenode-rig", str(self.path)], check=True)  # noqa: S607 - mount is where the system has it
        return self

    def __exit__(self, *_: object) -> None:
        # Lazy: a process that was just killed may still hold a file for a moment.
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)  # noqa: S607 - as above
