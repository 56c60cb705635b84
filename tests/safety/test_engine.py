"""The engine: what one tick does with a port, a lease, a fault and a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import safety
from safety.catalogue import CATALOGUE
from safety.hazards import PortInputs
from safety.port import PortStatus
from safety.reading import MeterReading, Missing, MissingReason
from safety.state import Grant, Inputs, Plan

if TYPE_CHECKING:
    from tests.safety.conftest import Desk


def test_nothing_is_closed_without_a_grant(desk: Desk) -> None:
    """A cabinet that was only switched on gives no power."""
    desk.run(5.0)
    assert desk.orders.closed == frozenset()
    assert not desk.orders.contactor


def test_a_granted_port_closes_after_the_contactor_has_settled(desk: Desk) -> None:
    """The contactor closes first and without load; the relay follows after the settle time."""
    assert desk.grant(1) is None
    assert desk.orders.contactor
    assert desk.orders.closed == frozenset()
    granted = desk.now
    while not desk.orders.closed:
        desk.tick()
    assert desk.orders.closed == {1}
    assert desk.now - granted >= desk.settings.cabinet.contactor_settle_s - 1e-9
    closed = desk.kinds("closed")[0]
    assert (closed.port, closed.session, closed.start_energy_wh) == (1, "s", 500.0)


def test_two_ports_never_close_in_one_tick(desk: Desk) -> None:
    """Closings are staggered: two inrush currents never meet."""
    desk.tick(Grant(101, 1, "a", 60.0), Grant(102, 2, "b", 60.0))
    times: dict[int, float] = {}
    for _ in range(40):
        desk.tick()
        times |= {port: desk.now for port in desk.orders.closed if port not in times}
    assert abs(times[1] - times[2]) >= desk.settings.cabinet.close_stagger_s - 1e-9


def test_the_port_that_waits_longest_closes_first(desk: Desk) -> None:
    """Closing goes by waiting time, not by port number."""
    desk.grant(2, "b")
    desk.grant(1, "a")
    while not desk.orders.closed:
        desk.tick()
    assert desk.orders.closed == {2}


def test_the_contactor_opens_after_its_hold_when_no_port_is_live(desk: Desk) -> None:
    """Idle sockets are dead on two poles."""
    desk.switch_on(1)
    desk.release(1)
    desk.run(desk.settings.cabinet.contactor_hold_s - 0.2)
    assert desk.orders.contactor
    desk.run(0.4)
    assert not desk.orders.contactor


@pytest.mark.parametrize("late_s", [-0.05, 0.0, 0.05])
def test_a_lease_ends_on_time(desk: Desk, late_s: float) -> None:
    """Silence means off: without a renewal the relay is open at the end of the lease, not a tick later."""
    desk.switch_on(1, ttl_s=10.0)
    until = desk.port(1).lease_until_s
    desk.now = until + late_s - 0.05
    desk.tick()
    assert (1 in desk.orders.closed) is (late_s < 0)


def test_a_lease_ends_an_armed_port_too(desk: Desk) -> None:
    """A grant that never came to close does not wait for ever."""
    desk.latch_store_ok = True
    desk.grant(1, ttl_s=0.06)
    desk.run(0.2)
    assert desk.port(1).reason == "lease_expired"
    assert desk.orders.closed == frozenset()


def test_a_renewed_lease_goes_on(desk: Desk) -> None:
    """A living station keeps its sessions."""
    desk.switch_on(1, ttl_s=2.0)
    for _ in range(10):
        desk.run(1.0)
        assert desk.renew(1, ttl_s=2.0) is None
    assert desk.orders.closed == {1}


def test_a_lease_is_clamped(desk: Desk) -> None:
    """Nobody can ask for a lease longer than guard's own limit."""
    desk.grant(1, ttl_s=3600.0)
    assert desk.port(1).lease_until_s - desk.now <= desk.settings.cabinet.lease_max_s


def test_over_current_opens_latches_and_tells(desk: Desk) -> None:
    """Two samples over the fast stage: relay open, port latched, session ended with the reason."""
    desk.switch_on(1)
    desk.amps[1] = 9.5
    desk.tick()
    assert desk.orders.closed == {1}
    desk.tick()
    assert desk.orders.closed == frozenset()
    assert desk.port(1).status is PortStatus.TRIPPED
    desk.run(0.2)
    assert [event.code for event in desk.kinds("tripped")] == ["over_current"]
    ended = desk.kinds("ended")[0]
    assert (ended.port, ended.session, ended.code) == (1, "s", "over_current")


