"""The second clock that guard's own is compared with, and the thread that does it. The rule is ``safety.selftest``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pilenode import clock
from pilenode.guard.workers import Worker
from safety.selftest import Pace, paced

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.guard.board import Board

#: Where the kernel shows the first real-time clock. It exists on a Raspberry Pi 5, and where a module is fitted.
RTC: Final = Path("/sys/class/rtc/rtc0/since_epoch")
_INTERVAL_S: Final = 1.0


def raw_s() -> float:
    """Return seconds of CLOCK_MONOTONIC_RAW: the oscillator of CLOCK_MONOTONIC without the kernel's correction."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


def rtc_s(path: Path = RTC) -> float | None:
    """Return the seconds that the real-time clock shows, None without one. Reads a bus: never call it in the tick."""
    try:
        return float(int(path.read_bytes()))
    except (OSError, ValueError):
        return None


class ClockWorker(Worker):
    """Compares CLOCK_MONOTONIC with every reference once a second, outside the tick.

    ``fault`` is read by the tick: True while a reference disagreed twice in a row. ``independent``: a real-time clock
    answers, so that the oscillator itself is tested; without one it is not.
    """

    def __init__(
        self, board: Board, rtc: Callable[[], float | None] = rtc_s, raw: Callable[[], float | None] = raw_s
    ) -> None:
        super().__init__("clock", board)
        self._references = [(rtc, Pace()), (raw, Pace())]
        self._rtc = rtc
        self.fault = False
        self.independent = False

    def _work(self) -> None:
        self.compare()
        self._halt.wait(_INTERVAL_S)

    def compare(self) -> None:
        """Take one pair of readings per reference."""
        judged = []
        for reference, pace in self._references:
            shown = reference()
            if reference is self._rtc:
                self.independent = shown is not None
            # Our clock is read after the reference: a slow bus shifts a window's ends by milliseconds, not its rate.
            judged.append((reference, paced(pace, clock.monotonic_s(), shown)))
        self._references = judged
        self.fault = any(pace.fault for _, pace in judged)
