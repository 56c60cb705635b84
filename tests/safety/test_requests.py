"""Every request and every refusal at its own limit, on states made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from safety import proof
from safety.hazards import HazardMemory, PortInputs
from safety.limits import PortLimits
from safety.port import PortStatus
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.requests import amend, close, grant, renew, reset_cabinet, reset_port, run_test, why_not_release
from safety.state import (
    Amend,
    CabinetState,
    Contact,
    Grant,
    Inputs,
    Plan,
    PortState,
    Release,
    Renew,
    Reset,
    RunTest,
    Settings,
    State,
)
from safety.switching import Switching

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1000.0
GOOD = MeterReading(NOW, 220.0, 0.0, 0.0, None, 500.0, NOW)
IDLE = PortState()
ON = PortState(status=PortStatus.ON, session="s", lease_until_s=1010.0, closed_at_s=990.0)
SETTINGS = Settings(ports={1: PortLimits(), 2: PortLimits()}, contactor=True, feedback=True)
NEVER = Missing(MissingReason.NEVER_READ, 0.0)


def state(port: PortState = IDLE, settings: Settings = SETTINGS, **cabinet: object) -> State:
    """Return a cabinet in which port 1 is ``port`` and port 2 idle."""
    made = safety.initial(settings)
    held = CabinetState(**cabinet)  # type: ignore[arg-type]
    return replace(made, ports={1: port, 2: IDLE}, cabinet=held)


def granted(
    port: PortState = IDLE,
    inputs: PortInputs | None = None,
    request: Grant | None = None,
    **cabinet: object,
) -> tuple[PortState, str | None, str]:
    """Return what becomes of a grant for port 1."""
    ports = {1: inputs or PortInputs(GOOD), 2: PortInputs(GOOD)}
    asked = request or Grant(1, 1, "new", 30.0, Plan(energy_wh=100.0))
    return grant(state(port, **cabinet), port, Inputs(ports), asked, NOW)  # type: ignore[arg-type]


# -- grant -----------------------------------------------------------------------------------------------------


def test_a_grant_arms_the_port_and_forgets_the_last_session() -> None:
    """Memory of the hazards, findings and the last opening stay; everything of the last session goes."""
    memory = HazardMemory(judged_s=7.0)
    before = PortState(
        status=PortStatus.ENDED,
        hazards=memory,
        findings=("temperature_warning",),
        session="old",
        reason="user",
        detail="x",
        closed_at_s=10.0,
        opened_at_s=20.0,
        start_energy_wh=1.0,
        end_energy_wh=2.0,
        relay_opened_s=20.0,
    )
    assert granted(before) == (
        PortState(
            status=PortStatus.ARMED,
            hazards=memory,
            findings=("temperature_warning",),
            session="new",
            plan=Plan(energy_wh=100.0),
            lease_until_s=NOW + 30.0,
            armed_at_s=NOW,
            relay_opened_s=20.0,
        ),
        None,
        "",
    )


@pytest.mark.parametrize(("ttl_s", "until_s"), [(59.9, 1059.9), (60.0, 1060.0), (60.1, 1060.0)])
def test_a_lease_is_as_long_as_asked_up_to_the_limit(ttl_s: float, until_s: float) -> None:
    """For a grant, a repeated grant and a renewal alike."""
    request = Grant(1, 1, "s", ttl_s)
    assert granted(request=request)[0].lease_until_s == until_s
    assert granted(ON, request=request) == (replace(ON, lease_until_s=until_s), None, "renewed")
    assert renew(ON, Renew(1, 1, "s", ttl_s), SETTINGS, NOW) == (replace(ON, lease_until_s=until_s), None)


@pytest.mark.parametrize(
    ("port", "inputs", "refusal"),
    [
        (replace(IDLE, latched="rcd", status=PortStatus.TRIPPED), GOOD, ("port_faulty", "rcd")),
        (ON, GOOD, ("port_busy", "s")),
        (replace(IDLE, status=PortStatus.ARMED), GOOD, ("port_busy", "")),
        (replace(ON, status=PortStatus.ENDED, awaiting_register=True), GOOD, ("port_busy", "s")),
        (IDLE, NEVER, ("starting_up", "meter not read yet")),
        (replace(IDLE, findings=("meter_lost",)), GOOD, ("port_faulty", "meter_lost")),
        (replace(IDLE, findings=("probe_fault", "meter_lost")), GOOD, ("port_faulty", "probe_fault, meter_lost")),
        (replace(IDLE, findings=("meter_stuck", "never_draws")), GOOD, None),
        (IDLE, replace(GOOD, energy_wh=None, energy_taken_s=None), ("starting_up", "energy register not read yet")),
        (IDLE, Missing(MissingReason.TIMEOUT, 0.0), None),  # its fault is a finding of the rules
    ],
)
def test_a_grant_is_refused_for_the_port(
    port: PortState, inputs: MeterReading | Missing, refusal: tuple[str, str] | None
) -> None:
    """With the reason and its detail; the port stays as it was."""
    after, code, detail = granted(port, PortInputs(inputs))
    assert (code, detail) == (refusal or (None, ""))
    assert (after == port) is (refusal is not None)


@pytest.mark.parametrize(
    ("probe", "refused"),
    [(NEVER, True), (Missing(MissingReason.PROBE_OPEN, 0.0), False), (ProbeReading(NOW, 20.0), False), (None, False)],
)
def test_a_probe_that_was_not_asked_yet_is_waited_for(probe: ProbeReading | Missing | None, *, refused: bool) -> None:
    """One that is not fitted is not; a broken one is a finding."""
    answer = granted(inputs=PortInputs(GOOD, probe=probe))[1:]
    assert answer == (("starting_up", "temperature not read yet") if refused else (None, ""))


def test_a_meter_that_was_asked_in_vain_is_no_start_up() -> None:
    """It was never read, but an error is known: the rules have a fault for that."""
    lost = PortInputs(NEVER, meter_error=Missing(MissingReason.TIMEOUT, NOW))
    assert granted(inputs=lost)[1] is None


def test_a_session_starts_once() -> None:
    """Its name is refused at every port as long as the cabinet remembers it."""
    ended = replace(ON, status=PortStatus.ENDED)
    assert granted(ended, request=Grant(1, 1, "s", 30.0)) == (ended, "session_ended", "s")
    elsewhere = replace(state(), ports={1: IDLE, 2: ON})
    inputs = Inputs({1: PortInputs(GOOD), 2: PortInputs(GOOD)})
    assert grant(elsewhere, IDLE, inputs, Grant(1, 1, "s", 30.0), NOW) == (IDLE, "session_ended", "s")


def test_a_grant_is_refused_for_the_cabinet() -> None:
    """By what inhibits, with all of it named, and by a test that runs."""
    assert granted(inhibiting=("smoke", "door_open"))[1:] == ("cabinet_faulty", "smoke, door_open")
    assert granted(proof=proof.begin("relays", NOW))[1:] == ("test_running", "relays")


@pytest.mark.parametrize(
    ("drawn_a", "inlet_a", "age_s", "detail"),
    [
        (9.0, None, 0.0, None),
        (9.1, None, 0.0, "0.9 A left"),
        (11.0, None, 0.0, "0.0 A left"),
        (1.0, 9.1, 0.0, "0.9 A left"),
        (1.0, 9.1, 600.0, None),
    ],
)
def test_a_grant_is_refused_for_the_supply(
    drawn_a: float, inlet_a: float | None, age_s: float, detail: str | None
) -> None:
    """10 A, and one ampere of reserve for the new port; the inlet meter counts while its reading is fresh."""
    busy = replace(ON, closed_at_s=0.0)
    here = replace(state(), ports={1: IDLE, 2: busy})
    drawing = PortInputs(replace(GOOD, current_a=drawn_a))
    inlet = None if inlet_a is None else MeterReading(NOW - age_s, 220.0, inlet_a, 0.0)
    everything = Inputs({1: PortInputs(GOOD), 2: drawing}, inlet=inlet)
    _, code, told = grant(here, IDLE, everything, Grant(1, 1, "new", 30.0), NOW)
    assert (code, told) == ((None, "") if detail is None else ("over_budget", detail))


# -- amend -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [PortStatus.ARMED, PortStatus.ON])
def test_an_amendment_changes_the_plan_and_nothing_else(status: PortStatus) -> None:
    """Least of all the lease; energy and duration are taken as they are, and a limit left out is gone."""
    port = replace(ON, status=status, armed_at_s=980.0, plan=Plan(1.0, 2.0, 3.0, for_amount=True))
    asked = Plan(energy_wh=700.0, duration_s=900.0)
    assert amend(port, Amend(1, 1, "s", asked), NOW) == (replace(port, plan=asked), None)


def test_the_deadline_of_an_amendment_counts_from_now() -> None:
    """Granted 20 s ago, a deadline in 60 s is 80 s after the grant."""
    port = replace(ON, armed_at_s=980.0)
    after, code = amend(port, Amend(1, 1, "s", Plan(deadline_s=60.0, for_amount=True)), NOW)
    assert (after, code) == (replace(port, plan=Plan(deadline_s=80.0, for_amount=True)), None)


@pytest.mark.parametrize(
    ("port", "session", "code"),
    [
        (ON, "t", "wrong_session"),
        (IDLE, "s", "wrong_session"),
        (replace(ON, status=PortStatus.ENDED), "t", "wrong_session"),
        (replace(ON, status=PortStatus.ENDED), "s", "session_ended"),
        (replace(ON, status=PortStatus.TRIPPED), "s", "session_ended"),
    ],
)
def test_an_amendment_is_for_a_live_session_by_its_name(port: PortState, session: str, code: str) -> None:
    """What has ended stays ended, and another session's plan is not touched."""
    assert amend(port, Amend(1, 1, session, Plan(energy_wh=1.0)), NOW) == (port, code)


