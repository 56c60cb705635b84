"""What the engine tells and orders, event by event and field by field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from safety import completion
from safety.contactor import Contactor
from safety.hazards import PortInputs
from safety.limits import PortLimits
from safety.port import PortStatus
from safety.proof import Phase, Proof
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import (
    Answer,
    CabinetState,
    Contact,
    Event,
    Grant,
    Inputs,
    Orders,
    PortState,
    Release,
    Renew,
    Reset,
    RunTest,
    Settings,
)
from safety.verdict import Verdict

if TYPE_CHECKING:
    from tests.safety.conftest import Desk


def told(desk: Desk) -> list[tuple[str, int | None, str | None]]:
    """Return kind, port and code of everything that was told."""
    return [(event.kind, event.port, event.code) for event in desk.events]


def test_at_start_everything_is_open_and_what_was_latched_stays() -> None:
    """With the reason that people see; ports that were well are idle."""
    settings = Settings(ports={1: PortLimits(), 2: PortLimits()})
    state = safety.initial(settings, {1: "rcd"}, ("smoke",))
    assert state.ports == {1: PortState(status=PortStatus.TRIPPED, latched="rcd", reason="rcd"), 2: PortState()}
    assert state.cabinet == CabinetState(latched=("smoke",))
    assert safety.initial(settings).ports == {1: PortState(), 2: PortState()}


def test_the_life_of_a_session_is_told_once_and_whole(desk: Desk) -> None:
    """Closed with the register, opened with the reason, ended with the register read after it."""
    desk.wh = {1: 500.0}
    desk.amps = {1: 1.0}
    desk.switch_on(1, "a")
    closed_s = desk.now
    desk.run(5.0)
    desk.wh = {1: 512.5}
    assert desk.release(1, "a", "user") is None
    opened_s = desk.now
    assert desk.orders.read_register == {1}
    desk.run(1.0)
    assert desk.orders.read_register == frozenset()
    ended_s = desk.events[-1].at_s
    assert ended_s == pytest.approx(opened_s + 0.05)
    assert desk.events == [
        Event("closed", closed_s, 1, "a", start_energy_wh=500.0),
        Event("opened", opened_s, 1, "a", "user", ""),
        Event(
            "ended",
            ended_s,
            1,
            "a",
            "user",
            "",
            start_energy_wh=500.0,
            end_energy_wh=512.5,
            closed_for_s=opened_s - closed_s,
        ),
    ]


def test_a_trip_tells_what_was_measured(desk: Desk) -> None:
    """Finding, opened, tripped, ended; with volts, amperes, watts and degrees at that moment."""
    desk.amps, desk.celsius = {1: 1.0}, {1: 25.0}
    desk.run(1.0)
    desk.switch_on(1, "a")
    desk.amps = {1: 9.5}
    desk.run(0.1)
    detail = "220.0 V, 9.500 A, 1900.0 W, 25.0 °C"
    tripped_s = desk.now
    codes = ("over_current", "over_power")
    assert [event for event in desk.events if event.at_s == tripped_s] == [
        *(Event("finding", tripped_s, 1, code=code) for code in codes),
        Event("opened", tripped_s, 1, "a", "over_current", detail),
        Event("tripped", tripped_s, 1, "a", "over_current", detail),
    ]
    assert (desk.port(1).reason, desk.port(1).detail) == ("over_current", detail)
    desk.amps = {}
    desk.run(10.0)
    assert told(desk)[-2:] == [("cleared", 1, "over_current"), ("cleared", 1, "over_power")]
    assert desk.reset(1, "socket replaced") is None
    assert desk.events[-1] == Event("cleared", desk.now, 1, code="over_current", detail="socket replaced")


def test_an_idle_port_trips_without_a_session(desk: Desk) -> None:
    """Its last session has nothing to do with it."""
    desk.switch_on(1, "a")
    desk.release(1, "a")
    desk.run(20.0)
    desk.events.clear()
    desk.contacts["rcd-2"] = True
    desk.run(0.5)
    assert told(desk) == [("finding", 2, "rcd"), ("tripped", 2, "rcd")]
    assert desk.kinds("tripped")[0].session is None
    assert desk.port(2).findings == ("rcd",)
    desk.run(1.0)
    assert len(desk.events) == 2


def test_alarms_of_the_cabinet_are_told_at_their_edges(desk: Desk) -> None:
    """What holds is tripped once and cleared by the reset; what does not is a finding that clears itself."""
    desk.contacts |= {"smoke": True, "door": True}
    desk.run(1.0)
    assert sorted(told(desk), key=str) == [("finding", None, "door_open"), ("tripped", None, "smoke")]
    desk.contacts |= {"smoke": False, "door": False}
    desk.run(0.5)
    assert told(desk)[2:] == [("cleared", None, "door_open")]
    assert desk.reset(None, "aired") is None
    assert desk.events[3:] == [Event("cleared", desk.now, code="smoke", detail="aired")]
    assert desk.reset(None) == "nothing_latched"
    assert len(desk.events) == 4


def test_a_code_that_rules_and_contacts_both_raise_stands_once() -> None:
    """Two contacts of one port with the same code are one finding."""
    wires = (Contact("a", "rcd", 0.0, ports=(1,)), Contact("b", "rcd", 0.0, ports=(1,)))
    settings = Settings(ports={1: PortLimits(), 2: PortLimits()}, contacts=wires)
    good = PortInputs(MeterReading(1000.0, 220.0, 0.0, 0.0, None, 500.0, 1000.0))
    inputs = Inputs({1: good, 2: good}, {"a": True, "b": True})
    state, _, events = safety.step(safety.initial(settings), inputs, 1000.0)
    assert (state.ports[1].findings, state.ports[2].findings) == (("rcd",), ())
    assert [event.kind for event in events] == ["finding", "tripped"]


def test_a_contact_that_says_what_a_rule_says_adds_nothing(desk: Desk) -> None:
    """Its wire may be configured with any code."""
    desk.settings = replace(desk.settings, contacts=(Contact("relay", "over_current", 0.0, ports=(1,)),))
    desk.state = replace(desk.state, settings=desk.settings)
    desk.contacts = {"relay": False}
    desk.amps = {1: 1.0}
    desk.switch_on(1)
    desk.amps = {1: 9.5}
    desk.tick()
    desk.contacts = {"relay": True}
    desk.tick()
    assert desk.port(1).findings == ("over_current", "over_power")


def test_an_anomaly_of_the_battery_latches_its_port(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The completion rules find it, but it is a fault: heat that feeds itself needs a person on the spot."""
    desk.amps = {1: 1.0}
    desk.switch_on(1, "a")
    real = completion.advance
    monkeypatch.setattr(completion, "advance", lambda *given: (real(*given)[0], Verdict("rising", "81 W")))
    desk.tick()
    assert (desk.port(1).status, desk.port(1).latched, desk.port(1).detail) == (PortStatus.TRIPPED, "rising", "81 W")
    assert desk.kinds("tripped")[0].session == "a"
    monkeypatch.setattr(completion, "advance", lambda *given: (real(*given)[0], Verdict("full", "2 W")))
    desk.switch_on(2, "b")
    desk.run(0.1)
    assert (desk.port(2).status, desk.port(2).latched, desk.port(2).reason) == (PortStatus.ENDED, None, "full")


