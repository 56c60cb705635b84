"""Several workers as children of one process: started, watched, started again, ended together."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

from hil_rig.child import environment, python

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOOK_S: Final = 0.05
#: A worker that has ended is started again after this, seconds.
_AGAIN_S: Final = 1.0
_STOP_S: Final = 10.0


class Workers:
    """Children of this program with ``options``, each with a number of its own."""

    def __init__(self, count: int, options: Sequence[str], ready: Path | None) -> None:
        self._options = options
        self._ready = ready
        self._children: list[subprocess.Popen[bytes] | None] = [None] * count
        self._again_s = [0.0] * count
        self._ending = threading.Event()

    def run(self) -> None:
        """Keep them running until SIGTERM or SIGINT; then tell them, and wait until they have finished."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ending.set())
        try:
            while not self._ending.wait(_LOOK_S):
                self._look()
        finally:
            self._end()

    def _look(self) -> None:
        for number, child in enumerate(self._children):
            if child is not None and child.poll() is not None:
                self._children[number] = None
                self._again_s[number] = time.monotonic() + _AGAIN_S
            elif child is None and time.monotonic() >= self._again_s[number]:
                self._children[number] = self._start(number)
        if self._ready is not None and all(self._file(self._ready, n).exists() for n in range(len(self._children))):
            self._ready.touch()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        more = ["--number", str(number)]
        if self._ready is not None:
            more += ["--ready", str(self._file(self._ready, number))]
        command = python("-m", "hil_rig.upstream", *self._options, *more)
        return subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)

    @staticmethod
    def _file(ready: Path, number: int) -> Path:
        return ready.with_name(f"{ready.name}.{number}")

    def _end(self) -> None:
        children = [child for child in self._children if child is not None]
        for child in children:
            child.terminate()
        end_s = time.monotonic() + _STOP_S
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, end_s - time.monotonic()))
            if child.poll() is None:
                child.kill()
                child.wait()
