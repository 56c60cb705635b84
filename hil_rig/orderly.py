"""Overload of a cabinet for a day: ``python -m hil_rig.orderly [--ports 20] [--hours 24] [--seed 1]``.

More people come than the budget can serve at once. The load plan of the station decides once a second and guard's rules
judge its wishes (``--whole``: all of them, slowly); two simpler strategies, and no control at all, meet the same
people. People and chargers are made up (``hil_rig.orderly_people``), nothing is measured. Exit status 0 when the plan
kept its promises: the budget is never exceeded for longer than the shed time, guard never has to shed, nobody is
paused too often.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hil_rig.orderly_day import Day
from hil_rig.orderly_figures import Report
from hil_rig.orderly_guard import SupplyGuard, WholeGuard
from hil_rig.orderly_people import HOUR_S, chargers, people, stored_chargers
from hil_rig.orderly_picture import picture
from hil_rig.orderly_strategies import STRATEGIES
from pilenode.station.load_values import LoadRules
from safety.limits import CabinetLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil_rig.orderly_people import Person

#: A supply that nobody can exhaust, for the row without control, A.
_ENDLESS_A: Final = 1000.0
_EXPLAINED: Final = {
    "arrivals": "people who came",
    "turned_away": "of them, found every socket taken",
    "started": "sessions that got power",
    "open_at_the_end": "still waiting or charging at the end",
    "longest_excess_s": "longest time in one piece above the budget, s",
    "excess_s": "all of it, s",
    "most_a": "largest sum of all ports, A",
    "guard_sheds": "sessions cut by guard's own overload rule",
    "queued": "sessions that had to wait for their start",
    "wait_p50_min": "their waiting, median, min",
    "wait_p95_min": "their waiting, 95 %, min",
    "wait_max_min": "their waiting, longest, min",
    "fairness_of_waiting": "Jain's index of their waiting (1: all equal)",
    "queue_mean": "length of the queue, mean over the day",
    "queue_max": "length of the queue, longest",
    "pauses": "pauses of sessions",
    "most_pauses": "pauses of one session, most",
    "paused_min": "all pauses together, min",
    "fairness_of_pauses": "Jain's index of the pauses of those who charged when there was one",
    "fairness_of_service": "Jain's index of the share of their time in which they had power",
    "lost": "sessions whose charger did not start again after a pause",
    "operations_mean": "relay operations of a port in 24 h, mean",
    "operations_max": "relay operations of a port in 24 h, most",
    "kwh": "energy delivered, kWh",
    "of_demand_pct": "of what flowed without control, %",
    "of_bound_pct": "charge delivered, of what any control could have delivered, %",
}


def run(ports: int, hours: float, seed: int, options: argparse.Namespace) -> Report:
    """Return the report of all strategies on the same people."""
    budget_a = options.budget if options.budget is not None else 0.7 * ports
    rules = LoadRules(budget_a)
    count = options.arrivals if options.arrivals is not None else round(7 * ports * hours / 24)
    fleet = stored_chargers() if options.curves == "stored" else chargers(options.chargers, seed)
    coming = people(count, hours, fleet, seed, from_hour=options.from_hour)
    tasks = [(name, rules, ports, hours * HOUR_S, coming, options.whole) for name in STRATEGIES]
    if options.workers > 1:
        with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
            days = pool.map(_one, tasks)
    else:
        days = [_one(task) for task in tasks]
    return Report(dict(zip(STRATEGIES, days, strict=True)))


def _one(task: tuple[str, LoadRules, int, float, Sequence[Person], bool]) -> Day:
    name, rules, ports, seconds, coming, whole = task
    limit_a = _ENDLESS_A if name == "no control" else rules.budget_a
    limits = CabinetLimits(current_limit_a=limit_a)
    guard = WholeGuard(range(1, ports + 1), limits) if whole else SupplyGuard(limits)
    return Day(rules, STRATEGIES[name](rules), guard, ports, limit_a, seconds).run(coming)


def _print(report: dict[str, Any]) -> None:
    print(
        f"{report['ports']} ports, {report['hours']:g} h, budget {report['budget_a']:g} A, which is guard's limit too; "
        f"at most {report['bound_ah']:g} Ah could be delivered\n"
    )
    strategies = report["strategies"]
    print(" " * 22 + "".join(f"{name:>14}" for name in strategies))
    for key, meaning in _EXPLAINED.items():
        print(f"{key:<22}" + "".join(f"{strategies[name][key]!s:>14}" for name in strategies) + f"  {meaning}")
    for name, row in strategies.items():
        print(f"\n{name}: " + ", ".join(f"{why} {count}" for why, count in row["endings"].items()), end="")
    print("\n")
    print(*(f"MISSED: {words}" for words in report["missed"]), sep="\n")


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    made = argparse.ArgumentParser(prog="python -m hil_rig.orderly", description=__doc__)
    made.add_argument("--ports", type=int, default=20)
    made.add_argument("--hours", type=float, default=24.0, help="simulated hours")
    made.add_argument("--from-hour", type=float, default=0.0, help="hour of the day at which it begins")
    made.add_argument("--seed", type=int, default=1, help="of people and chargers")
    made.add_argument("--budget", type=float, metavar="A", help="of all ports; left out: 0.7 A for each")
    made.add_argument("--arrivals", type=int, metavar="N", help="people who come; left out: 7 for each port in 24 h")
    made.add_argument(
        "--curves", choices=["made-up", "stored"], default="made-up", help="stored: the charge curves of hil_rig/curves"
    )
    made.add_argument("--chargers", type=int, default=40, metavar="N", help="different charges among them")
    made.add_argument("--whole", action="store_true", help="the whole safety core, not its supply and completion alone")
    made.add_argument("--workers", type=int, default=2, help="processes")
    made.add_argument("--json", metavar="FILE", help='write the figures there; "-" prints them in place of the table')
    made.add_argument("--picture", type=Path, metavar="FILE", help="SVG file to draw into")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = parser().parse_args(arguments)
    report = run(options.ports, options.hours, options.seed, options)
    plain = report.plain()
    if options.json == "-":
        print(json.dumps(plain, indent=1))
    else:
        _print(plain)
        if options.json:
            Path(options.json).write_text(json.dumps(plain, indent=1), encoding="utf-8")
    if options.picture is not None:
        options.picture.write_text(picture(report.days), encoding="utf-8")
    return 1 if plain["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
