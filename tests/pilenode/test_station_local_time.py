"""Half-hour slots, midnights and local clock times are exact in zones with and without summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station import local_time
from pilenode.station.local_time import SLOT_MS

ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # midnight itself is jumped over
    "America/St_Johns",  # clocks jumped at 00:01
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",  # 5:45 ahead
    "Pacific/Apia",  # a day that never was
    "UTC",
)
zones = st.sampled_from([ZoneInfo(name) for name in ZONES])
#: 1985 to 2100, in whole and odd milliseconds.
moments = st.integers(473_385_600_000, 4_102_444_800_000)


def at(text: str) -> int:
    """Return ms since the epoch of an ISO time with its offset."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def slots(day: str, zone: ZoneInfo) -> list[int]:
    """Return the numbers of the slots of one local day, in the order in which they come."""
    now = local_time.local_midnight_ms(at(f"{day}T12:00:00+00:00"), zone)
    end = local_time.next_midnight_ms(now, zone)
    found = []
    while now < end:
        found.append(local_time.slot_of(now, zone))
        now = local_time.next_slot_ms(now, zone)
    assert now == end, "a midnight is the beginning of a slot"
    return found


ALL = list(range(48))


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Asia/Shanghai", "2026-08-01", ALL),
        # 1986-05-04 02:00 -> 03:00 and 1986-09-14 02:00 -> 01:00: the first summer time China had
        ("Asia/Shanghai", "1986-05-04", [*range(4), *range(6, 48)]),
        ("Asia/Shanghai", "1986-09-14", [*range(4), 2, 3, *range(4, 48)]),
        ("Asia/Shanghai", "1991-09-15", [*range(4), 2, 3, *range(4, 48)]),
        ("Asia/Shanghai", "1992-04-12", ALL),
        ("Europe/Berlin", "2026-03-29", [*range(4), *range(6, 48)]),
        ("Europe/Berlin", "2026-10-25", [*range(6), 4, 5, *range(6, 48)]),
        ("America/New_York", "2026-03-08", [*range(4), *range(6, 48)]),
        ("America/New_York", "2026-11-01", [*range(4), 2, 3, *range(4, 48)]),
        ("Australia/Lord_Howe", "2026-10-04", [*range(4), *range(5, 48)]),
        ("Australia/Lord_Howe", "2026-04-05", [*range(4), 3, *range(4, 48)]),
        ("America/Sao_Paulo", "2018-11-04", [*range(2, 48)]),
        ("Asia/Kathmandu", "2026-08-01", ALL),
        ("UTC", "2026-08-01", ALL),
    ],
)
def test_a_day_has_the_slots_its_local_clock_shows(zone: str, day: str, expected: list[int]) -> None:
    """46, 48, 49 or 50 of them, each named by what the clock shows while it lasts."""
    assert slots(day, ZoneInfo(zone)) == expected


def test_slots_are_of_the_local_clock_not_of_utc() -> None:
    """In Kathmandu a slot begins a quarter past and to by UTC."""
    zone = ZoneInfo("Asia/Kathmandu")
    assert local_time.next_slot_ms(at("2026-08-01T12:00:00+05:45"), zone) == at("2026-08-01T06:45:00+00:00")
    assert local_time.slot_of(at("2026-08-01T12:29:59+05:45"), zone) == 24
    assert local_time.slot_of(at("2026-08-01T12:30:00+05:45"), zone) == 25


def test_the_boundary_of_a_slot_belongs_to_the_later_one() -> None:
    """One millisecond before, the earlier; at it, the later, and the next boundary is a whole slot away."""
    zone, boundary = ZoneInfo("Asia/Shanghai"), at("2026-08-01T14:00:00+08:00")
    assert local_time.slot_of(boundary - 1, zone) == 27
    assert local_time.next_slot_ms(boundary - 1, zone) == boundary
    assert local_time.slot_of(boundary, zone) == 28
    assert local_time.next_slot_ms(boundary, zone) == boundary + SLOT_MS


def test_a_jump_inside_a_slot_ends_it() -> None:
    """Newfoundland's clocks went back at 00:01: that minute is a slot of its own."""
    zone = ZoneInfo("America/St_Johns")
    midnight = at("2006-10-29T00:00:00-02:30")
    assert local_time.next_slot_ms(midnight, zone) == midnight + 60_000
    assert local_time.slot_of(midnight + 60_000, zone) == 46