# -- renew and release -----------------------------------------------------------------------------------------


def test_a_lease_is_renewed_for_its_session_while_it_lives() -> None:
    """Another session is told so, whether the port lives or not."""
    assert renew(ON, Renew(1, 1, "t", 9.0), SETTINGS, NOW) == (ON, "wrong_session")
    ended = replace(ON, status=PortStatus.ENDED)
    assert renew(ended, Renew(1, 1, "s", 9.0), SETTINGS, NOW) == (ended, "session_ended")


@pytest.mark.parametrize(
    ("port", "session", "reason", "code"),
    [
        (ON, "s", "user", None),
        (replace(ON, status=PortStatus.ARMED), "s", "remote", None),
        (ON, "s", "no_such_reason", "malformed"),
        (ON, "s", "smoke", "malformed"),
        (ON, "s", "port_busy", "malformed"),
        (ON, "t", "user", "wrong_session"),
        (replace(ON, status=PortStatus.ENDED), "s", "user", "session_ended"),
    ],
)
def test_a_release_names_its_session_and_an_ending(
    port: PortState, session: str, reason: str, code: str | None
) -> None:
    """Nobody ends a session with the name of a fault, and nobody another's."""
    assert why_not_release(port, Release(1, 1, session, reason)) == code


# -- reset -----------------------------------------------------------------------------------------------------

