"""Prices in the file: every moment has exactly one price, and each mistake is told by its own code at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config import load
from config.schema_tariff import compact, moment_ms
from config.tariff import Period, TariffSchedule, TariffVersion, Tier, clock, mistakes
from config.tariff_file import load_schedule

if TYPE_CHECKING:
    from pathlib import Path

FLAT = "electricity_milli_yuan_per_kwh = 520\nservice_milli_yuan_per_kwh = 300"


def period(start: str, end: str, price: object = 310) -> str:
    """Return one period as it is written."""
    return f'{{ from = "{start}", to = "{end}", electricity_milli_yuan_per_kwh = {price} }}'


def periods(*written: str) -> str:
    """Return the key with these periods, one to a line."""
    return "period = [\n" + ",\n".join(written) + "\n]"


def tariffs(*tables: str) -> str:
    """Return the versions v1, v2, ... with these keys."""
    return "".join(f'[[tariff]]\nversion = "v{number}"\n{keys}\n' for number, keys in enumerate(tables, 1))


def found(good: str, *tables: str) -> list[tuple[str, str]]:
    """Return key and code of every problem of a good file with these versions."""
    return [(one.key, one.code) for one in load.check_text(good + tariffs(*tables))]


DAY = (period("00:00", "08:00"), period("08:00", "22:00", 580), period("22:00", "24:00"))
NEXT = 'valid_from = "2027-01-01 00:00"\n'


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param((FLAT,), id="flat"),
        pytest.param((periods(*DAY),), id="periods"),
        pytest.param((periods(*reversed(DAY)),), id="periods in any order"),
        pytest.param((FLAT, NEXT + FLAT), id="two versions"),
        pytest.param((FLAT, NEXT + 'valid_until = "2027-02-01 00:00"\n' + FLAT), id="with an end"),
        pytest.param(('valid_until = "2027-01-01 00:00"\n' + FLAT, NEXT + FLAT), id="end and beginning agree"),
        pytest.param(("electricity_milli_yuan_per_kwh = 0\nservice_milli_yuan_per_hour = 150",), id="by the hour"),
        pytest.param(
            (
                "electricity_milli_yuan_per_kwh = 1\n"
                "service_tier = [{ up_to_w = 100, milli_yuan_per_hour = 1 }, { up_to_w = 200, milli_yuan_per_hour = 0 }]",
            ),
            id="tiers",
        ),
    ],
)
def test_whole_prices_are_good(good: str, tables: tuple[str, ...]) -> None:
    """They load, and the schedule made of them has no mistake."""
    assert found(good, *tables) == []
    config = load.load_text(good + tariffs(*tables))
    assert [*mistakes(compact(config.tariff, config.node.timezone))] == []


def test_a_cabinet_without_prices_costs_nothing(good: str) -> None:
    """It says so with the name of its version."""
    config = load.load_text(good)
    schedule = compact(config.tariff, config.node.timezone)
    assert [(one.version, one.periods) for one in schedule.versions] == [("unpriced", [Period(0, 48, 0, 0)])]
    assert schedule.timezone == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("tables", "key", "code"),
    [
        pytest.param((periods(*DAY[:2]),), "tariff[1].period", "tariff_gap", id="gap at the end"),
        pytest.param((periods(*DAY[1:]),), "tariff[1].period", "tariff_gap", id="gap at the beginning"),
        pytest.param(
            (periods(period("00:00", "08:00"), period("08:30", "24:00")),),
            "tariff[1].period",
            "tariff_gap",
            id="half an hour is missing",
        ),
        pytest.param(
            (periods(period("00:00", "08:30"), period("08:00", "24:00")),),
            "tariff[1].period[2]",
            "tariff_overlap",
            id="half an hour twice",
        ),
        pytest.param(
            (FLAT, NEXT + periods(*DAY, period("12:00", "12:30"))), "tariff[2].period[4]", "tariff_overlap", id="inside"
        ),
        pytest.param(
            (periods(*DAY, period("12:00", "12:00")),), "tariff[1].period[4]", "tariff_order", id="of no length"
        ),
        pytest.param((periods(*DAY[:2], period("22:00", "24:00", -1)),), "tariff[1].period[3].electricity_milli_yuan_per_kwh", "out_of_range", id="negative"),
        pytest.param(("electricity_milli_yuan_per_kwh = -1",), "tariff[1].electricity_milli_yuan_per_kwh", "out_of_range", id="negative, flat"),
        pytest.param((periods(period("00:00", "08:15"), period("08:15", "24:00")),), "tariff[1].period[1].to", "wrong_format", id="no half hour"),
        pytest.param((FLAT, FLAT), "tariff[2].valid_from", "tariff_order", id="no beginning"),
        pytest.param((FLAT, NEXT + FLAT, NEXT + FLAT), "tariff[3].valid_from", "tariff_order", id="the same beginning"),
        pytest.param((FLAT, NEXT + FLAT, 'valid_from = "2026-12-31 23:59"\n' + FLAT), "tariff[3].valid_from", "tariff_order", id="unsorted"),
        pytest.param(('valid_until = "2026-12-31 23:59"\n' + FLAT, NEXT + FLAT), "tariff[2].valid_from", "tariff_gap", id="ends a minute early"),
        pytest.param(('valid_until = "2027-01-01 00:01"\n' + FLAT, NEXT + FLAT), "tariff[2].valid_from", "tariff_overlap", id="ends a minute late"),
        pytest.param((FLAT, NEXT + 'valid_until = "2027-01-01 00:00"\n' + FLAT), "tariff[2].valid_until", "tariff_order", id="ends as it begins"),
        pytest.param((FLAT, 'valid_from = "2027-02-29 00:00"\n' + FLAT), "tariff[2].valid_from", "wrong_format", id="no such day"),
        pytest.param(("",), "tariff[1].electricity_milli_yuan_per_kwh", "missing_key", id="no price at all"),
        pytest.param((FLAT + "\n" + periods(*DAY),), "tariff[1].electricity_milli_yuan_per_kwh", "without_effect", id="two ways"),
        pytest.param((FLAT + "\nservice_milli_yuan_per_hour = 1",), "tariff[1].service_milli_yuan_per_hour", "tariff_service", id="service in two ways"),
        pytest.param(("electricity_milli_yuan_per_kwh = 1\nservice_tier = []",), "tariff[1].service_tier", "tariff_no_tiers", id="no tiers"),
        pytest.param(("electricity_milli_yuan_per_kwh = 1\nservice_tier = [{ up_to_w = 150, milli_yuan_per_hour = 1 }]",), "tariff[1].service_tier[1]", "tariff_tiers", id="not by 100 W"),
        pytest.param(("electricity_milli_yuan_per_kwh = 1\nservice_tier = [\n{ up_to_w = 200, milli_yuan_per_hour = 1 },\n{ up_to_w = 200, milli_yuan_per_hour = 2 }]",), "tariff[1].service_tier[2]", "tariff_tiers", id="tiers do not rise"),
        pytest.param((FLAT + "\nfallback = true", NEXT + FLAT + "\nfallback = true"), "tariff[2].fallback", "duplicate", id="two fallbacks"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code_and_place(good: str, tables: tuple[str, ...], key: str, code: str) -> None:
    """And nothing else is found beside it; the place has a line in the file."""
    assert (key, code) in found(good, *tables)
    problems = load.check_text(good + tariffs(*tables))
    assert {one.code for one in problems} == {code}
    assert all(one.line is not None and one.line > good.count("\n") for one in problems)


def test_an_unknown_zone_is_told(good: str) -> None:
    """Names that no system has, and names that would leave the folder of zones."""
    for name, code in (("Asia/Tongliang", "unknown_zone"), ("../etc/passwd", "wrong_format"), ("Asia", "unknown_zone")):
        text = good.replace('id = "n1"', f'id = "n1"\ntimezone = "{name}"')
        assert [(one.key, one.code, one.line) for one in load.check_text(text)] == [("node.timezone", code, 3)]


def test_moments_are_those_of_the_zone() -> None:
    """Local midnight in Shanghai is 16:00 UTC of the day before; an hour that comes twice is the first one."""
    assert moment_ms("1970-01-02 08:00", "Asia/Shanghai") == 86_400_000
    berlin = moment_ms("2026-10-25 02:30", "Europe/Berlin")
    assert moment_ms("2026-10-25 03:00", "Europe/Berlin") - berlin == 90 * 60_000


def test_acts_are_checked_for_what_a_file_cannot_say() -> None:
    """Prices below zero and out of reach, names that come twice, a fallback that is none, a schedule of nothing."""

    def codes(**more: object) -> set[str]:
        version = TariffVersion(version="a", periods=[Period(0, 48, 1, 1)])
        fields: dict[str, object] = {"schedule": 1, "timezone": "Asia/Shanghai", "versions": [version], **more}
        return {one.code for one in mistakes(TariffSchedule(**fields))}  # type: ignore[arg-type] # a table of mistakes

    def one(**more: object) -> list[TariffVersion]:
        fields: dict[str, object] = {"version": "a", "periods": [Period(0, 48, 1)], **more}
        return [TariffVersion(**fields)]  # type: ignore[arg-type] # a table of mistakes

    assert codes() == set()
    assert codes(versions=one(periods=[Period(0, 48, -1)])) == {"tariff_negative"}
    assert codes(versions=one(periods=[Period(0, 48, 0, -1)])) == {"tariff_negative"}
    assert codes(versions=one(service_milli_yuan_per_hour=-1)) == {"tariff_negative"}
    assert codes(versions=one(service_tier=[Tier(100, -1)])) == {"tariff_negative"}
    assert codes(versions=one(periods=[Period(0, 48, 100_000)])) == set()
    assert codes(versions=one(periods=[Period(0, 48, 100_001)])) == {"tariff_too_high"}
    assert codes(versions=[]) == {"tariff_gap"}
    assert codes(versions=one(periods=[])) == {"tariff_gap"}
    assert codes(fallback="b") == {"tariff_order"}
    assert codes(timezone="Mars/Base") == {"unknown_zone"}
    again = TariffVersion(version="a", valid_from_ms=5, periods=[Period(0, 48, 1)])
    assert codes(versions=[*one(), again]) == {"tariff_order"}
    assert (clock(0), clock(17), clock(48)) == ("00:00", "08:30", "24:00")


def test_a_file_of_prices_is_checked_like_a_configuration(tmp_path: Path) -> None:
    """It has a number; its mistakes have lines; a good one is the schedule."""
    file = tmp_path / "prices.toml"
    file.write_text("schedule = 7\n" + tariffs(FLAT, NEXT + periods(*DAY)), encoding="utf-8")
    schedule, problems = load_schedule(file)
    assert problems == []
    assert schedule is not None
    assert (schedule.schedule, schedule.timezone, len(schedule.versions[1].periods)) == (7, "Asia/Shanghai", 3)
    file.write_text('timezone = "Mars/Base"\n' + tariffs(periods(*DAY[:1])), encoding="utf-8")
    schedule, problems = load_schedule(file)
    assert schedule is None
    assert [(one.key, one.code, one.line) for one in problems] == [
        ("timezone", "unknown_zone", 1),
        ("schedule", "missing_key", None),
        ("tariff[1].period", "tariff_gap", 4),
    ] or {one.code for one in problems} == {"unknown_zone", "missing_key", "tariff_gap"}
    assert [one.code for one in load_schedule(tmp_path / "absent.toml")[1]] == ["unreadable"]
