"""1-wire thermometers as the kernel shows them: ``<root>/<id>/w1_slave`` with real scratchpads and CRCs."""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: A DS18B20 counts sixteenths of a degree.
_STEPS_PER_KELVIN = 16
#: Alarm registers, 12 bit resolution, reserved bytes: what a DS18B20 holds beside its temperature (datasheet, fig. 9).
_SCRATCHPAD_REST = bytes([0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10])


class ProbeFault(StrEnum):
    """What is wrong with a probe: nothing, a disturbed line, or no probe at all."""

    NONE = "none"
    BAD_CRC = "bad_crc"
    MISSING = "missing"


class Probes:
    """The devices below ``root``; ``faults`` by 1-wire id may be changed at any time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, ProbeFault] = {}
        root.mkdir(parents=True, exist_ok=True)

    def write(self, probe: str, celsius: float) -> None:
        """Let ``probe`` show ``celsius`` (-55 to 125, in steps of 1/16), or its fault."""
        device = self.root / probe
        fault = self.faults.get(probe, ProbeFault.NONE)
        if fault is ProbeFault.MISSING:
            shutil.rmtree(device, ignore_errors=True)
            return
        device.mkdir(exist_ok=True)
        part = device / f"w1_slave.{os.getpid()}"
        part.write_text(_contents(celsius, good=fault is ProbeFault.NONE), encoding="ascii")
        part.replace(device / "w1_slave")


def _contents(celsius: float, *, good: bool) -> str:
    steps = round(celsius * _STEPS_PER_KELVIN)
    scratchpad = steps.to_bytes(2, "little", signed=True) + _SCRATCHPAD_REST
    crc = crc8(scratchpad)
    data = " ".join(f"{byte:02x}" for byte in (*scratchpad, crc))
    verdict = f"crc={crc:02x} YES" if good else f"crc={crc ^ 0xFF:02x} NO"
    return f"{data} : {verdict}\n{data} t={steps * 1000 // _STEPS_PER_KELVIN}\n"


def crc8(data: bytes) -> int:
    """Return the 1-wire CRC of ``data`` (polynomial x⁸+x⁵+x⁴+1, reflected)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8C if crc & 1 else crc >> 1
    return crc