def test_cabinet_overload_is_named_beside_what_cuts_everything(desk: Desk) -> None:
    """Shedding is one more reason; the cabinet's own faults come first."""
    desk.settings = replace(desk.settings, cabinet=replace(desk.settings.cabinet, current_limit_a=3.0))
    desk.state = replace(desk.state, settings=desk.settings)
    desk.amps = {1: 1.8}
    desk.switch_on(1, "a")
    desk.amps = {1: 5.0}
    desk.run(2.2)
    assert desk.port(1).reason == "cabinet_overload"
    assert desk.port(1).status is PortStatus.ENDED


# -- periodic tests --------------------------------------------------------------------------------------------


def test_the_heartbeat_stops_only_in_its_proof(desk: Desk) -> None:
    """And the contactor is closed for it; both are as before when it is over."""
    assert desk.orders.heartbeat
    assert desk.test("dead_man") is None
    silent = False
    for _ in range(200):
        if desk.state.cabinet.proof is None:
            break
        desk.feedback = False if not desk.orders.heartbeat else None
        desk.tick()
        silent = silent or not desk.orders.heartbeat
    assert silent
    assert desk.orders.heartbeat
    (tested,) = desk.kinds("tested")
    assert (tested.code, tested.ok, tested.port) == ("dead_man", True, None)
    assert tested.detail.startswith("dropped after ")
    assert not desk.orders.contactor


def test_a_failed_proof_latches_what_failed(desk: Desk) -> None:
    """The contactor stays closed without a heartbeat: told, latched, cutting and inhibiting at once."""
    assert desk.test("dead_man") is None
    for _ in range(200):
        if desk.state.cabinet.proof is None:
            break
        desk.feedback = True if not desk.orders.heartbeat else None
        desk.tick()
    (tested,) = desk.kinds("tested")
    (tripped,) = desk.kinds("tripped")
    assert tested.ok is False
    assert (tripped.code, tripped.detail, tripped.port) == ("dead_man_failed", tested.detail, None)
    cabinet = desk.state.cabinet
    assert cabinet.latched == cabinet.cutting == cabinet.inhibiting == ("dead_man_failed",)


def test_a_test_that_is_cut_short_says_by_what(desk: Desk) -> None:
    """It proves nothing then, and accuses nothing."""
    assert desk.test("relays") is None
    desk.contacts |= {"button": True}
    desk.tick()
    (tested,) = desk.kinds("tested")
    assert (tested.ok, tested.detail) == (False, "cut short: estop")
    assert desk.state.cabinet.proof is None
    assert desk.state.cabinet.latched == ("estop",)


FAILING = Proof("dead_man", 998.0, Phase.SILENT, 998.5)
SMOKE = Contact("smoke", "smoke", 0.0)


