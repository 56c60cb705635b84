"""Room on the disk: what is free, and the ballast that is given up when nothing is.

A disk that is full takes not even a deletion. The ballast is a file that holds room for the ends of the sessions that
run then; once there is room again it is laid down anew.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".ballast"


def beside(path: Path, suffix: str) -> Path:
    """Return the file that has this ending after the name of ``path``."""
    return path.with_name(path.name + suffix)


def free_bytes(directory: Path) -> int:
    """Return what a program without special rights can still write. Raises OSError."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def is_read_only(directory: Path) -> bool:
    """Return whether nothing can be written there, as after the kernel has met an error on it. Raises OSError."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def file_bytes(path: Path) -> int:
    """Return the size of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def forget_cache(path: Path) -> None:
    """Let the next reads come from the medium.

    After a failed sync the kernel may hold pages as clean that never arrived; reading them again proves nothing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return  # a file system without that has nothing to forget
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Make names durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Ballast:
    """The ballast beside a journal. ``size`` 0: there is none. ``here``: it was there whole when last looked at."""

    def __init__(self, journal: Path, size: int, reserve: int) -> None:
        self._path = beside(journal, SUFFIX)
        self._size = size
        self._reserve = reserve
        self.here = True

    @property
    def laid(self) -> bool:
        """Return whether there is anything of it, which says that there was a journal."""
        return file_bytes(self._path) > 0

    def release(self) -> bool:
        """Give it up. Returns whether that gave room."""
        held = file_bytes(self._path)
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return False
        self.here = self._size == 0
        return held > 0

    def restore(self) -> bool:
        """Lay it down where there is room for it beside the reserve. Returns whether it was laid now."""
        held = file_bytes(self._path)
        self.here = held >= self._size
        if self.here:
            return False
        try:
            if free_bytes(self._path.parent) + held < self._size + self._reserve:
                return False
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
        except OSError:
            self.release()
            return False
        self.here = True
        return True