def test_a_tripped_port_needs_a_reset_and_a_new_session(desk: Desk) -> None:
    """After a trip nothing but a reset helps, and the old session never gets power again."""
    desk.switch_on(1)
    desk.amps[1] = 9.5
    desk.run(1.0)
    desk.amps[1] = 1.0
    assert desk.grant(1, "t") == "port_faulty"
    assert desk.renew(1) == "session_ended"
    assert desk.reset(1) is None
    assert desk.grant(1, "s") == "session_ended"
    desk.switch_on(1, "t")


def test_a_fault_of_one_port_leaves_the_other_alone(desk: Desk) -> None:
    """A trip is the port's own business."""
    desk.switch_on(1, "a")
    desk.switch_on(2, "b")
    desk.amps[1] = 9.5
    desk.run(1.0)
    assert desk.orders.closed == {2}


def test_a_lost_meter_opens_without_latching(desk: Desk) -> None:
    """No fresh reading: off; when the meter is back a new start is possible, but nothing closes by itself."""
    desk.switch_on(1)
    desk.silent.add(1)
    desk.run(3.0)
    assert desk.orders.closed == {1}
    desk.run(0.15)
    assert desk.orders.closed == frozenset()
    assert (desk.port(1).reason, desk.port(1).detail) == ("meter_lost", "timeout")
    assert desk.grant(1, "t") == "port_busy"  # the end of the last session is still being told
    desk.run(10.0)
    assert desk.grant(1, "t") == "port_faulty"
    desk.silent.clear()
    desk.run(10.0)
    assert desk.orders.closed == frozenset()
    desk.switch_on(1, "t")


def test_heat_opens_and_latches(desk: Desk) -> None:
    """80 °C for 10 s."""
    desk.celsius[1] = 25.0
    desk.run(1.0)
    desk.switch_on(1)
    desk.celsius[1] = 80.0
    desk.run(9.9)
    assert desk.orders.closed == {1}
    desk.run(0.2)
    assert desk.port(1).latched == "over_temperature"
    desk.celsius[1] = 60.0
    desk.tick()
    assert desk.reset(1) == "cause_present"
    desk.celsius[1] = 54.0
    desk.tick()
    assert desk.reset(1) is None


def test_a_warm_port_takes_no_new_session_but_keeps_its_own(desk: Desk) -> None:
    """70 °C inhibits; it does not cut."""
    desk.celsius[1] = 72.0
    desk.tick()
    assert desk.grant(1) == "port_faulty"
    desk.celsius[1] = 25.0
    desk.run(1.0)
    desk.switch_on(1)
    desk.celsius[1] = 72.0
    desk.run(20.0)
    assert desk.orders.closed == {1}


@pytest.mark.parametrize(("name", "code", "dwell_s"), [("smoke", "smoke", 0.1), ("button", "estop", 0.0)])
def test_an_external_alarm_cuts_everything_and_latches_the_cabinet(
    desk: Desk, name: str, code: str, dwell_s: float
) -> None:
    """Smoke or E-stop: every relay and the contactor open, and nothing closes until the cabinet is reset."""
    desk.switch_on(1, "a")
    desk.switch_on(2, "b")
    desk.contacts[name] = True
    start = desk.now
    while desk.orders.closed:
        desk.tick()
    assert desk.now - start <= dwell_s + 0.1 + 1e-9
    assert not desk.orders.contactor
    assert desk.grant(1, "c") == "cabinet_faulty"
    assert desk.reset(None) == "cause_present"
    desk.contacts[name] = False
    desk.run(1.0)
    assert desk.grant(1, "c") == "cabinet_faulty"
    assert desk.reset(None) is None
    desk.switch_on(1, "c")
    assert {event.code for event in desk.kinds("ended")} == {code}


def test_a_contact_that_bounces_shorter_than_its_debounce_is_no_alarm(desk: Desk) -> None:
    """A bounce of one tick cuts nobody's session."""
    desk.switch_on(1)
    for _ in range(20):
        desk.contacts["smoke"] = True
        desk.tick()
        desk.contacts["smoke"] = False
        desk.tick()
    assert desk.orders.closed == {1}


def test_a_contact_that_does_not_report_is_an_alarm(desk: Desk) -> None:
    """A missing input is not a healthy one."""
    desk.switch_on(1)
    del desk.contacts["smoke"]
    desk.run(0.3)
    assert desk.orders.closed == frozenset()


