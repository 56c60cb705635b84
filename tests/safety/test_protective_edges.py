"""Protective checks through the whole core, each where no other one would help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from safety.cabinet import judge_cabinet, next_to_close
from safety.completion import begin
from safety.completion_limits import CompletionLimits
from safety.contactor import Contactor
from safety.contacts import Alarms
from safety.ending import why_end
from safety.hazards import PortInputs
from safety.limits import PortLimits
from safety.port import PortStatus
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.requests import reset_port
from safety.state import CabinetState, Contact, Grant, Inputs, PortState, Reset, RunTest, Settings
from safety.switching import Switching

if TYPE_CHECKING:
    from tests.safety.conftest import Desk

GOOD = MeterReading(1000.0, 220.0, 0.0, 0.0, None, 500.0, 1000.0)
MISSING = Missing(MissingReason.TIMEOUT, 1000.0)


# -- rules that are heard --------------------------------------------------------------------------------------


def test_high_mains_cut_a_charge(desk: Desk) -> None:
    """The rules of voltage reach the relay."""
    desk.amps = {1: 1.0}
    desk.switch_on(1)
    desk.volts = {1: 265.0}
    desk.run(desk.settings.ports[1].voltage_s + 0.2)
    assert (desk.port(1).reason, desk.orders.closed) == ("over_voltage", frozenset())


def test_a_sparking_contact_cuts_a_charge_and_latches(desk: Desk) -> None:
    """The rule of poor contacts reaches the relay: six breaks within a minute."""
    desk.amps = {1: 2.0}
    desk.switch_on(1)
    for _ in range(8):
        desk.amps = {1: 2.0}
        desk.run(2.0)
        desk.amps = {1: 0.0}
        desk.run(1.0)
    assert (desk.port(1).latched, desk.orders.closed) == ("poor_contact", frozenset())


def test_heat_inside_the_cabinet_is_latched_for_all_of_it() -> None:
    """The rules of the cabinet's own probe reach the relays of every port."""
    settings = Settings(ports={1: PortLimits()})
    state, quiet = safety.initial(settings), Alarms({}, (), {})
    for second in range(12):
        now = 1000.0 + second
        inputs = Inputs({1: PortInputs(GOOD)}, cabinet_probe=ProbeReading(now, 75.0))
        state = replace(state, cabinet=judge_cabinet(state, state.ports, quiet, inputs, now))
    cabinet = state.cabinet
    assert "cabinet_over_temperature" in cabinet.latched
    assert "cabinet_over_temperature" in cabinet.cutting


@pytest.mark.parametrize("code", ["smoke", "fire", "flood", "estop", "rcd", "door_open"])
def test_what_a_contact_says_reaches_the_relays(code: str) -> None:
    """Whatever is wired to it: the port is open in the tick in which the contact has stood for its time."""
    settings = Settings(ports={1: PortLimits()}, contacts=(Contact("wire", code, 0.1),))
    on = PortState(status=PortStatus.ON, session="s", lease_until_s=2000.0, closed_at_s=990.0)
    state = replace(safety.initial(settings), ports={1: on})
    for now, closed in ((1000.0, {1}), (1000.05, {1}), (1000.15, set())):
        state, orders, _ = safety.step(state, Inputs({1: PortInputs(GOOD)}, {"wire": True}), now)
        assert orders.closed == closed
    assert state.ports[1].reason == code


@pytest.mark.parametrize("code", ["clock_fault", "limits_damaged", "latch_store_damaged", "loop_stalled"])
def test_what_guard_finds_about_itself_reaches_the_relays(code: str) -> None:
    """A controller that cannot trust itself opens everything at once."""
    settings = Settings(ports={1: PortLimits()})
    on = PortState(status=PortStatus.ON, session="s", lease_until_s=2000.0, closed_at_s=990.0)
    state = replace(safety.initial(settings), ports={1: on})
    state, orders, _ = safety.step(state, Inputs({1: PortInputs(GOOD)}, self_test=(code,)), 1000.0)
    assert (orders.closed, state.ports[1].reason) == (frozenset(), code)


# -- closing ---------------------------------------------------------------------------------------------------


def closing(
    meter: MeterReading | Missing = GOOD, *, contactor: bool = True, fed_s: float = 990.0, **port: object
) -> int | None:
    """Return the port that may close at 1000 s, of one that is armed."""
    settings = Settings(ports={1: PortLimits()}, contactor=contactor)
    state = safety.initial(settings)
    armed = replace(PortState(status=PortStatus.ARMED, session="s", lease_until_s=1050.0), **port)  # type: ignore[arg-type]
    state = replace(state, ports={1: armed}, cabinet=CabinetState(contactor=Contactor(since_s=fed_s)))
    return next_to_close(state, {1: PortInputs(meter)}, 1000.0)


