"""The simulated day of orderly charging: what its figures mean, and a short one with the same promises."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from hil_rig.curves import Curve
from hil_rig.orderly import main
from hil_rig.orderly_day import Day
from hil_rig.orderly_figures import Report, bound_ah, jain, summary
from hil_rig.orderly_guard import SupplyGuard, WholeGuard
from hil_rig.orderly_people import PROFILE, Person, people
from hil_rig.orderly_strategies import STRATEGIES, Planned
from pilenode.station.load_values import LoadRules
from safety.limits import CabinetLimits

if TYPE_CHECKING:
    from pathlib import Path

    from hil_rig.orderly_guard import Guard

RULES = LoadRules(4.0, min_on_s=60.0, min_off_s=60.0, settle_s=30.0, start_demand_a=1.0)


def steady(amps: float, seconds: int, before_a: float | None = None) -> Curve:
    """Return a charge of ``amps`` at 220 V; ``before_a`` flows in its first ten minutes, None: the same."""
    draws = [amps if before_a is None or at >= 300 else before_a for at in range(seconds // 2)]
    draws.append(0.0)
    count = len(draws)
    return Curve(
        tuple(2.0 * at for at in range(count)),
        (220.0,) * count,
        tuple(draws),
        tuple(220.0 * draw for draw in draws),
        (0.0,) * count,
        (1.0,) * count,
        (25.0,) * count,
    )


def person(number: int, curve: Curve, at_s: float = 10.0, *, latches: bool = False) -> Person:
    """Return somebody who waits for as long as it takes."""
    return Person(number, at_s + 10 * number, f"o{number}", curve, latches, None, 60.0)


def day(coming: list[Person], guard: Guard, minutes: float, rules: LoadRules = RULES) -> Day:
    """Return a day of four ports under the plan."""
    return Day(rules, Planned(rules), guard, 4, guard_limits(rules).current_limit_a, 60.0 * minutes).run(coming)


def guard_limits(rules: LoadRules) -> CabinetLimits:
    """Return the limits of a guard whose supply is the budget."""
    return CabinetLimits(current_limit_a=rules.budget_a)


@pytest.mark.parametrize(
    ("values", "index"), [([], None), ([0.0, 0.0], None), ([3.0, 3.0], 1.0), ([1.0, 0.0], 0.5), ([1.0, 3.0], 0.8)]
)
def test_jains_index(values: list[float], index: float | None) -> None:
    """1 where all have the same, 1/n where one has it all."""
    assert jain(values) == index


def test_nobody_could_deliver_more_than_the_bound() -> None:
    """Never ahead of the demand, never faster than the budget: 60 A are 1 Ah a minute."""
    assert bound_ah([0.5, 1.0, 5.0, 5.0, 5.0], 60.0) == pytest.approx(4.0)
    assert bound_ah([0.5, 1.0, 1.0], 60.0) == pytest.approx(1.0)


def test_people_come_by_the_profile_and_are_the_same_for_a_seed() -> None:
    """The evening is busier than the night."""
    fleet = [steady(1.0, 100)]
    coming = people(2000, 24.0, fleet, 1)
    assert coming == people(2000, 24.0, fleet, 1)
    assert [one.at_s for one in coming] == sorted(one.at_s for one in coming)
    evening = sum(18 <= one.at_s / 3600 < 22 for one in coming)
    assert evening / 2000 == pytest.approx(sum(PROFILE[18:22]) / sum(PROFILE), abs=0.04)
    assert people(50, 1.0, fleet, 1, from_hour=23.5)[-1].at_s < 3600.0


def test_the_parts_of_guard_do_what_the_whole_does() -> None:
    """Queue, starts, a pause and a resumption go the same way, to the second."""
    coming = [person(0, steady(1.5, 4000)), person(1, steady(2.2, 4000, before_a=0.8)), person(2, steady(1.5, 4000))]
    limits = guard_limits(RULES)
    parts, whole = day(coming, SupplyGuard(limits), 14), day(coming, WholeGuard(range(1, 5), limits), 14)
    assert summary(parts) == summary(whole) | {"kwh": summary(parts)["kwh"], "ah": summary(parts)["ah"]}
    assert summary(parts)["kwh"] == pytest.approx(summary(whole)["kwh"], abs=0.01)
    assert summary(parts)["pauses"] >= 1
    assert [one.started_s for one in parts.stays] == [one.started_s for one in whole.stays]


def test_a_charger_that_stays_off_after_a_pause_is_counted_as_lost() -> None:
    """Guard ends the resumed leg, because there is no charger any more."""
    coming = [person(0, steady(2.6, 9000, before_a=0.8), latches=True), person(1, steady(2.0, 1500))]
    once = day(coming, SupplyGuard(guard_limits(RULES)), 60)
    assert (once.stays[0].why, once.stays[0].pauses) == ("lost", 1)
    assert summary(once)["lost"] == 1
    sound = day([replace(one, latches=False) for one in coming], SupplyGuard(guard_limits(RULES)), 60)
    assert summary(sound)["lost"] == 0


def test_broken_promises_are_told() -> None:
    """Each in words; a report without them says nothing."""
    days = {
        name: Day(RULES, strategy(RULES), SupplyGuard(guard_limits(RULES)), 4, 4.0, 60.0).run([])
        for name, strategy in STRATEGIES.items()
    }
    assert Report(days).missed() == []
    days["plan"].longest_over_s = RULES.shed_after_s + 2.0
    assert Report(days).missed() == []
    days["plan"].longest_over_s += 1.0
    days["plan"].guard_sheds = 2
    assert Report(days).missed() == ["above the budget for 13 s, allowed 12 s", "guard had to shed 2 times"]


def test_a_short_day_keeps_the_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six ports for the first hour of an evening: the command as a person runs it, with figures and picture."""
    file = tmp_path / "figures.json"
    options = {"ports": 6, "hours": 1, "from-hour": 18, "chargers": 5, "arrivals": 14, "budget": 4, "workers": 1}
    arguments = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    assert main([*arguments, "--json", str(file), "--picture", str(tmp_path / "day.svg")]) == 0
    out = capsys.readouterr().out
    assert "longest time in one piece above the budget" in out
    report = json.loads(file.read_text(encoding="utf-8"))
    plan, free = report["strategies"]["plan"], report["strategies"]["no control"]
    assert report["missed"] == []
    assert plan["guard_sheds"] == 0
    assert plan["longest_excess_s"] <= 12.0
    assert free["longest_excess_s"] > 60.0  # it is an overload
    assert plan["queue_max"] >= 1
    assert 0 < plan["kwh"] <= free["kwh"]
    assert plan["of_bound_pct"] <= 100.1
    picture = ET.fromstring((tmp_path / "day.svg").read_text(encoding="utf-8"))  # noqa: S314 - our own file
    assert sum("polyline" in node.tag for node in picture.iter()) == 3 * len(report["strategies"])
