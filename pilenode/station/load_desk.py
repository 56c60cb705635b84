"""The desk for budgets set from outside: only downwards from the installer's, the newest one counts.

A budget with an end returns to the installer's by itself, but only when the clock can be trusted to know that the end
has come; without such a clock the lower budget stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc.acts import SetBudget
from pilenode.ipc.messages import Refused
from pilenode.station.entries import NewFact
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_load import BudgetSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.ipc.acts import Act
    from pilenode.station.desk import Who
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact


class LoadDesk:
    """``installed_a``: the installer's budget, A (``LoadRules.budget_a``)."""

    acts: tuple[type[Act], ...] = (SetBudget,)
    kinds = (FactKind.BUDGET_SET,)

    def __init__(self, installed_a: float) -> None:
        self._installed_ma = int(installed_a * 1000)
        self._set: BudgetSet | None = None

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Return the fact of an accepted budget, or why it is refused."""
        if not isinstance(act, SetBudget):
            return Refused(code="malformed", detail=type(act).__name__)
        if act.limit_ma > self._installed_ma:
            return Refused(code="budget_too_high", detail=f"{act.limit_ma} mA > {self._installed_ma} mA")
        if act.until_ms is not None and _is_over(act.until_ms, now):
            return Refused(code="budget_in_past", detail=str(act.until_ms))
        body = BudgetSet(
            limit_ma=act.limit_ma,
            until_ms=act.until_ms,
            authority=act.authority,
            reason=act.reason,
            source=who.source,
            by=who.by,
        )
        return [NewFact(FactKind.BUDGET_SET, body)]

    def keep(self, fact: Fact) -> None:
        """Take in a budget that was set."""
        self._set = msgspec.json.decode(fact.body, type=BudgetSet)

    def in_force(self, now: Stamp) -> BudgetSet | None:
        """Return the budget that was set and still stands; None where the installer's is in force."""
        if self._set is None or (self._set.until_ms is not None and _is_over(self._set.until_ms, now)):
            return None
        return self._set

    def budget_a(self, now: Stamp) -> float:
        """Return the budget of the cabinet now, A; never above the installer's, whatever the log says."""
        standing = self.in_force(now)
        return (self._installed_ma if standing is None else min(standing.limit_ma, self._installed_ma)) / 1000


def _is_over(until_ms: int, now: Stamp) -> bool:
    return now.clock != ClockQuality.NONE and now.wall_ms >= until_ms
