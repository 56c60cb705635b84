"""One meter on a line: its registers read once, and for each channel a ``MeterReading`` or why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.frames import Question
from drivers.registers import decode
from drivers.scales import fitting, negligible_w
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contracts import Line
    from drivers.registers import Block, Field, RegisterMap


class MeterDevice:
    """The meter with Modbus address ``unit`` (1 to 247) on ``line``, laid out as ``register_map`` says.

    All channels come out of the same reads. Blocks are joined where that is faster on this line
    (``safety.read_plan``). Not thread-safe, as its line is not.
    """

    def __init__(self, line: Line, unit: int, register_map: RegisterMap) -> None:
        self._line = line
        self._map = register_map
        self._reads = [
            (
                block,
                Question(
                    unit,
                    register_map.function,
                    block.start,
                    block.count,
                    register_map.bytes_per_register,
                    register_map.byte_count_lies,
                ),
            )
            for block in register_map.reads(line.transaction_s)
        ]
        self._channels = {channel: _Channel(register_map, channel) for channel in register_map.channels}
        self._energy_seen = False

    def poll(self, now: Callable[[], float], *, slow: bool) -> dict[int, MeterReading | Missing]:
        """Return for every channel a new reading, or why there is none and since when.

        Reads every fast block, and the slow blocks when ``slow`` or when no energy was ever read. ``now`` is guard's
        monotonic clock, seconds; ``taken_s`` is the moment the first fast block was complete, the oldest value in the
        reading. A slow block that fails takes nothing away: the energy of before goes on with its own time. A value
        outside the gates of ``MeterReading``, energy included, makes the whole reading of its channel OUT_OF_RANGE.
        """
        read = self._read(now, slow=slow or not self._energy_seen)
        if isinstance(read, MissingReason):
            return {number: channel.missing(read, now) for number, channel in self._channels.items()}
        outcomes = {number: channel.outcome(read, now) for number, channel in self._channels.items()}
        self._energy_seen = any(channel.energy is not None for channel in self._channels.values())
        return outcomes

    def cost_s(self, *, slow: bool) -> float:
        """Return the longest time a good ``poll`` may take, in seconds (see ``Line.transaction_s``)."""
        return sum(self._line.transaction_s(question.size) for block, question in self._reads if block.fast or slow)

    def failure_s(self) -> float:
        """Return the longest time one failing transaction of a ``poll`` costs, in seconds (see ``Line.failure_s``)."""
        return max(self._line.failure_s(question.size) for _, question in self._reads)

    def _read(self, now: Callable[[], float], *, slow: bool) -> list[tuple[Block, bytes, float]] | MissingReason:
        """Return the blocks with their data and times, fast ones first: a meter that fails those is not asked more."""
        read = []
        for block, question in self._reads:
            if not (block.fast or slow):
                continue
            data = self._line.read(question)
            if isinstance(data, bytes):
                read.append((block, data, now()))
            elif block.fast:
                return data
        return read


class _Channel:
    """What is remembered of one channel: its energy with the time of it, since when it is missing, its scale."""

    def __init__(self, register_map: RegisterMap, number: int) -> None:
        self._map = register_map
        self._number = number
        self._power: Field = next(
            field
            for block in register_map.blocks
            for field in block.fields
            if field.channel == number and field.name == "power_w"
        )
        self._scale: float | None = None
        self._missing_since_s: float | None = None
        self.energy: tuple[float, float] | None = None  # Wh, and when it was taken

    def missing(self, reason: MissingReason, now: Callable[[], float]) -> Missing:
        """Return why there is no reading, and since when."""
        if self._missing_since_s is None:
            self._missing_since_s = now()
        return Missing(reason, self._missing_since_s)

    def outcome(self, read: list[tuple[Block, bytes, float]], now: Callable[[], float]) -> MeterReading | Missing:
        """Return the reading of this channel out of the blocks that were read."""
        values: dict[str, float] = {}
        energy = self.energy
        for block, data, taken_s in read:
            decoded = decode(block, data, self._map.bytes_per_register, self._number)
            values |= decoded
            if "energy_wh" in decoded:
                energy = (decoded["energy_wh"], taken_s)
        try:
            reading = self._reading(values, energy, taken_s=read[0][2])
        except ValueError:
            return self.missing(MissingReason.OUT_OF_RANGE, now)
        self.energy = energy
        self._missing_since_s = None
        return reading

    def _reading(self, values: dict[str, float], energy: tuple[float, float] | None, taken_s: float) -> MeterReading:
        """Return the reading. Raises ValueError for values that are none."""
        energy_wh, energy_taken_s = energy or (None, None)
        power_w = self._power_w(values)
        return MeterReading(
            taken_s=taken_s,
            voltage_v=values["voltage_v"],
            current_a=values["current_a"],
            power_w=abs(power_w) if self._map.signed_power else power_w,
            power_factor=values.get("power_factor"),
            energy_wh=energy_wh,
            energy_taken_s=energy_taken_s,
        )

    def _power_w(self, values: dict[str, float]) -> float:
        """Return the power. Raises ValueError while its scale matters and is not known.

        A scale once found stays: a meter that contradicts itself later is the business of the rules in ``safety``.
        """
        raw, candidates = values["power_w"], self._power.scales
        if not candidates:
            return raw
        if self._scale is None:
            expected_w = values["voltage_v"] * values["current_a"] * abs(values["power_factor"])
            self._scale = fitting(abs(raw), candidates, expected_w)
        power_w = negligible_w(raw, candidates) if self._scale is None else raw * self._scale
        if power_w is None:
            raise ValueError(f"channel {self._number}: no load has told the scale of {raw} yet")
        return power_w
