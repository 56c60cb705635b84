"""A 1-wire bus as the kernel's w1_therm shows it, with the time that conversions take.

``Probes`` writes files that are there at once; here reading ``w1_slave`` blocks for a conversion, and
``therm_bulk_read`` of the bus master lets all probes convert at once. Files of sysfs have behaviour, ordinary ones have
none: every ``w1_slave`` is a pipe that a thread answers, a new pipe for each reader, and the master's file is looked at
every few milliseconds.

Rules of the kernel that are kept: only ``trigger`` with its line end converts, anything else is ignored; a probe whose
shared conversion has not been read shows it at its next reading, however old; and 0 means that nothing is waiting.
Not kept: the real write blocks for the conversion; here the file says -1 meanwhile, as the documentation has it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from hil_rig.probes import ProbeFault, contents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

_LOOK_S = 0.002
_TRIGGER = b"trigger\n"


class OneWireMaster:
    """One bus below ``root``; a context manager. ``celsius`` may be changed at any time, by 1-wire id.

    ``conversion_s``: what one conversion takes, seconds (0.75 in a real chip of 12 bits). ``refuses``: a trigger
    converts nothing. ``conversions`` counts conversions, shared ones as one.
    """

    def __init__(
        self, root: Path, number: int, celsius: Mapping[str, float], *, conversion_s: float, parasite: bool = False
    ) -> None:
        self.celsius = dict(celsius)
        self.conversions = 0
        self.triggers = 0
        self.refuses = False
        self._conversion_s = conversion_s
        self._waiting: dict[str, float] = {}
        self._bus = threading.Lock()
        self._directory = root / f"w1_bus_master{number}"
        self._directory.mkdir(parents=True)
        self._bulk = self._directory / "therm_bulk_read"
        self._show(b"0\n")
        for name in self.celsius:
            device = self._directory / name
            device.mkdir()
            (device / "ext_power").write_text("0\n" if parasite else "1\n", encoding="ascii")
            (device / "resolution").write_text("12\n", encoding="ascii")
            os.mkfifo(device / "w1_slave")
            (root / name).symlink_to(device)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._serve, args=[name], daemon=True) for name in self.celsius]
        self._threads.append(threading.Thread(target=self._watch, daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        for name in self.celsius:
            # Whoever waits for a reader gets one.
            with suppress(OSError):
                os.close(os.open(self._directory / name / "w1_slave", os.O_RDONLY | os.O_NONBLOCK))
        for thread in self._threads:
            thread.join(5.0)

    def _show(self, state: bytes) -> None:
        part = self._directory / ".bulk"
        part.write_bytes(state)
        part.replace(self._bulk)

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            written = self._bulk.read_bytes()
            if written in (b"0\n", b"1\n", b"-1\n"):
                continue
            if not written.startswith(_TRIGGER) or self.refuses:
                self._show(b"0\n")
                continue
            self.triggers += 1
            with self._bus:
                self._show(b"-1\n")
                shown = dict(self.celsius)
                time.sleep(self._conversion_s)
                self.conversions += 1
                self._waiting = shown
                self._show(b"1\n")

    def _serve(self, name: str) -> None:
        pipe = self._directory / name / "w1_slave"
        while not self._stopping.is_set():
            descriptor = os.open(pipe, os.O_WRONLY)  # until somebody reads
            try:
                fresh = pipe.with_name(".next")
                os.mkfifo(fresh)
                text = self._read(name)
                fresh.replace(pipe)
                with suppress(BrokenPipeError):
                    os.write(descriptor, text.encode("ascii"))
            finally:
                os.close(descriptor)

    def _read(self, name: str) -> str:
        if self._stopping.is_set():
            return ""
        with self._bus:
            celsius = self._waiting.pop(name, None)
            if celsius is None:
                celsius = self.celsius[name]
                time.sleep(self._conversion_s)
                self.conversions += 1
            elif not self._waiting:
                self._show(b"0\n")
        return contents(celsius, ProbeFault.NONE)
