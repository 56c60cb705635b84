"""Meters: blocks over a real line joined into readings."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.meter import MeterDevice
from drivers.registers import Block, Field, RegisterMap
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.bus import SerialLine
    from tests.drivers.conftest import Sending, Slave

POWER = Block(
    "power",
    0,
    6,
    fast=True,
    fields=(Field("voltage_v", 0, "f32"), Field("current_a", 2, "f32"), Field("power_w", 4, "f32")),
)
FACTOR = Block("factor", 0x1E, 2, fast=True, fields=(Field("power_factor", 0x1E, "f32"),))
ENERGY = Block("energy", 0x48, 2, fast=False, fields=(Field("energy_wh", 0x48, "f32", 1000.0),))
#: The slow block stands first on purpose: the order of a profile is not the order of the reads.
TABLE = RegisterMap("sample", 4, 2, (ENERGY, POWER, FACTOR), signed_power=True)

GOOD_POWER = (230.0, 1.5, 345.0)


class Clock:
    """Seconds that advance by one with every look."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time, later than before."""
        self.now_s += 1.0
        return self.now_s


def sending(slave: Slave, *values: float) -> Callable[[bytes], Sending]:
    """Reply with these floats to the next request."""
    data = struct.pack(f">{len(values)}f", *values)
    return lambda good: [(0.0, slave.sealed(good[:2] + bytes([len(data)]) + data))]


def silent(_: bytes) -> Sending:
    """Do not reply to the next request."""
    return []


class Single:
    """A meter of one channel, polled for that alone."""

    def __init__(self, line: SerialLine, unit: int, table: RegisterMap) -> None:
        self.device = MeterDevice(line, unit, table)

    def poll(self, now: Callable[[], float], *, slow: bool) -> MeterReading | Missing:
        """Return what the channel says."""
        outcomes = self.device.poll(now, slow=slow)
        assert set(outcomes) == {1}
        return outcomes[1]


@pytest.fixture
def meter(line: SerialLine) -> Single:
    """Return the sample meter as unit 5."""
    return Single(line, 5, TABLE)


def starts(slave: Slave) -> list[int]:
    """Return the first register of every request so far."""
    return [struct.unpack_from(">H", request, 2)[0] for _, request in slave.heard]


def test_the_first_poll_brings_energy_and_later_ones_only_when_asked(slave: Slave, meter: Single) -> None:
    """Energy is read at once and then in its own slots; between them it keeps its value and its own time."""
    clock = Clock()
    slave.script.extend([sending(slave, *GOOD_POWER), sending(slave, 0.75), sending(slave, 1.25)])
    assert meter.poll(clock, slow=False) == MeterReading(101.0, 230.0, 1.5, 345.0, 0.75, 1250.0, 103.0)
    slave.script.extend([sending(slave, 231.0, 2.0, 462.0), sending(slave, 1.0)])
    assert meter.poll(clock, slow=False) == MeterReading(104.0, 231.0, 2.0, 462.0, 1.0, 1250.0, 103.0)
    slave.script.extend([sending(slave, *GOOD_POWER), sending(slave, 1.0), sending(slave, 1.5)])
    assert meter.poll(clock, slow=True) == MeterReading(106.0, 230.0, 1.5, 345.0, 1.0, 1500.0, 108.0)
    assert starts(slave) == [0, 0x1E, 0x48, 0, 0x1E, 0, 0x1E, 0x48]


def test_a_failed_fast_block_ends_the_poll(slave: Slave, meter: Single) -> None:
    """Without power there is no reading, and a meter that is silent is not asked for more."""
    slave.script.append(silent)
    assert meter.poll(Clock(), slow=True) == Missing(MissingReason.TIMEOUT, 101.0)
    assert starts(slave) == [0]


def test_missing_since_the_first_failure(slave: Slave, meter: Single) -> None:
    """A run of failures has one beginning, whatever their reasons; a good reading ends it."""
    clock = Clock()
    slave.script.extend([silent, lambda good: [(0.0, slave.sealed(bytes([good[0], good[1] | 0x80, 2])))]])
    assert meter.poll(clock, slow=False) == Missing(MissingReason.TIMEOUT, 101.0)
    assert meter.poll(clock, slow=False) == Missing(MissingReason.EXCEPTION_REPLY, 101.0)
    power = sending(slave, *GOOD_POWER)
    slave.script.extend([power, power, sending(slave, 1.0), sending(slave, 1.25)])  # the first one is suspect
    assert isinstance(meter.poll(clock, slow=False), MeterReading)
    slave.script.append(silent)
    later = meter.poll(clock, slow=False)
    assert isinstance(later, Missing)
    assert later.since_s == clock.now_s


