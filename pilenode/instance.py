"""One process per directory: a lock that the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO


class TakenError(Exception):
    """Another process holds the directory."""


def claim(directory: Path) -> TextIO:
    """Make ``directory`` if need be and hold it until the returned file is closed.

    Raises TakenError when another process holds it, OSError when it cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise TakenError(str(directory)) from error
    return lock