def test_a_latch_that_cannot_be_stored_blocks_new_closings_only(desk: Desk) -> None:
    """Disk trouble never cuts a session and never lets a new one begin."""
    desk.switch_on(1, "a")
    desk.latch_store_ok = False
    desk.run(1.0)
    assert desk.orders.closed == {1}
    assert desk.grant(2, "b") == "cabinet_faulty"
    desk.latch_store_ok = True
    desk.tick()
    desk.switch_on(2, "b")


def test_planned_energy_counts_from_closing(desk: Desk) -> None:
    """The register at closing is the zero of the session."""
    desk.wh[1] = 123_456.7
    desk.switch_on(1, plan=Plan(energy_wh=10.0))
    desk.wh[1] += 9.9
    desk.run(0.5)
    assert desk.orders.closed == {1}
    desk.wh[1] += 0.1
    desk.run(0.2)
    assert desk.port(1).reason == "planned_energy"
    ended = desk.kinds("ended")[0]
    assert ended.end_energy_wh is not None
    assert ended.start_energy_wh is not None
    assert ended.end_energy_wh - ended.start_energy_wh == pytest.approx(10.0)


@pytest.mark.parametrize(("seconds", "closed"), [(19.9, True), (20.05, False)])
def test_planned_duration(desk: Desk, seconds: float, *, closed: bool) -> None:
    """The plan is held by guard, so it ends the session with or without a station."""
    desk.amps[1] = 1.0
    desk.switch_on(1, plan=Plan(duration_s=20.0))
    desk.run(seconds)
    assert bool(desk.orders.closed) is closed
    assert closed or desk.port(1).reason == "planned_duration"


@pytest.mark.parametrize(("seconds", "on"), [(9.9, True), (10.05, False)])
def test_a_deadline_counts_from_the_grant(desk: Desk, seconds: float, *, on: bool) -> None:
    """Guard needs no clock for it, and a port that waits for its turn does not get more time."""
    desk.amps[1] = 1.0
    granted_s = desk.now + 0.05
    desk.switch_on(1, plan=Plan(deadline_s=10.0))
    desk.run(granted_s + seconds - desk.now)
    assert (desk.port(1).status is PortStatus.ON) is on
    assert on or desk.port(1).reason == "planned_deadline"


def test_a_deadline_ends_a_port_that_never_closed(desk: Desk) -> None:
    """Waiting for the contactor is no reason to charge after the planned time."""
    desk.silent = {1}
    assert desk.grant(1, plan=Plan(deadline_s=1.0)) is None
    desk.run(1.1)
    assert desk.port(1).reason == "planned_deadline"


def test_a_session_never_outlives_the_longest_duration(desk: Desk) -> None:
    """A plan cannot ask for more than the hard limit."""
    desk.amps[1] = 1.0
    desk.switch_on(1, plan=Plan(duration_s=1e9))
    desk.now += desk.settings.max_duration_s - 1.0
    desk.renew(1)
    assert desk.port(1).status is PortStatus.ENDED or desk.orders.closed == {1}
    desk.now += 1.0
    desk.tick()
    assert desk.orders.closed == frozenset()


@pytest.mark.parametrize(
    ("session", "reason", "code"),
    [
        ("s", "user", None),
        ("old", "user", "wrong_session"),
        ("s", "over_current", "malformed"),
        ("s", "x", "malformed"),
    ],
)
def test_a_stop_carries_its_session_and_a_reason_of_the_catalogue(
    desk: Desk, session: str, reason: str, code: str | None
) -> None:
    """A stop for an older session does not end a newer one."""
    desk.switch_on(1)
    assert desk.release(1, session, reason) == code
    assert (1 in desk.orders.closed) is (code is not None)


def test_a_repeated_grant_of_a_running_session_is_a_renewal(desk: Desk) -> None:
    """A grant whose answer was lost can be asked again without harm."""
    desk.switch_on(1, ttl_s=5.0)
    desk.run(2.0)
    assert desk.grant(1, "s", ttl_s=5.0) is None
    assert len(desk.kinds("closed")) == 1
    assert desk.port(1).lease_until_s == pytest.approx(desk.now + 5.0)


def test_a_session_is_on_one_port_only(desk: Desk) -> None:
    """The same session id on another port is refused."""
    desk.switch_on(1, "a")
    assert desk.grant(2, "a") == "session_ended"


