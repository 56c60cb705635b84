"""One meter channel: blocks read over a line, joined into a ``MeterReading`` or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.frames import Question
from drivers.registers import decode
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contracts import Line
    from drivers.registers import Block, RegisterMap


class Meter:
    """The meter with Modbus address ``unit`` (1 to 247) on ``line``, laid out as ``register_map`` says.

    Not thread-safe, as its line is not.
    """

    def __init__(self, line: Line, unit: int, register_map: RegisterMap) -> None:
        self._line = line
        self._map = register_map
        self._questions = {
            block.name: Question(unit, register_map.function, block.start, block.count, register_map.bytes_per_register)
            for block in register_map.blocks
        }
        self._energy: tuple[float, float] | None = None  # Wh, and when it was taken
        self._missing_since_s: float | None = None

    def poll(self, now: Callable[[], float], *, slow: bool) -> MeterReading | Missing:
        """Return a new reading, or why there is none and since when.

        Reads every fast block, and the slow blocks when ``slow`` or when the energy was never read. ``now`` is
        guard's monotonic clock, seconds; ``taken_s`` is the moment the first fast block was complete, the oldest
        value in the reading. A slow block that fails takes nothing away: the energy of before goes on with its own
        time. A value outside the gates of ``MeterReading``, energy included, makes the whole reading OUT_OF_RANGE.
        """
        outcome = self._read(now, slow=slow or self._energy is None)
        if isinstance(outcome, MissingReason):
            if self._missing_since_s is None:
                self._missing_since_s = now()
            return Missing(outcome, self._missing_since_s)
        self._missing_since_s = None
        return outcome

    def cost_s(self, *, slow: bool) -> float:
        """Return the longest time a good ``poll`` may take, in seconds (see ``Line.transaction_s``)."""
        return sum(self._line.transaction_s(self._questions[block.name].size) for block in self._blocks(slow=slow))

    def failure_s(self) -> float:
        """Return the longest time one failing transaction of a ``poll`` costs, in seconds (see ``Line.failure_s``)."""
        return max(self._line.failure_s(question.size) for question in self._questions.values())

    def _read(self, now: Callable[[], float], *, slow: bool) -> MeterReading | MissingReason:
        values: dict[str, float] = {}
        times_s: list[float] = []
        energy = self._energy
        for block in self._blocks(slow=slow):
            data = self._line.read(self._questions[block.name])
            if isinstance(data, bytes):
                times_s.append(now())
                decoded = decode(block, data, self._map.bytes_per_register)
                values |= decoded
                if "energy_wh" in decoded:
                    energy = (decoded["energy_wh"], times_s[-1])
            elif block.fast:
                return data
        reading = self._reading(values, energy, taken_s=times_s[0])
        if isinstance(reading, MeterReading):
            self._energy = energy
        return reading

    def _blocks(self, *, slow: bool) -> list[Block]:
        """Return the blocks to read, fast ones first: a meter that fails those is not asked for more."""
        fast = [block for block in self._map.blocks if block.fast]
        return fast + [block for block in self._map.blocks if slow and not block.fast]

    def _reading(
        self, values: dict[str, float], energy: tuple[float, float] | None, taken_s: float
    ) -> MeterReading | MissingReason:
        energy_wh, energy_taken_s = energy or (None, None)
        power_w = values["power_w"]
        try:
            return MeterReading(
                taken_s=taken_s,
                voltage_v=values["voltage_v"],
                current_a=values["current_a"],
                power_w=abs(power_w) if self._map.signed_power else power_w,
                power_factor=values.get("power_factor"),
                energy_wh=energy_wh,
                energy_taken_s=energy_taken_s,
            )
        except ValueError:
            return MissingReason.OUT_OF_RANGE
