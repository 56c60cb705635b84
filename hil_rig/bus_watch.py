"""Guard's own bus threads and board on lines of steady racks, watched: ``python -m hil_rig.bus_watch`` for figures.

Everything between wire and board is guard's: ``pilenode.guard.workers.BusWorker``, ``drivers.bus``, ``drivers.meter``.
As a program it reads for some seconds and prints CPU seconds and resident memory of exactly that as one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from config.load import load_meter
from drivers.bus import SerialLine
from drivers.meter import MeterDevice
from pilenode.guard.board import Board
from pilenode.guard.meter_map import register_map
from pilenode.guard.realtime import raise_priority
from pilenode.guard.workers import BusWorker, FittedMeter
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MODEL: Final = "pzem004t-v3"
#: The turn-round that the configuration promises, seconds; the racks need 5 ms.
CONFIGURED_TURNAROUND_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Posted:
    """A reading as it came to the board: when, when it was taken (seconds, monotonic), and its voltage."""

    at_s: float
    taken_s: float
    voltage_v: float


class WatchedBoard(Board):
    """A board that remembers when each reading came."""

    def __init__(self, ports: Iterable[int]) -> None:
        super().__init__(ports, (), time.monotonic())
        self.posted: dict[int, list[Posted]] = {}
        self.news = threading.Condition()

    def put_meter(self, port: int, outcome: MeterReading | Missing) -> None:
        """Take it and remember."""
        super().put_meter(port, outcome)
        if isinstance(outcome, MeterReading):
            with self.news:
                self.posted.setdefault(port, []).append(Posted(time.monotonic(), outcome.taken_s, outcome.voltage_v))
                self.news.notify_all()

    def await_voltage(self, port: int, voltage_v: float, patience_s: float) -> float:
        """Return when the board first held that voltage of a port. Raises TimeoutError."""

        def held() -> float | None:
            newest = self.posted.get(port, [])[-1:]
            return next((one.at_s for one in newest if abs(one.voltage_v - voltage_v) < 0.05), None)  # noqa: PLR2004

        with self.news:
            if not self.news.wait_for(lambda: held() is not None, patience_s):
                raise TimeoutError(f"port {port} never showed {voltage_v:g} V")
            return held() or 0.0


class WatchedBuses:
    """One bus thread per device, ``units`` meters on each; ports are numbered through. A context manager."""

    def __init__(self, devices: Sequence[str], baud: int, units: int) -> None:
        ports = range(1, len(devices) * units + 1)
        self.board = WatchedBoard(ports)
        self.board.wish(frozenset(ports), frozenset())
        table = register_map(load_meter(MODEL))
        self._lines = [SerialLine(device, baud, "N", 2, CONFIGURED_TURNAROUND_S) for device in devices]
        self._workers = []
        for bus, line in enumerate(self._lines):
            meters = [
                FittedMeter(MeterDevice(line, unit, table), {1: bus * units + unit}) for unit in range(1, units + 1)
            ]
            limits = {port: PortLimits() for meter in meters for port in meter.ports.values()}
            self._workers.append(BusWorker(str(bus), self.board, meters, limits))

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join()
        for line in self._lines:
            line.close()


def main() -> None:
    """Read for some seconds."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bus_watch", description=__doc__)
    parser.add_argument("--devices", nargs="+", required=True)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--units", type=int, required=True, help="meters on each line")
    parser.add_argument("--seconds", type=float, default=6.0)
    arguments = parser.parse_args()
    with contextlib.suppress(OSError):
        raise_priority()
    with WatchedBuses(arguments.devices, arguments.baud, arguments.units):
        time.sleep(1.0)
        begun_s, used_s = time.monotonic(), time.process_time()
        time.sleep(arguments.seconds)
        share = (time.process_time() - used_s) / (time.monotonic() - begun_s)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_share": share, "memory_mib": memory_mib}))


if __name__ == "__main__":
    main()
