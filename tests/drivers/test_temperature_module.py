"""The module R4DCB08: its frame, its registers, and what of them is no temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.temperature_module import TemperatureModule, decode
from safety.reading import Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from drivers.frames import Question

OPEN, FAULT, RESET = MissingReason.PROBE_OPEN, MissingReason.PROBE_FAULT, MissingReason.PROBE_RESET


class FakeLine:
    """A line on which one module answers with ``raws``, or with a reason."""

    def __init__(self) -> None:
        self.raws: list[int] | MissingReason = [250] * 8
        self.asked: list[Question] = []

    def read(self, question: Question) -> bytes | MissingReason:
        """Answer."""
        self.asked.append(question)
        if isinstance(self.raws, MissingReason):
            return self.raws
        return b"".join(raw.to_bytes(2, "big", signed=True) for raw in self.raws)

    def transaction_s(self, size: int) -> float:
        """Return a time that shows its size."""
        return size / 100

    def failure_s(self, size: int) -> float:
        """Return a time that shows its size."""
        return size / 10

    def close(self) -> None:
        """Do nothing."""


def poll(module: TemperatureModule, now: float) -> dict[int, ProbeReading | Missing]:
    """Return one poll at ``now``."""
    return dict(module.poll(lambda: now))


def test_the_request_is_the_one_of_its_manual() -> None:
    """Function 3, registers 0 to 7 of unit 1, as in the example of chelmat/r4dcb08."""
    line = FakeLine()
    poll(TemperatureModule(line, 1, [3], 6.0), 100.0)
    assert [question.frame.hex(" ") for question in line.asked] == ["01 03 00 00 00 08 44 0c"]


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        ("00 fb", 25.1),
        ("00 00", 0.0),
        ("ff ff", -0.1),
        ("fd da", -55.0),
        ("fd d9", FAULT),
        ("04 e2", 125.0),
        ("04 e3", FAULT),
        ("7f ff", FAULT),
        ("80 00", OPEN),
        ("80 01", FAULT),
        ("03 52", 85.0),
    ],
)
def test_the_range_of_a_register(data: str, outcome: float | MissingReason) -> None:
    """Signed, high byte first, 0.1 °C; outside -55 to 125 °C there is no value."""
    assert decode(bytes.fromhex(data)) == (outcome,)


@given(st.binary(min_size=16, max_size=16))
def test_whatever_a_module_says_has_eight_outcomes(data: bytes) -> None:
    """No sixteen bytes raise, and none is a temperature outside the range of the probe."""
    found = decode(data)
    assert len(found) == 8
    assert all(isinstance(one, MissingReason) or -55.0 <= one <= 125.0 for one in found)


def test_one_reply_serves_all_inputs_in_use() -> None:
    """Input 1 is the first register; readings are as old as the registers may be when they are asked for."""
    line = FakeLine()
    line.raws = [211, 222, 233, 244, 255, 266, 277, -0x8000]
    found = poll(TemperatureModule(line, 7, [8, 1, 3], 6.0), 100.0)
    assert found == {1: ProbeReading(94.0, 21.1), 3: ProbeReading(94.0, 23.3), 8: Missing(OPEN, 100.0)}
    assert len(line.asked) == 1


def test_a_module_that_does_not_answer_is_every_probes_trouble_since_then() -> None:
    """The reason of the line is told for each input, with the time of the first failure; a good reply ends it."""
    line = FakeLine()
    module = TemperatureModule(line, 1, [1, 2], 0.0)
    line.raws = MissingReason.TIMEOUT
    assert poll(module, 10.0) == dict.fromkeys((1, 2), Missing(MissingReason.TIMEOUT, 10.0))
    line.raws = MissingReason.BAD_CRC
    assert poll(module, 12.0) == dict.fromkeys((1, 2), Missing(MissingReason.BAD_CRC, 10.0))
    line.raws = [250] * 8
    assert poll(module, 14.0) == dict.fromkeys((1, 2), ProbeReading(14.0, 25.0))
    line.raws = MissingReason.TIMEOUT
    assert poll(module, 16.0)[1] == Missing(MissingReason.TIMEOUT, 16.0)


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        ([], Missing(RESET, 2.0)),
        ([250], Missing(RESET, 2.0)),
        ([800], ProbeReading(2.0, 85.0)),
        ([799], Missing(RESET, 2.0)),
    ],
)
def test_exactly_85_is_heat_only_when_it_comes_from_nearby(before: list[int], outcome: ProbeReading | Missing) -> None:
    """The chips behind the module hold 85.0 °C after power-on as any DS18B20 does."""
    line = FakeLine()
    module = TemperatureModule(line, 1, [1], 0.0)
    for raw in before:
        line.raws = [raw] * 8
        poll(module, 1.0)
    line.raws = [850] * 8
    assert poll(module, 2.0) == {1: outcome}


def test_its_costs_are_those_of_sixteen_bytes() -> None:
    """What the promise in numbers counts (``safety.budget.MODULE_BYTES``)."""
    module = TemperatureModule(FakeLine(), 1, [1], 0.0)
    assert (module.cost_s(), module.failure_s()) == (0.16, 1.6)
