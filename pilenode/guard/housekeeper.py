"""Everything of guard that may block on a disk or a log reader, in a thread of its own. The tick only hands over.

A disk that stalls for seconds or a log that nobody reads must not delay a relay; log lines that do not fit into the
queue are dropped and counted, latches are retried until they are on disk.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from pilenode import clock
from pilenode.guard import blackbox, counters
from pilenode.guard.latches import Latches, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pilenode.guard.counters import Tally
    from pilenode.ipc.messages import Events

#: Longest pause between two looks at the counters, seconds.
_IDLE_S = 20.0
#: Pause before a latch that could not be written is tried again, seconds.
_RETRY_S = 1.0


class Housekeeper:
    """Writes latches, counters and log lines. ``log`` is called with an event name and fields.

    ``saved`` is what disk holds; ``tally`` is what is counted, None where nothing is.
    """

    def __init__(self, directory: Path, log: Callable[..., None], saved: Latches, tally: Tally | None = None) -> None:
        self._tally = tally
        self._directory = directory
        self._log = log
        self._wanted = self._saved = saved
        self._queue: queue.Queue[tuple[str, dict[str, object]] | None] = queue.Queue(maxsize=1000)
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)
        self._closing = False
        self._complained = False
        self._box: tuple[str, Events] | None = None
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

    def box(self, reason: str, events: Events) -> None:
        """Say ``reason`` and keep a black box of it soon."""
        self._box = (reason, events)
        self._put((reason, {}))

    def _keep_box(self) -> None:
        box, self._box = self._box, None
        if box is not None:
            blackbox.write(self._directory, *box)

    def _put(self, item: tuple[str, dict[str, object]] | None) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while not (self._closing and self._queue.empty()):
            try:
                item = self._queue.get(timeout=_IDLE_S if self.latches_ok else _RETRY_S)
            except queue.Empty:
                item = None
            self._save()
            if item is not None:
                self._log(item[0], **item[1])
            self._keep_box()
            self._count()

    def _count(self) -> None:
        """Write the counters when it is time, and in any case at the end."""
        if self._tally is None:
            return
        ending = self._closing and self._queue.empty()
        counts = self._tally.unwritten if ending else self._tally.due(clock.monotonic_s())
        if counts is None:
            return
        try:
            counters.save(self._directory, counts)
        except OSError:
            return  # they plan maintenance, and the next try is a minute away; what protects is the latch file
        self._tally.written(counts)

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