def test_a_busy_port_refuses_a_second_session(desk: Desk) -> None:
    """First come, first served."""
    desk.switch_on(1, "a")
    assert desk.grant(1, "b") == "port_busy"
    assert desk.port(1).session == "a"


def test_an_unknown_port_is_refused(desk: Desk) -> None:
    """There is no port 9."""
    assert desk.grant(9) == "unknown_port"


def test_the_end_is_told_with_a_register_read_after_opening(desk: Desk) -> None:
    """What is billed is the counter after the relay opened, not a reading from before."""
    desk.switch_on(1)
    desk.wh[1] = 501.0
    desk.tick()
    desk.silent.add(1)
    assert desk.release(1) is None
    assert desk.orders.read_register == {1}
    desk.run(1.0)
    assert desk.kinds("ended") == []
    desk.silent.clear()
    desk.wh[1] = 502.5
    desk.tick()
    assert desk.kinds("ended")[0].end_energy_wh == 502.5
    assert desk.orders.read_register == frozenset()


def test_a_register_that_cannot_be_read_does_not_hold_up_the_end(desk: Desk) -> None:
    """A dead meter gives its last register after a bounded wait."""
    desk.switch_on(1)
    desk.silent.add(1)
    desk.release(1)
    desk.run(5.2)
    assert desk.kinds("ended")[0].end_energy_wh == 500.0


def test_what_was_latched_stays_latched_after_a_restart(desk: Desk) -> None:
    """A restart is not a reset."""
    state = safety.initial(desk.settings, {1: "over_current"}, ("smoke",))
    assert state.ports[1].status is PortStatus.TRIPPED
    desk.state = state
    assert desk.grant(2) == "cabinet_faulty"
    assert desk.reset(None) is None
    assert desk.grant(1) == "port_faulty"
    assert desk.grant(2) is None


@pytest.mark.parametrize(("failed", "code"), [(False, "starting_up"), (True, "port_faulty")])
def test_nothing_closes_before_its_meter_has_reported(desk: Desk, code: str, *, failed: bool) -> None:
    """A meter not asked yet: starting up. A meter that was asked and did not answer: faulty."""
    never = Missing(MissingReason.NEVER_READ, desk.now)
    error = Missing(MissingReason.TIMEOUT, desk.now) if failed else None
    inputs = dict.fromkeys((1, 2), PortInputs(never, meter_error=error))
    healthy = dict.fromkeys(desk.contacts, False)
    state = safety.initial(desk.settings)
    _, orders, _ = safety.step(state, Inputs(inputs, healthy, (Grant(1, 1, "s", 60.0),)), desk.now)
    assert orders.answers[0].code == code


def test_a_probe_not_read_yet_is_starting_up(desk: Desk) -> None:
    """A port with a probe waits for its first temperature."""
    reading = MeterReading(desk.now, 220.0, 0.0, 0.0, None, 1.0, desk.now)
    inputs = dict.fromkeys((1, 2), PortInputs(reading, probe=Missing(MissingReason.NEVER_READ, desk.now)))
    healthy = dict.fromkeys(desk.contacts, False)
    state = safety.initial(desk.settings)
    _, orders, _ = safety.step(state, Inputs(inputs, healthy, (Grant(1, 1, "s", 60.0),)), desk.now)
    assert orders.answers[0].code == "starting_up"


def test_a_reading_without_register_is_starting_up(desk: Desk) -> None:
    """No baseline, no session: energy could not be told."""
    inputs = dict.fromkeys((1, 2), PortInputs(MeterReading(desk.now, 220.0, 0.0, 0.0)))
    healthy = dict.fromkeys(desk.contacts, False)
    state = safety.initial(desk.settings)
    _, orders, _ = safety.step(state, Inputs(inputs, healthy, (Grant(1, 1, "s", 60.0),)), desk.now)
    assert orders.answers[0].code == "starting_up"


@pytest.mark.parametrize("port", [1, None])
def test_there_must_be_something_to_reset(desk: Desk, port: int | None) -> None:
    """A reset without a latch is refused, so that a typing error is noticed."""
    assert desk.reset(port) == "nothing_latched"


def test_findings_are_told_when_they_come_and_when_they_go(desk: Desk) -> None:
    """One event each way, not one per tick."""
    desk.silent.add(2)
    desk.run(5.0)
    desk.silent.clear()
    desk.run(1.0)
    told = [(event.kind, event.code) for event in desk.events if event.port == 2]
    assert told[-2:] == [("finding", "meter_lost"), ("cleared", "meter_lost")]
    assert told.count(("finding", "meter_lost")) == 1


