"""Where guard's threads meet: newest inputs in, wishes of the tick out. Every method is short and locked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from safety.inputs import PortInputs
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


#: Stands in the place of a port number for what belongs to the whole cabinet: its probe and its inlet meter.
CABINET: Final = 0


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of the cabinet as a whole; None where not fitted."""

    probe: ProbeReading | Missing | None = None
    inlet: MeterReading | Missing | None = None


class Board:
    """Holds what is known of every port and of the cabinet.

    ``probed`` names the ports that have a temperature probe, ``CABINET`` among them when the cabinet has one;
    ``inlet``: there is an inlet meter.
    """

    def __init__(self, ports: Iterable[int], probed: Iterable[int], now: float, *, inlet: bool = False) -> None:
        never = Missing(MissingReason.NEVER_READ, now)
        with_probe = frozenset(probed)
        self._lock = threading.Lock()
        self._whole = Whole(never if CABINET in with_probe else None, never if inlet else None)
        self._ports = {port: PortInputs(never, probe=never if port in with_probe else None) for port in ports}
        self._live: frozenset[int] = frozenset()
        self._wanted: frozenset[int] = frozenset()
        self._failure: BaseException | None = None

    def put_meter(self, port: int, outcome: MeterReading | Missing) -> None:
        """Take the outcome of one poll. A failed poll keeps the last good reading, which ages by itself."""
        with self._lock:
            if port == CABINET:
                # A sum that is not known is not added up: the last one does not stand for the present here.
                self._whole = replace(self._whole, inlet=outcome)
                return
            before = self._ports[port]
            if isinstance(outcome, Missing):
                self._ports[port] = replace(before, meter_error=outcome)
            else:
                overtaken = (*before.earlier, before.meter) if isinstance(before.meter, MeterReading) else ()
                self._ports[port] = replace(before, meter=outcome, meter_error=None, earlier=overtaken)

    def put_probe(self, port: int, outcome: ProbeReading | Missing) -> None:
        """Take the outcome of one temperature reading. A missing one keeps the last value, which ages by itself."""
        with self._lock:
            if port == CABINET:
                if isinstance(outcome, ProbeReading) or isinstance(self._whole.probe, Missing):
                    self._whole = replace(self._whole, probe=outcome)
                return
            before = self._ports[port]
            failed = outcome if isinstance(outcome, Missing) else None
            kept = before.probe if failed is not None and isinstance(before.probe, ProbeReading) else outcome
            self._ports[port] = replace(before, probe=kept, probe_error=failed)

    def whole(self) -> Whole:
        """Return what is known of the cabinet now."""
        with self._lock:
            return self._whole

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
