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
ONE = "electricity_milli_yuan_per_kwh = 1\n"
TIERS = "service_tier = [{ up_to_w = 100, milli_yuan_per_hour = 1 }, { up_to_w = 200, milli_yuan_per_hour = 0 }]"
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
        pytest.param((ONE + TIERS,), id="tiers"),
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


PRICE = "electricity_milli_yuan_per_kwh"


def tiers(*ends: int) -> str:
    """Return a flat version with tiers up to these powers, one to a line."""
    written = ",\n".join(f"{{ up_to_w = {end}, milli_yuan_per_hour = 1 }}" for end in ends)
    return f"{ONE}service_tier = [\n{written}\n]"


def start(local: str) -> str:
    """Return a flat version that begins then."""
    return f'valid_from = "{local}"\n{FLAT}'


def until(local: str, keys: str = FLAT) -> str:
    """Return a version that ends then."""
    return f'valid_until = "{local}"\n{keys}'


#: What is wrong, the versions, the place, the code.
MISTAKES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "gap at the end": ((periods(*DAY[:2]),), "tariff[1].period", "tariff_gap"),
    "gap at the beginning": ((periods(*DAY[1:]),), "tariff[1].period", "tariff_gap"),
    "half an hour is missing": (
        (periods(period("00:00", "08:00"), period("08:30", "24:00")),),
        "tariff[1].period",
        "tariff_gap",
    ),
    "half an hour twice": (
        (periods(period("00:00", "08:30"), period("08:00", "24:00")),),
        "tariff[1].period[2]",
        "tariff_overlap",
    ),
    "one inside": ((FLAT, NEXT + periods(*DAY, period("12:00", "12:30"))), "tariff[2].period[4]", "tariff_overlap"),
    "of no length": ((periods(*DAY, period("12:00", "12:00")),), "tariff[1].period[4]", "tariff_order"),
    "negative": ((periods(*DAY[:2], period("22:00", "24:00", -1)),), f"tariff[1].period[3].{PRICE}", "out_of_range"),
    "negative all day": ((f"{PRICE} = -1",), f"tariff[1].{PRICE}", "out_of_range"),
    "no half hour": (
        (periods(period("00:00", "08:15"), period("08:00", "24:00")),),
        "tariff[1].period[1].to",
        "wrong_format",
    ),
    "no beginning": ((FLAT, FLAT), "tariff[2].valid_from", "tariff_order"),
    "the same beginning": ((FLAT, NEXT + FLAT, NEXT + FLAT), "tariff[3].valid_from", "tariff_order"),
    "unsorted": ((FLAT, NEXT + FLAT, start("2026-12-31 23:59")), "tariff[3].valid_from", "tariff_order"),
    "ends a minute early": ((until("2026-12-31 23:59"), NEXT + FLAT), "tariff[2].valid_from", "tariff_gap"),
    "ends a minute late": ((until("2027-01-01 00:01"), NEXT + FLAT), "tariff[2].valid_from", "tariff_overlap"),
    "ends as it begins": ((FLAT, NEXT + until("2027-01-01 00:00")), "tariff[2].valid_until", "tariff_order"),
    "no such day": ((FLAT, start("2027-02-29 00:00")), "tariff[2].valid_from", "wrong_format"),
    "no price at all": (("",), f"tariff[1].{PRICE}", "missing_key"),
    "price in two ways": ((ONE + periods(*DAY),), f"tariff[1].{PRICE}", "without_effect"),
    "service in two ways": (
        (f"{FLAT}\nservice_milli_yuan_per_hour = 1",),
        "tariff[1].service_milli_yuan_per_hour",
        "tariff_service",
    ),
    "no tiers": ((f"{ONE}service_tier = []",), "tariff[1].service_tier", "tariff_no_tiers"),
    "not by 100 W": ((tiers(150),), "tariff[1].service_tier[1]", "tariff_tiers"),
    "tiers do not rise": ((tiers(200, 200),), "tariff[1].service_tier[2]", "tariff_tiers"),
    "two fallbacks": (
        (f"{FLAT}\nfallback = true", f"{NEXT}{FLAT}\nfallback = true"),
        "tariff[2].fallback",
        "duplicate",
    ),
}


@pytest.mark.parametrize(("tables", "key", "code"), [*MISTAKES.values()], ids=[*MISTAKES])
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
    assert {(one.key, one.code) for one in problems} == {
        ("timezone", "unknown_zone"),
        ("schedule", "missing_key"),
        ("tariff[1].period", "tariff_gap"),
    }
    assert [one.code for one in load_schedule(tmp_path / "absent.toml")[1]] == ["unreadable"]