def test_every_code_that_the_core_can_say_is_in_the_catalogue(desk: Desk) -> None:
    """No person ever meets a code without words."""
    desk.switch_on(1)
    desk.amps[1] = 9.5
    desk.run(1.0)
    desk.contacts["smoke"] = True
    desk.run(1.0)
    assert all(event.code in CATALOGUE for event in desk.events if event.code is not None)


def test_worn_contacts_are_told_and_cut_nothing(desk: Desk) -> None:
    """A relay's at its port, the contactor's at the cabinet; sessions run and start; each is told once."""
    desk.worn, desk.self_test = {1}, ("contactor_worn",)
    desk.switch_on(1)
    assert desk.port(1).findings == ("relay_worn",)
    assert desk.state.cabinet.findings == ("contactor_worn",)
    assert (desk.state.cabinet.inhibiting, desk.port(2).findings) == ((), ())
    assert [(event.port, event.code) for event in desk.kinds("finding")] == [
        (1, "relay_worn"),
        (None, "contactor_worn"),
    ]
    assert desk.grant(2, "b") is None


def test_the_record_of_a_replacement_is_an_event(desk: Desk) -> None:
    """With what was done: whoever counts begins anew. Without a repair there is nothing to reset."""
    desk.worn, desk.self_test = {1}, ("contactor_worn",)
    desk.run(0.1)
    assert desk.reset(1) == "nothing_latched"
    assert desk.reset(1, "relay K1 replaced") is None
    assert desk.reset(None, "contactor replaced") is None
    assert [(event.port, event.code, event.detail) for event in desk.kinds("cleared")] == [
        (1, "relay_worn", "relay K1 replaced"),
        (None, "contactor_worn", "contactor replaced"),
    ]


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(energy_wh=30.1), None),
        (Plan(energy_wh=30.0), "planned_energy"),
        (Plan(energy_wh=0.001), "planned_energy"),
        (Plan(energy_wh=30.0, for_amount=True), "planned_amount"),
        (Plan(duration_s=11.0), None),
        (Plan(duration_s=9.0), "planned_duration"),
        (Plan(deadline_s=0.01), None),
        (Plan(), None),
    ],
)
def test_an_amendment_at_or_below_what_is_used_ends_in_the_same_tick(
    desk: Desk, plan: Plan, reason: str | None
) -> None:
    """30 Wh and 10 s after the closing; the deadline is new, so nothing of it is used."""
    desk.amps[1] = 1.0
    desk.switch_on(1, plan=Plan(energy_wh=1000.0))
    desk.run(10.0)
    desk.wh[1] = 530.0
    desk.tick()
    lease_until_s = desk.port(1).lease_until_s
    assert desk.amend(1, plan) is None
    assert (1 in desk.orders.closed) is (reason is None)
    assert (desk.port(1).reason, desk.port(1).lease_until_s) == (reason, lease_until_s)
    assert [event.code for event in desk.kinds("opened")] == ([] if reason is None else [reason])


def test_an_amended_deadline_counts_from_the_amendment(desk: Desk) -> None:
    """However long the session has run: two seconds from now are two seconds from now."""
    desk.switch_on(1, ttl_s=60.0, plan=Plan(deadline_s=10.0))
    desk.run(8.0)
    assert desk.amend(1, Plan(deadline_s=4.0)) is None
    desk.run(3.9)
    assert desk.port(1).live
    desk.run(0.2)
    assert desk.port(1).reason == "planned_deadline"
    assert desk.amend(1, Plan(deadline_s=100.0)) == "session_ended"
    desk.run(1.0)
    assert desk.orders.closed == frozenset()


def test_a_waiting_session_can_be_amended(desk: Desk) -> None:
    """Before its relay closes nothing is used; the new plan holds once it is on."""
    desk.tick(Grant(desk.ticket(), 1, "s", 60.0, Plan(energy_wh=5.0)))
    assert desk.amend(1, Plan(duration_s=3.0)) is None
    desk.run(1.0)
    assert desk.orders.closed == {1}
    desk.wh[1] = 600.0
    desk.run(1.5)
    assert desk.orders.closed == {1}
    desk.run(1.0)
    assert desk.port(1).reason == "planned_duration"
