"""The single entry of the safety core: ``step(state, inputs, now) -> (state, orders, events)``.

Order of one tick: judge the cabinet, judge every port (opening what must open), answer requests, let at most one
port close, decide the contactor. Nothing here reads a clock, logs, retries or raises for bad hardware; an exception
out of ``step`` is a bug and the shell opens everything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safety import completion, requests
from safety.cabinet import cause_present, drive_contactor, judge_cabinet, next_to_close
from safety.catalogue import CATALOGUE, Latch
from safety.hazards import judge
from safety.port import PortStatus, Signal, transition
from safety.reading import MeterReading
from safety.state import (
    Answer,
    CabinetState,
    Event,
    Grant,
    Inputs,
    Orders,
    PortState,
    Release,
    Renew,
    Request,
    Settings,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.hazards import PortInputs

#: Findings that keep a new session away but do not end a running one.
_INHIBIT_ONLY = frozenset({"temperature_high", "temperature_warning", "probe_fault"})
#: The register is read again after opening; this long beyond the meter's age limit it is waited for.
_REGISTER_GRACE_S = 2.0


def initial(settings: Settings, latched: Mapping[int, str] | None = None, cabinet: tuple[str, ...] = ()) -> State:
    """Return the state at start: everything open, what was latched before stays latched."""
    held = latched or {}
    ports = {
        number: PortState(status=PortStatus.TRIPPED, latched=held[number], reason=held[number])
        if number in held
        else PortState()
        for number in settings.ports
    }
    return State(settings, ports, CabinetState(latched=cabinet))


def step(state: State, inputs: Inputs, now: float) -> tuple[State, Orders, tuple[Event, ...]]:
    """Judge one tick. ``now`` never goes back; every port of the settings must be in ``inputs.ports``."""
    settings, events = state.settings, []
    cabinet = judge_cabinet(state.cabinet, inputs, settings, now)
    events += [Event("tripped", now, code=code) for code in cabinet.latched if code not in state.cabinet.latched]
    events += _edges(state.cabinet.findings, cabinet.findings, now, None)
    ports = {}
    for number, port in state.ports.items():
        ports[number], happened = _judge_port(number, port, inputs.ports[number], settings, cabinet.latched, now)
        events += happened
    state = State(settings, ports, cabinet)
    state, answers, happened = _answer(state, inputs, now)
    events += happened
    state, happened = _close_one(state, inputs, now)
    events += happened
    cabinet = drive_contactor(state.cabinet, state.ports, settings.cabinet, now)
    orders = Orders(
        closed=frozenset(number for number, port in state.ports.items() if port.status is PortStatus.ON),
        contactor=cabinet.contactor_since_s is not None,
        answers=answers,
        read_register=frozenset(number for number, port in state.ports.items() if port.awaiting_register),
    )
    return State(settings, state.ports, cabinet), orders, tuple(events)


def _edges(before: tuple[str, ...], after: tuple[str, ...], now: float, port: int | None) -> list[Event]:
    new = [Event("finding", now, port, code=code) for code in after if code not in before]
    return new + [Event("cleared", now, port, code=code) for code in before if code not in after]


def _judge_port(
    number: int, port: PortState, inputs: PortInputs, settings: Settings, faults: tuple[str, ...], now: float
) -> tuple[PortState, list[Event]]:
    memory, findings = judge(port.hazards, inputs, settings.ports[number], now)
    events = _edges(port.findings, findings, now, number)
    port = replace(port, hazards=memory, findings=findings)
    cutting = [code for code in findings if code not in _INHIBIT_ONLY]
    latching = [code for code in cutting if CATALOGUE[code].latch is Latch.LOCAL_RESET]
    if latching and port.status is not PortStatus.TRIPPED:
        port, happened = _open(number, port, Signal.TRIP, latching[0], _measured(inputs), now)
        events += happened
    elif port.live:
        port, reason, detail = _why_end(port, inputs, settings, (*faults, *cutting), now)
        if reason is not None:
            port, happened = _open(number, port, Signal.FINISH, reason, detail, now)
            events += happened
    port, happened = _settle(number, port, inputs, settings, now)
    return port, events + happened


def _measured(inputs: PortInputs) -> str:
    reading = inputs.meter
    if not isinstance(reading, MeterReading):
        return ""
    return f"{reading.current_a:.3f} A, {reading.power_w:.1f} W"


def _why_end(
    port: PortState, inputs: PortInputs, settings: Settings, faults: tuple[str, ...], now: float
) -> tuple[PortState, str | None, str]:
    """Return the port, the reason to end its session or None, and a detail. Protection comes before convenience."""
    if faults:
        error = inputs.meter_error
        return port, faults[0], error.reason.value if error is not None and faults[0] == "meter_lost" else ""
    if now >= port.lease_until_s:
        return port, "lease_expired", ""
    if port.status is PortStatus.ON and port.closed_at_s is not None and isinstance(inputs.meter, MeterReading):
        return _completed(port, inputs.meter, inputs, settings, now - port.closed_at_s)
    return port, None, ""


def _completed(
    port: PortState, reading: MeterReading, inputs: PortInputs, settings: Settings, on_s: float
) -> tuple[PortState, str | None, str]:
    if port.plan.duration_s is not None and on_s >= port.plan.duration_s:
        return port, "planned_duration", f"{on_s:.0f} s"
    if on_s >= settings.max_duration_s:
        return port, "max_duration", f"{on_s:.0f} s"
    used_wh = _used_wh(port, reading)
    if port.plan.energy_wh is not None and used_wh is not None and used_wh >= port.plan.energy_wh:
        return port, "planned_energy", f"{used_wh:.1f} Wh"
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


def _open(
    number: int, port: PortState, signal: Signal, code: str, detail: str, now: float
) -> tuple[PortState, list[Event]]:
    status = transition(port.status, signal)
    if status is None:
        return port, []
    events = []
    was_live, was_on = port.live, port.status is PortStatus.ON
    port = replace(port, status=status, latched=code if signal is Signal.TRIP else None)
    if was_live:
        port = replace(port, reason=code, detail=detail, opened_at_s=now, awaiting_register=True)
    if was_on:
        events.append(Event("opened", now, number, port.session, code, detail))
    if signal is Signal.TRIP:
        events.append(Event("tripped", now, number, port.session if was_live else None, code, detail))
    return port, events


def _settle(
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


def _answer(state: State, inputs: Inputs, now: float) -> tuple[State, tuple[Answer, ...], list[Event]]:
    answers: list[Answer] = []
    events: list[Event] = []
    for request in inputs.requests:
        if request.port is None:
            cabinet, code = requests.reset_cabinet(state.cabinet, present=cause_present(state.cabinet, state.settings))
            events += [Event("cleared", now, code=was) for was in state.cabinet.latched if was not in cabinet.latched]
            state = replace(state, cabinet=cabinet)
            answers.append(Answer(request.ticket, code))
        elif request.port not in state.ports:
            answers.append(Answer(request.ticket, "unknown_port"))
        else:
            port, answer, happened = _answer_port(state, request.port, inputs.ports[request.port], request, now)
            state = replace(state, ports={**state.ports, request.port: port})
            answers.append(answer)
            events += happened
    return state, tuple(answers), events


def _answer_port(
    state: State, number: int, inputs: PortInputs, request: Request, now: float
) -> tuple[PortState, Answer, list[Event]]:
    port = state.ports[number]
    code: str | None
    events: list[Event] = []
    detail = ""
    if isinstance(request, Grant):
        port, code, detail = requests.grant(state, port, inputs, request, now)
    elif isinstance(request, Renew):
        port, code = requests.renew(port, request, state.settings, now)
    elif isinstance(request, Release):
        code = requests.why_not_release(port, request)
        if code is None:
            port, events = _open(number, port, Signal.FINISH, request.reason, "", now)
    else:
        was = port.latched
        port, code = requests.reset_port(port)
        if code is None:
            events = [Event("cleared", now, number, code=was)]
    return port, Answer(request.ticket, code, detail), events


def _close_one(state: State, inputs: Inputs, now: float) -> tuple[State, list[Event]]:
    number = next_to_close(state.cabinet, state.ports, state.settings.cabinet, now)
    if number is None:
        return state, []
    port, reading = state.ports[number], inputs.ports[number].meter
    if not isinstance(reading, MeterReading) or reading.energy_wh is None:
        return state, []
    port = requests.close(port, reading, now)
    event = Event("closed", now, number, port.session, start_energy_wh=port.start_energy_wh)
    cabinet = replace(state.cabinet, closed_at_s=now)
    return State(state.settings, {**state.ports, number: port}, cabinet), [event]
