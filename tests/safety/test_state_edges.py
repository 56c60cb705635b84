"""What values hold when nobody said anything."""

from __future__ import annotations

import math

from safety.catalogue_entry import Effect
from safety.circuit import ALWAYS_ON, Circuit
from safety.completion import CompletionLimits
from safety.limits import CabinetLimits
from safety.port import PortStatus
from safety.state import (
    Answer,
    CabinetState,
    Contact,
    Event,
    Grant,
    Inputs,
    Orders,
    Plan,
    PortState,
    Reset,
    RunTest,
    Settings,
)


def test_settings_begin_without_wires() -> None:
    """No contact and no contactor that nobody has wired; ten hours at most; the dead-man output beats."""
    made = Settings({})
    assert (made.cabinet, made.completion) == (CabinetLimits(), CompletionLimits())
    assert made.max_duration_s == 36_000.0
    assert (made.contacts, made.contactor, made.feedback, made.heartbeat) == ((), False, False, True)
    assert (Contact("a", "smoke", 0.1).effect, Contact("a", "smoke", 0.1).ports) == (Effect.CUT, ())


def test_a_port_begins_idle() -> None:
    """No session, no lease, no latch, nothing closed, nothing to read."""
    made = PortState()
    assert made.status is PortStatus.IDLE
    assert (made.findings, made.latched, made.session, made.plan) == ((), None, None, Plan(None, None, None))
    assert (made.lease_until_s, made.armed_at_s, made.sampled_s) == (0.0, 0.0, 0.0)
    assert (made.closed_at_s, made.opened_at_s, made.relay_opened_s) == (None, None, None)
    assert (made.reason, made.detail, made.awaiting_register) == (None, "", False)


def test_a_cabinet_begins_with_nothing_that_stands() -> None:
    """The last closing is longer ago than any stagger, whatever the clock shows."""
    made = CabinetState()
    assert (made.alarm_since_s, made.latched, made.findings, made.standing) == ({}, (), (), ())
    assert (made.cutting, made.inhibiting, made.proof) == ((), (), None)
    assert made.closed_at_s <= -1e9


def test_what_a_tick_is_given_and_gives() -> None:
    """Nothing asked, nothing failed; the heart beats unless a test says otherwise."""
    given = Inputs({})
    assert (given.contacts, given.requests, given.latch_store_ok, given.self_test) == ({}, (), True, ())
    assert (given.cabinet_probe, given.inlet, given.feedback) == (None, None, None)
    orders = Orders(frozenset(), contactor=False)
    assert (orders.heartbeat, orders.answers, orders.read_register) == (True, (), frozenset())
    assert Answer(1) == Answer(1, None, "")
    assert (Grant(1, 1, "s", 60.0).plan, Reset(1, 1).repair, RunTest(1, "relays").port) == (Plan(), "", None)
    told = Event("closed", 1.0)
    assert (told.port, told.session, told.code, told.detail) == (None, None, None, "")
    assert (told.start_energy_wh, told.end_energy_wh) == (None, None)


def test_a_circuit_that_nobody_switches() -> None:
    """For a stored session: closed since ever, always fed, and no neighbours; else nothing is closed."""
    assert Circuit() == Circuit(None, None, -math.inf, None, 0.0)
    assert Circuit(closed_s=-math.inf) == ALWAYS_ON
