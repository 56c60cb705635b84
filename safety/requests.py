"""What becomes of a request. A refusal leaves the port exactly as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safety.catalogue import CATALOGUE, Kind
from safety.completion import begin
from safety.port import TRANSITIONS, Signal, transition
from safety.reading import MeterReading, Missing, MissingReason
from safety.state import Grant, PortState

if TYPE_CHECKING:
    from safety.hazards import PortInputs
    from safety.state import CabinetState, Release, Renew, Settings, State

#: A finding that does not stand in the way of a new session.
_HARMLESS = frozenset({"temperature_warning"})


def grant(
    state: State, port: PortState, inputs: PortInputs, request: Grant, now: float
) -> tuple[PortState, str | None, str]:
    """Return the port after a grant, the refusal code or None, and a detail."""
    lease_until_s = now + min(request.ttl_s, state.settings.cabinet.lease_max_s)
    if port.live and port.session == request.session:
        return replace(port, lease_until_s=lease_until_s), None, "renewed"  # a repeated grant after a lost answer
    refusal = _session_refusal(state, port, request) or _hardware_refusal(state.cabinet, port, inputs)
    if refusal is not None:
        return port, *refusal
    armed = PortState(
        status=TRANSITIONS[port.status, Signal.GRANT],
        hazards=port.hazards,
        findings=port.findings,
        session=request.session,
        plan=request.plan,
        lease_until_s=lease_until_s,
        armed_at_s=now,
    )
    return armed, None, ""


def _session_refusal(state: State, port: PortState, request: Grant) -> tuple[str, str] | None:
    if any(other.session == request.session for other in state.ports.values()):
        return "session_ended", request.session
    if port.latched is not None:
        return "port_faulty", port.latched
    if transition(port.status, Signal.GRANT) is None or port.awaiting_register:
        return "port_busy", port.session or ""
    return None


def _hardware_refusal(cabinet: CabinetState, port: PortState, inputs: PortInputs) -> tuple[str, str] | None:
    if cabinet.latched or cabinet.findings:
        return "cabinet_faulty", ", ".join((*cabinet.latched, *cabinet.findings))
    meter = inputs.meter
    if isinstance(meter, Missing) and meter.reason is MissingReason.NEVER_READ and inputs.meter_error is None:
        return "starting_up", "meter not read yet"
    if isinstance(inputs.probe, Missing) and inputs.probe.reason is MissingReason.NEVER_READ:
        return "starting_up", "temperature not read yet"
    standing = [code for code in port.findings if code not in _HARMLESS]
    if standing:
        return "port_faulty", ", ".join(standing)
    if isinstance(meter, MeterReading) and meter.energy_wh is None:
        return "starting_up", "energy register not read yet"
    return None


def renew(port: PortState, request: Renew, settings: Settings, now: float) -> tuple[PortState, str | None]:
    """Return the port with a longer lease, or the refusal code."""
    if port.session != request.session:
        return port, "wrong_session"
    if not port.live:
        return port, "session_ended"
    return replace(port, lease_until_s=now + min(request.ttl_s, settings.cabinet.lease_max_s)), None


def why_not_release(port: PortState, request: Release) -> str | None:
    """Return the refusal code of a release, or None when the engine shall end the session."""
    entry = CATALOGUE.get(request.reason)
    if entry is None or entry.kind is not Kind.ENDING:
        return "malformed"
    if port.session != request.session:
        return "wrong_session"
    return None if port.live else "session_ended"


def reset_port(port: PortState) -> tuple[PortState, str | None]:
    """Return the port without its latch, or the refusal code. What ended before stays on display."""
    status = transition(port.status, Signal.RESET)
    if status is None:
        return port, "nothing_latched"
    if port.latched in port.findings or "temperature_high" in port.findings:
        return port, "cause_present"
    return replace(port, status=status, latched=None), None


def close(port: PortState, reading: MeterReading, now: float) -> PortState:
    """Return the port with its relay closed and the register at closing remembered."""
    return replace(
        port,
        status=TRANSITIONS[port.status, Signal.CLOSE],
        closed_at_s=now,
        start_energy_wh=reading.energy_wh,
        completion=begin(now),
        sampled_s=now,
    )


def reset_cabinet(cabinet: CabinetState, *, present: bool) -> tuple[CabinetState, str | None]:
    """Return the cabinet without its latches, or the refusal code; ``present``: a contact is still in alarm."""
    if not cabinet.latched:
        return cabinet, "nothing_latched"
    if present:
        return cabinet, "cause_present"
    return replace(cabinet, latched=()), None