def test_a_port_whose_socket_was_seen_dead_closes() -> None:
    """The case that the next tests differ from."""
    assert closing() == 1


@pytest.mark.parametrize(
    "meter",
    [
        MISSING,
        replace(GOOD, energy_wh=None, energy_taken_s=None),
        replace(GOOD, taken_s=990.1),  # fed, but the contactor had not settled
    ],
    ids=["silent", "no register", "old"],
)
def test_nothing_closes_on_a_meter_that_says_nothing(meter: MeterReading | Missing) -> None:
    """Neither without a reading, nor without its register, nor on one from before the socket was fed."""
    assert closing(meter) is None


def test_one_reading_of_a_live_socket_holds_its_relay_back() -> None:
    """Two make a fault; the first already forbids to close."""
    assert closing(hazards=replace(PortState().hazards, switching=Switching(live_count=1))) is None


@pytest.mark.parametrize(("waited_s", "closes"), [(0.19, None), (0.2, 1), (0.21, 1)])
def test_without_a_contactor_the_wait_is_the_same(waited_s: float, closes: int | None) -> None:
    """The order of a start does not depend on what is fitted."""
    assert closing(contactor=False, fed_s=1000.0 - waited_s) == closes


def test_a_port_that_waits_for_its_turn_does_not_close_while_the_cabinet_is_inhibited(desk: Desk) -> None:
    """A door that is opened between grant and closing holds the relay back, also where it does not cut."""
    desk.contacts["lid"] = True
    desk.run(0.45)
    assert desk.grant(1) is None  # the lid's time is not over
    desk.run(3.0)
    assert desk.state.cabinet.inhibiting == ("door_open",)
    assert desk.port(1).status is PortStatus.ARMED
    assert desk.orders.closed == frozenset()
    desk.contacts["lid"] = False
    desk.run(0.5)
    assert desk.orders.closed == {1}


# -- ends ------------------------------------------------------------------------------------------------------


def test_no_session_lasts_longer_than_its_hard_maximum(desk: Desk) -> None:
    """Whatever it planned and however it draws."""
    desk.settings = replace(desk.settings, max_duration_s=30.0)
    desk.state = replace(desk.state, settings=desk.settings)
    desk.amps = {1: 1.0}
    desk.switch_on(1)
    closed_s = desk.port(1).closed_at_s
    assert closed_s is not None
    desk.run(closed_s + 30.0 - desk.now - 0.1)
    assert desk.orders.closed == {1}
    desk.run(0.15)
    assert (desk.port(1).reason, desk.orders.closed) == ("max_duration", frozenset())


def test_completion_ends_a_session_in_the_engine(desk: Desk) -> None:
    """Nothing plugged in for ten minutes, here a hundred times as fast: the state goes on from tick to tick."""
    desk.settings = replace(desk.settings, completion=CompletionLimits().scaled(100.0))
    desk.state = replace(desk.state, settings=desk.settings)
    desk.switch_on(1)
    desk.run(5.5)
    assert desk.orders.closed == {1}
    desk.run(1.0)
    assert (desk.port(1).reason, desk.orders.closed) == ("no_charger", frozenset())


def test_a_reading_is_judged_once_by_the_completion_rules() -> None:
    """A tick without a new reading changes nothing: blocks are made of readings, not of ticks."""
    port = PortState(
        status=PortStatus.ON, lease_until_s=2000.0, closed_at_s=990.0, completion=begin(990.0), sampled_s=1000.0
    )
    settings = Settings(ports={1: PortLimits()})
    assert why_end(port, PortInputs(GOOD), settings, (), 1000.05) == (port, None, "")
    newer = PortInputs(replace(GOOD, taken_s=1000.5))
    after, reason, _ = why_end(port, newer, settings, (), 1000.5)
    assert (after.sampled_s, reason) == (1000.5, None)
    assert after.completion != port.completion


def test_a_session_without_state_of_completion_goes_on_under_every_other_rule() -> None:
    """A missing convenience is no reason to stop the tick."""
    port = PortState(status=PortStatus.ON, lease_until_s=2000.0, closed_at_s=990.0)
    settings = Settings(ports={1: PortLimits()})
    assert why_end(port, PortInputs(GOOD), settings, (), 1000.0) == (port, None, "")
    assert why_end(port, PortInputs(GOOD), settings, (), 2000.0)[1] == "lease_expired"


