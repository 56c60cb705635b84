"""A gpiozero pin factory whose lines end in files, so that any outside program can watch relays and move contacts.

``[gpio] factory = "hil_rig.pins:RigFactory"``; the environment variable HIL_RIG_PINS names the files:

- ``$HIL_RIG_PINS``: one line ``<CLOCK_MONOTONIC ns> <pin> <0|1>`` per change of an output, its first drive included.
  The level is the electrical one. A line is one write, so it is whole and outlives SIGKILL. A pin that stops being
  an output writes nothing: like a Raspberry Pi kernel, the rig leaves the line at its last level;
- ``$HIL_RIG_PINS.in``: a FIFO; each line ``<pin> <0|1>`` sets the level of an input, now or whenever it is claimed.
  Anything else is ignored;
- ``$HIL_RIG_PINS.levels``: the levels last set that way, so that a contact stays where it is when the program that
  reads it is killed and started again;
- ``$HIL_RIG_PINS.codes``: what MCP3008 converters on SPI measure, one line ``<select pin> <channel> <0..1023>`` each
  (``hil_rig.converter``). Lines that carry SPI write nothing into the file of the outputs.

An input that nobody has set reads its bias, as an open line does.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
import time
from pathlib import Path
from typing import NamedTuple

from gpiozero.exc import PinSetInput
from gpiozero.pins.mock import MockFactory, MockPin

from hil_rig.converter import SimulatedMcp3008, read_code

VARIABLE = "HIL_RIG_PINS"
_LONGEST_LINE = 4096


class SpiArguments(NamedTuple):
    """Lines of one SPI interface, by gpiozero's names."""

    clock_pin: int
    mosi_pin: int
    miso_pin: int
    select_pin: int


class RigPin(MockPin):  # type: ignore[misc] # gpiozero has no types
    """One line of the rig. Becoming an output drives it, as a kernel does: low, or at the level asked for."""

    def output_with_state(self, state: bool) -> None:  # noqa: FBT001 - gpiozero's signature
        """Become an output at ``state`` without passing through another level."""
        with self.factory.lock:
            super()._set_function("output")
        self._drive(level=bool(state))

    def _set_function(self, value: str) -> None:
        with self.factory.lock:
            was = self._function
            super()._set_function(value)
        if value == "output" and was != "output":
            self._drive(level=False)

    def _set_state(self, value: float) -> None:
        if self._function == "input":
            raise PinSetInput(f"cannot set state of pin {self!r}")
        if bool(value) != self._state:
            self._drive(level=bool(value))

    def _set_pull(self, value: str) -> None:
        with self.factory.lock:
            super()._set_pull(value)
            level = self.factory.levels.get(self._number)
            if level is not None:
                self.follow(high=level)

    def follow(self, *, high: bool) -> None:
        """Take the level that the outside has set, if this is an input."""
        if self._function == "input":
            (self.drive_high if high else self.drive_low)()

    def _drive(self, *, level: bool) -> None:
        self._change_state(level)
        if self._number in self.factory.spi_lines:
            self.factory.clocked(self._number, level=level)
        else:
            self.factory.record(self._number, level=level)


class RigFactory(MockFactory):  # type: ignore[misc] # gpiozero has no types
    """The pins of the rig. Raises RuntimeError when HIL_RIG_PINS does not say where they are.

    ``levels`` holds what the outside has set, by BCM number; ``lock`` guards it and every change of direction.
    """

    def __init__(self) -> None:
        path = os.environ.get(VARIABLE)
        if not path:
            raise RuntimeError(f"the rig's pins need {VARIABLE}=FILE in the environment")
        super().__init__(pin_class=RigPin)
        self.lock = threading.RLock()
        self._levels_file = Path(path + ".levels")
        self.levels = read_levels(self._levels_file)
        self._outputs_fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._inputs_fd = open_inputs(path)
        self._codes_file = Path(path + ".codes")
        self.spi_lines: set[int] = set()
        self._converters: dict[int, tuple[SpiArguments, SimulatedMcp3008]] = {}
        self._partial = b""
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._closed = False
        self._receive()  # what was written before the program started counts from its very first look
        self._thread = threading.Thread(target=self._listen, name="rig-inputs", daemon=True)
        self._thread.start()

    def record(self, pin: int, *, level: bool) -> None:
        """Append one change of an output to the file."""
        os.write(self._outputs_fd, b"%d %d %d\n" % (time.monotonic_ns(), pin, level))

    def spi(self, **spi_args: object) -> object:
        """Return the SPI interface that was asked for, with an MCP3008 at its other end."""
        lines = SpiArguments(*(int(str(spi_args[key])) for key in SpiArguments._fields))
        self.spi_lines |= set(lines)
        select = lines.select_pin
        if select not in self._converters:
            chip = SimulatedMcp3008(lambda channel: read_code(self._codes_file, select, channel))
            self._converters[select] = (lines, chip)
        return super().spi(**spi_args)

    def clocked(self, pin: int, *, level: bool) -> None:
        """Hand a change of an SPI line to the converters that hang on it."""
        for lines, chip in self._converters.values():
            if pin == lines.select_pin and not level:
                chip.select()
            if pin == lines.clock_pin and level and not self.pin(lines.select_pin).state:
                data_in = bool(self.pin(lines.mosi_pin).state)
                self.pin(lines.miso_pin).follow(high=chip.clock(data_in=data_in))

    def close(self) -> None:
        """Stop listening, release every pin and close the files."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._stop_fd, 1)
        self._thread.join()
        super().close()
        for descriptor in (self._inputs_fd, self._outputs_fd, self._stop_fd):
            os.close(descriptor)

    def _listen(self) -> None:
        while self._stop_fd not in select.select([self._inputs_fd, self._stop_fd], [], [])[0]:
            self._receive()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                *lines, rest = (self._partial + os.read(self._inputs_fd, 4096)).split(b"\n")
                self._partial = rest[-_LONGEST_LINE:]
                for setting in filter(None, map(_parse, lines)):
                    self._apply(setting[0], high=setting[1])

    def _apply(self, pin: int, *, high: bool) -> None:
        with self.lock:
            self.levels[pin] = high
            _write_levels(self._levels_file, self.levels)
            for claimed in self.pins.values():
                if claimed.info.name == f"GPIO{pin}":
                    claimed.follow(high=high)


def open_inputs(path: str) -> int:
    """Open the FIFO of the inputs beside ``path``, made when missing, and return its descriptor.

    It is opened for both directions and never blocks: a writer need not wait for a reader, and a reader sees no end
    when writers come and go. Raises RuntimeError when something else than a FIFO is in its place.
    """
    fifo = path + ".in"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RuntimeError(f"{fifo} is not a FIFO")
    return descriptor


def read_levels(path: Path) -> dict[int, bool]:
    """Return the levels of the inputs as last set; empty when none ever was."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    return dict(setting for setting in map(_parse, lines) if setting)


def _write_levels(path: Path, levels: dict[int, bool]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text("".join(f"{pin} {level:d}\n" for pin, level in sorted(levels.items())), encoding="ascii")
    part.replace(path)


def _parse(line: bytes) -> tuple[int, bool] | None:
    words = line.split()
    if len(words) != len(("pin", "level")) or not words[0].isdigit() or words[1] not in (b"0", b"1"):
        return None
    return int(words[0]), words[1] == b"1"