def test_a_failed_slow_block_takes_nothing_away(slave: Slave, meter: Single) -> None:
    """Power goes on while the energy register is silent; the age of the energy tells, and it is asked for again."""
    clock = Clock()
    slave.script.extend([sending(slave, *GOOD_POWER), sending(slave, 1.0), silent])
    assert meter.poll(clock, slow=False) == MeterReading(101.0, 230.0, 1.5, 345.0, 1.0)
    power = sending(slave, *GOOD_POWER)
    slave.script.extend([power, power, sending(slave, 1.0), sending(slave, 1.25)])
    reading = meter.poll(clock, slow=False)
    assert isinstance(reading, MeterReading)
    assert (reading.energy_wh, reading.energy_taken_s) == (1250.0, clock.now_s)
    slave.script.extend([power, sending(slave, 1.0), silent])
    reading = meter.poll(clock, slow=True)
    assert isinstance(reading, MeterReading)
    assert (reading.energy_wh, reading.energy_taken_s) == (1250.0, clock.now_s - 2)


@pytest.mark.parametrize(
    ("power", "factor", "energy_kwh"),
    [
        ((float("nan"), 1.5, 345.0), 1.0, 1.0),
        ((230.0, float("inf"), 345.0), 1.0, 1.0),
        ((230.0, 1.5, float("-inf")), 1.0, 1.0),
        ((300.1, 1.5, 345.0), 1.0, 1.0),
        ((230.0, -0.1, 345.0), 1.0, 1.0),
        ((230.0, 1.5, 30_001.0), 1.0, 1.0),
        (GOOD_POWER, 1.06, 1.0),
        (GOOD_POWER, 1.0, float("nan")),
        (GOOD_POWER, 1.0, -0.001),
    ],
)
def test_what_is_no_plausible_number_is_out_of_range(
    slave: Slave, meter: Single, power: tuple[float, ...], factor: float, energy_kwh: float
) -> None:
    """One implausible value makes the whole sample missing; none becomes zero, and its energy is not kept."""
    slave.script.extend([sending(slave, *power), sending(slave, factor), sending(slave, energy_kwh)])
    outcome = meter.poll(Clock(), slow=False)
    assert isinstance(outcome, Missing)
    assert outcome.reason is MissingReason.OUT_OF_RANGE
    slave.script.extend([sending(slave, *GOOD_POWER), sending(slave, 1.0), sending(slave, 2.0)])
    reading = meter.poll(Clock(), slow=False)
    assert isinstance(reading, MeterReading)
    assert reading.energy_wh == 2000.0


@pytest.mark.parametrize(("signed", "outcome"), [(True, 345.0), (False, MissingReason.OUT_OF_RANGE)])
def test_a_reversed_clamp(slave: Slave, line: SerialLine, *, signed: bool, outcome: float | MissingReason) -> None:
    """The size of a negative power counts where the profile says that it may be negative, else it is a fault."""
    table = RegisterMap("sample", 4, 2, (POWER, FACTOR, ENERGY), signed_power=signed)
    slave.script.extend([sending(slave, 230.0, 1.5, -345.0), sending(slave, -1.0), sending(slave, 1.0)])
    reading = Single(line, 5, table).poll(Clock(), slow=False)
    assert (reading.power_w if isinstance(reading, MeterReading) else reading.reason) == outcome


def test_everything_in_one_block_is_one_transaction(slave: Slave, line: SerialLine) -> None:
    """A meter whose energy stands beside its power is read once, and both have the same time."""
    fields = (*POWER.fields, Field("energy_wh", 6, "f32"))
    table = RegisterMap("single", 4, 2, (Block("all", 0, 8, fast=True, fields=fields),))
    slave.script.append(sending(slave, 230.0, 1.5, 345.0, 7.0))
    reading = Single(line, 5, table).poll(Clock(), slow=True)
    assert reading == MeterReading(101.0, 230.0, 1.5, 345.0, None, 7.0, 101.0)
    assert starts(slave) == [0]


def test_the_budget_counts_every_block(line: SerialLine, meter: Single) -> None:
    """The cost of a poll is that of its blocks, the cost of a failure that of the worst one."""
    fast_s = line.transaction_s(12) + line.transaction_s(4)
    assert meter.device.cost_s(slow=False) == pytest.approx(fast_s)
    assert meter.device.cost_s(slow=True) == pytest.approx(fast_s + line.transaction_s(4))
    assert meter.device.failure_s() == pytest.approx(line.failure_s(12))


