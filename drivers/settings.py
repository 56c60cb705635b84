"""How a setting of a meter is encoded in a register: pure values. What is written is built in ``drivers.writes``."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Place = Literal["whole", "high_byte", "low_byte", "low_nibble"]
Effect = Literal["at_once", "after_reply", "after_power_cycle"]

#: Shift and mask of each place in a 16-bit register.
_PLACES: Final[dict[str, tuple[int, int]]] = {
    "whole": (0, 0xFFFF),
    "high_byte": (8, 0xFF),
    "low_byte": (0, 0xFF),
    "low_nibble": (0, 0x0F),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Address or baud rate of a meter in a register (config.schema_meter.MeterWrite, as the driver sees it).

    ``function`` 6 or 16; ``type`` u16 or f32 (two registers); ``codes``: the number that stands for each value, empty
    where the value itself is written. Raises ValueError for a float in part of a register, or written by function 6.
    """

    function: int
    address: int
    type: str = "u16"
    place: Place = "whole"
    codes: Mapping[int, int] = field(default_factory=dict)
    takes_effect: Effect = "after_reply"

    def __post_init__(self) -> None:
        if self.function not in (6, 16):
            raise ValueError(f"function {self.function} is neither 6 nor 16")
        if self.type == "f32" and (self.place != "whole" or self.function != 16):  # noqa: PLR2004 - a function
            raise ValueError("a float fills two registers, which only function 16 writes")
        if self.place != "whole" and not all(code <= _PLACES[self.place][1] for code in self.codes.values()):
            raise ValueError(f"a code does not fit the {self.place}")

    @property
    def registers(self) -> int:
        """Return how many registers the setting takes."""
        return 2 if self.type == "f32" else 1

    @property
    def packed(self) -> bool:
        """Whether other settings share the register, so that it must be read before it is written."""
        return self.place != "whole"

    def code(self, value: int) -> int | None:
        """Return the number that stands for ``value``, None when the model does not know it."""
        return self.codes.get(value) if self.codes else value

    def shown(self, data: bytes) -> float:
        """Return the number in the data of a read of this register."""
        if self.type == "f32":
            return float(struct.unpack(">f", data)[0])
        shift, mask = _PLACES[self.place]
        return float(int.from_bytes(data, "big") >> shift & mask)

    def words(self, code: int, before: bytes) -> tuple[int, ...]:
        """Return the registers that hold ``code``, with the rest as it is in ``before`` (ignored when not packed)."""
        if self.type == "f32":
            return struct.unpack(">HH", struct.pack(">f", code))
        shift, mask = _PLACES[self.place]
        rest = int.from_bytes(before, "big") & ~(mask << shift) if self.packed else 0
        return (rest | code << shift,)
