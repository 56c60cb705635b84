"""What a session comes to: energy from the registers of its legs, time with power, and the bill. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.station.bill import settlement
from pilenode.station.energy import Energy, Snapshot, begun, finished
from pilenode.station.metering import ended
from pilenode.station.session import earlier
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, Checkpoint, EnergyFlag, LegEnded, SessionEnded

if TYPE_CHECKING:
    from pilenode.station.energy import Counter
    from pilenode.station.session import Ending, Moment, OpenSession, Reading
    from pilenode.upstream.facts_money import Payment, Usage


def measure(session: OpenSession, ending: Ending, counter: Counter) -> Energy:
    """Return what the present leg counts for."""
    reading, on_ms = session.reading, ending.on_ms
    if session.pause is not None or ending.powered is False or on_ms is None:
        unknown = session.pause is None and ending.powered is None
        return Energy(0, (EnergyFlag.NO_READING,)) if unknown else Energy()
    count = session.count
    if session.usage.last is None:  # its readings were never marked
        count = begun(ending.start_register_mwh)
    if ending.end_register_mwh is not None:
        return finished(count, Snapshot(on_ms, ending.end_register_mwh), counter)
    if reading is not None and reading.register_mwh is not None:
        told = finished(count, Snapshot(reading.on_ms, reading.register_mwh), counter)
        flags = {*told.flags, EnergyFlag.LAST_READING}
        return Energy(told.energy_mwh, tuple(flag for flag in EnergyFlag if flag in flags))
    return finished(count, None, counter)


def _usage(session: OpenSession, ending: Ending, energy_mwh: int, at: Moment) -> Usage:
    """Return what the session has used up to the end of its leg, which is known since ``at``."""
    if session.pause is not None or ending.on_ms is None:
        return session.usage
    # Without a word of guard the leg is known up to its last reading only.
    silent = ending.end_register_mwh is None and session.reading is not None and not ending.age_ms
    return ended(session, energy_mwh, ending.on_ms, session.last if silent else earlier(at, ending.age_ms))


def _payment(session: OpenSession) -> Payment:
    """Return how the session is paid: nobody is charged more than the amount that was planned."""
    payment, amount_fen = session.started.payment, session.plan.amount_fen
    if payment.mode == "prepaid" or amount_fen is None:
        return payment
    limit_fen = amount_fen if payment.limit_fen is None else min(amount_fen, payment.limit_fen)
    return msgspec.structs.replace(payment, limit_fen=limit_fen)


def settle(session: OpenSession, ending: Ending, at: Moment, counter: Counter) -> SessionEnded:
    """Return the end of ``session`` as it is written at ``at``: energy, duration and the bill of all its legs."""
    started, before = session.started, session.before
    energy = measure(session, ending, counter)
    flags = [flag for flag in EnergyFlag if flag in {*before.flags, *energy.flags}]
    usage = _usage(session, ending, energy.energy_mwh, at)
    money = settlement(usage.pieces, session.power.power_ms, _payment(session), started.tariff)
    return SessionEnded(
        order=started.order,
        port=started.port,
        reason=ending.reason[:MAX_CODE],
        detail=ending.detail[:MAX_WORDS],
        age_ms=ending.age_ms,
        start_register_mwh=ending.start_register_mwh,
        end_register_mwh=ending.end_register_mwh,
        energy_wh=(before.energy_mwh + energy.energy_mwh + 500) // 1000,
        energy_flag=flags[0] if flags else None,
        energy_flags=flags,
        duration_s=(before.on_ms + (ending.on_ms or 0) + 500) // 1000,
        legs=session.leg.number,
        pause_ms=before.pause_ms,
        outage=ending.outage,
        electricity_fen=money.bill.electricity_fen,
        service_fen=money.bill.service_fen,
        tariff_version=started.tariff_version,
        money=money,
    )


def leg_end(session: OpenSession, ending: Ending, at: Moment, counter: Counter) -> LegEnded:
    """Return the end of the present leg of a session that goes on."""
    energy = measure(session, ending, counter)
    return LegEnded(
        port=session.port,
        leg=session.leg.number,
        cause=ending.cause,
        reason=ending.reason[:MAX_CODE],
        detail=ending.detail[:MAX_WORDS],
        age_ms=ending.age_ms,
        start_register_mwh=ending.start_register_mwh,
        end_register_mwh=ending.end_register_mwh,
        energy_mwh=energy.energy_mwh,
        energy_flags=[*energy.flags],
        on_ms=ending.on_ms or 0,
        usage=_usage(session, ending, energy.energy_mwh, at),
        power_ms=[*session.power.power_ms],
    )


def checkpoint(session: OpenSession, reading: Reading) -> Checkpoint:
    """Return the reading of a running session as it is made durable."""
    return Checkpoint(
        port=session.port,
        leg=session.leg.number,
        start_register_mwh=reading.start_register_mwh,
        register_mwh=reading.register_mwh,
        on_ms=reading.on_ms,
        power_w=reading.power_w,
        count=session.count,
        usage=session.usage,
        power_ms=[*session.power.power_ms],
    )
