"""Sessions as people read them: the facts of one session put together into one record. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc.messages import SessionRecord
from pilenode.station.timeline import date_one
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import Checkpoint, FactKind, SessionEnded, SessionModified, SessionStarted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pilenode.station.entries import SessionFacts
    from pilenode.upstream.facts import Fact
    from pilenode.upstream.facts_time import Anchor


def record(
    facts: SessionFacts, acked_seq: int, anchors: Mapping[str, Sequence[Anchor]] = MappingProxyType({})
) -> SessionRecord:
    """Return the record of one session. ``acknowledged`` once the backend has confirmed its end.

    ``anchors`` of the boots it ran in (``timeline.anchors``) date what was written before the time was known.
    """
    start = facts.start
    begun_ms, begun_clock = _when(start, 0, anchors)
    started = msgspec.json.decode(start.body, type=SessionStarted)
    begun = SessionRecord(
        session=start.session or "",
        order=started.order,
        port=started.port,
        source=started.source,
        state="starting",
        started_wall_ms=begun_ms,
        clock=begun_clock,
        plan=started.plan,
        tariff_version=started.tariff_version,
    )
    if facts.end is not None:
        ended = msgspec.json.decode(facts.end.body, type=SessionEnded)
        over_ms, over_clock = _when(facts.end, ended.age_ms, anchors)
        return msgspec.structs.replace(
            begun,
            state="ended",
            ended_wall_ms=over_ms,
            ended_clock=over_clock,
            reason=ended.reason,
            duration_s=ended.duration_s,
            start_register_mwh=ended.start_register_mwh,
            end_register_mwh=ended.end_register_mwh,
            energy_wh=ended.energy_wh,
            energy_flags=[flag.value for flag in ended.energy_flags],
            electricity_fen=ended.electricity_fen,
            service_fen=ended.service_fen,
            charged_fen=ended.money.bill.charged_fen,
            refund_fen=ended.money.bill.refund_fen,
            legs=ended.legs,
            pause_ms=ended.pause_ms,
            acknowledged=facts.end.seq <= acked_seq,
        )
    legs = 1 + sum(fact.kind == FactKind.LEG_STARTED for fact in facts.turns)
    moved = [fact for fact in facts.turns if fact.kind == FactKind.SESSION_MODIFIED]
    if moved:
        begun = msgspec.structs.replace(begun, plan=msgspec.json.decode(moved[-1].body, type=SessionModified).plan)
    begun = msgspec.structs.replace(begun, legs=legs)
    last = next((fact.kind for fact in reversed(facts.turns) if fact.kind != FactKind.SESSION_MODIFIED), None)
    if last == FactKind.LEG_ENDED:
        return msgspec.structs.replace(begun, state="paused")
    if facts.reading is not None:
        reading = msgspec.json.decode(facts.reading.body, type=Checkpoint)
        return msgspec.structs.replace(
            begun,
            state="running",
            duration_s=reading.on_ms // 1000,
            start_register_mwh=reading.start_register_mwh,
            end_register_mwh=reading.register_mwh,
        )
    return begun


def _when(fact: Fact, age_ms: int, anchors: Mapping[str, Sequence[Anchor]]) -> tuple[int, str]:
    """Return wall time and quality of what happened ``age_ms`` before a fact was written."""
    if fact.clock == ClockQuality.NONE:
        dated = date_one(fact.boot, fact.boottime_ms - age_ms, anchors)
        if dated.wall_ms is not None:
            return dated.wall_ms, dated.quality
    return fact.wall_ms - age_ms, fact.clock
