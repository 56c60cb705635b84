"""Promises of prices: one rate for every moment of a zone, division at every change, nothing lost in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema_tariff import moment_ms
from config.tariff import Period, TariffSchedule, TariffVersion, Tier, mistakes
from pilenode.station.prices import Part, Prices, narrow
from pilenode.upstream.facts_money import UsagePiece

NIGHT, DAY = 310, 580
TOU = TariffVersion(version="tou", periods=[Period(0, 16, NIGHT, 1), Period(16, 44, DAY, 2), Period(44, 48, NIGHT, 1)])
FLAT = TariffVersion(version="flat", periods=[Period(0, 48, 520, 300)])


def at(local: str, zone: str = "Asia/Shanghai") -> int:
    """Return a local moment."""
    return moment_ms(local, zone)


def schedule(*versions: TariffVersion, zone: str = "Asia/Shanghai", fallback: str = "") -> TariffSchedule:
    """Return a schedule without mistakes."""
    made = TariffSchedule(schedule=1, timezone=zone, versions=[*versions], fallback=fallback)
    assert [*mistakes(made)] == []
    return made


@pytest.mark.parametrize(
    ("local", "price"),
    [
        ("2026-05-01 00:00", NIGHT),
        ("2026-05-01 07:59", NIGHT),
        ("2026-05-01 08:00", DAY),
        ("2026-05-01 21:59", DAY),
        ("2026-05-01 22:00", NIGHT),
        ("2026-05-01 23:59", NIGHT),
    ],
)
def test_slots_begin_to_the_minute(local: str, price: int) -> None:
    """The last ms of a slot has its price, the next one that of the next."""
    prices = Prices(schedule(TOU))
    assert prices.rate_at(at(local)).electricity == price
    assert prices.rate_at(at(local) + 59_999).electricity == price


def test_a_version_begins_to_the_ms_and_the_first_counts_before_its_beginning() -> None:
    """Between the two there is always exactly one."""
    begin = at("2027-01-01 00:00")
    first = TariffVersion(version="a", valid_from_ms=at("2026-01-01 00:00"), periods=FLAT.periods)
    later = TariffVersion(version="b", valid_from_ms=begin, periods=FLAT.periods)
    prices = Prices(schedule(first, later))
    assert [prices.rate_at(ms).version for ms in (0, begin - 1, begin)] == ["a", "a", "b"]


def test_the_fallback_is_the_lowest_of_its_version_each_component_for_itself() -> None:
    """It counts when the time is not known, and when the last version has ended."""
    mixed = TariffVersion(version="m", periods=[Period(0, 24, 100, 9), Period(24, 48, 200, 3)])
    end = at("2027-02-01 00:00")
    last = TariffVersion(version="l", valid_from_ms=at("2027-01-01 00:00"), valid_until_ms=end, periods=FLAT.periods)
    prices = Prices(schedule(mixed, last))
    lowest = prices.rate_at(None)
    assert (lowest.version, lowest.electricity, lowest.service, lowest.fallback) == ("m", 100, 3, True)
    assert prices.rate_at(end - 1).version == "l"
    assert (prices.rate_at(end).version, prices.rate_at(end).expired) == ("m", True)
    assert Prices(schedule(mixed, last, fallback="l")).rate_at(None).version == "l"


@pytest.mark.parametrize(
    ("zone", "now", "later_min"),
    [
        ("Asia/Shanghai", "2026-05-01 07:59", 1),
        ("Asia/Shanghai", "2026-05-01 08:00", 30),
        ("Asia/Kathmandu", "2026-05-01 08:00", 30),
        ("Asia/Kathmandu", "2026-05-01 08:29", 1),
        ("Europe/Berlin", "2026-03-29 01:45", 15),
        ("Australia/Lord_Howe", "2026-04-05 01:45", 15),
        ("Pacific/Chatham", "2026-04-05 03:35", 10),  # 03:45 becomes 02:45: a half hour ends in its middle
    ],
)
def test_the_next_boundary_is_the_next_half_hour_of_the_local_day(zone: str, now: str, later_min: int) -> None:
    """In zones a quarter of an hour aside, and where clocks are set."""
    prices = Prices(schedule(TOU, zone=zone))
    assert prices.next_boundary_ms(at(now, zone)) - at(now, zone) == later_min * 60_000


def test_a_version_that_begins_within_a_slot_is_a_boundary() -> None:
    """So is the end of the last one."""
    begin, end = at("2027-01-01 00:10"), at("2027-01-01 00:20")
    later = TariffVersion(version="b", valid_from_ms=begin, valid_until_ms=end, periods=FLAT.periods)
    prices = Prices(schedule(FLAT, later))
    assert prices.next_boundary_ms(begin - 1) == begin
    assert prices.next_boundary_ms(begin) == end
    assert prices.next_boundary_ms(end) == at("2027-01-01 00:30")


def test_a_piece_is_divided_by_time_and_the_rest_goes_to_the_last() -> None:
    """A third of 400,001 mWh lies before the change."""
    prices = Prices(schedule(TOU))
    start = at("2026-05-01 07:30")
    piece = UsagePiece(from_wall_ms=start, to_wall_ms=start + 5_400_000, on_ms=5_400_001, energy_mwh=400_001)
    first, last = prices.parts(piece)
    assert (first.rate.electricity, first.energy_mwh, first.on_ms) == (NIGHT, 133_333, 1_800_000)
    assert (last.rate.electricity, last.energy_mwh, last.on_ms) == (DAY, 266_668, 3_600_001)


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, None), (5, None), (None, 5), (10, 9), (0, 48 * 3_600_000 + 1)],
)
def test_a_piece_whose_time_cannot_be_is_priced_by_the_fallback(start: int | None, end: int | None) -> None:
    """Nothing of it is lost, and ten years between two clocks cost no time."""
    piece = UsagePiece(from_wall_ms=start, to_wall_ms=end, on_ms=7, energy_mwh=9)
    prices = Prices(schedule(TOU))
    assert [*prices.parts(piece)] == [Part(prices.fallback, 9, 7)]


MOMENT = st.integers(1_700_000_000_000, 1_900_000_000_000)


@given(
    MOMENT, st.integers(0, 20 * 3_600_000), st.integers(0, 10**8), st.sampled_from(["Asia/Shanghai", "Pacific/Chatham"])
)
def test_division_loses_nothing_and_one_mwh_more_is_one_mwh_more(
    start: int, length: int, energy: int, zone: str
) -> None:
    """The parts add up, and one mWh more is one mWh more in exactly one of them."""
    prices = Prices(schedule(TOU, zone=zone))
    piece = UsagePiece(from_wall_ms=start, to_wall_ms=start + length, on_ms=length, energy_mwh=energy)
    more = UsagePiece(from_wall_ms=start, to_wall_ms=start + length, on_ms=length, energy_mwh=energy + 1)
    parts, richer = [*prices.parts(piece)], [*prices.parts(more)]
    assert (sum(part.energy_mwh for part in parts), sum(part.on_ms for part in parts)) == (energy, length)
    assert sorted(b.energy_mwh - a.energy_mwh for a, b in zip(parts, richer, strict=True)) == [0] * (len(parts) - 1) + [
        1
    ]


def test_a_record_keeps_what_was_used_and_the_fallback_and_prices_the_same() -> None:
    """The version between two others goes, and the end of the one before it stays where it was."""
    dates = ["2026-06-01 00:00", "2026-07-01 00:00", "2026-08-01 00:00"]
    later = [
        TariffVersion(version=name, valid_from_ms=at(date), periods=[Period(0, 48, price)], service_tier=[Tier(100, 5)])
        for name, date, price in zip("bcd", dates, (1, 2, 3), strict=True)
    ]
    whole = schedule(TOU, *later)
    kept = narrow(whole, ["c"])
    assert [version.version for version in kept.versions] == ["tou", "c"]
    assert kept.fallback == "tou"
    july = at("2026-07-15 12:00")
    assert Prices(kept).rate_at(july) == Prices(whole).rate_at(july)
    assert Prices(kept).rate_at(None) == Prices(whole).rate_at(None)
    assert Prices(kept).rate_at(at(dates[2])).expired  # nothing is said about times that were not used
