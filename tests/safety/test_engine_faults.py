"""Faults through the whole core: what they open, what they latch, and who may release them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from safety.catalogue import CATALOGUE, Kind, Latch
from safety.limits import CabinetLimits, PortLimits
from safety.port import PortStatus

if TYPE_CHECKING:
    from tests.safety.conftest import Desk


def codes(desk: Desk, kind: str, port: int | None = None) -> list[str | None]:
    """Return the codes of the events of one kind at one port (None: the cabinet)."""
    return [event.code for event in desk.kinds(kind) if event.port == port]


# -- relays that do not open ---------------------------------------------------------------------------------


def weld(desk: Desk) -> None:
    """Charge on both ports, then end the first: its relay stays closed."""
    desk.amps = {1: 2.0, 2: 1.0}
    desk.switch_on(1, "a")
    desk.switch_on(2, "b")
    desk.welded = {1}
    assert desk.release(1, "a") is None


def test_a_welded_relay_drops_the_master_contactor_and_every_session(desk: Desk) -> None:
    """Current through an open relay: the port is latched, and only the contactor can make its socket dead."""
    weld(desk)
    settle_s = desk.settings.ports[1].weld_settle_s
    desk.run(settle_s - 0.2)
    assert desk.state.cabinet.contactor.since_s is not None
    assert not desk.port(1).latched
    desk.run(0.4)
    assert desk.port(1).latched == "relay_welded"
    assert not desk.orders.contactor
    assert desk.orders.closed == frozenset()
    assert (desk.port(2).status, desk.port(2).reason) == (PortStatus.ENDED, "relay_welded")
    assert desk.port(2).latched is None


def test_a_weld_is_released_only_with_a_record_of_the_repair(desk: Desk) -> None:
    """The cabinet stays open until then; with the record both it and the port are free again."""
    weld(desk)
    desk.run(3.0)
    assert desk.reset(1) == "repair_needed"
    assert desk.grant(2, "c") == "cabinet_faulty"
    desk.welded = set()
    assert desk.reset(1, repair="relay replaced") is None
    assert desk.kinds("cleared")[-1].detail == "relay replaced"
    desk.tick()
    assert desk.grant(2, "c") is None


def test_a_weld_found_after_a_trip_is_latched_over_it(desk: Desk) -> None:
    """A weld is often what the over-current left behind; the milder latch must not hide it."""
    desk.amps = {1: 2.0}
    desk.switch_on(1, "a")
    desk.amps, desk.welded = {1: 12.0}, {1}
    desk.run(1.0)
    assert desk.port(1).latched == "over_current"
    desk.run(3.0)
    assert desk.port(1).latched == "relay_welded"
    assert desk.reset(1) == "repair_needed"


def test_a_weld_survives_a_restart(desk: Desk) -> None:
    """After a reboot the contactor stays open and the repair is still asked for."""
    state = safety.initial(desk.settings, {1: "relay_welded"})
    desk.state = state
    desk.run(1.0)
    assert desk.grant(2, "c") == "cabinet_faulty"
    assert desk.reset(1) == "repair_needed"


def test_without_a_contactor_a_weld_latches_its_port_and_leaves_the_others(desk: Desk) -> None:
    """Nothing can be dropped then; ending other sessions would help nobody."""
    desk.state = replace(desk.state, settings=replace(desk.settings, contactor=False, feedback=False))
    desk.feedback_fitted = False
    weld(desk)
    desk.run(3.0)
    assert desk.port(1).latched == "relay_welded"
    assert desk.port(2).status is PortStatus.ON


def test_a_socket_that_is_live_before_its_relay_closes_is_never_switched_on(desk: Desk) -> None:
    """The contactor feeds it, current flows although the relay is open: miswired or welded; the relay stays open."""
    desk.amps, desk.welded = {1: 0.5}, {1}
    assert desk.grant(1, "a") is None
    desk.run(2.0)
    assert not desk.kinds("closed")
    assert desk.port(1).latched == "load_before_closing"
    assert not desk.orders.contactor


def test_a_port_closes_only_after_a_reading_taken_while_it_was_fed_and_open(desk: Desk) -> None:
    """A reading from before the contactor closed says nothing about a live socket."""
    assert desk.grant(1, "a") is None
    desk.silent = {1}
    desk.run(1.0)
    assert not desk.kinds("closed")
    desk.silent = set()
    desk.run(0.2)
    assert [event.port for event in desk.kinds("closed")] == [1]


# -- the contactor -------------------------------------------------------------------------------------------


def test_a_contactor_that_stays_closed_is_latched_until_it_is_repaired(desk: Desk) -> None:
    """Ordered open, auxiliary contact closed: the last line has failed."""
    desk.feedback = True
    desk.run(desk.settings.cabinet.contactor_feedback_s + 0.1)
    assert desk.state.cabinet.latched == ("contactor_welded",)
    assert desk.reset(None, repair="x") == "cause_present"
    desk.feedback = None
    desk.tick()
    assert desk.reset(None) == "repair_needed"
    assert desk.reset(None, repair="contactor replaced") is None


def test_a_contactor_that_does_not_close_is_latched(desk: Desk) -> None:
    """No session goes on behind a contactor that is open."""
    desk.feedback = False
    desk.grant(1)
    desk.run(desk.settings.cabinet.contactor_feedback_s - 0.1)
    assert not desk.state.cabinet.latched
    desk.run(0.2)
    assert desk.state.cabinet.latched == ("contactor_not_closed",)
    assert desk.port(1).reason == "contactor_not_closed"


def test_a_contactor_may_take_its_time_to_drop_after_a_restart(desk: Desk) -> None:
    """A guard that starts right after another was killed finds the contactor still held by the charge pump."""
    desk.state = safety.initial(desk.settings)
    desk.feedback = True
    desk.run(0.5)
    desk.feedback = None
    desk.run(2.0)
    assert desk.state.cabinet.latched == ()


# -- contacts ------------------------------------------------------------------------------------------------


def test_an_rcd_of_some_ports_trips_those_and_no_other(desk: Desk) -> None:
    """The auxiliary contact of an RCD names the ports behind it."""
    desk.amps = {1: 1.0, 2: 1.0}
    desk.switch_on(1, "a")
    desk.switch_on(2, "b")
    desk.contacts["rcd-2"] = True
    desk.run(0.3)
    assert (desk.port(2).latched, desk.port(1).status) == ("rcd", PortStatus.ON)
    assert desk.reset(2) == "cause_present"
    desk.contacts["rcd-2"] = False
    desk.tick()
    assert desk.reset(2) is None


@pytest.mark.parametrize(
    ("contact", "goes_on", "refusal"),
    [("door", True, None), ("lid", True, "cabinet_faulty"), ("hatch", False, "cabinet_faulty")],
)
def test_an_open_door_does_what_its_policy_says_and_clears_by_itself(
    desk: Desk, contact: str, refusal: str | None, *, goes_on: bool
) -> None:
    """Tell, inhibit or cut; closed again, everything is as before."""
    desk.amps = {1: 1.0}
    desk.switch_on(1, "a")
    desk.contacts[contact] = True
    desk.run(0.4)
    assert desk.port(1).status is PortStatus.ON
    desk.run(0.3)
    assert (desk.port(1).status is PortStatus.ON) is goes_on
    assert desk.grant(2, "b") == refusal
    desk.contacts[contact] = False
    desk.run(0.1)
    assert desk.state.cabinet.latched == ()
    if refusal is not None:
        assert desk.grant(2, "b") is None


# -- guard's own tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["clock_fault", "limits_damaged"])
def test_a_failed_self_test_opens_and_latches_everything(desk: Desk, code: str) -> None:
    """A controller that cannot trust itself switches nothing on."""
    desk.amps = {1: 1.0}
    desk.switch_on(1, "a")
    desk.self_test = (code,)
    desk.tick()
    assert desk.orders.closed == frozenset()
    assert not desk.orders.contactor
    desk.self_test = ()
    desk.tick()
    assert desk.grant(2, "b") == "cabinet_faulty"
    assert desk.reset(None) is None


# -- supply --------------------------------------------------------------------------------------------------


def many(desk: Desk, ports: int, limit_a: float) -> None:
    """Make the desk one of many ports with a supply of ``limit_a``."""
    cabinet = CabinetLimits(current_limit_a=limit_a)
    desk.settings = replace(
        desk.settings, ports={n: PortLimits(meter_refresh_s=0.0) for n in range(1, ports + 1)}, cabinet=cabinet
    )
    desk.state = safety.initial(desk.settings)
    desk.run(1.0)


def test_the_port_that_started_last_is_shed_first(desk: Desk) -> None:
    """Above 1.1 times the limit for 2 s: as many go as it takes, the latest start first; nothing is latched."""
    many(desk, 4, 10.0)
    for number in (3, 1, 4, 2):
        desk.amps[number] = 2.0
        desk.switch_on(number, f"s{number}")
    desk.amps = dict.fromkeys(range(1, 5), 4.0)
    desk.run(1.9)
    assert len(desk.orders.closed) == 4
    desk.run(0.2)
    assert desk.orders.closed == {3, 1}
    assert {desk.port(n).reason for n in (2, 4)} == {"cabinet_overload"}
    assert desk.port(2).latched is None


def test_the_inlet_meter_counts_when_it_sees_more_than_the_ports(desk: Desk) -> None:
    """What flows past the port meters loads the supply as well."""
    many(desk, 2, 5.0)
    desk.amps = {1: 2.0, 2: 2.0}
    desk.switch_on(1, "a")
    desk.switch_on(2, "b")
    desk.inlet_a = 5.6
    desk.run(2.2)
    assert desk.orders.closed == {1}


def test_a_session_that_the_supply_cannot_bear_is_refused_before_anything_closes(desk: Desk) -> None:
    """Ports that have just started count with their reserve, whatever they draw yet."""
    many(desk, 4, 2.5)
    assert desk.grant(1, "a") is None
    assert desk.grant(2, "b") is None
    assert desk.grant(3, "c") == "over_budget"
    desk.run(desk.settings.cabinet.start_reserve_s + 5.0)
    desk.renew(1, "a")
    assert desk.port(3).status is PortStatus.IDLE


# -- the catalogue -------------------------------------------------------------------------------------------


def test_every_fault_says_what_it_does_and_how_it_is_released() -> None:
    """Three things stand beside each other for every fault: latch class, effect, words."""
    for code, entry in CATALOGUE.items():
        assert (entry.kind is Kind.FAULT) == (entry.effect.value != "none"), code
        if entry.latch in (Latch.LOCAL_RESET, Latch.REPAIR):
            assert "reset" in entry.remedy_en, code
            assert "reset" in entry.remedy_zh, code
        if entry.kind is Kind.FAULT:
            assert ("--repair" in entry.remedy_en) == (entry.latch is Latch.REPAIR), code


def test_a_meter_that_renews_once_a_second_must_have_seen_the_socket_fed(desk: Desk) -> None:
    """Its first values after the contactor closed are from before: a welded relay would look dead in them."""
    desk.settings = replace(desk.settings, ports={1: PortLimits(meter_refresh_s=1.0), 2: PortLimits()})
    desk.state = safety.initial(desk.settings)
    desk.run(1.0)
    assert desk.grant(1, "a") is None
    fed_s = desk.now
    while not desk.kinds("closed"):
        assert desk.now - fed_s < 2.0
        desk.tick()
    assert desk.now - fed_s >= desk.settings.cabinet.contactor_settle_s + 1.0


def test_a_contact_of_single_ports_acts_in_the_tick_in_which_it_has_stood(desk: Desk) -> None:
    """Not one tick later."""
    desk.amps = {2: 1.0}
    desk.switch_on(2, "b")
    desk.contacts["rcd-2"] = True
    for _ in range(2):
        desk.tick(dt=0.06)
        assert desk.port(2).status is PortStatus.ON
    desk.tick(dt=0.06)
    assert desk.orders.closed == frozenset()
