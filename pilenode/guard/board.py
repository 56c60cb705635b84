"""Where guard's threads meet: newest inputs in, wishes of the tick out. Every method is short and locked."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from safety.hazards import PortInputs
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from safety.reading import ProbeReading


class Board:
    """Holds what is known of every port. ``probed`` names the ports that have a temperature probe."""

    def __init__(self, ports: Iterable[int], probed: Iterable[int], now: float) -> None:
        never = Missing(MissingReason.NEVER_READ, now)
        with_probe = frozenset(probed)
        self._lock = threading.Lock()
        self._ports = {port: PortInputs(never, probe=never if port in with_probe else None) for port in ports}
        self._live: frozenset[int] = frozenset()
        self._wanted: frozenset[int] = frozenset()
        self._failure: BaseException | None = None

    def put_meter(self, port: int, outcome: MeterReading | Missing) -> None:
        """Take the outcome of one poll. A failed poll keeps the last good reading, which ages by itself."""
        with self._lock:
            before = self._ports[port]
            if isinstance(outcome, Missing):
                self._ports[port] = replace(before, meter_error=outcome)
            else:
                overtaken = (*before.earlier, before.meter) if isinstance(before.meter, MeterReading) else ()
                self._ports[port] = replace(before, meter=outcome, meter_error=None, earlier=overtaken)

    def put_probe(self, port: int, outcome: ProbeReading | Missing) -> None:
        """Take the outcome of one temperature reading. A missing one keeps the last value, which ages by itself."""
        with self._lock:
            before = self._ports[port]
            if isinstance(outcome, Missing) and not isinstance(before.probe, Missing):
                return
            self._ports[port] = replace(before, probe=outcome)

    def inputs(self) -> Mapping[int, PortInputs]:
        """Return what is known of every port now; the next call has no readings that this one has overtaken."""
        with self._lock:
            known = self._ports
            self._ports = {port: replace(inputs, earlier=()) for port, inputs in known.items()}
            return known

    def wish(self, live: frozenset[int], wanted: frozenset[int]) -> None:
        """Say which ports hold a session and of which the energy register is wanted soon."""
        with self._lock:
            self._live, self._wanted = live, wanted

    def wishes(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the ports that hold a session, and those whose energy register is wanted soon."""
        with self._lock:
            return self._live, self._wanted

    def fail(self, error: BaseException) -> None:
        """Report that a worker thread died of a bug; the next tick raises it."""
        with self._lock:
            self._failure = self._failure or error

    def check(self) -> None:
        """Raise the bug of a worker thread, if one died."""
        with self._lock:
            if self._failure is not None:
                raise RuntimeError("a worker thread of guard died") from self._failure
