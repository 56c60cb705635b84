"""The reference backend as a child process, for rigs that are not asyncio and want to kill it."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Self

from hil_rig.child import environment, python
from hil_rig.upstream.store import Store

if TYPE_CHECKING:
    from pathlib import Path

_START_S = 15.0


class BackendProcess:
    """``python -m hil_rig.upstream`` on ``url`` with its facts in ``path``. A context manager.

    ``store`` reads the same file while the child writes it.
    """

    def __init__(self, url: str, path: Path) -> None:
        self._url = url
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self.store = Store(path)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.store.close()

    def start(self) -> None:
        """Start it and wait until it listens to the broker. Raises RuntimeError."""
        ready = self._path.with_suffix(".ready")
        ready.unlink(missing_ok=True)
        options = ["--url", self._url, "--db", str(self._path), "--ready", str(ready)]
        command = python("-m", "hil_rig.upstream", *options)
        self._process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)
        end = time.monotonic() + _START_S
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the backend does not reach {self._url}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once (SIGKILL). What it has acknowledged is in its file."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