TRIPPED = replace(ON, status=PortStatus.TRIPPED, latched="over_current", reason="over_current")
WIRED = replace(SETTINGS, contacts=(Contact("rcd-1", "rcd", 0.1, ports=(1,)), Contact("smoke", "smoke", 0.1)))


@pytest.mark.parametrize(
    ("port", "repair", "alarms", "code"),
    [
        (TRIPPED, "", {}, None),
        (IDLE, "", {}, "nothing_latched"),
        (ON, "", {}, "nothing_latched"),
        (replace(TRIPPED, findings=("over_current",)), "", {}, "cause_present"),
        (replace(TRIPPED, findings=("temperature_high",)), "", {}, "cause_present"),
        (replace(TRIPPED, findings=("meter_stuck",)), "", {}, None),
        (TRIPPED, "", {"rcd-1": NOW}, "cause_present"),
        (TRIPPED, "", {"smoke": NOW}, None),  # the cabinet's own latch
        (replace(TRIPPED, latched="relay_welded"), "", {}, "repair_needed"),
        (replace(TRIPPED, latched="relay_welded"), "replaced", {}, None),
        (replace(TRIPPED, latched="long_forgotten"), "", {}, None),
        (replace(TRIPPED, latched=None), "", {}, None),
        (replace(IDLE, findings=("relay_worn",)), "", {}, "nothing_latched"),
        (replace(IDLE, findings=("relay_worn",)), "replaced", {}, None),
        (IDLE, "replaced", {}, "nothing_latched"),
        (replace(ON, findings=("relay_worn",)), "replaced", {}, "nothing_latched"),
        (replace(TRIPPED, findings=("over_current", "relay_worn")), "replaced", {}, "cause_present"),
    ],
)
def test_a_reset_of_a_port(port: PortState, repair: str, alarms: Mapping[str, float], code: str | None) -> None:
    """Only what is latched, only when its cause is gone, and a repair only with its record."""
    here = state(port, WIRED, alarm_since_s=alarms)
    after = replace(port, status=PortStatus.IDLE, latched=None) if code is None else port
    assert reset_port(here, port, Reset(1, 1, repair)) == (after, code)


