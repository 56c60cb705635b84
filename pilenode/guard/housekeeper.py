"""Everything of guard that may block on a disk or a log reader, in a thread of its own. The tick only hands over.

A disk that stalls for seconds or a log that nobody reads must not delay a relay; log lines that do not fit into the
queue are dropped and counted, latches are retried until they are on disk.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from pilenode.guard.latches import Latches, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Pause before a latch that could not be written is tried again, seconds.
_RETRY_S = 1.0


class Housekeeper:
    """Writes latches and log lines. ``log`` is called with an event name and fields; ``saved`` is what disk holds."""

    def __init__(self, directory: Path, log: Callable[..., None], saved: Latches) -> None:
        self._directory = directory
        self._log = log
        self._wanted = self._saved = saved
        self._queue: queue.Queue[tuple[str, dict[str, object]] | None] = queue.Queue(maxsize=1000)
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)
        self._closing = False
        self._complained = False
        self.dropped = 0

    @property
    def latches_ok(self) -> bool:
        """Whether everything that is latched is on disk. While it is not, nothing new may close."""
        return self._saved == self._wanted

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued and end; give up after ``timeout_s``."""
        self._closing = True
        self._put(None)
        self._thread.join(timeout_s)

    def store(self, latches: Latches) -> None:
        """Make ``latches`` durable soon."""
        self._wanted = latches
        self._put(None)

    def note(self, event: str, **fields: object) -> None:
        """Write one log line soon."""
        self._put((event, fields))

    def _put(self, item: tuple[str, dict[str, object]] | None) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while not (self._closing and self._queue.empty()):
            try:
                item = self._queue.get(timeout=None if self.latches_ok else _RETRY_S)
            except queue.Empty:
                item = None
            self._save()
            if item is not None:
                self._log(item[0], **item[1])

    def _save(self) -> None:
        latches = self._wanted
        if latches == self._saved:
            return
        try:
            save(self._directory, latches)
        except OSError as error:
            if not self._complained:
                self._log("latches not saved", error=str(error), remedy="check space and health of the storage")
            self._complained = True
            return
        self._complained = False
        self._saved = latches
