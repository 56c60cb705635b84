"""How the demo's sessions ended, and whether that is the story."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig import story
from hil_rig.world import Happening
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from hil_rig.harness import Harness
    from hil_rig.upstream import Store
    from pilenode.upstream.facts import SessionEnded

#: Bounds of the delays: computed sweep + two samples + 100 ms with room for a busy machine; 60 min for full, as in
#: the definition of "late" of the charge curves; one reading of the planned energy.
MAX_OVER_CURRENT_MS = 500.0
MAX_FULL_MIN = 60.0
MAX_OVERSHOOT_WH = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One session as the backend tells it. ``delay`` is in words; ``late`` says that it is over its bound."""

    part: story.Part
    ended: SessionEnded | None
    delay: str
    late: bool


def outcomes(cabinet: Harness, store: Store, pulled_s: float) -> list[Outcome]:
    """Return the outcome of every part, from what arrived upstream and from the world's own clock."""
    by_order = {item.started.order: item for item in store.sessions() if item.started is not None}
    found = []
    for part in story.parts():
        item = by_order.get(part.order)
        ended = item.ended if item else None
        delay, late = _delay(part, cabinet, ended, pulled_s)
        found.append(Outcome(part, ended, delay, late))
    return found


def _delay(part: story.Part, cabinet: Harness, ended: SessionEnded | None, pulled_s: float) -> tuple[str, bool]:
    rig = cabinet.rig
    opened_s, closed_s = rig.opened_at(part.port), rig.closed_at(part.port)
    if opened_s is None or closed_s is None or ended is None:
        return "never cut", True
    if part.reason == "full":
        minutes = ((opened_s - closed_s) * story.SPEED - story.true_full_s()) / 60
        return f"{minutes:.1f} min of the battery's time after full", not 0 <= minutes <= MAX_FULL_MIN
    if part.reason == "over_current":
        passed_s = rig.world.last_s(Happening.LIMIT_PASSED, part.port) or 0.0
        milliseconds = (opened_s - passed_s) * 1000
        return f"{milliseconds:.0f} ms after the step", not 0 <= milliseconds <= MAX_OVER_CURRENT_MS
    if part.reason == "planned_energy":
        over_wh = (ended.energy_wh or 0) - story.PLANNED_WH
        return f"{over_wh:+.0f} Wh against the plan", not 0 <= over_wh <= MAX_OVERSHOOT_WH
    return f"{opened_s - pulled_s:.1f} s after the pull ({(opened_s - pulled_s) * story.SPEED / 60:.0f} min)", False


def untrue(ended: list[Outcome], store: Store) -> list[str]:
    """Return everything in which the story did not come true, in sentences."""
    wrong = []
    for outcome in ended:
        part, end = outcome.part, outcome.ended
        if end is None:
            wrong.append(f"port {part.port}: no end of its session arrived upstream")
        elif end.reason != part.reason:
            wrong.append(f"port {part.port}: ended as {end.reason}, not {part.reason}")
        elif outcome.late:
            wrong.append(f"port {part.port}: {outcome.delay}")
    for kind in (FactKind.SESSION_STARTED, FactKind.SESSION_ENDED):
        counts = Counter(row.fact.session for row in store.rows(kind=kind))
        if len(counts) != len(ended) or set(counts.values()) != {1}:
            wrong.append(f"{kind}: {dict(counts)} instead of each of {len(ended)} sessions once")
    if not store.rows(kind=FactKind.FAULT_LATCHED):
        wrong.append("the latched fault of port 2 did not arrive upstream")
    return wrong
