"""What a session comes to: energy from the registers of its legs, time with power, and the bill. Pure.

A register that does not fit is flagged and never corrected silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.station.bill import settlement
from pilenode.station.metering import ended, fitted
from pilenode.station.session import Reading, earlier
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, Checkpoint, EnergyFlag, LegEnded, SessionEnded
from pilenode.upstream.facts_money import Usage

if TYPE_CHECKING:
    from pilenode.station.session import Ending, Moment, OpenSession


def measure(ending: Ending, reading: Reading | None) -> tuple[int, EnergyFlag | None]:
    """Return the energy of a leg in mWh, and why it is not simply a difference of two registers."""
    if ending.powered is False:
        return 0, None
    start, end = ending.start_register_mwh, ending.end_register_mwh
    last = None if reading is None else reading.register_mwh
    if start is None and reading is not None:
        start = reading.start_register_mwh
    if start is None:
        return 0, EnergyFlag.NO_READING if end is None and last is None else EnergyFlag.NO_BASELINE
    floor = start if last is None else max(start, last)
    if end is None:
        return floor - start, EnergyFlag.NO_READING if last is None else EnergyFlag.LAST_READING
    if end < floor:
        return floor - start, EnergyFlag.REGISTER_BACKWARD
    return end - start, None


def _usage(session: OpenSession, ending: Ending, at: Moment) -> Usage:
    """Return what the session has used up to the end of its leg, which guard has just told at ``at``."""
    reading = session.reading
    if session.pause is not None or ending.on_ms is None:
        return session.usage
    # Without a word of guard the leg is known up to its last reading only.
    then = session.last if ending.end_register_mwh is None and reading is not None else earlier(at, ending.age_ms)
    start_mwh = ending.start_register_mwh
    end_mwh = ending.end_register_mwh
    if end_mwh is None and reading is not None:
        end_mwh = reading.register_mwh
    return ended(session, Reading(start_mwh, end_mwh, ending.on_ms), then)


def settle(session: OpenSession, ending: Ending, at: Moment) -> SessionEnded:
    """Return the end of ``session`` as it is written at ``at``: energy, duration and the bill of all its legs."""
    started, before = session.started, session.before
    energy_mwh, flag = (0, None) if session.pause is not None else measure(ending, session.reading)
    energy_mwh += before.energy_mwh
    on_ms = before.on_ms + (ending.on_ms or 0)
    pieces = fitted(_usage(session, ending, at), energy_mwh, on_ms)
    money = settlement(pieces, session.power.power_ms, started.payment, started.tariff)
    return SessionEnded(
        order=started.order,
        port=started.port,
        reason=ending.reason[:MAX_CODE],
        detail=ending.detail[:MAX_WORDS],
        age_ms=ending.age_ms,
        start_register_mwh=ending.start_register_mwh,
        end_register_mwh=ending.end_register_mwh,
        energy_wh=(energy_mwh + 500) // 1000,
        energy_flag=flag or before.flag,
        duration_s=(on_ms + 500) // 1000,
        legs=session.leg.number,
        pause_ms=before.pause_ms,
        electricity_fen=money.bill.electricity_fen,
        service_fen=money.bill.service_fen,
        tariff_version=started.tariff_version,
        money=money,
    )


def leg_end(session: OpenSession, ending: Ending, at: Moment) -> LegEnded:
    """Return the end of the present leg of a session that goes on."""
    energy_mwh, flag = measure(ending, session.reading)
    usage = _usage(session, ending, at)
    pieces = fitted(usage, session.before.energy_mwh + energy_mwh, session.before.on_ms + (ending.on_ms or 0))
    return LegEnded(
        port=session.port,
        leg=session.leg.number,
        cause=ending.cause,
        detail=(ending.detail or ending.reason)[:MAX_WORDS],
        age_ms=ending.age_ms,
        start_register_mwh=ending.start_register_mwh,
        end_register_mwh=ending.end_register_mwh,
        energy_mwh=energy_mwh,
        energy_flag=flag,
        on_ms=ending.on_ms or 0,
        usage=Usage(pieces=pieces),
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
        usage=session.usage,
        power_ms=[*session.power.power_ms],
    )
