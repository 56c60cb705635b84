"""What a day of orderly charging comes to, as numbers beside their bounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hil_rig.figures import percentile
from hil_rig.orderly_day import PICTURE_S, STEP_S
from hil_rig.orderly_people import HOUR_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hil_rig.orderly_day import Day, Stay

#: A decision is a second old when guard carries it out.
_CARRIED_OUT_S = 2 * STEP_S
_MINUTE_S = 60.0


def jain(values: Iterable[float]) -> float | None:
    """Return Jain's index of fairness, (sum x)^2 / (n * sum x^2): 1 when all are equal, 1/n when one has it all.

    None where there is nothing to share.
    """
    listed = [*values]
    squares = sum(value * value for value in listed)
    return round(sum(listed) ** 2 / (len(listed) * squares), 3) if squares > 0 else None


def bound_ah(demand_ah: Sequence[float], budget_a: float) -> float:
    """Return the most that any control could have served, Ah: never ahead of the demand, never above the budget.

    ``demand_ah``: what had been drawn without control by each minute. A charge that is served later draws later, so
    nobody can be ahead of that; the water of two taps in a row.
    """
    served_ah = 0.0
    for wanted_ah in demand_ah:
        served_ah = min(wanted_ah, served_ah + budget_a * PICTURE_S / HOUR_S)
    return served_ah


def summary(day: Day) -> dict[str, Any]:
    """Return the figures of a day as plain data."""
    started = [stay for stay in day.stays if stay.started_s is not None]
    waits_s = [stay.started_s - stay.person.at_s for stay in started if stay.started_s is not None]
    waited_s = [wait for wait in waits_s if wait > day.rules.close_stagger_s]
    operations = [count / (day.seconds / HOUR_S / 24) for count in day.operations.values()]
    return {
        "arrivals": len(day.stays) + day.turned_away,
        "turned_away": day.turned_away,
        "started": len(started),
        "endings": dict(Counter(stay.why for stay in day.stays if stay.ended_s is not None).most_common()),
        "open_at_the_end": sum(stay.ended_s is None for stay in day.stays),
        "longest_excess_s": day.longest_over_s,
        "excess_s": day.over_total_s,
        "most_a": round(day.most_a, 2),
        "guard_sheds": day.guard_sheds,
        "queued": len(waited_s),
        "wait_p50_min": _minutes(percentile(waited_s, 0.5)),
        "wait_p95_min": _minutes(percentile(waited_s, 0.95)),
        "wait_max_min": _minutes(percentile(waited_s, 1.0)),
        "fairness_of_waiting": jain(waited_s),
        "queue_mean": round(sum(day.queued) / max(1, len(day.queued)), 2),
        "queue_max": max(day.queued, default=0),
        "pauses": sum(stay.pauses for stay in day.stays),
        "most_pauses": max((stay.pauses for stay in day.stays), default=0),
        "paused_min": round(sum(stay.paused_s for stay in day.stays) / _MINUTE_S, 1),
        "fairness_of_pauses": jain(stay.paused_s for stay in day.stays if stay.eligible),
        "fairness_of_service": jain(
            stay.on_s / (stay.on_s + stay.paused_s) for stay in day.stays if stay.eligible and stay.on_s > 0
        ),
        "lost": sum(stay.why == "lost" for stay in day.stays),
        "operations_mean": round(sum(operations) / len(operations), 1),
        "operations_max": round(max(operations), 1),
        "kwh": round(sum(stay.wh for stay in day.stays) / 1000, 2),
        "ah": round(sum(stay.ah for stay in day.stays), 1),
    }


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / _MINUTE_S, 1)


@dataclass(frozen=True, slots=True)
class Report:
    """All strategies on the same people."""

    days: Mapping[str, Day]

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data; energies beside what was wanted and what was possible."""
        figures = {name: summary(day) for name, day in self.days.items()}
        free = self.days["no control"]
        most_ah = bound_ah(free.served_ah, self.days["plan"].rules.budget_a)
        for row in figures.values():
            row["of_demand_pct"] = round(100 * row["kwh"] / max(1e-9, figures["no control"]["kwh"]), 1)
            row["of_bound_pct"] = round(100 * row["ah"] / max(1e-9, most_ah), 1)
        return {
            "budget_a": self.days["plan"].rules.budget_a,
            "limit_a": self.days["plan"].limit_a,
            "ports": self.days["plan"].ports,
            "hours": self.days["plan"].seconds / HOUR_S,
            "bound_ah": round(most_ah, 1),
            "strategies": figures,
            "missed": self.missed(),
        }

    def missed(self) -> list[str]:
        """Return every promise that the shipped plan did not keep, in words."""
        day = self.days["plan"]
        allowed_s = day.rules.shed_after_s + _CARRIED_OUT_S
        found = []
        if day.longest_over_s > allowed_s:
            found.append(f"above the budget for {day.longest_over_s:.0f} s, allowed {allowed_s:.0f} s")
        if day.guard_sheds:
            found.append(f"guard had to shed {day.guard_sheds} times")
        found += [_too_often(stay) for stay in day.stays if stay.pauses > day.rules.max_pauses]
        return found


def _too_often(stay: Stay) -> str:
    return f"{stay.order} was paused {stay.pauses} times"