def test_four_bytes_per_register_reach_the_line(slave: Slave, line: SerialLine) -> None:
    """The width of the profile is what the line expects of the reply."""
    slave.width = 4
    names = ("voltage_v", "current_a", "power_w", "energy_wh")
    fields = tuple(Field(name, 0x48 + n, "u32", 0.001) for n, name in enumerate(names))
    table = RegisterMap("wide", 3, 4, (Block("all", 0x48, 4, fast=True, fields=fields),))
    reading = Single(line, 1, table).poll(Clock(), slow=False)
    assert isinstance(reading, MeterReading)
    assert (reading.voltage_v, reading.energy_wh) == pytest.approx((0.328, 0.331))


# -- several channels ---------------------------------------------------------------------------------------

TWO = RegisterMap(
    "two",
    3,
    2,
    (
        Block(
            "all",
            0,
            10,
            fast=True,
            fields=tuple(
                Field(name, base + at, "u16", 0.1, channel=channel)
                for channel, base in ((1, 0), (2, 5))
                for at, name in enumerate(("voltage_v", "current_a", "power_w", "energy_wh", "power_factor"))
            ),
        ),
    ),
)


def words(slave: Slave, *values: int) -> Callable[[bytes], Sending]:
    """Reply with these registers to the next request."""
    data = struct.pack(f">{len(values)}H", *values)
    return lambda good: [(0.0, slave.sealed(good[:2] + bytes([len(data)]) + data))]


def test_one_read_serves_all_channels_and_a_bad_value_only_its_own(slave: Slave, line: SerialLine) -> None:
    """A nonsense voltage in the second channel takes nothing from the first; both are missing when nobody answers."""
    meter, clock = MeterDevice(line, 1, TWO), Clock()
    slave.script.append(words(slave, 2200, 10, 2100, 50, 9, 3001, 20, 4300, 60, 9))
    found = meter.poll(clock, slow=False)
    assert found[1] == MeterReading(101.0, 220.0, 1.0, 210.0, 0.9, 5.0, 101.0)
    assert found[2] == Missing(MissingReason.OUT_OF_RANGE, 102.0)
    slave.script.append(words(slave, 2200, 10, 2100, 51, 9, 2200, 20, 4300, 60, 9))
    found = meter.poll(clock, slow=False)
    assert [isinstance(found[channel], MeterReading) for channel in (1, 2)] == [True, True]
    slave.script.append(silent)
    found = meter.poll(clock, slow=False)
    assert {one.reason for one in found.values() if isinstance(one, Missing)} == {MissingReason.TIMEOUT}
    assert len(found) == 2
    assert starts(slave) == [0, 0, 0]


def test_a_channel_without_energy_does_not_make_every_poll_a_long_one(slave: Slave, line: SerialLine) -> None:
    """An unused channel full of nonsense must not slow down the port of the other one."""
    slow = tuple(Field("energy_wh", 100 + channel, "u16", channel=channel) for channel in (1, 2))
    fast = tuple(field for field in TWO.blocks[0].fields if field.name != "energy_wh")
    table = RegisterMap("two", 3, 2, (Block("fast", 0, 10, True, fast), Block("slow", 101, 2, False, slow)))  # noqa: FBT003
    meter, clock = MeterDevice(line, 1, table), Clock()
    power = words(slave, 2200, 10, 2100, 0, 9, 9999, 9999, 9999, 0, 9)
    slave.script.extend([power, words(slave, 50, 60), power])
    meter.poll(clock, slow=False)
    meter.poll(clock, slow=False)
    assert starts(slave) == [0, 101, 0]


def test_blocks_that_adjoin_are_one_transaction(slave: Slave, line: SerialLine) -> None:
    """Energy beside the power rides in the same read and has the same time; what it costs is that read."""
    energy = Block("energy", 6, 2, fast=False, fields=(Field("energy_wh", 6, "f32"),))
    meter = MeterDevice(line, 5, RegisterMap("joined", 4, 2, (energy, POWER)))
    slave.script.append(sending(slave, 230.0, 1.5, 345.0, 7.0))
    assert meter.poll(Clock(), slow=False)[1] == MeterReading(101.0, 230.0, 1.5, 345.0, None, 7.0, 101.0)
    assert [request[2:6] for _, request in slave.heard] == [struct.pack(">HH", 0, 8)]
    assert meter.cost_s(slow=True) == pytest.approx(line.transaction_s(16))


def test_a_byte_count_that_lies_is_forgiven_where_the_profile_says_so(slave: Slave, line: SerialLine) -> None:
    """The length that was asked for and the CRC decide; without that word of the profile the frame is bad."""
    data = struct.pack(">10H", 2200, 10, 2100, 50, 9, 2200, 20, 4300, 60, 9)
    lie = slave.sealed(bytes([1, 3, 72]) + data)
    for lies in (True, False):
        slave.script.append(lambda _: [(0.0, lie)])
        outcome = MeterDevice(line, 1, replace(TWO, byte_count_lies=lies)).poll(Clock(), slow=False)[1]
        assert isinstance(outcome, MeterReading) is lies