# -- latches and their release ---------------------------------------------------------------------------------


def test_a_weld_is_told_once(desk: Desk) -> None:
    """It is latched over a milder fault, not again in every tick."""
    desk.amps = {1: 2.0}
    desk.switch_on(1)
    desk.amps, desk.welded = {1: 12.0}, {1}
    desk.run(5.0)
    told = [event.code for event in desk.kinds("tripped") if event.port == 1]
    assert told == ["over_current", "relay_welded"]


def test_a_reset_needs_its_cause_gone_at_the_port(desk: Desk) -> None:
    """A fault that still stands, of the port's own rules."""
    desk.amps = {1: 1.0}
    desk.switch_on(1)
    standing = replace(desk.port(1), status=PortStatus.TRIPPED, latched="meter_frozen", findings=("meter_frozen",))
    assert reset_port(desk.state, standing, Reset(1, 1)) == (standing, "cause_present")
    gone = replace(standing, findings=())
    assert reset_port(desk.state, gone, Reset(1, 1))[1] is None


def test_a_reset_without_a_port_releases_no_port(desk: Desk) -> None:
    """It is about the cabinet."""
    tripped = replace(desk.port(1), status=PortStatus.TRIPPED, latched="over_current")
    assert reset_port(desk.state, tripped, Reset(1, None)) == (tripped, "nothing_latched")


@pytest.mark.parametrize(("contact", "port"), [("rcd-2", 2), ("smoke", None)])
def test_a_contact_that_is_back_in_alarm_forbids_the_reset_at_once(desk: Desk, contact: str, port: int | None) -> None:
    """Its debounce time is for raising an alarm, not for letting one go."""
    desk.contacts[contact] = True
    desk.run(0.3)
    desk.contacts[contact] = False
    desk.run(0.1)
    desk.contacts[contact] = True
    assert desk.reset(port) == "cause_present"
    desk.contacts[contact] = False
    assert desk.reset(port) is None


def test_a_latch_that_this_version_does_not_know_is_released_like_any_other(desk: Desk) -> None:
    """An upgrade may have dropped a code; the port stays shut, and a technician can open it."""
    desk.state = safety.initial(desk.settings, {1: "a_fault_of_long_ago"})
    desk.run(1.0)
    assert desk.grant(1) == "port_faulty"
    assert desk.reset(1) is None


def test_a_reset_of_the_cabinet_frees_only_what_was_latched() -> None:
    """What still stands goes on cutting and inhibiting in the very tick of the reset."""
    settings = Settings(
        ports={1: PortLimits()},
        contacts=(Contact("smoke", "smoke", 0.0), Contact("hatch", "door_open", 0.0)),
        contactor=True,
        feedback=True,
    )
    state = safety.initial(settings, cabinet=("smoke",))
    inputs = Inputs({1: PortInputs(GOOD)}, {"smoke": False, "hatch": True}, feedback=False)
    state, _, _ = safety.step(state, inputs, 1000.0)
    assert set(state.cabinet.cutting) == {"smoke", "door_open"}
    asked = (Reset(1, None), Grant(2, 1, "s", 60.0), RunTest(3, "relays"))
    state, orders, _ = safety.step(state, replace(inputs, requests=asked), 1000.05)
    assert [answer.code for answer in orders.answers] == [None, "cabinet_faulty", "cabinet_faulty"]
    assert state.cabinet.cutting == ("door_open",)
    assert not orders.contactor


# -- leases and tests ------------------------------------------------------------------------------------------


def test_nobody_renews_the_lease_of_another_session(desk: Desk) -> None:
    """A live port goes on for the session that has it, and for no other one."""
    desk.switch_on(1, "a", ttl_s=10.0)
    until_s = desk.port(1).lease_until_s
    assert desk.renew(1, "b", ttl_s=60.0) == "wrong_session"
    assert desk.port(1).lease_until_s == until_s


def test_no_test_begins_before_the_end_of_the_last_session_is_told(desk: Desk) -> None:
    """The relay is open, but the register has not been read since."""
    desk.switch_on(1)
    desk.silent = {1}
    assert desk.release(1) is None
    assert desk.port(1).awaiting_register
    assert desk.test("relays") == "not_idle"
    desk.silent = set()
    desk.run(1.0)
    assert desk.test("relays") is None
