"""A disk of its own for a cabinet, and what can happen to it: full, no name left, read-only, syncs that fail.

The disk is an ext4 image behind a loop device. Needs root, and strace for failing syncs.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from hil_rig.disk import Filler

if TYPE_CHECKING:
    from collections.abc import Callable

#: Room for journal, write-ahead log, ballast and reserve.
_SIZE_MB: Final = 64
#: Names the disk has, so that they are used up at once.
_INODES: Final = 256
_PATIENCE_S: Final = 10.0


class LoopDisk(Filler):
    """An ext4 file system on ``path`` while the context lasts; its image lies beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._image = path.with_name(path.name + ".img")
        self._device = ""
        self._tracer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(_SIZE_MB * 1024 * 1024)
        _call("mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(_INODES), str(self._image))
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        self.syncs_work()
        self._unmount()
        self._image.unlink(missing_ok=True)

    def _mount(self) -> None:
        done = subprocess.run(
            ["losetup", "--find", "--show", str(self._image)],  # noqa: S607 - where the system has it
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._device = done.stdout.strip()
        # Gone with the last user of it: whoever still holds a file of the old one keeps that, and nothing else.
        _call("mount", "-o", "errors=remount-ro", self._device, str(self.path))
        _call("losetup", "--detach", self._device)

    def _unmount(self) -> None:
        # Lazy: a process may still hold a file.
        _call("umount", "--lazy", str(self.path))

    # -- no names left -------------------------------------------------------------------------------------------

    def use_up_names(self) -> None:
        """Create files until there can be no more."""
        with contextlib.suppress(OSError):
            for number in range(2 * _INODES):
                (self.path / f"name-{number}").touch()

    def give_names_back(self) -> None:
        """Remove them."""
        for name in self.path.glob("name-*"):
            name.unlink()

    # -- read-only -----------------------------------------------------------------------------------------------

    def break_down(self) -> None:
        """Let the kernel find an error in the file system: it writes nothing any more, files that are open included."""
        name = Path(self._device).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("rig", encoding="ascii")

    def repair(self) -> None:
        """Check the image and mount it anew in its place, as a person does who has dealt with the card."""
        self._unmount()
        # 1: errors were corrected.
        subprocess.run(["e2fsck", "-p", str(self._image)], check=False, stdout=subprocess.DEVNULL)  # noqa: S607 - as above
        self._mount()

    # -- syncs that fail -----------------------------------------------------------------------------------------

    def syncs_fail(self, process: int, *, fail: bool = True) -> None:
        """Let every sync of a process end with EIO. Raises RuntimeError when it cannot be traced.

        ``fail`` False: only trace it, which costs the machine as much.
        """
        fault = ["-e", "trace=fdatasync,fsync", *(["-e", "inject=fdatasync,fsync:error=EIO"] if fail else [])]
        self._tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", *fault, "-p", str(process)],  # noqa: S607 - as above
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _until(lambda: _traced(process), "the process is not traced")

    def syncs_work(self) -> None:
        """End that."""
        if self._tracer is not None:
            self._tracer.send_signal(signal.SIGINT)
            self._tracer.wait(_PATIENCE_S)
            self._tracer = None


def _traced(process: int) -> bool:
    """Return whether every thread of a process is traced."""
    tasks = list(Path(f"/proc/{process}/task").iterdir())
    return all("TracerPid:\t0\n" not in (task / "status").read_text(encoding="ascii") for task in tasks)


def _until(condition: Callable[[], bool], problem: str) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end_s:
            raise RuntimeError(problem)
        time.sleep(0.01)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
