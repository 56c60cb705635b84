"""Promises of usage: pieces from marks, lengths from the clock that never steps, energy never guessed."""

from __future__ import annotations

import msgspec
import pytest

from config.schema_tariff import moment_ms
from config.tariff import Period, TariffSchedule, TariffVersion
from pilenode.station.prices import Prices
from pilenode.station.usage import PowerHistogram, begin, end, extend, sustained_w
from pilenode.upstream.facts_money import MAX_PIECES, POWER_CLASSES, PieceFlag, Usage, UsageMark

TOU = TariffVersion(version="tou", periods=[Period(0, 16, 310), Period(16, 48, 580)])
PRICES = Prices(TariffSchedule(schedule=1, timezone="Asia/Shanghai", versions=[TOU]))
START = moment_ms("2026-05-01 07:00", "Asia/Shanghai")
MIN = 60_000
FIRST = UsageMark(wall_ms=START, boottime_ms=1000, trusted=True, register_mwh=5000)


def later(minutes: int, register: int | None, *, step_ms: int = 0, trusted: bool = True) -> UsageMark:
    """Return a mark so many minutes after the first, the wall clock set by ``step_ms`` since."""
    ms = minutes * MIN
    return UsageMark(wall_ms=START + ms + step_ms, boottime_ms=1000 + ms, trusted=trusted, register_mwh=register)


def used(*marks: UsageMark, final: bool = False) -> Usage:
    """Return the usage of one leg with these marks after the first."""
    usage = begin(Usage(), FIRST)
    for mark in marks:
        usage = extend(usage, mark, PRICES, final=final)
    return usage


def test_neighbours_of_one_price_are_one_piece() -> None:
    """A price that changes begins another one."""
    usage = used(later(30, 6000), later(60, 7000), later(90, 9000), later(120, 9500))
    assert [(piece.energy_mwh, piece.on_ms) for piece in usage.pieces] == [(2000, 60 * MIN), (2500, 60 * MIN)]
    assert usage.pieces[0].to_wall_ms == usage.pieces[1].from_wall_ms == START + 60 * MIN
    assert msgspec.json.decode(msgspec.json.encode(usage), type=Usage) == usage


def test_between_two_legs_nothing_is_used() -> None:
    """What the register counts between the end of a leg and the beginning of the next belongs to nobody."""
    usage = begin(end(used(later(10, 6000))), later(20, 8000))
    usage = extend(usage, later(30, 9000), PRICES)
    assert [(piece.energy_mwh, piece.on_ms) for piece in usage.pieces] == [(1000, 10 * MIN), (1000, 10 * MIN)]
    assert extend(end(usage), later(40, 99_000), PRICES) == end(usage)


@pytest.mark.parametrize(("step_ms", "placed"), [(5000, True), (5001, False), (-5000, True), (-5001, False)])
def test_a_step_of_the_wall_clock_takes_the_time_of_day_away(step_ms: int, placed: bool) -> None:  # noqa: FBT001 - a table
    """More than five seconds between the clocks; the length stays that of the boot clock."""
    (piece,) = used(later(10, 6000, step_ms=step_ms)).pieces
    assert (piece.from_wall_ms is not None, piece.to_wall_ms is not None) == (placed, placed)
    assert piece.flags == ([] if placed else [PieceFlag.CLOCK_STEPPED])
    assert (piece.on_ms, piece.energy_mwh) == (10 * MIN, 1000)


def test_a_clock_that_is_not_known_at_one_end_is_not_known() -> None:
    """Both ends count; pieces without a time of day are merged."""
    usage = used(later(10, 6000, trusted=False), later(20, 7000), later(30, 8000))
    assert [(piece.flags, piece.energy_mwh) for piece in usage.pieces] == [([PieceFlag.NO_CLOCK], 2000), ([], 1000)]


def test_a_mark_without_a_register_is_made_up_for_by_the_next() -> None:
    """At the end of a leg the time counts, the energy does not, and the record says so."""
    (piece,) = used(later(10, None), later(20, 7000)).pieces
    assert (piece.energy_mwh, piece.on_ms) == (2000, 20 * MIN)
    (last,) = used(later(10, None), final=True).pieces
    assert (last.energy_mwh, last.on_ms, last.flags) == (0, 10 * MIN, [PieceFlag.NO_READING])


def test_a_register_that_falls_gives_no_energy_and_a_new_baseline() -> None:
    """It is flagged; what follows counts from the new register."""
    usage = used(later(10, 4000), later(20, 4500))
    assert [(piece.energy_mwh, piece.flags) for piece in usage.pieces] == [
        (0, [PieceFlag.REGISTER_BACKWARD]),
        (500, []),
    ]


def test_a_record_never_grows_beyond_its_bound() -> None:
    """Beyond it pieces lose their time of day, not their energy."""
    usage = Usage()
    for number in range(MAX_PIECES + 5):
        usage = extend(begin(end(usage), later(2 * number, number)), later(2 * number + 1, number + 1), PRICES)
    assert len(usage.pieces) == MAX_PIECES
    assert sum(piece.energy_mwh for piece in usage.pieces) == MAX_PIECES + 5
    assert usage.pieces[-1].from_wall_ms is None
    assert msgspec.json.decode(msgspec.json.encode(usage), type=Usage) == usage


@pytest.mark.parametrize(
    ("power_w", "power_class"), [(-5, 0), (0, 0), (1, 1), (100, 1), (101, 2), (3500, 35), (3501, 36), (99_999, 36)]
)
def test_power_is_counted_in_classes_of_100_w(power_w: int, power_class: int) -> None:
    """The end of a class belongs to it; the last one holds everything above."""
    histogram = PowerHistogram().add(power_w, 7)
    assert histogram.power_ms == (0,) * power_class + (7,)
    assert len(histogram.power_ms) <= POWER_CLASSES
    assert sum(histogram.add(250, 3).power_ms) == 10


@pytest.mark.parametrize(
    ("power_ms", "watts"),
    [
        ([], 0),
        ([0, 479_999], 0),
        ([0, 480_000], 100),
        ([0, 0, 240_000, 240_000], 200),  # it or above
        ([0, 0, 4_320_001, 480_000], 200),  # less than a tenth
        ([0, 0, 4_320_000, 480_000], 300),  # a tenth
        ([0, 4_000_000, 0, 0, 479_999], 100),  # inrush, however high
        ([9_000_000], 0),
    ],
)
def test_sustained_power_lasts_8_minutes_and_a_tenth_of_the_time(power_ms: list[int], watts: int) -> None:
    """Both, to the ms."""
    assert sustained_w(power_ms) == watts


def test_what_flowed_in_no_time_has_the_price_before_it() -> None:
    """A second reading at the very moment at which the price changes is still the old one's."""
    usage = used(later(60, 6000), later(60, 6500), later(70, 7000))
    assert [piece.energy_mwh for piece in usage.pieces] == [1500, 500]
    assert [part.rate.electricity for piece in usage.pieces for part in PRICES.parts(piece)] == [310, 580]
