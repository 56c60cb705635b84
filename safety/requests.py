"""What becomes of a request. A refusal leaves the port exactly as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safety import proof, supply
from safety.cabinet import draws, inlet_current_a
from safety.catalogue import CATALOGUE, Effect, Kind, Latch
from safety.completion import begin
from safety.contacts import cause_present
from safety.port import TRANSITIONS, Signal, transition
from safety.reading import MeterReading, Missing, MissingReason
from safety.state import Grant, PortState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.inputs import PortInputs
    from safety.state import Amend, CabinetState, Inputs, Release, Renew, Reset, RunTest, Settings, State


def grant(
    state: State, port: PortState, everything: Inputs, request: Grant, now: float
) -> tuple[PortState, str | None, str]:
    """Return the port after a grant, the refusal code or None, and a detail."""
    inputs = everything.ports
    inlet_a = inlet_current_a(everything, state.settings.cabinet, now)
    lease_until_s = now + min(request.ttl_s, state.settings.cabinet.lease_max_s)
    if port.live and port.session == request.session:
        return replace(port, lease_until_s=lease_until_s), None, "renewed"  # a repeated grant after a lost answer
    refusal = (
        _session_refusal(state, port, request)
        or _hardware_refusal(state.cabinet, port, inputs[request.port])
        or _supply_refusal(state, inputs, inlet_a, now)
    )
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
        relay_opened_s=port.relay_opened_s,
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
    if cabinet.inhibiting:
        return "cabinet_faulty", ", ".join(cabinet.inhibiting)
    if cabinet.proof is not None:
        return "test_running", cabinet.proof.kind
    if isinstance(inputs.meter, Missing) and _unasked(inputs.meter) and inputs.meter_error is None:
        return "starting_up", "meter not read yet"
    if isinstance(inputs.probe, Missing) and _unasked(inputs.probe):
        return "starting_up", "temperature not read yet"
    standing = [code for code in port.findings if CATALOGUE[code].effect is not Effect.TELL]
    if standing:
        return "port_faulty", ", ".join(standing)
    no_register = isinstance(inputs.meter, MeterReading) and inputs.meter.energy_wh is None
    return ("starting_up", "energy register not read yet") if no_register else None


def _unasked(missing: Missing) -> bool:
    return missing.reason is MissingReason.NEVER_READ


def _supply_refusal(
    state: State, inputs: Mapping[int, PortInputs], inlet_a: float | None, now: float
) -> tuple[str, str] | None:
    limits, drawn = state.settings.cabinet, [*draws(state.ports, inputs)]
    if supply.admits(drawn, limits, now, inlet_a):
        return None
    return "over_budget", f"{max(0.0, supply.room_a(drawn, limits, now, inlet_a)):.1f} A left"


def renew(port: PortState, request: Renew, settings: Settings, now: float) -> tuple[PortState, str | None]:
    """Return the port with a longer lease, or the refusal code."""
    if port.session != request.session:
        return port, "wrong_session"
    if not port.live:
        return port, "session_ended"
    return replace(port, lease_until_s=now + min(request.ttl_s, settings.cabinet.lease_max_s)), None


def amend(port: PortState, request: Amend, now: float) -> tuple[PortState, str | None]:
    """Return the port under another plan, or the refusal code. Nothing else of it changes, least of all its lease.

    The plan's deadline counts from now; the port keeps it from its grant.
    """
    if port.session != request.session:
        return port, "wrong_session"
    if not port.live:
        return port, "session_ended"
    plan = request.plan
    if plan.deadline_s is not None:
        plan = replace(plan, deadline_s=now - port.armed_at_s + plan.deadline_s)
    return replace(port, plan=plan), None


def why_not_release(port: PortState, request: Release) -> str | None:
    """Return the refusal code of a release, or None when the engine shall end the session."""
    entry = CATALOGUE.get(request.reason)
    if entry is None or entry.kind is not Kind.ENDING:
        return "malformed"
    if port.session != request.session:
        return "wrong_session"
    return None if port.live else "session_ended"


def reset_port(state: State, port: PortState, request: Reset) -> tuple[PortState, str | None]:
    """Return the port without its latch, or the refusal code. What ended before stays on display.

    A worn relay latches nothing; the record of its replacement is taken all the same.
    """
    status = transition(port.status, Signal.RESET)
    if status is None and request.repair and "relay_worn" in port.findings and not port.live:
        return port, None
    if status is None or request.port is None:
        return port, "nothing_latched"
    here = frozenset({request.port})
    in_alarm = cause_present(state.cabinet.alarm_since_s, state.settings.contacts, here)
    if port.latched in port.findings or "temperature_high" in port.findings or in_alarm:
        return port, "cause_present"
    if _needs_repair(port.latched) and not request.repair:
        return port, "repair_needed"
    return replace(port, status=status, latched=None), None


def _needs_repair(code: str | None) -> bool:
    entry = CATALOGUE.get(code or "")
    return entry is not None and entry.latch is Latch.REPAIR


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


def reset_cabinet(state: State, request: Reset) -> tuple[CabinetState, str | None]:
    """Return the cabinet without its latches, or the refusal code."""
    cabinet = state.cabinet
    if not cabinet.latched:
        replaced = request.repair and "contactor_worn" in cabinet.findings
        return cabinet, None if replaced else "nothing_latched"
    in_alarm = cause_present(cabinet.alarm_since_s, state.settings.contacts, frozenset())
    if in_alarm or any(code in cabinet.standing for code in cabinet.latched):
        return cabinet, "cause_present"
    if any(_needs_repair(code) for code in cabinet.latched) and not request.repair:
        return cabinet, "repair_needed"
    gone = frozenset(cabinet.latched)
    return replace(
        cabinet,
        latched=(),
        cutting=tuple(code for code in cabinet.cutting if code not in gone),
        inhibiting=tuple(code for code in cabinet.inhibiting if code not in gone),
    ), None


def run_test(state: State, request: RunTest, now: float) -> tuple[CabinetState, str | None]:
    """Return the cabinet with a periodic test begun, or the refusal code."""
    cabinet, settings = state.cabinet, state.settings
    code = None
    if request.kind not in proof.KINDS:
        code = "malformed"
    elif not settings.contactor or (request.kind == "dead_man" and not (settings.feedback and settings.heartbeat)):
        code = "not_fitted"
    elif cabinet.cutting:
        code = "cabinet_faulty"
    elif cabinet.proof is not None:
        code = "test_running"
    elif any(port.live or port.awaiting_register for port in state.ports.values()):
        code = "not_idle"
    if code is not None:
        return cabinet, code
    return replace(cabinet, proof=proof.begin(request.kind, now)), None
