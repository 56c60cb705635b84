"""Promises of the fleet's figures: they follow from what was measured, and the page shows what they were made from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hil_rig.fleet import Day, day_of, load, main, read_day, size, table, written

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
MEASURED = {
    "hours": 12.0,
    "sessions": 15,
    "kinds": {"checkpoint": {"facts": 90, "body": 9_000}, "session_ended": {"facts": 10, "body": 11_000}},
    "publishes": {"ev": 60, "st": 10},
    "wire": {"ev": 100_000, "st": 50_000},
    "down_publishes": 60,
    "down_bytes": 9_000,
}


def test_the_page_shows_what_its_inputs_give() -> None:
    """The table in docs/fleet.md is the one that the command makes of the inputs that stand beside it."""
    page = PAGE.read_text(encoding="utf-8")
    assert table(day_of(page)) in page
    assert written(page, day_of(page)) == page


def test_figures_follow_from_the_day() -> None:
    """Rates, windows and volumes by hand, for a fleet of round numbers."""
    day = Day("", 160_000, 86_400, 1_000, 100, 864, 800, 300, 700, 100)
    one = load(day, 15_000)
    assert (one.publishes_up, one.publishes_up_peak) == (15_000, 90_000)
    assert (one.facts, one.facts_peak, one.workers_at_peak) == (150, 900, 9)
    assert (one.window_s, one.handshakes, one.handshake_cores) == (10, 1_500, 2)
    assert one.backlog_bytes == 2.4e9
    assert one.backlog_rate == pytest.approx(2.4e9 / 20)
    assert one.backlog_workers == 6_480
    assert one.gentle_s == pytest.approx(14_400)
    assert one.stored_bytes_year == pytest.approx(365 * 15_000 * 864 * 1_000)
    assert one.stored_without_readings == pytest.approx(15_000 * 1_000 * (365 * 64 + 30 * 800))


@pytest.mark.parametrize(("cabinets", "window_s"), [(1, 10), (15_000, 10), (15_015, 10), (150_000, 100), (10**7, 900)])
def test_the_window_of_reconnects_has_bounds(cabinets: int, window_s: int) -> None:
    """As wide as 1,500 connections a second need, within what a cabinet may be told."""
    assert load(Day(), cabinets).window_s == window_s


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999 B"), (1_000, "1 kB"), (3.5e5, "350 kB"), (6e12, "6 TB"), (6e15, "6 PB")]
)
def test_sizes_are_told_in_three_digits(count: float, words: str) -> None:
    """People read them."""
    assert size(count) == words


def test_the_command_takes_a_measured_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page and the file hold the same; half a day counts twice, and a day over the promise ends in 1."""
    measured, page, figures = tmp_path / "day.json", tmp_path / "page.md", tmp_path / "figures.json"
    measured.write_text(json.dumps(MEASURED), encoding="utf-8")
    page.write_text("before\n\n" + PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    arguments = ["--day", str(measured), "--write", str(page), "--json", str(figures), "--overhead", "10"]
    assert main(arguments) == 0
    day = read_day(measured, Day(overhead_bytes=10))
    assert (day.bytes_up, day.publishes_up, day.facts, day.readings, day.body_bytes) == (300_000, 140, 200, 180, 200)
    assert (day.bytes_down, day.publishes_down) == (18_000, 120)
    assert day_of(page.read_text(encoding="utf-8")) == day
    assert json.loads(figures.read_text(encoding="utf-8"))["loads"][0]["cabinets"] == 1_000
    assert table(day) in capsys.readouterr().out
    measured.write_text(json.dumps(MEASURED | {"wire": {"ev": 175_001}}), encoding="utf-8")
    assert main(["--day", str(measured)]) == 1
    assert "MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        (Day(bytes_up=350_000, publishes_up=150), True),
        (Day(bytes_up=350_001), False),
        (Day(publishes_up=151), False),
    ],
)
def test_the_promise_is_a_bound(day: Day, *, kept: bool) -> None:
    """0.35 MB and 150 publishes a day, and not one more."""
    assert day.kept() is kept


def test_a_page_without_a_place_is_refused() -> None:
    """A table is put where one stands, nowhere else."""
    with pytest.raises(ValueError, match="no table"):
        written("nothing here", replace(Day(), facts=1))
