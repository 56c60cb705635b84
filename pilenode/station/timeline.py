"""When facts really happened: dated afterwards by the anchors of their boot. Pure; for reports, never for the engine.

Order is always ``seq``, and spans within one boot are differences of boottime; both are exact whatever the calendar
says. What this file adds is the calendar, with a statement of how wrong it may be:
- a fact is dated by the anchor of its own boot that says most about its boottime, whether the anchor came before or
  after it. A stamp of untrusted quality is never used;
- a boot without an anchor lies between its neighbours: that is all that is said of it ("not before", "not after");
- ``seq`` is an order of time, so what is known of one fact bounds its neighbours. Where a source contradicts that order
  it told an untruth: a hardware clock gives way to ntp and server, and among equals the earlier to the later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.anchors import UNKNOWN_BOOT, drift_ms
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts_time import Anchor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pilenode.ipc.messages import StoredFact
    from pilenode.upstream.facts import Fact

ANCHOR_KIND: Final = "anchor"


@dataclass(frozen=True, slots=True)
class Dated:
    """When something happened, ms since the epoch. ``wall_ms`` None: only what it lies between is known.

    The truth is within ``uncertainty_ms`` of ``wall_ms``, if the source behind ``quality`` told the truth.
    """

    wall_ms: int | None
    uncertainty_ms: int | None
    quality: ClockQuality
    not_before_ms: int | None
    not_after_ms: int | None


@dataclass(frozen=True, slots=True)
class _Span:
    """What one anchor says about one moment: it was then, at the earliest and at the latest."""

    wall_ms: int
    early_ms: int
    late_ms: int
    quality: ClockQuality


def anchors(facts: Iterable[Fact | StoredFact]) -> dict[str, list[Anchor]]:
    """Return the anchors among ``facts`` by boot."""
    found: dict[str, list[Anchor]] = {}
    for fact in facts:
        if fact.kind == ANCHOR_KIND and fact.boot != UNKNOWN_BOOT:
            found.setdefault(fact.boot, []).append(msgspec.json.decode(fact.body, type=Anchor))
    return found


def date_one(boot: str, boottime_ms: int, known: Mapping[str, Sequence[Anchor]]) -> Dated:
    """Return when a moment of a boot was, by the anchors of that boot alone."""
    span = _best(boottime_ms, known.get(boot, ()))
    if span is None:
        return Dated(None, None, ClockQuality.NONE, None, None)
    return Dated(span.wall_ms, span.late_ms - span.wall_ms, span.quality, span.early_ms, span.late_ms)


def dated(facts: Sequence[Fact | StoredFact], known: Mapping[str, Sequence[Anchor]]) -> list[Dated]:
    """Return when each of ``facts`` happened; they are all of one log, in order of ``seq``, gaps allowed.

    ``known``: the anchors of that log by boot (``anchors``), whether or not their facts are among ``facts``.
    """
    spans = [_best(fact.boottime_ms, known.get(fact.boot, ())) for fact in facts]
    strong = [span if span is not None and span.quality is not ClockQuality.RTC else None for span in spans]
    firm = _accept(strong, [None] * len(spans))
    weak = [None if kept is not None else span for span, kept in zip(spans, strong, strict=True)]
    kept = [one or other for one, other in zip(firm, _accept(weak, firm), strict=True)]
    early, late = _bounds(facts, kept)
    return _order(kept, early, late)


def _best(boottime_ms: int, known: Sequence[Anchor]) -> _Span | None:
    """Return what the anchor says that is least uncertain about that moment of its boot."""
    if not known:
        return None

    def uncertain(anchor: Anchor) -> int:
        return anchor.uncertainty_ms + drift_ms(boottime_ms - anchor.boottime_ms)

    anchor = min(known, key=uncertain)
    wall_ms = boottime_ms + anchor.wall_ms - anchor.boottime_ms
    return _Span(wall_ms, wall_ms - uncertain(anchor), wall_ms + uncertain(anchor), ClockQuality(anchor.quality))


def _accept(spans: Sequence[_Span | None], firm: Sequence[_Span | None]) -> list[_Span | None]:
    """Return ``spans`` without those that contradict ``firm`` ones, or later ones of their own kind, in order."""
    floors: list[int | None] = []
    floor: int | None = None
    for span in firm:
        floor = _later(floor, None if span is None else span.early_ms)
        floors.append(floor)
    kept: list[_Span | None] = []
    ceiling: int | None = None
    for span, sure, lowest in zip(reversed(spans), reversed(firm), reversed(floors), strict=True):
        ceiling = _earlier(ceiling, None if sure is None else sure.late_ms)
        good = (
            span is not None
            and (ceiling is None or span.early_ms <= ceiling)
            and (lowest is None or span.late_ms >= lowest)
        )
        kept.append(span if good else None)
        if good and span is not None:
            ceiling = _earlier(ceiling, span.late_ms)
    return kept[::-1]


def _bounds(
    facts: Sequence[Fact | StoredFact], kept: Sequence[_Span | None]
) -> tuple[list[int | None], list[int | None]]:
    """Return the earliest and the latest time of each fact: seq is an order, and a boot begins at boottime 0."""
    early: list[int | None] = []
    floor: int | None = None
    base: int | None = None  # what is known of the end of the boot before
    for index, (fact, span) in enumerate(zip(facts, kept, strict=True)):
        if index and fact.boot != facts[index - 1].boot:
            base = floor
        since_boot = None if base is None else base + fact.boottime_ms - drift_ms(fact.boottime_ms)
        floor = _later(_later(floor, since_boot), None if span is None else span.early_ms)
        early.append(floor)
    late: list[int | None] = []
    ceiling: int | None = None
    for index in range(len(facts) - 1, -1, -1):
        fact, span = facts[index], kept[index]
        after = facts[index + 1] if index + 1 < len(facts) else None
        if after is not None and after.boot != fact.boot and ceiling is not None:
            ceiling -= after.boottime_ms - drift_ms(after.boottime_ms)
        ceiling = _earlier(ceiling, None if span is None else span.late_ms)
        late.append(ceiling)
    return early, late[::-1]


def _order(kept: Sequence[_Span | None], early: Sequence[int | None], late: Sequence[int | None]) -> list[Dated]:
    """Return the facts dated: as their anchors say, within their bounds, and never before the one before."""
    found: list[Dated] = []
    newest: int | None = None
    for span, floor, ceiling in zip(kept, early, late, strict=True):
        if span is None or floor is None or ceiling is None or floor > ceiling:
            sound = floor is None or ceiling is None or floor <= ceiling
            between = (floor, ceiling) if sound else (None, None)
            found.append(Dated(None, None, ClockQuality.NONE, *between))
            continue
        wanted = span.wall_ms if newest is None else max(newest, span.wall_ms)
        newest = min(max(wanted, floor), ceiling)
        found.append(Dated(newest, max(newest - floor, ceiling - newest), span.quality, floor, ceiling))
    return found


def _later(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else max(one, other)


def _earlier(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)
