"""What follows from a meter profile: the requests that read it, how long they take, and what a reply means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.frames import Question
from drivers.registers import decode
from drivers.scales import fitting
from pilenode.guard.meter_map import register_map
from safety.budget import line_timing

if TYPE_CHECKING:
    from config.schema_meter import MeterProfile
    from drivers.registers import Block, RegisterMap

#: What is assumed of the line where none is configured: the default of ``bus.turnaround_ms``.
TURNAROUND_S: Final = 0.1


class Read(NamedTuple):
    """One transaction of a poll; ``seconds`` is the longest time of a good one at the serial default."""

    block: Block
    question: Question
    seconds: float


def reads(profile: MeterProfile, unit: int) -> list[Read]:
    """Return what one poll of the meter ``unit`` consists of at its serial default, fast reads first."""
    table, serial = register_map(profile), profile.serial
    timing = line_timing(serial.baud, serial.parity, serial.stopbits, TURNAROUND_S)
    found = []
    for block in table.reads(timing.transaction_s):
        question = _question(table, block, unit)
        found.append(Read(block, question, timing.transaction_s(question.size)))
    return found


def _question(table: RegisterMap, block: Block, unit: int) -> Question:
    width, lies = table.bytes_per_register, table.byte_count_lies
    return Question(unit, table.function, block.start, block.count, width, byte_count_lies=lies)


class Meaning(NamedTuple):
    """What a captured reply says: values by channel and name, or why it is no answer to this read."""

    name: str
    channels: dict[int, dict[str, float]]
    wrong: str


def meanings(profile: MeterProfile, reply: bytes) -> list[Meaning]:
    """Return what ``reply`` means as an answer to each read of the profile that it can be, or why it is none to any.

    Joined reads come first, then the blocks by themselves. The address of the reply is taken for that of the meter.
    """
    table = register_map(profile)
    unit = reply[0] if reply and 1 <= reply[0] <= 247 else profile.serial.unit  # noqa: PLR2004 - Modbus addresses
    joined = [read.block for read in reads(profile, unit)]
    blocks = [*joined, *(block for block in table.blocks if block not in joined)]
    good, wrong = [], []
    for block in blocks:
        data = _question(table, block, unit).check(reply)
        if isinstance(data, bytes):
            good.append(Meaning(block.name, _values(table, block, data), ""))
        else:
            wrong.append(Meaning(block.name, {}, data.value))
    return good or wrong[:1]


def _values(table: RegisterMap, block: Block, data: bytes) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for channel in table.channels:
        values = decode(block, data, table.bytes_per_register, channel)
        for field in block.fields:
            if field.channel == channel and field.scales:
                values = _scaled(values, field.scales)
        if values:
            found[channel] = values
    return found


def _scaled(values: dict[str, float], scales: tuple[float, ...]) -> dict[str, float]:
    """Return ``values`` with the power at the only scale that fits, else raw under a name that says so."""
    raw, others = values["power_w"], {name: value for name, value in values.items() if name != "power_w"}
    expected_w = values.get("voltage_v", 0.0) * values.get("current_a", 0.0) * abs(values.get("power_factor", 0.0))
    scale = fitting(abs(raw), scales, expected_w)
    return others | ({"power_raw": raw} if scale is None else {"power_w": raw * scale, "power_scale": scale})
