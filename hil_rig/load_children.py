"""Children that load a machine until killed: ``python -m hil_rig.load_children busy``, or ``fsync DIRECTORY…``."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = b"\xa5" * 65_536
_MOST_BYTES = 4_000_000


@contextmanager
def suffering(*tasks: list[str]) -> Iterator[None]:
    """Run one child per task (its arguments) while the context lasts."""
    children = [subprocess.Popen([sys.executable, "-P", "-m", "hil_rig.load_children", *task]) for task in tasks]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def _busy() -> None:
    while True:
        pass


def _fsync(directories: list[str]) -> None:
    paths = [Path(directory) / f"storm-{os.getpid()}" for directory in directories]
    while True:
        for path in paths:
            with path.open("wb") as file:
                for _ in range(_MOST_BYTES // len(_BLOCK)):
                    file.write(_BLOCK)
                    file.flush()
                    os.fsync(file.fileno())


if __name__ == "__main__":
    if sys.argv[1] == "busy":
        _busy()
    else:
        _fsync(sys.argv[2:])
