"""An asyncio loop on the clock of a simulated world: nobody waits for what only has to wait.

When nothing can run and no thread works, the time of the world jumps to the next thing that was planned. While a thread
works (the journal's), time stands still, so that storage takes no simulated time.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil_rig.clock_world import ClockWorld


class _Selector(selectors.DefaultSelector):
    """Looks at real descriptors, and lets the world's time pass instead of waiting."""

    def __init__(self, world: ClockWorld) -> None:
        super().__init__()
        self.working = 0  # works that threads have not finished
        self._world = world

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self.working or timeout is None:
            return super().select(None)
        found = super().select(0)
        if not found:
            self._world.wait(max(1, math.ceil(timeout * 1000)))
        return found


class DayLoop(asyncio.SelectorEventLoop):
    """A loop whose time is that of ``world``."""

    def __init__(self, world: ClockWorld) -> None:
        self._looking = _Selector(world)
        self._world = world
        self._since_ms = world.truth_ms
        super().__init__(self._looking)
        self._clock_resolution = 0.0005  # a clock that counts ms: what is due now is due

    def time(self) -> float:
        """Return seconds of the world since this loop was made."""
        return (self._world.truth_ms - self._since_ms) / 1000

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # noqa: ANN401 - asyncio's own signature
        """Let a thread work; time stands still until it is done."""
        self._looking.working += 1
        work = super().run_in_executor(executor, func, *args)
        work.add_done_callback(self._done)
        return work

    def _done(self, _: object) -> None:
        self._looking.working -= 1
