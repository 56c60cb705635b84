"""The temperature module R4DCB08 as a slave of a rack: eight registers in 0.1 °C, and what people do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil_rig.wire import Reply, crc16

if TYPE_CHECKING:
    from collections.abc import Callable

_FUNCTION, _INPUTS = 3, 8
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS = 1, 2
#: What an input without a chip shows.
_NOTHING = -0x8000


class SimulatedTemperatureModule:
    """A ``wire.Slave`` that shows ``celsius`` of inputs 1 to 8 (None: no chip); ``dead``: silence."""

    def __init__(self, celsius: Callable[[int], float | None]) -> None:
        self.dead = False
        self._celsius = celsius

    def answer(self, request: bytes) -> Reply | None:
        """Return the reply to ``request``; None is silence."""
        if self.dead:
            return None
        unit, function = request[0], request[1]
        start, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        if function != _FUNCTION:
            body = bytes([function | 0x80, _ILLEGAL_FUNCTION])
        elif count < 1 or start + count > _INPUTS:
            body = bytes([function | 0x80, _ILLEGAL_ADDRESS])
        else:
            data = b"".join(self._register(number) for number in range(start + 1, start + count + 1))
            body = bytes([function, len(data)]) + data
        frame = bytes([unit]) + body
        return Reply(frame + crc16(frame))

    def _register(self, number: int) -> bytes:
        celsius = self._celsius(number)
        raw = _NOTHING if celsius is None else round(celsius * 10)
        return raw.to_bytes(2, "big", signed=True)
