"""How a session ends: the reason, the opening, and the register that is read once the relay is open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safety import completion
from safety.port import PortStatus, Signal, transition
from safety.reading import MeterReading
from safety.state import Event

if TYPE_CHECKING:
    from safety.inputs import PortInputs
    from safety.state import PortState, Settings

#: The register is read again after opening; this long beyond the meter's age limit it is waited for.
_REGISTER_GRACE_S = 2.0


def why_end(
    port: PortState, inputs: PortInputs, settings: Settings, faults: tuple[str, ...], now: float
) -> tuple[PortState, str | None, str]:
    """Return the port, the reason to end its session or None, and a detail. Protection comes before convenience."""
    if faults:
        error = inputs.meter_error
        return port, faults[0], error.reason.value if error is not None and faults[0] == "meter_lost" else ""
    if now >= port.lease_until_s:
        return port, "lease_expired", ""
    reason, detail = why_planned(port, inputs, now)
    if reason is not None:
        return port, reason, detail
    if port.status is PortStatus.ON and port.closed_at_s is not None and isinstance(inputs.meter, MeterReading):
        return _completed(port, inputs.meter, inputs, settings, now - port.closed_at_s)
    return port, None, ""


def why_planned(port: PortState, inputs: PortInputs, now: float) -> tuple[str | None, str]:
    """Return which part of its plan a live session has used up, or None, and a detail.

    Without a reading the deadline alone is judged: a port that is closed without one is opened by the rules.
    """
    plan, reading = port.plan, inputs.meter
    if plan.deadline_s is not None and now - port.armed_at_s >= plan.deadline_s:
        return "hours_ended" if plan.for_hours else "planned_deadline", f"{now - port.armed_at_s:.0f} s"
    if port.status is not PortStatus.ON or port.closed_at_s is None or not isinstance(reading, MeterReading):
        return None, ""
    on_s = now - port.closed_at_s
    if plan.duration_s is not None and on_s >= plan.duration_s:
        return "planned_duration", f"{on_s:.0f} s"
    used_wh = _used_wh(port, reading)
    if plan.energy_wh is not None and used_wh is not None and used_wh >= plan.energy_wh:
        return "planned_amount" if plan.for_amount else "planned_energy", f"{used_wh:.1f} Wh"
    return None, ""


def _completed(
    port: PortState, reading: MeterReading, inputs: PortInputs, settings: Settings, on_s: float
) -> tuple[PortState, str | None, str]:
    if on_s >= settings.max_duration_s:
        return port, "max_duration", f"{on_s:.0f} s"
    if port.completion is None or reading.taken_s <= port.sampled_s:
        return port, None, ""
    probe = inputs.probe
    sample = completion.Sample(
        t_s=reading.taken_s,
        voltage_v=reading.voltage_v,
        current_a=reading.current_a,
        power_w=reading.power_w,
        power_factor=reading.power_factor,
        temperature_c=getattr(probe, "temperature_c", None),
    )
    after, verdict = completion.advance(port.completion, sample, settings.completion)
    port = replace(port, completion=after, sampled_s=reading.taken_s)
    return (port, None, "") if verdict is None else (port, verdict.reason, verdict.detail)


def _used_wh(port: PortState, reading: MeterReading) -> float | None:
    if port.start_energy_wh is None or reading.energy_wh is None:
        return None
    return reading.energy_wh - port.start_energy_wh


def end(
    number: int, port: PortState, signal: Signal, code: str, detail: str, now: float
) -> tuple[PortState, list[Event]]:
    """Return the port after FINISH or TRIP with its relay open, and what there is to tell."""
    status = transition(port.status, signal)
    if status is None:
        return port, []
    events = []
    was_live, was_on = port.live, port.status is PortStatus.ON
    port = replace(port, status=status, latched=code if signal is Signal.TRIP else None)
    if was_live:
        port = replace(port, reason=code, detail=detail, opened_at_s=now, awaiting_register=True)
    if was_on:
        port = replace(port, relay_opened_s=now)
        events.append(Event("opened", now, number, port.session, code, detail))
    if signal is Signal.TRIP:
        events.append(Event("tripped", now, number, port.session if was_live else None, code, detail))
    return port, events


def settle(
    number: int, port: PortState, inputs: PortInputs, settings: Settings, now: float
) -> tuple[PortState, list[Event]]:
    """Tell the end of a session once the register was read with the relay open, or cannot be had."""
    if not port.awaiting_register or port.opened_at_s is None:
        return port, []
    reading = inputs.meter
    if port.closed_at_s is not None:
        read = isinstance(reading, MeterReading) and (reading.energy_taken_s or 0.0) > port.opened_at_s
        if not read and now - port.opened_at_s < settings.ports[number].meter_max_age_s + _REGISTER_GRACE_S:
            return port, []
        end_wh = reading.energy_wh if isinstance(reading, MeterReading) else None
        port = replace(port, end_energy_wh=end_wh)
    port = replace(port, awaiting_register=False)
    ended = Event(
        "ended",
        now,
        number,
        port.session,
        port.reason,
        port.detail,
        start_energy_wh=port.start_energy_wh,
        end_energy_wh=port.end_energy_wh,
        closed_for_s=port.closed_for_s(now),
    )
    return port, [ended]