def proved(proof: Proof, *, feedback: bool, smoke: bool = False, **cabinet: object) -> tuple[CabinetState, list[Event]]:
    """Return the cabinet and the events of the tick at 1000 s, in which a proof of the dead man goes on."""
    settings = Settings(ports={1: PortLimits()}, contactor=True, feedback=True, contacts=(SMOKE,))
    state = safety.initial(settings)
    state = replace(state, cabinet=CabinetState(proof=proof, contactor=Contactor(since_s=990.0), **cabinet))  # type: ignore[arg-type]
    good = PortInputs(MeterReading(1000.0, 220.0, 0.0, 0.0, None, 500.0, 1000.0))
    state, _, events = safety.step(state, Inputs({1: good}, {"smoke": smoke}, feedback=feedback), 1000.0)
    return state.cabinet, list(events)


def test_what_a_proof_found_stands_beside_what_was_latched() -> None:
    """Latched, cutting and inhibiting together, told once."""
    cabinet, events = proved(FAILING, feedback=True, latched=("fire",))
    assert cabinet.latched == cabinet.cutting == cabinet.inhibiting == ("fire", "dead_man_failed")
    assert [event.kind for event in events] == ["tested", "tripped"]
    again, events = proved(FAILING, feedback=True, latched=("dead_man_failed",))
    assert again.latched == again.cutting == ("dead_man_failed",)
    assert [(event.kind, event.ok) for event in events] == [("tested", False)]


def test_a_result_counts_though_something_cuts_in_the_same_tick() -> None:
    """The proof was over; only one without a result is cut short."""
    done = replace(FAILING, seen_s=999.0)
    cabinet, events = proved(done, feedback=False, smoke=True)
    assert [(event.kind, event.ok) for event in events] == [("tripped", None), ("tested", True)]
    assert events[1].detail.startswith("dropped after")
    assert cabinet.latched == ("smoke",)


def test_a_refused_reset_tells_nothing(desk: Desk) -> None:
    """Neither of the cabinet nor of a port: nothing was cleared."""
    desk.contacts |= {"smoke": True, "rcd-2": True}
    desk.run(0.5)
    desk.events.clear()
    assert (desk.reset(None), desk.reset(2)) == ("cause_present", "cause_present")
    assert desk.events == []


# -- answers ---------------------------------------------------------------------------------------------------


def test_every_request_of_a_tick_has_its_answer(desk: Desk) -> None:
    """In their order, each with its ticket, its code and its detail; those after it see what it changed."""
    desk.tick(
        Grant(11, 1, "a", 60.0),
        Grant(12, 1, "a", 30.0),
        Grant(13, 9, "x", 60.0),
        Renew(14, 1, "b", 60.0),
        Release(15, 1, "a", "user"),
        Renew(16, 1, "a", 60.0),
        Reset(17, 2),
        Reset(18, None),
        RunTest(19, "relays"),
    )
    assert desk.orders.answers == (
        Answer(11),
        Answer(12, None, "renewed"),
        Answer(13, "unknown_port"),
        Answer(14, "wrong_session"),
        Answer(15),
        Answer(16, "session_ended"),
        Answer(17, "nothing_latched"),
        Answer(18, "nothing_latched"),
        Answer(19, "not_idle"),
    )


def test_a_port_that_never_closed_ends_without_an_opening(desk: Desk) -> None:
    """Released while it waits: nothing was opened, no energy, no time."""
    desk.tick(Grant(1, 1, "a", 60.0), Release(2, 1, "a", "user"))
    desk.tick()
    (ended,) = desk.events
    assert ended == Event("ended", desk.now, 1, "a", "user", "")
    assert desk.port(1).relay_opened_s is None
    assert desk.port(1).opened_at_s is not None


def test_an_order_says_no_more_than_it_must() -> None:
    """By default the heart beats, nothing is answered and no register is wanted."""
    assert Orders(frozenset(), contactor=False) == Orders(frozenset(), False, True, (), frozenset())  # noqa: FBT003
    assert Answer(1) == Answer(1, None, "")
    assert Event("x", 1.0) == Event("x", 1.0, None, None, None, "", None, None, None, None)


def test_what_is_not_measured_is_not_told(desk: Desk) -> None:
    """A trip without meter and probe has no detail, one with a probe alone has its temperature."""
    wires = (Contact("a", "rcd", 0.0, ports=(1,)),)
    settings = replace(desk.settings, contacts=wires)
    for probe, detail in ((None, ""), (ProbeReading(1000.0, 31.25), "31.2 °C")):
        port = PortState(status=PortStatus.ON, session="a", lease_until_s=2000.0, closed_at_s=990.0)
        state = replace(safety.initial(settings), ports={1: port, 2: PortState()})
        gone = desk.inputs()[2]
        silent = replace(gone, meter=Missing(MissingReason.TIMEOUT, 990.0), probe=probe)
        state, _, _ = safety.step(state, Inputs({1: silent, 2: gone}, {"a": True}), 1000.0)
        assert state.ports[1].detail == detail