@pytest.mark.parametrize(
    ("zone", "now", "midnight", "following"),
    [
        ("Asia/Shanghai", "2026-08-01T00:00:00+08:00", "2026-08-01T00:00:00+08:00", "2026-08-02T00:00:00+08:00"),
        ("Asia/Shanghai", "2026-08-01T23:59:59+08:00", "2026-08-01T00:00:00+08:00", "2026-08-02T00:00:00+08:00"),
        ("Europe/Berlin", "2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("America/Sao_Paulo", "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"),
        # Havana's clocks went back from 01:00 to 00:00: the day begins with the first of two midnights
        ("America/Havana", "2026-11-01T12:00:00-05:00", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),
        ("Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"),
        # Toronto's clocks jumped from 23:30 to 00:30: the day begins in the middle of nowhere
        ("America/Toronto", "1919-03-31T12:00:00-04:00", "1919-03-31T00:30:00-04:00", "1919-04-01T00:00:00-04:00"),
        ("Asia/Kathmandu", "2026-08-01T03:00:00+05:45", "2026-08-01T00:00:00+05:45", "2026-08-02T00:00:00+05:45"),
    ],
)
def test_midnight_is_the_first_moment_of_a_local_day(zone: str, now: str, midnight: str, following: str) -> None:
    """Also where it is jumped over, comes twice, or the whole day is missing."""
    assert local_time.local_midnight_ms(at(now), ZoneInfo(zone)) == at(midnight)
    assert local_time.next_midnight_ms(at(now), ZoneInfo(zone)) == at(following)


@pytest.mark.parametrize(
    ("zone", "now", "clock", "expected"),
    [
        ("Asia/Shanghai", "2026-08-01T22:00:00+08:00", "07:30", "2026-08-02T07:30:00+08:00"),
        ("Asia/Shanghai", "2026-08-01T07:29:59+08:00", "07:30", "2026-08-01T07:30:00+08:00"),
        ("Asia/Shanghai", "2026-08-01T07:30:00+08:00", "07:30", "2026-08-02T07:30:00+08:00"),
        ("Asia/Shanghai", "2026-08-01T07:30:00+08:00", "00:00", "2026-08-02T00:00:00+08:00"),
        ("Europe/Berlin", "2026-03-29T00:00:00+01:00", "02:30", "2026-03-29T03:00:00+02:00"),  # jumped over
        ("Europe/Berlin", "2026-10-25T00:00:00+02:00", "02:30", "2026-10-25T02:30:00+02:00"),
        ("Europe/Berlin", "2026-10-25T02:30:00+02:00", "02:30", "2026-10-25T02:30:00+01:00"),  # a second time
        ("Pacific/Apia", "2011-12-29T12:00:00-10:00", "10:00", "2011-12-31T10:00:00+14:00"),
    ],
)
def test_the_next_time_a_clock_shows(zone: str, now: str, clock: str, expected: str) -> None:
    """Strictly after now, through jumps and the missing day."""
    minutes = local_time.parse_clock(clock)
    assert minutes is not None
    assert local_time.next_clock_ms(at(now), minutes, ZoneInfo(zone)) == at(expected)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("00:00", 0),
        ("07:30", 450),
        ("23:59", 1439),
        ("24:00", None),
        ("07:60", None),
        ("7:30", None),
        ("07:30:00", None),
        ("07:30\n", None),
        ("٠٧:٣٠", None),
        ("", None),
    ],
)
def test_only_a_clock_time_is_one(text: str, minutes: int | None) -> None:
    """Two digits, a colon, two digits, and a time that exists."""
    assert local_time.parse_clock(text) == minutes


@given(moments, zones)
def test_the_next_slot_is_soon_and_nothing_changes_before_it(now: int, zone: ZoneInfo) -> None:
    """More than 0 and at most 30 min away; a ms before it the slot is still that of now; seen from there it is next."""
    following = local_time.next_slot_ms(now, zone)
    assert now < following <= now + SLOT_MS
    assert local_time.slot_of(following - 1, zone) == local_time.slot_of(now, zone)
    assert local_time.next_slot_ms(following - 1, zone) == following
    same = local_time.local(following, zone).utcoffset() == local_time.local(now, zone).utcoffset()
    assert not same or local_time.slot_of(following, zone) == (local_time.slot_of(now, zone) + 1) % 48


@given(moments, zones)
def test_a_midnight_begins_its_day(now: int, zone: ZoneInfo) -> None:
    """It is of the day of now and not after it, and a ms earlier is another day."""
    midnight, day = local_time.local_midnight_ms(now, zone), local_time.local(now, zone).date()
    assert midnight <= now < midnight + 26 * 3_600_000
    assert local_time.local(midnight, zone).date() == day
    assert local_time.local(midnight - 1, zone).date() < day
    assert local_time.next_midnight_ms(now, zone) > midnight
    assert local_time.next_midnight_ms(local_time.next_midnight_ms(now, zone) - 1, zone) > midnight


@given(moments, st.integers(0, 1439), zones)
def test_the_next_clock_time_is_shown_there(now: int, minutes: int, zone: ZoneInfo) -> None:
    """Within two days, and the clock shows it, or has just jumped over it."""
    found = local_time.next_clock_ms(now, minutes, zone)
    assert now < found <= now + 2 * 24 * 3_600_000
    shown, before = local_time.local(found, zone), local_time.local(found - 1, zone)
    jumped = shown.utcoffset() != before.utcoffset()
    assert jumped or (shown.hour * 60 + shown.minute, shown.second, shown.microsecond) == (minutes, 0, 0)


def test_the_zone_of_the_machine_means_nothing() -> None:
    """UTC in, UTC slots out: nothing looks at TZ."""
    noon = datetime(2026, 8, 1, 12, tzinfo=UTC)
    assert local_time.slot_of(int((noon + timedelta(minutes=29)).timestamp() * 1000), ZoneInfo("UTC")) == 24
