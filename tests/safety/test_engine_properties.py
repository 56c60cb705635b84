"""What no sequence of inputs can do. The four invariants of the design, over random histories."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

import safety
from safety.hazards import PortInputs
from safety.limits import PortLimits
from safety.port import PortStatus
from safety.reading import MeterReading, Missing, MissingReason
from safety.state import (
    Amend,
    Contact,
    Grant,
    Inputs,
    Plan,
    Release,
    Renew,
    Request,
    Reset,
    Settings,
    State,
)

LIMITS = PortLimits()
SETTINGS = Settings(ports={1: LIMITS, 2: LIMITS}, contacts=(Contact("smoke", "smoke", 0.1),))

PORTS = st.sampled_from([1, 2, 7])
SESSIONS = st.sampled_from(["a", "b", "c", "d"])
REQUESTS = st.one_of(
    st.builds(
        Grant, st.just(0), PORTS, SESSIONS, st.floats(0.01, 100.0), st.builds(Plan, st.none() | st.floats(0.1, 5.0))
    ),
    st.builds(Renew, st.just(0), PORTS, SESSIONS, st.floats(0.01, 100.0)),
    st.builds(
        Amend,
        st.just(0),
        PORTS,
        SESSIONS,
        st.builds(Plan, *[st.none() | st.floats(0.1, 5.0)] * 3, st.booleans()),
    ),
    st.builds(Release, st.just(0), PORTS, SESSIONS, st.sampled_from(["user", "remote", "over_current", "nonsense"])),
    st.builds(Reset, st.just(0), PORTS | st.none()),
)


@dataclass(frozen=True)
class Moment:
    """One tick of a random history."""

    dt: float
    amps: tuple[float, float]
    answered: tuple[bool, bool]
    smoke: bool
    stored: bool
    requests: tuple[Request, ...]


MOMENTS = st.lists(
    st.builds(
        Moment,
        dt=st.sampled_from([0.05, 0.05, 0.2, 0.5, 4.0, 70.0]),
        amps=st.tuples(*[st.sampled_from([0.0, 1.0, 1.0, 6.7, 9.5])] * 2),
        answered=st.tuples(*[st.sampled_from([True, True, True, False])] * 2),
        smoke=st.sampled_from([False] * 15 + [True]),
        stored=st.sampled_from([True] * 9 + [False]),
        requests=st.lists(REQUESTS, max_size=3).map(tuple),
    ),
    max_size=80,
)


def replay(moments: list[Moment]) -> list[tuple[State, State, Inputs, frozenset[int], float]]:
    """Return for every tick: the state before, the state after, the inputs, the closed ports, and the time."""
    state, now, history = safety.initial(SETTINGS), 0.0, []
    known = dict.fromkeys((1, 2), PortInputs(Missing(MissingReason.NEVER_READ, 0.0)))
    for moment in moments:
        now += moment.dt
        for port in (1, 2):
            if moment.answered[port - 1]:
                reading = MeterReading(now, 220.0, moment.amps[port - 1], 100.0, None, now, now)
                known[port] = PortInputs(reading)
            else:
                known[port] = PortInputs(known[port].meter, Missing(MissingReason.TIMEOUT, now))
        inputs = Inputs(dict(known), {"smoke": moment.smoke}, moment.requests, moment.stored)
        after, orders, _ = safety.step(state, inputs, now)
        history.append((state, after, inputs, orders.closed, now))
        state = after
    return history


@settings(max_examples=300, deadline=None)
@given(MOMENTS)
def test_no_history_closes_a_relay_without_lease_and_fresh_reading(moments: list[Moment]) -> None:
    """A closed relay always has a live lease, a fresh reading, a session and a clean cabinet."""
    for _, after, inputs, closed, now in replay(moments):
        for number in closed:
            port, meter = after.ports[number], inputs.ports[number].meter
            assert port.status is PortStatus.ON
            assert port.session is not None
            assert port.lease_until_s > now
            assert isinstance(meter, MeterReading)
            assert meter.age_s(now) <= LIMITS.meter_max_age_s
            assert after.cabinet.latched == ()


@settings(max_examples=300, deadline=None)
@given(MOMENTS)
def test_no_history_closes_a_port_that_was_cut(moments: list[Moment]) -> None:
    """A tripped port stays open until a reset for it; an ended port closes only for another session."""
    for before, after, inputs, closed, _ in replay(moments):
        for number, port in after.ports.items():
            was = before.ports[number]
            if was.status is PortStatus.TRIPPED and port.status is not PortStatus.TRIPPED:
                assert any(isinstance(request, Reset) and request.port == number for request in inputs.requests)
            if was.status is PortStatus.ENDED and port.live:
                assert port.session != was.session
            if number in closed:
                assert port.status is PortStatus.ON


@settings(max_examples=300, deadline=None)
@given(MOMENTS)
def test_at_most_one_relay_closes_per_tick(moments: list[Moment]) -> None:
    """Whatever is asked, closings come one at a time."""
    closed_before: frozenset[int] = frozenset()
    for _, _, _, closed, _ in replay(moments):
        assert len(closed - closed_before) <= 1
        closed_before = closed


@settings(max_examples=300, deadline=None)
@given(MOMENTS, REQUESTS)
def test_a_refusal_leaves_the_state_unchanged(moments: list[Moment], request: Request) -> None:
    """The same tick with and without a refused request ends in the same state."""
    history = replay(moments)
    if not history:
        return
    _, state, inputs, _, now = history[-1]
    asked = Inputs(inputs.ports, inputs.contacts, (request,), inputs.latch_store_ok)
    plain = Inputs(inputs.ports, inputs.contacts, (), inputs.latch_store_ok)
    with_request, orders, _ = safety.step(state, asked, now + 0.05)
    without, _, _ = safety.step(state, plain, now + 0.05)
    if orders.answers[0].code is not None:
        assert with_request == without


PLANS = st.builds(Plan, *[st.none() | st.floats(0.001, 500.0)] * 3, st.booleans(), st.booleans())


@settings(max_examples=100, deadline=None)
@given(MOMENTS, PORTS, SESSIONS, PLANS)
def test_an_amendment_gives_nothing_but_a_plan(moments: list[Moment], port: int, session: str, plan: Plan) -> None:
    """It closes no relay, extends no lease and revives nothing: at most it ends the session it names, for its plan."""
    history = replay(moments)
    if not history:
        return
    _, state, inputs, _, now = history[-1]
    plain = Inputs(inputs.ports, inputs.contacts, (), inputs.latch_store_ok)
    asked = replace(plain, requests=(Amend(1, port, session, plan),))
    amended, orders, _ = safety.step(state, asked, now + 0.05)
    without, _, _ = safety.step(state, plain, now + 0.05)
    assert all(state.ports[number].live for number in orders.closed)
    for number, after in amended.ports.items():
        other = without.ports[number]
        assert (after.session, after.latched, after.lease_until_s) == (
            other.session,
            other.latched,
            other.lease_until_s,
        )
        if number != port:
            assert (after.plan, after.live) == (other.plan, other.live)
        elif after.live is not other.live:
            assert (after.live, after.session, orders.answers[0].code) == (False, session, None)
            assert after.reason in _planned(plan)


def _planned(plan: Plan) -> set[str]:
    """Return the endings that a plan can have."""
    by_energy = "planned_amount" if plan.for_amount else "planned_energy"
    by_clock = "hours_ended" if plan.for_hours else "planned_deadline"
    limits = {by_energy: plan.energy_wh, "planned_duration": plan.duration_s, by_clock: plan.deadline_s}
    return {reason for reason, limit in limits.items() if limit is not None}
