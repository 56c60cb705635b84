"""1-wire thermometers as the kernel shows them: ``<root>/<id>/w1_slave`` with real scratchpads and CRCs."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: A DS18B20 counts sixteenths of a degree.
_STEPS_PER_KELVIN = 16
#: Alarm registers, 12 bit resolution, reserved bytes: what a DS18B20 holds beside its temperature (datasheet, fig. 9).
_SCRATCHPAD_REST = bytes([0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10])
#: What the temperature register holds at power-on (data sheet).
_POWER_ON_C = 85.0


class ProbeFault(StrEnum):
    """What is wrong with a probe."""

    NONE = "none"
    BAD_CRC = "bad_crc"  # a disturbed line
    MISSING = "missing"  # a broken wire, once the kernel has noticed: no device
    OPEN = "open"  # a broken wire before that: nobody answers, nine bytes of ones, CRC wrong
    SHORT = "short"  # data line to ground: nine bytes of zeros, whose CRC is right
    POWER_ON = "power_on"  # too weak a supply: 85.000 °C for ever
    FROZEN = "frozen"  # the last temperature for ever
    HANGING = "hanging"  # the reader waits until the fault is gone


@dataclass(slots=True)
class _Jump:
    celsius: float
    writes: int


class Probes:
    """The devices below ``root``; ``faults`` by 1-wire id may be changed at any time and show with the next write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, ProbeFault] = {}
        self._jumps: dict[str, _Jump] = {}
        root.mkdir(parents=True, exist_ok=True)

    def jump(self, probe: str, celsius: float, writes: int = 1) -> None:
        """Let ``probe`` show ``celsius`` in its next ``writes`` writes and the truth again after them.

        A rig writes five times a second: a reader every 2 s sees 10 writes once.
        """
        self._jumps[probe] = _Jump(celsius, writes)

    def write(self, probe: str, celsius: float) -> None:
        """Let ``probe`` show ``celsius`` (-55 to 125, in steps of 1/16), or its fault."""
        device = self.root / probe
        file = device / "w1_slave"
        fault = self.faults.get(probe, ProbeFault.NONE)
        if fault is ProbeFault.MISSING:
            shutil.rmtree(device, ignore_errors=True)
            return
        device.mkdir(exist_ok=True)
        if fault is ProbeFault.HANGING:
            _hang(file)
            return
        if fault is ProbeFault.FROZEN and file.exists():
            return
        part = device / f"w1_slave.{os.getpid()}"
        part.write_text(contents(self._shown_c(probe, celsius), fault), encoding="ascii")
        hanging = _open_hanging(file)
        part.replace(file)
        if hanging is not None:
            os.close(hanging)  # whoever waited sees an empty file

    def _shown_c(self, probe: str, celsius: float) -> float:
        jump = self._jumps.get(probe)
        if jump is None:
            return celsius
        jump.writes -= 1
        if jump.writes <= 0:
            del self._jumps[probe]
        return jump.celsius


def _hang(file: Path) -> None:
    """Put a pipe in the file's place: opening it waits until somebody writes."""
    if file.exists() and stat.S_ISFIFO(file.stat().st_mode):
        return
    part = file.with_suffix(".pipe")
    os.mkfifo(part)
    part.replace(file)


def _open_hanging(file: Path) -> int | None:
    """Return the writing end of a pipe that somebody waits at, None when nobody does."""
    if not file.exists() or not stat.S_ISFIFO(file.stat().st_mode):
        return None
    try:
        return os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # ENXIO: no reader
        return None


def contents(celsius: float, fault: ProbeFault) -> str:
    """Return what the kernel's ``w1_slave`` says of a probe at ``celsius`` with ``fault``."""
    if fault is ProbeFault.SHORT:
        return _text(bytes(9), 0, "crc=00 YES")
    if fault is ProbeFault.OPEN:
        return _text(b"\xff" * 9, round(celsius * 1000), "crc=c9 NO")
    steps = round((_POWER_ON_C if fault is ProbeFault.POWER_ON else celsius) * _STEPS_PER_KELVIN)
    scratchpad = steps.to_bytes(2, "little", signed=True) + _SCRATCHPAD_REST
    crc = crc8(scratchpad)
    verdict = f"crc={crc ^ 0xFF:02x} NO" if fault is ProbeFault.BAD_CRC else f"crc={crc:02x} YES"
    return _text(bytes([*scratchpad, crc]), steps * 1000 // _STEPS_PER_KELVIN, verdict)


def _text(scratchpad: bytes, milli_c: int, verdict: str) -> str:
    data = scratchpad.hex(" ")
    return f"{data} : {verdict}\n{data} t={milli_c}\n"


def crc8(data: bytes) -> int:
    """Return the 1-wire CRC of ``data`` (polynomial x⁸+x⁵+x⁴+1, reflected)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8C if crc & 1 else crc >> 1
    return crc
