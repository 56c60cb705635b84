"""A rack of equal meters on one pty that keeps the time of the wire per byte: ``python -m hil_rig.bus_rack``.

For figures about time only; ``hil_rig.wire`` is the rack with faults and many models. Here one thread does nothing
but wait for the next moment of the line (it spins for the last part, so that its own lateness stays below 20 µs on a
free core) and writes each byte of a reply when its last bit would have arrived. It wants a core of its own, and asks
for real-time scheduling.

Prints the path of its tty, then serves until its standard input is closed or says ``end``; then prints one line of
JSON: when each request began, to which unit, and how long the line had been silent before it. All times are
CLOCK_MONOTONIC, seconds. A line ``set UNIT VALUE`` puts VALUE into register 0 of UNIT (the voltage of a PZEM-004T, in
0.1 V); the others hold 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import struct
import sys
import time
import tty
from typing import TYPE_CHECKING, Final

from drivers.frames import crc_holds, sealed
from pilenode.guard.realtime import raise_priority
from safety.budget import REQUEST_BYTES, LineTiming, line_timing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: 220 V, and a little more for each unit.
_IDLE_VALUE: Final = 2200
#: A line that was silent for so long is waited for without spinning, seconds.
_IDLE_S: Final = 0.3
#: The last part of every wait is spun through, seconds.
_SPIN_S: Final = 0.000_25
#: How long the rack sleeps at most while it waits like that, seconds.
_LOOK_S: Final = 0.05


class SteadyRack:
    """``units`` on one line; register 0 of a unit holds ``values[unit]``, the others 0. ``dead`` units say nothing."""

    def __init__(
        self,
        timing: LineTiming,
        turnaround_s: float,
        units: Collection[int],
        dead: Collection[int] = (),
        *,
        spin: bool = True,
    ) -> None:
        self.values = {unit: _IDLE_VALUE + unit for unit in units}
        self.requests: list[tuple[float, int, float]] = []
        self._timing, self._turnaround_s, self._dead = timing, turnaround_s, frozenset(dead)
        self._master, self._far_end = os.openpty()
        tty.setraw(self._far_end)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._far_end)
        self._quiet_s = time.monotonic()
        self._ended = False
        self._idle_s, self._spin_s = (_IDLE_S, _SPIN_S) if spin else (0.0, 0.0)

    def serve(self) -> None:
        """Answer until told to end."""
        while self._orders(_LOOK_S if time.monotonic() - self._quiet_s > self._idle_s else 0.0):
            frame, begun_s = self._request()
            if frame is None:
                continue
            unit = frame[0]
            self.requests.append((begun_s, unit, begun_s - self._quiet_s))
            end_s = begun_s + len(frame) * self._timing.character_s
            self._quiet_s = end_s
            if unit in self.values and unit not in self._dead and crc_holds(frame):
                self._reply(frame, end_s + self._timing.silence_s + self._turnaround_s)

    def _request(self) -> tuple[bytes | None, float]:
        """Wait for a request and return it with the moment of its first bit; None when it is time to look around."""
        while True:
            try:
                data = os.read(self._master, 256)
            except BlockingIOError:
                if time.monotonic() - self._quiet_s > self._idle_s:
                    return None, 0.0
                continue
            begun_s = time.monotonic()
            while len(data) < REQUEST_BYTES and time.monotonic() < begun_s + self._timing.silence_s:
                if select.select([self._master], [], [], 0.001)[0]:
                    data += os.read(self._master, 256)
            return data, begun_s

    def _reply(self, request: bytes, begin_s: float) -> None:
        _until(begin_s, self._spin_s)
        self._orders(0.0)  # a meter answers with what it has measured when its reply begins
        count = struct.unpack(">H", request[4:6])[0]
        data = self.values[request[0]].to_bytes(2, "big") + bytes(2 * count - 2)
        reply = sealed(bytes([request[0], request[1], len(data)]) + data)
        for number, byte in enumerate(reply, start=1):
            _until(begin_s + number * self._timing.character_s, self._spin_s)
            os.write(self._master, bytes([byte]))
        self._quiet_s = time.monotonic()

    def _orders(self, wait_s: float) -> bool:
        """Take what is said on standard input, waiting for it or for a request; False when it is, or was, the end."""
        if self._ended:
            return False
        ready = select.select([sys.stdin, self._master], [], [], wait_s)[0]
        if sys.stdin not in ready:
            return True
        words = sys.stdin.readline().split()
        if not words or words[0] == "end":
            self._ended = True
            return False
        unit, value = int(words[1]), int(words[2])
        self.values[unit] = value
        return True


def _until(due_s: float, spin_s: float) -> None:
    left_s = due_s - time.monotonic()
    if left_s > 2 * spin_s:
        time.sleep(left_s - spin_s)
    while time.monotonic() < due_s:
        pass


def summary(rack: SteadyRack, silence_s: float) -> Mapping[str, object]:
    """Return what was heard. A gap counts as short when it is under t3.5 by more than the rack's own 20 µs."""
    gaps = [gap for _, _, gap in rack.requests[1:]]
    return {
        "requests": [(begun_s, unit) for begun_s, unit, _ in rack.requests],
        "short_gaps": sum(gap < silence_s - 0.000_02 for gap in gaps),
        "gap_p50_ms": sorted(gaps)[len(gaps) // 2] * 1000 if gaps else None,
    }


def main() -> None:
    """Serve one line."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bus_rack", description=__doc__)
    parser.add_argument("--baud", type=int, required=True)
    parser.add_argument("--turnaround-ms", type=float, default=5.0)
    parser.add_argument("--units", type=int, default=10, help="units 1 to this number")
    parser.add_argument("--no-spin", action="store_true", help="sleep instead: for several racks on few cores")
    parser.add_argument("--dead", type=int, nargs="*", default=[])
    arguments = parser.parse_args()
    timing = line_timing(arguments.baud, "N", 2, arguments.turnaround_ms / 1000)
    units = range(1, arguments.units + 1)
    rack = SteadyRack(timing, arguments.turnaround_ms / 1000, units, arguments.dead, spin=not arguments.no_spin)
    with contextlib.suppress(OSError):
        raise_priority()
    print(rack.device, flush=True)
    rack.serve()
    print(json.dumps(summary(rack, timing.silence_s)), flush=True)


if __name__ == "__main__":
    main()
