"""A real cabinet on which many things go wrong at once: one script per port, one loop that serves them all.

A script is a generator. It yields a request for guard and is sent the reply, or yields None and is resumed at the next
look at guard. Guard answers one request of a connection per tick, so there are several of them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hil_rig.harness import HarnessError
from pilenode.ipc import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from hil_rig.harness import Harness

    Script = Generator[messages.GuardRequest | None, messages.GuardReply | None, None]

#: Pause between two looks at guard, seconds: the moments of injection are as random as the sweep of the bus.
_LOOK_S = 0.03
#: Connections for requests.
_DESKS = 5
LEASE_S = 60.0
#: A port that cannot be used again by then is a failure: clearing times and cooling are below 15 s here.
RECOVERY_S = 45.0


class Site:
    """A harness with guard running. ``snapshot`` is guard's newest view."""

    def __init__(self, cabinet: Harness) -> None:
        self.cabinet = cabinet
        self.guard = cabinet.guard()
        self.snapshot = self.guard.snapshot()
        self._desks = [cabinet.guard() for _ in range(_DESKS)]
        self._number = 0

    def again(self) -> None:
        """Connect anew, to a guard that was started anew."""
        self.guard = self.cabinet.guard()
        self._desks = [self.cabinet.guard() for _ in range(_DESKS)]
        self.snapshot = self.guard.snapshot()

    def run(self, scripts: Iterable[Script]) -> None:
        """Run scripts until all have ended. Raises HarnessError when guard is gone."""
        waiting: list[tuple[Script, messages.GuardReply | None]] = [(script, None) for script in scripts]
        while waiting:
            time.sleep(_LOOK_S)
            self.snapshot = self.guard.snapshot()
            asked: list[tuple[Script, messages.GuardRequest]] = []
            following: list[tuple[Script, messages.GuardReply | None]] = []
            for script, reply in waiting:
                try:
                    request = script.send(reply)
                except StopIteration:
                    continue
                if request is None:
                    following.append((script, None))
                else:
                    asked.append((script, request))
            waiting = following + self._ask(asked)

    def _ask(
        self, asked: list[tuple[Script, messages.GuardRequest]]
    ) -> list[tuple[Script, messages.GuardReply | None]]:
        answered: list[tuple[Script, messages.GuardReply | None]] = []
        for first in range(0, len(asked), len(self._desks)):
            some = asked[first : first + len(self._desks)]
            for desk, (_, request) in zip(self._desks, some, strict=False):
                desk.send(request)
            answered += [(script, desk.receive()) for desk, (script, _) in zip(self._desks, some, strict=False)]
        return answered

    def port(self, number: int) -> messages.PortSnapshot:
        """Return guard's view of a port."""
        return self.snapshot.ports[number - 1]

    def ready(self) -> bool:
        """Return whether every meter that can answer and every probe has been read."""
        self.snapshot = self.guard.snapshot()
        return all(
            (port.register_mwh is not None or port.meter_error is not None) and port.temperature_c is not None
            for port in self.snapshot.ports
        )

    # -- steps of scripts ------------------------------------------------------------------------------------

    def pause(self, seconds: float) -> Script:
        """Wait."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            yield None

    def until(self, what: str, condition: Callable[[], bool], seconds: float) -> Script:
        """Wait for a condition. Raises HarnessError when it does not come true in time."""
        end_s = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end_s:
                raise HarnessError(f"{what}: not within {seconds:g} s")
            yield None

    def ask(self, request: messages.GuardRequest, what: str) -> Script:
        """Ask until it is done. Raises HarnessError when it is still refused after the recovery time."""
        end_s = time.monotonic() + RECOVERY_S
        while True:
            reply = yield request
            if reply == messages.Done() or (isinstance(reply, messages.Refused) and reply.code == "nothing_latched"):
                return
            if time.monotonic() > end_s:
                raise HarnessError(f"{what}: still {reply}")
            yield from self.pause(0.2)

    def start(
        self, port: int, ttl_s: float = LEASE_S
    ) -> Generator[messages.GuardRequest | None, messages.GuardReply | None, str]:
        """Give a port power and return its session."""
        self._number += 1
        session = f"s{port}-{self._number}-{self.snapshot.ticks}"
        grant = messages.Grant(port=port, session=session, ttl_s=ttl_s)
        end_s = time.monotonic() + RECOVERY_S
        while not (self.port(port).closed and self.port(port).session == session):
            if self.port(port).state == "tripped":
                yield from self.reset(port)
            if self.port(port).session != session or self.port(port).state not in ("armed", "on"):
                yield from self.ask(grant, f"port {port}")
            if time.monotonic() > end_s:
                raise HarnessError(f"port {port} does not close: {self.port(port)}")
            yield None
        return session

    def reset(self, port: int | None) -> Script:
        """Release a latch, with the words of a repair."""
        yield from self.ask(messages.Reset(port=port, by="bench", repair="bench"), f"reset of {port}")
