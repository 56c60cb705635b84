"""What a session comes to: energy from the registers of its legs, time with power, fees. Pure.

A register that does not fit is flagged and never corrected silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.station.tariff import price
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, Checkpoint, EnergyFlag, LegEnded, SessionEnded

if TYPE_CHECKING:
    from pilenode.station.session import Ending, OpenSession, Reading


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


def settle(session: OpenSession, ending: Ending) -> SessionEnded:
    """Return the end of ``session`` as it is written: energy, duration and both fees of all its legs."""
    started, before = session.started, session.before
    energy_mwh, flag = (0, None) if session.pause is not None else measure(ending, session.reading)
    energy_wh = (before.energy_mwh + energy_mwh + 500) // 1000
    fees = price(energy_wh, started.tariff)
    return SessionEnded(
        order=started.order,
        port=started.port,
        reason=ending.reason[:MAX_CODE],
        detail=ending.detail[:MAX_WORDS],
        age_ms=ending.age_ms,
        start_register_mwh=ending.start_register_mwh,
        end_register_mwh=ending.end_register_mwh,
        energy_wh=energy_wh,
        energy_flag=flag or before.flag,
        duration_s=(before.on_ms + (ending.on_ms or 0) + 500) // 1000,
        legs=session.leg.number,
        pause_ms=before.pause_ms,
        electricity_fen=fees.electricity_fen,
        service_fen=fees.service_fen,
        tariff_version=started.tariff.version,
    )


def leg_end(session: OpenSession, ending: Ending) -> LegEnded:
    """Return the end of the present leg of a session that goes on."""
    energy_mwh, flag = measure(ending, session.reading)
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
    )
