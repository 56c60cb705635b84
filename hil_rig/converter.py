"""An MCP3008 on the lines of a simulated SPI bus, bit by bit as its data sheet has it, and thermistors before it.

Chip select low begins; each rising edge of the clock takes one bit: start (1), single-ended (1), three bits of the
channel. One clock later comes a null bit, then ten bits, the highest first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Bits after the start bit: single-ended, channel; then sampling; then null and ten bits of data.
_CHANNEL_END = 5
_DATA_BEGIN = 7
_DATA_BITS = 10
_STEPS = 1 << _DATA_BITS


class SimulatedMcp3008:
    """The chip. ``code`` gives what it measures at a channel, 0 to 1023."""

    def __init__(self, code: Callable[[int], int]) -> None:
        self._code = code
        self._bits: list[int] | None = None
        self._clocks = 0
        self._held = 0

    def select(self) -> None:
        """Begin a conversion: chip select went low."""
        self._bits, self._clocks = None, 0

    def clock(self, *, data_in: bool) -> bool:
        """Take a rising edge of the clock and return the level of the data output."""
        if self._bits is None:
            self._bits = [1] if data_in else None
            return False
        self._clocks += 1
        if self._clocks < _CHANNEL_END:
            self._bits.append(int(data_in))
            return False
        if self._clocks == _CHANNEL_END:  # the input is sampled and held now
            _, single, *channel = self._bits
            self._held = self._code(channel[0] << 2 | channel[1] << 1 | channel[2]) if single else 0
            return False
        place = _DATA_BITS - 1 - (self._clocks - _DATA_BEGIN)
        return 0 <= place < _DATA_BITS and bool(self._held >> place & 1)


def thermistor_code(
    celsius: float, *, r25_ohm: float = 10_000.0, beta_k: float = 3950.0, series_ohm: float = 10_000.0, to_ground: bool
) -> int:
    """Return what a converter shows of a thermistor at ``celsius`` in its divider, 0 to 1023."""
    ntc_ohm = r25_ohm * math.exp(beta_k * (1.0 / (celsius + 273.15) - 1.0 / 298.15))
    low_ohm = ntc_ohm if to_ground else series_ohm
    return min(_STEPS - 1, int(_STEPS * low_ohm / (ntc_ohm + series_ohm)))


def write_codes(path: Path, codes: Mapping[tuple[int, int], int]) -> None:
    """Say what converters measure: code by (select line, channel)."""
    part = path.with_name(path.name + ".part")
    part.write_text("".join(f"{select} {channel} {code}\n" for (select, channel), code in codes.items()), "ascii")
    part.replace(path)


def read_code(path: Path, select: int, channel: int) -> int:
    """Return what the converter at a select line measures; full scale where nobody has said, as an open input."""
    try:
        lines = path.read_text("ascii").splitlines()
    except FileNotFoundError:
        return _STEPS - 1
    codes = {(int(words[0]), int(words[1])): int(words[2]) for words in map(str.split, lines)}
    return codes.get((select, channel), _STEPS - 1)
