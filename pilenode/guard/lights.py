"""The thread that drives lights and buzzer. It looks at the tick's state and touches nothing that protects.

Whatever goes wrong here is counted, said once, and stays here: no worker of guard, no tick and no relay hears of it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from pilenode import clock
from pilenode.guard.indicators import Heard, Light, listen, lit

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contracts import Indicators
    from safety.state import State

#: Pause between two looks, seconds: half of the shortest flash.
STEP_S: Final = 0.05


class Lights(threading.Thread):
    """Shows ``state()`` on ``indicators``. ``silent``: the buzzer stays off. ``tell`` must not block."""

    def __init__(
        self, indicators: Indicators, state: Callable[[], State], tell: Callable[..., None], *, silent: bool
    ) -> None:
        super().__init__(name="lights", daemon=True)
        self._indicators = indicators
        self._state = state
        self._tell = tell
        self._halt = threading.Event()
        names = indicators.names()
        self._lights = [Light(*name) for name in names if not (silent and name[0] == "buzzer")]
        self._alone = frozenset(
            light.port for light in self._lights if light.kind == "status" and ("fault", light.port) not in names
        )

    def stop(self) -> None:
        """Ask the thread to end; everything is dark then."""
        self._halt.set()

    def run(self) -> None:
        """Show until stopped."""
        memory = Heard()
        try:
            while not self._halt.wait(STEP_S):
                memory = self.show(memory, clock.monotonic_s())
        except Exception as error:  # noqa: BLE001 - a bug in what only shows must end nothing else
            self._tell("lights out", error=f"{type(error).__name__}: {error}")
        finally:
            self._indicators.dark()

    def show(self, memory: Heard, now: float) -> Heard:
        """Bring every light to the present and return the memory of the buzzer."""
        state = self._state()
        memory = listen(memory, state, now)
        for light in self._lights:
            self._indicators.show(light, lit=lit(light, state, memory, now, alone=light.port in self._alone))
        for sentence in self._indicators.news():
            self._tell("light failed", error=sentence)
        return memory
