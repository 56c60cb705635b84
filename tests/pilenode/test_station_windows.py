"""Allowed hours: when they are open, when they close, when they open again, in several zones."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema_session import Session, Window
from pilenode.station.windows import Hours, hours_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
DAY = ((6 * 60, 23 * 60),)
NIGHT = ((22 * 60, 7 * 60),)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    """Return the moment of a local time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("windows", "text", "opened", "closes", "opens"),
    [
        (DAY, "2026-05-01T05:59:59.999", False, None, "2026-05-01T06:00"),
        (DAY, "2026-05-01T06:00", True, "2026-05-01T23:00", None),
        (DAY, "2026-05-01T22:59:59.999", True, "2026-05-01T23:00", None),
        (DAY, "2026-05-01T23:00", False, None, "2026-05-02T06:00"),
        (NIGHT, "2026-05-01T21:59:59.999", False, None, "2026-05-01T22:00"),
        (NIGHT, "2026-05-01T22:00", True, "2026-05-02T07:00", None),
        (NIGHT, "2026-05-02T00:00", True, "2026-05-02T07:00", None),
        (NIGHT, "2026-05-02T06:59:59.999", True, "2026-05-02T07:00", None),
        (NIGHT, "2026-05-02T07:00", False, None, "2026-05-02T22:00"),
        (((0, 12 * 60), (12 * 60, 20 * 60)), "2026-05-01T06:00", True, "2026-05-01T20:00", None),
        (((20 * 60, 1440), (0, 6 * 60)), "2026-05-01T21:00", True, "2026-05-02T06:00", None),
        (((8 * 60, 20 * 60), (6 * 60, 10 * 60)), "2026-05-01T06:30", True, "2026-05-01T20:00", None),
        ((), "2026-05-01T06:30", True, None, None),
        (((0, 1440),), "2026-05-01T00:00", True, None, None),
        (((6 * 60, 18 * 60), (18 * 60, 6 * 60)), "2026-05-01T06:00", True, None, None),
    ],
)
def test_hours_at_their_limits(
    windows: tuple[tuple[int, int], ...],
    text: str,
    opened: bool,  # noqa: FBT001
    closes: str | None,
    opens: str | None,
) -> None:
    """To the millisecond, past midnight too; hours that touch or overlap are one."""
    hours = Hours(windows, SHANGHAI)
    now = at(text)
    assert hours.open_at(now) is opened
    assert hours.closes_at(now) == (None if closes is None else at(closes))
    assert hours.opens_at(now) == (None if opens is None else at(opens))


def test_the_end_of_the_hours_binds_only_where_the_policy_says_so() -> None:
    """Once they are over it is now."""
    now, late = at("2026-05-01T22:00"), at("2026-05-01T23:30")
    assert Hours(DAY, SHANGHAI).deadline_ms(now) is None
    assert Hours(DAY, SHANGHAI, ends_sessions=True).deadline_ms(now) == at("2026-05-01T23:00")
    assert Hours(DAY, SHANGHAI, ends_sessions=True).deadline_ms(late) == late
    assert Hours((), SHANGHAI, ends_sessions=True).deadline_ms(now) is None


def test_a_configuration_becomes_hours() -> None:
    """With its zone, its windows and what becomes of running sessions."""
    session = Session(allowed=[Window(from_="06:00", to="24:00"), Window(from_="22:30", to="01:15")], at_end="end")
    assert hours_of(session, "Europe/Berlin") == Hours(((360, 1440), (1350, 75)), BERLIN, ends_sessions=True)
    assert hours_of(Session(), "Asia/Shanghai") == Hours((), SHANGHAI, ends_sessions=False)


def test_a_clock_that_is_shifted_moves_the_hours_with_it() -> None:
    """In Berlin the night of 29 March 2026 lacks an hour, that of 25 October has one more."""
    hours = Hours(NIGHT, BERLIN)
    for day, hours_long in (("2026-03-28", 8), ("2026-10-24", 10), ("2026-06-01", 9)):
        begins = at(f"{day}T22:00", BERLIN)
        closes = hours.closes_at(begins)
        assert closes is not None
        assert closes - begins == hours_long * 3_600_000


@given(
    st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda one: one[0] != one[1]), max_size=4),
    st.integers(1_700_000_000_000, 1_900_000_000_000),
    st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Chatham")]),
)
def test_opening_and_closing_agree(windows: list[tuple[int, int]], now: int, zone: ZoneInfo) -> None:
    """Just before a close it is open and at it it is not; the same the other way about; both lie ahead."""
    hours = Hours(tuple(windows), zone)
    closes, opens = hours.closes_at(now), hours.opens_at(now)
    assert (opens is None) is hours.open_at(now)
    if closes is not None:
        assert now < closes
        assert hours.open_at(closes - 1)
        assert not hours.open_at(closes)
    if opens is not None:
        assert now < opens
        assert hours.open_at(opens)
        assert not hours.open_at(opens - 1)
