"""Sessions as people read them: the facts of one session put together into one record. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc.messages import SessionRecord
from pilenode.upstream.facts import Checkpoint, SessionEnded, SessionStarted

if TYPE_CHECKING:
    from pilenode.station.entries import SessionFacts


def record(facts: SessionFacts, acked_seq: int) -> SessionRecord:
    """Return the record of one session. ``acknowledged`` once the backend has confirmed its end."""
    start = facts.start
    started = msgspec.json.decode(start.body, type=SessionStarted)
    begun = SessionRecord(
        session=start.session or "",
        order=started.order,
        port=started.port,
        source=started.source,
        state="starting",
        started_wall_ms=start.wall_ms,
        clock=start.clock,
        plan=started.plan,
        tariff_version=started.tariff_version,
    )
    if facts.end is not None:
        ended = msgspec.json.decode(facts.end.body, type=SessionEnded)
        return msgspec.structs.replace(
            begun,
            state="ended",
            ended_wall_ms=facts.end.wall_ms - ended.age_ms,
            reason=ended.reason,
            duration_s=ended.duration_s,
            start_register_mwh=ended.start_register_mwh,
            end_register_mwh=ended.end_register_mwh,
            energy_wh=ended.energy_wh,
            electricity_fen=ended.electricity_fen,
            service_fen=ended.service_fen,
            acknowledged=facts.end.seq <= acked_seq,
        )
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
