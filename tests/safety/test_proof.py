"""Promises of the periodic tests that need the outputs: they prove what they say, and never give a socket power."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from safety.inputs import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.proof import DROP_S, DROPPED_S, READ_S, Phase, Proof, Result, advance, begin
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.state import Event
    from tests.safety.conftest import Desk

T = 1000.0
TICK_S = 0.05
LIMITS = CabinetLimits()
PORT = PortLimits()
NOBODY: frozenset[int] = frozenset()
NEVER = Missing(MissingReason.NEVER_READ, 0.0)


def reading(taken_s: float) -> MeterReading:
    """Return a reading of an idle port."""
    return MeterReading(taken_s, 220.0, 0.0, 0.0)


def go(
    proof: Proof,
    now: float,
    *,
    feedback: bool | None = None,
    ports: Mapping[int, PortInputs] | None = None,
    live: frozenset[int] = NOBODY,
) -> tuple[Proof | None, Result | None]:
    """Advance a test by one tick."""
    known = {1: PortInputs(NEVER)} if ports is None else ports
    return advance(proof, known, live, feedback, LIMITS, dict.fromkeys(known, PORT), now)


def moved(proof: Proof, now: float, *, feedback: bool | None) -> Proof:
    """Advance a test by one tick that does not end it."""
    after, result = go(proof, now, feedback=feedback)
    assert result is None
    assert after is not None
    return after


def test_times_are_those_of_the_manual() -> None:
    """What the manual promises is what the tests use."""
    assert (DROP_S, DROPPED_S, READ_S) == (1.0, 0.1, 20.0)


# -- closing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "next_phase"), [("dead_man", Phase.SILENT), ("relays", Phase.READING)])
@pytest.mark.parametrize("late_s", [-TICK_S, 0.0, TICK_S])
@pytest.mark.parametrize("feedback", [True, None])
def test_a_test_goes_on_when_the_contactor_has_settled(
    kind: str,
    next_phase: Phase,
    late_s: float,
    feedback: bool | None,  # noqa: FBT001 - a table
) -> None:
    """The contactor has to be closed for its settling time; without an auxiliary contact the order counts."""
    proof = begin(kind, T)
    if feedback:
        proof = moved(proof, T, feedback=True)
    after = moved(proof, T + LIMITS.contactor_settle_s + late_s + 1e-9, feedback=feedback)
    assert after.phase is (Phase.CLOSING if late_s < 0 else next_phase)
    if late_s >= 0:
        assert (after.since_s, after.seen_s) == (T + LIMITS.contactor_settle_s + late_s + 1e-9, None)


def test_a_contact_that_bounces_while_closing_has_not_closed() -> None:
    """Settling begins anew with every break of the auxiliary contact."""
    proof = moved(begin("dead_man", T), T, feedback=True)
    proof = moved(proof, T + 0.15, feedback=False)
    proof = moved(proof, T + 0.20, feedback=True)
    assert moved(proof, T + 0.35, feedback=True).phase is Phase.CLOSING
    assert moved(proof, T + 0.40 + 1e-9, feedback=True).phase is Phase.SILENT


@pytest.mark.parametrize("kind", ["dead_man", "relays"])
@pytest.mark.parametrize(("late_s", "ended"), [(-TICK_S, False), (0.0, True), (TICK_S, True)])
def test_a_contactor_that_does_not_close_fails_the_test(kind: str, late_s: float, ended: bool) -> None:  # noqa: FBT001 - a table
    """At the time-out of the auxiliary contact, not a tick earlier, the contactor counts as faulty."""
    after, result = go(begin(kind, T), T + LIMITS.contactor_feedback_s + late_s, feedback=False)
    if not ended:
        assert result is None
        return
    assert after is None
    assert result == Result(ok=False, detail="the contactor did not close", fault="contactor_not_closed")


def test_a_contactor_that_closes_late_is_given_its_settling_time() -> None:
    """Closed just before the time-out: the test goes on with it."""
    proof = moved(begin("relays", T), T + 0.95, feedback=True)
    proof = moved(proof, T + 1.05, feedback=True)
    assert moved(proof, T + 1.16, feedback=True).phase is Phase.READING


# -- silent --------------------------------------------------------------------------------------------------


def silent() -> Proof:
    """Return a dead-man proof whose heartbeat stopped at ``T``."""
    return Proof("dead_man", T - 1.0, Phase.SILENT, T)


@pytest.mark.parametrize("dropped_s", [TICK_S, 0.4, DROP_S - TICK_S, DROP_S])
def test_a_contactor_that_drops_in_time_proves_the_dead_man(dropped_s: float) -> None:
    """Open for two ticks, at the last moment even: proved, with the time it took."""
    proof = moved(silent(), T + dropped_s, feedback=False)
    proof = moved(proof, T + dropped_s + TICK_S, feedback=False)
    after, result = go(proof, T + dropped_s + DROPPED_S + 1e-9, feedback=False)
    assert after is None
    assert result == Result(ok=True, detail=f"dropped after {dropped_s:.2f} s")


@pytest.mark.parametrize(("late_s", "ended"), [(-TICK_S, False), (0.0, True), (TICK_S, True)])
@pytest.mark.parametrize("feedback", [True, None])
def test_a_contactor_that_holds_without_heartbeat_fails(late_s: float, ended: bool, feedback: bool | None) -> None:  # noqa: FBT001 - a table
    """Still closed, or nothing known, after the hold and the release: the dead man has failed."""
    after, result = go(silent(), T + DROP_S + late_s, feedback=feedback)
    if not ended:
        assert result is None
        return
    assert after is None
    assert result is not None
    assert (result.ok, result.fault) == (False, "dead_man_failed")
    assert result.detail == f"still closed after {DROP_S + late_s:.2f} s"


def test_a_contact_that_bounces_has_not_dropped() -> None:
    """One open sample is no drop: closed again, the wait goes on to its end, and the test fails."""
    proof = moved(silent(), T + 0.5, feedback=False)
    proof = moved(proof, T + 0.55, feedback=True)
    proof = moved(proof, T + 0.7, feedback=False)
    proof = moved(proof, T + 0.75, feedback=False)
    _, result = go(proof, T + DROP_S, feedback=True)
    assert result is not None
    assert result.fault == "dead_man_failed"


@pytest.mark.parametrize(("phase", "beats"), [(Phase.CLOSING, True), (Phase.SILENT, False), (Phase.READING, True)])
def test_the_heartbeat_stops_in_the_silent_phase_only(phase: Phase, beats: bool) -> None:  # noqa: FBT001 - a table
    """Everywhere else the dead man is fed."""
    assert replace(begin("dead_man", T), phase=phase).heartbeat is beats


# -- reading -------------------------------------------------------------------------------------------------

AFTER_S = T + PORT.weld_settle_s


def looking() -> Proof:
    """Return a relay proof whose contactor has been closed since ``T``."""
    return Proof("relays", T - 1.0, Phase.READING, T)


def feed(proof: Proof, *taken_s: float, ports: tuple[int, ...] = (1, 2)) -> tuple[Proof | None, Result | None]:
    """Advance a relay proof with one reading after the other on all ``ports``, until it ends."""
    known = {number: PortInputs(reading(T - 5.0)) for number in (1, 2)}
    for at_s in taken_s:
        known |= {number: PortInputs(reading(at_s)) for number in ports}
        after, result = go(proof, at_s, ports=known)
        if after is None:
            return None, result
        proof = after
    return proof, None


@pytest.mark.parametrize(
    ("taken_s", "proved"),
    [
        ((AFTER_S - 0.1, AFTER_S + 0.1), False),
        ((AFTER_S, AFTER_S + 0.1), False),
        ((AFTER_S + 0.1,), False),
        ((AFTER_S + 0.1, AFTER_S + 0.1), False),
        ((AFTER_S + 0.1, AFTER_S + 0.2), True),
    ],
)
def test_relays_are_proved_by_as_many_fresh_readings_as_the_rule_needs(
    taken_s: tuple[float, ...],
    proved: bool,  # noqa: FBT001 - a table
) -> None:
    """Readings from before the settling time, and one reading seen twice, do not count; two are what a weld takes."""
    _, result = feed(looking(), *taken_s)
    assert result == (Result(ok=True, detail="2 ports") if proved else None)


def test_readings_that_were_overtaken_count() -> None:
    """Two readings between two ticks are two readings."""
    port = PortInputs(reading(AFTER_S + 0.2), earlier=(reading(AFTER_S + 0.1),))
    assert go(looking(), AFTER_S + 0.25, ports={1: port}) == (None, Result(ok=True, detail="1 ports"))


def test_every_port_has_to_be_read() -> None:
    """One that was not read is named at the end of the wait, not a tick earlier; nothing is latched for it."""
    proof, _ = feed(looking(), AFTER_S + 0.1, AFTER_S + 0.2, ports=(1,))
    assert proof is not None
    known = {1: PortInputs(reading(AFTER_S + 0.3)), 2: PortInputs(NEVER)}
    assert go(proof, AFTER_S + READ_S - TICK_S, ports=known)[1] is None
    assert go(proof, AFTER_S + READ_S, ports=known) == (None, Result(ok=False, detail="not read: 2"))
    assert go(proof, AFTER_S + READ_S + TICK_S, ports=known)[1] == Result(ok=False, detail="not read: 2")


def test_a_port_that_is_live_fails_the_proof_at_once() -> None:
    """Whatever else has been read: named, and latched by the rules of the port itself."""
    known = {number: PortInputs(reading(T)) for number in (1, 2, 3)}
    for proof in (begin("relays", T), looking()):
        result = go(proof, T + TICK_S, feedback=True, ports=known, live=frozenset({3, 1}))
        assert result == (None, Result(ok=False, detail="live though open: 1, 3"))


# -- through the whole core ----------------------------------------------------------------------------------


def results(desk: Desk) -> list[Event]:
    """Return how tests ended so far."""
    return desk.kinds("tested")


def drive(desk: Desk, seconds: float, *, drop_s: float | None = 0.4) -> list[bool]:
    """Run a contactor that drops ``drop_s`` after the last heartbeat (None: never); return the beats."""
    beats, beaten_s = [], desk.now
    for _ in range(round(seconds / TICK_S)):
        beaten_s = desk.now if desk.orders.heartbeat else beaten_s
        held = drop_s is None or desk.now - beaten_s < drop_s
        desk.feedback = held and desk.orders.contactor
        desk.tick()
        assert desk.orders.closed == frozenset()
        beats.append(desk.orders.heartbeat)
    return beats


def test_the_dead_man_is_proved_without_a_relay_closing(desk: Desk) -> None:
    """Contactor closed, heartbeat stopped, contact seen open: proved; then it stays open and nothing latches."""
    assert desk.test("dead_man") is None
    beats = drive(desk, 10.0)
    (event,) = results(desk)
    assert (event.code, event.ok, event.port) == ("dead_man", True, None)
    assert event.detail.startswith("dropped after 0.4")
    assert 0 < beats.count(False) <= (DROP_S + DROPPED_S) / TICK_S + 1
    assert desk.orders.heartbeat
    assert not desk.orders.contactor
    assert (desk.state.cabinet.latched, desk.kinds("tripped")) == ((), [])


def test_the_contactor_opens_in_the_tick_that_ends_the_proof(desk: Desk) -> None:
    """The heartbeat comes back, so an order that still stood would close it again by itself."""
    desk.test("dead_man")
    while not results(desk):
        drive(desk, TICK_S)
    assert desk.orders.heartbeat
    assert not desk.orders.contactor


def test_a_slow_contactor_is_proved_without_a_false_alarm(desk: Desk) -> None:
    """Closing and dropping as slowly as is allowed is no disagreement of coil and contact afterwards."""
    desk.test("dead_man")
    desk.feedback = False
    for _ in range(16):
        desk.tick()
    drive(desk, 3.0, drop_s=0.9)
    assert [event.ok for event in results(desk)] == [True]
    assert desk.state.cabinet.latched == ()


def test_a_failed_dead_man_needs_a_repair(desk: Desk) -> None:
    """A contactor that holds without heartbeat takes the cabinet out of service until somebody says what was done."""
    desk.test("dead_man")
    drive(desk, 1.9, drop_s=None)
    (event,) = results(desk)
    assert event.ok is False
    assert "dead_man_failed" in desk.state.cabinet.latched
    drive(desk, 3.0)
    assert not desk.orders.contactor
    assert desk.grant(1) == "cabinet_faulty"
    assert desk.test("dead_man") == "cabinet_faulty"
    assert desk.reset(None) == "repair_needed"
    assert desk.reset(None, repair="charge pump replaced") is None
    assert desk.state.cabinet.latched == ()
    assert desk.test("dead_man") is None


def test_a_contactor_that_does_not_close_is_latched(desk: Desk) -> None:
    """A coil that is dead is found by the test instead of by a customer."""
    desk.feedback = False
    desk.test("dead_man")
    desk.run(1.2)
    assert [(event.ok, event.detail) for event in results(desk)] == [(False, "the contactor did not close")]
    assert desk.state.cabinet.latched == ("contactor_not_closed",)
    assert desk.orders.heartbeat


def test_the_relays_are_proved_without_a_relay_closing(desk: Desk) -> None:
    """Contactor closed, every socket seen dead; then open again. The heartbeat never stops."""
    assert desk.test("relays") is None
    for _ in range(100):
        desk.tick()
        assert desk.orders.closed == frozenset()
        assert desk.orders.heartbeat
    assert [(event.code, event.ok, event.detail) for event in results(desk)] == [("relays", True, "2 ports")]
    assert not desk.orders.contactor


def test_a_welded_relay_fails_the_proof_and_is_latched(desk: Desk) -> None:
    """A current with every relay open: the port is named and latched, and the contactor opens."""
    desk.welded, desk.amps = {2}, {2: 1.0}
    desk.test("relays")
    desk.run(5.0)
    assert [(event.ok, event.detail) for event in results(desk)] == [(False, "live though open: 2")]
    assert desk.port(2).latched in ("relay_welded", "load_before_closing")
    assert not desk.orders.contactor


@pytest.mark.parametrize("kind", ["dead_man", "relays"])
def test_nothing_starts_during_a_test(desk: Desk, kind: str) -> None:
    """A grant and a second test are refused; afterwards both go."""
    assert desk.test(kind) is None
    assert desk.grant(1) == "test_running"
    assert desk.answers[desk._tickets].detail == kind
    assert desk.test("relays") == "test_running"
    while not results(desk):
        desk.feedback = None if desk.orders.heartbeat else False
        desk.tick()
    desk.feedback = None
    desk.run(1.0)
    desk.switch_on(1)


def test_a_grant_right_after_the_proof_waits_for_the_contactor(desk: Desk) -> None:
    """What was read while the contactor was dropped does not count as seen dead: it settles anew."""
    desk.test("dead_man")
    while not results(desk):
        desk.feedback = None if desk.orders.heartbeat else False
        desk.tick()
    desk.feedback = None
    assert desk.grant(1, "s") is None
    granted_s = desk.now
    while not desk.orders.closed:
        desk.tick()
    assert desk.now - granted_s >= desk.settings.cabinet.contactor_settle_s - 1e-9


@pytest.mark.parametrize("kind", ["dead_man", "relays"])
def test_an_alarm_cuts_a_test_short(desk: Desk, kind: str) -> None:
    """Smoke opens the contactor and ends the test, without any other latch, and the heartbeat goes on."""
    desk.test(kind)
    desk.contacts["smoke"] = True
    desk.run(0.3)
    assert [(event.ok, event.detail) for event in results(desk)] == [(False, "cut short: smoke")]
    assert desk.state.cabinet.latched == ("smoke",)
    assert not desk.orders.contactor
    assert desk.orders.heartbeat


def test_a_test_is_refused_where_it_cannot_prove_anything(desk: Desk) -> None:
    """Unknown kind, no contactor, no contact, no heartbeat, a port in use: refused, and nothing moves."""
    assert desk.test("rcd") == "malformed"
    settings = desk.settings
    for missing, kind in (
        ({"contactor": False}, "relays"),
        ({"contactor": False}, "dead_man"),
        ({"feedback": False}, "dead_man"),
        ({"heartbeat": False}, "dead_man"),
    ):
        desk.state = replace(desk.state, settings=replace(settings, **missing))  # type: ignore[arg-type]
        assert desk.test(kind) == "not_fitted"
        assert desk.state.cabinet.proof is None
    desk.state = replace(desk.state, settings=settings)
    desk.switch_on(1)
    assert desk.test("relays") == "not_idle"
    desk.release(1)
    desk.run(6.0)
    assert desk.test("relays") is None