@pytest.mark.parametrize(
    ("latched", "standing", "repair", "alarms", "code"),
    [
        (("smoke",), (), "", {}, None),
        ((), (), "", {}, "nothing_latched"),
        (("smoke",), ("smoke",), "", {}, "cause_present"),
        (("smoke", "fire"), ("smoke",), "", {}, "cause_present"),
        (("smoke",), ("door_open",), "", {}, None),
        (("smoke",), (), "", {"smoke": NOW}, "cause_present"),
        (("smoke",), (), "", {"rcd-1": NOW}, None),  # a port's own latch
        (("smoke", "contactor_welded"), (), "", {}, "repair_needed"),
        (("smoke", "contactor_welded"), (), "replaced", {}, None),
    ],
)
def test_a_reset_of_the_cabinet(
    latched: tuple[str, ...], standing: tuple[str, ...], repair: str, alarms: Mapping[str, float], code: str | None
) -> None:
    """The same rules; what is not latched goes on doing what it does."""
    effects = (*latched, "door_open")
    here = state(
        IDLE, WIRED, latched=latched, standing=standing, alarm_since_s=alarms, cutting=effects, inhibiting=effects
    )
    after, answer = reset_cabinet(here, Reset(1, None, repair))
    assert answer == code
    if code is not None:
        assert after == here.cabinet
    else:
        assert after == replace(here.cabinet, latched=(), cutting=("door_open",), inhibiting=("door_open",))


# -- tests and closing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "port", "cabinet", "code"),
    [
        ("relays", {}, IDLE, {}, None),
        ("dead_man", {}, IDLE, {}, None),
        ("no_such_test", {}, IDLE, {}, "malformed"),
        ("relays", {"contactor": False}, IDLE, {}, "not_fitted"),
        ("relays", {"feedback": False, "heartbeat": False}, IDLE, {}, None),
        ("dead_man", {"feedback": False}, IDLE, {}, "not_fitted"),
        ("dead_man", {"heartbeat": False}, IDLE, {}, "not_fitted"),
        ("relays", {}, IDLE, {"cutting": ("smoke",)}, "cabinet_faulty"),
        ("relays", {}, IDLE, {"inhibiting": ("door_open",)}, None),
        ("relays", {}, IDLE, {"proof": proof.begin("relays", 990.0)}, "test_running"),
        ("relays", {}, ON, {}, "not_idle"),
        ("relays", {}, replace(ON, status=PortStatus.ARMED), {}, "not_idle"),
        ("relays", {}, replace(ON, status=PortStatus.ENDED, awaiting_register=True), {}, "not_idle"),
        ("relays", {}, TRIPPED, {}, None),
    ],
)
def test_a_test_runs_only_where_it_proves_something_and_disturbs_nobody(
    kind: str, settings: dict[str, bool], port: PortState, cabinet: dict[str, object], code: str | None
) -> None:
    """Known, fitted, nothing cuts, none runs, every port idle."""
    here = state(port, replace(SETTINGS, **settings), **cabinet)  # type: ignore[arg-type]
    after, answer = run_test(here, RunTest(1, kind), NOW)
    assert answer == code
    assert after == (replace(here.cabinet, proof=proof.begin(kind, NOW)) if code is None else here.cabinet)


def test_a_closing_remembers_where_the_register_stood() -> None:
    """The session's energy and the completion rules begin here."""
    armed = PortState(status=PortStatus.ARMED, session="s", hazards=HazardMemory(switching=Switching()))
    after = close(armed, GOOD, NOW)
    assert (after.status, after.closed_at_s, after.start_energy_wh, after.sampled_s) == (PortStatus.ON, NOW, 500.0, NOW)
    assert after.completion is not None
    assert after.session == "s"


@pytest.mark.parametrize(
    ("findings", "repair", "code"),
    [
        (("contactor_worn",), "replaced", None),
        (("contactor_worn",), "", "nothing_latched"),
        ((), "replaced", "nothing_latched"),
    ],
)
def test_the_replacement_of_a_worn_contactor_is_taken(findings: tuple[str, ...], repair: str, code: str | None) -> None:
    """Nothing is latched, but its record starts the count anew."""
    here = state(IDLE, WIRED, findings=findings)
    assert reset_cabinet(here, Reset(1, None, repair)) == (here.cabinet, code)
