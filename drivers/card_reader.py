"""One card reader, whatever its wire: a thread of its own, a bounded queue, and a state with a reason.

Readers repeat a card for as long as it lies on them. Frames of one id that follow each other within ``REPEAT_S`` are
one presentation; the longer pause after which the same card counts as swiped again belongs to the session code.

When nobody takes the presentations the oldest are dropped and counted: a card is an order of the person who stands
there now, and power for somebody who has gone away must not follow from an old one.

A reader that is not there, or goes, is tried again every ``REOPEN_S``. Nothing that a reader sends and no bug in the
reading of it ends the thread: ``ReaderState.FAILED`` with the error as its detail is how a bug shows.

Times are seconds on CLOCK_MONOTONIC.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from drivers.card_contracts import FrameFault, ReaderState, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drivers.card_contracts import Link

#: Frames of one id at most this far apart are one presentation, seconds. Our choice: readers that repeat do so
#: several times a second, and nobody takes a card away and back within one.
REPEAT_S: Final = 1.0
#: Pause between two attempts to open a reader, seconds.
REOPEN_S: Final = 1.0
#: Presentations that wait for whoever takes them. Our choice: more people than can stand at one reader.
ROOM: Final = 16

#: Longest wait inside a link, seconds: how late a stop may be noticed, with one exchange of a slow reader added.
_LISTEN_S: Final = 0.2
#: Ids remembered for their repeats: more cards than a reader can see at once.
_REMEMBERED: Final = 16


@dataclass(frozen=True, slots=True)
class CardSeen:
    """One presentation of a card: the reader's name, the id as big-endian upper-case hex, and when it began."""

    reader: str
    uid: str
    seen_s: float


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """How a reader is, what the system said about it (empty when it is well), and since when."""

    state: ReaderState
    detail: str
    since_s: float


def _nothing() -> None:
    pass


class ReaderThread(threading.Thread):
    """Listens to one reader from ``start`` to ``stop``.

    ``reverse`` turns round the bytes of ids, for readers that give the lowest first. ``wake`` is called from this
    thread after every new presentation and every change of state; it must neither block nor raise. ``status`` may be
    read from any thread. ``counters`` is a live view: good frames, bad ones by ``FrameFault``, ``repeated`` (frames
    of a card that was still there), ``dropped`` (presentations that nobody took), ``reconnects``.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        *,
        reverse: bool = False,
        wake: Callable[[], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
        room: int = ROOM,
    ) -> None:
        super().__init__(name=f"card-{name}", daemon=True)
        self.reader: Final = name
        self._link = link
        self._reverse = reverse
        self._wake = wake
        self._clock = clock
        self._room = room
        self._halt = threading.Event()
        self._arrived = threading.Condition()
        self._waiting: deque[CardSeen] = deque()
        self._last_s: dict[bytes, float] = {}
        self._open = False
        self._was_ready = False
        self._counters = dict.fromkeys(("frames", *map(str, FrameFault), "repeated", "dropped", "reconnects"), 0)
        self.counters: Mapping[str, int] = MappingProxyType(self._counters)
        self.status = ReaderStatus(ReaderState.STARTING, "", clock())

    def get(self, timeout_s: float = 0.0) -> CardSeen | None:
        """Return the oldest presentation that waits, or None when none has come within ``timeout_s``."""
        with self._arrived:
            self._arrived.wait_for(lambda: bool(self._waiting), timeout_s)
            return self._waiting.popleft() if self._waiting else None

    def stop(self) -> None:
        """Ask the thread to end; it does within 1 s."""
        self._halt.set()

    def close(self) -> bool:
        """Stop, wait for the end, and return whether it came. What waits can still be taken."""
        self.stop()
        if self.is_alive():
            self.join(timeout=2.0)
        return not self.is_alive()

    def run(self) -> None:
        """Listen until stopped."""
        while not self._halt.is_set():
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - a bug must show in the status, not end the reader in silence
                self._lose(Trouble(ReaderState.FAILED, f"{type(error).__name__}: {error}"))
        self._close_link()
        self._become(ReaderState.STOPPED, "")

    def _turn(self) -> None:
        if not self._open:
            trouble = self._link.open()
            if trouble is not None:
                self._lose(trouble)
                return
            self._open = True
            self._counters["reconnects"] += self._was_ready
            self._was_ready = True
            self._become(ReaderState.READY, "")
        outcome = self._link.receive(_LISTEN_S)
        if isinstance(outcome, Trouble):
            self._lose(outcome)
            return
        for one in outcome:
            self._take(one)

    def _lose(self, trouble: Trouble) -> None:
        self._close_link()
        state = trouble.state
        if self._was_ready and state is ReaderState.ABSENT:
            state = ReaderState.LOST
        elif not self._was_ready and state is ReaderState.LOST:
            state = ReaderState.ABSENT
        self._become(state, trouble.detail)
        self._halt.wait(REOPEN_S)

    def _close_link(self) -> None:
        self._open = False
        with contextlib.suppress(Exception):  # links promise not to raise; a bug there must not end this thread either
            self._link.close()

    def _become(self, state: ReaderState, detail: str) -> None:
        if (state, detail) != (self.status.state, self.status.detail):
            self.status = ReaderStatus(state, detail, self._clock())
            self._tell()

    def _take(self, one: bytes | FrameFault) -> None:
        if isinstance(one, FrameFault):
            self._counters[one.value] += 1
            return
        if not any(one):
            # A line stuck at zero passes an exclusive-or checksum; no card has that id.
            self._counters[FrameFault.BAD_FRAME.value] += 1
            return
        self._counters["frames"] += 1
        now_s = self._clock()
        last_s = self._last_s.pop(one, None)
        self._last_s[one] = now_s
        if len(self._last_s) > _REMEMBERED:
            del self._last_s[next(iter(self._last_s))]
        if last_s is not None and now_s - last_s <= REPEAT_S:
            self._counters["repeated"] += 1
            return
        self._put(CardSeen(self.reader, (one[::-1] if self._reverse else one).hex().upper(), now_s))

    def _put(self, seen: CardSeen) -> None:
        with self._arrived:
            if len(self._waiting) >= self._room:
                self._waiting.popleft()
                self._counters["dropped"] += 1
            self._waiting.append(seen)
            self._arrived.notify()
        self._tell()

    def _tell(self) -> None:
        with contextlib.suppress(Exception):  # an event loop that is closed already must not end the reader
            self._wake()
