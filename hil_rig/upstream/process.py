"""The reference backend as a child process, for rigs that are not asyncio and want to kill it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from shutil import rmtree
from typing import Final, Self

from hil_rig.child import environment, python
from hil_rig.upstream.store import Store

_START_S: Final = 15.0
_STOP_S: Final = 15.0


class BackendProcess:
    """``python -m hil_rig.upstream`` on ``url`` with its facts in ``where``, a path or a URL. A context manager.

    ``store`` reads the same database while the child writes it. ``options``: more of the command line.
    """

    def __init__(self, url: str, where: Path | str, options: tuple[str, ...] = ("--mqtt", "3.1.1")) -> None:
        self._url = url
        self._where = str(where)
        self._options = options
        self._ready = Path(tempfile.mkdtemp(prefix="pilenode-backend-")) / "ready"
        weakref.finalize(self, rmtree, self._ready.parent, ignore_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.store = Store(where)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.store.close()

    def start(self, *more: str) -> None:
        """Start it, with ``more`` options this time, and wait until it listens to the broker. Raises RuntimeError."""
        self._ready.unlink(missing_ok=True)
        options = ["--url", self._url, "--db", self._where, "--ready", str(self._ready), *self._options, *more]
        command = python("-m", "hil_rig.upstream", *options)
        self._process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)
        end = time.monotonic() + _START_S
        while not self._ready.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the backend does not reach {self._url}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once (SIGKILL). What it has acknowledged is in its database."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """Ask it to end, and see that it does: it finishes the commit that it is at. Return its exit status."""
        return self._end(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Wait until it has ended by itself and return its exit status. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            raise RuntimeError("not started")
        status = self._process.wait(seconds)
        self._process = None
        return status

    def _end(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(number)
        try:
            status = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return status
