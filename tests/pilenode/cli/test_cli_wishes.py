"""Plans as people type them: money to the fen, clock times in the cabinet's zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import click
import pytest

from pilenode.cli.terminal import Misuse
from pilenode.cli.wishes import Yuan, duration_s, moment_ms

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = round(datetime(2026, 5, 1, 12, 0, tzinfo=SHANGHAI).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("0.01", 1),
        ("0.1", 10),
        ("0.29", 29),  # 28 in binary fractions
        ("1.15", 115),
        ("4.35", 435),
        ("3", 300),
        ("03.50", 350),
        ("9999.99", 999_999),
        ("10000", 1_000_000),
    ],
)
def test_an_amount_is_exact(text: str, fen: int) -> None:
    """Yuan in, fen out."""
    assert Yuan().convert(text, None, None) == fen


@pytest.mark.parametrize("text", ["0", "0.00", "-1", "+1", "1.005", "10000.01", "1e3", "1,5", "1.", ".5", "nan", ""])
def test_an_amount_that_is_none_is_refused(text: str) -> None:
    """Zero, negative, finer than a fen, above the limit, or no number."""
    with pytest.raises(click.BadParameter):
        Yuan().convert(text, None, None)


@pytest.mark.parametrize(("minutes", "seconds"), [(None, None), (0.001, 1), (0.5, 30), (1.5, 90), (720.0, 43_200)])
def test_minutes_become_whole_seconds(minutes: float | None, seconds: int | None) -> None:
    """At least one."""
    assert duration_s(minutes) == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12:01", "2026-05-01T12:01+08:00"),
        ("12:00", "2026-05-02T12:00+08:00"),
        ("06:30", "2026-05-02T06:30+08:00"),
        ("23:59", "2026-05-01T23:59+08:00"),
        ("2026-05-01T18:00", "2026-05-01T18:00+08:00"),
        ("2026-05-01T18:00+02:00", "2026-05-01T18:00+02:00"),
        ("2026-05-01T10:00:30Z", "2026-05-01T10:00:30+00:00"),
    ],
)
def test_a_clock_time_is_the_next_one_of_the_cabinet(text: str, expected: str) -> None:
    """What names a zone is taken as it is."""
    assert moment_ms(text, lambda: "Asia/Shanghai", NOW) == round(datetime.fromisoformat(expected).timestamp() * 1000)


def test_the_station_is_asked_for_its_zone_only_where_it_is_needed() -> None:
    """A time with a zone of its own needs none."""

    def never() -> str:
        raise AssertionError

    assert moment_ms("2026-05-01T12:00+08:00", never, 0) == NOW


@pytest.mark.parametrize("text", ["24:00", "12:60", "noon", "2026-13-01T00:00", "12", ""])
def test_what_is_no_time_is_misuse(text: str) -> None:
    """Said before anything is asked for."""
    with pytest.raises(Misuse):
        moment_ms(text, lambda: "Asia/Shanghai", NOW)
