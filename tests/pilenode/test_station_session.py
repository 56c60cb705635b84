"""Promises of the session decisions: renewed in time, settled once, measured by registers, never corrected silently."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.tariff import flat_schedule
from pilenode.ipc.messages import GuardEvent, PortSnapshot, Refused, Snapshot
from pilenode.ipc.wish import Wish
from pilenode.station.entries import SessionFacts
from pilenode.station.follow import END_GRACE_S, Decisions, decide
from pilenode.station.session import Ending, Moment, News, OpenSession, Reading, opened, paused, restore
from pilenode.station.settle import checkpoint, leg_end, settle
from pilenode.station.start_rules import why_not
from pilenode.station.terms import Terms
from pilenode.upstream.facts import (
    Checkpoint,
    EnergyFlag,
    Fact,
    FactKind,
    LegEnded,
    SessionStarted,
    canonical,
)
from tests.pilenode.bills import ANY_POWER

TERMS = Terms(60.0, 60.0, lambda: flat_schedule("t1", 520, 300), ANY_POWER)
COUNTER = ANY_POWER[1]
STARTED = SessionStarted(
    order="o1",
    port=1,
    source="cli",
    plan=Wish(energy_wh=500),
    tariff=flat_schedule("t1", 520, 300),
    tariff_version="t1",
    guard_boot="g1",
)
AT = Moment("boot", 500_000_000, 1_800_000_100_000)
FRESH = opened("s1", STARTED, AT)
RUNNING = replace(FRESH, reading=Reading(1_000_000, 1_200_000, 60_000, 200), slot=1)
IDLE = PortSnapshot(port=1, state="idle", closed=False)
ON = PortSnapshot(
    port=1,
    state="on",
    closed=True,
    session="s1",
    register_mwh=1_300_000,
    start_register_mwh=1_000_000,
    closed_for_s=90.0,
    power_w=199.6,
    lease_left_s=59.0,
)
OVER = msgspec.structs.replace(ON, state="ended", closed=False, reason="full", lease_left_s=None)


def news(port: PortSnapshot | None, *events: GuardEvent, boot: str = "g1") -> News:
    """Return what guard says when that is its port 1."""
    snapshot = Snapshot(
        guard_boot=boot,
        last_event=len(events),
        uptime_s=1.0,
        contactor=True,
        cabinet_faults=[],
        ports=[] if port is None else [port],
    )
    return News(snapshot, events)


def ended(session: str = "s1", **fields: object) -> GuardEvent:
    """Return guard's own word on the end of a session."""
    event = GuardEvent(
        seq=1,
        age_s=1.25,
        kind="ended",
        port=1,
        session=session,
        code="full",
        detail="tail",
        register_mwh=1_400_600,
        start_register_mwh=1_000_000,
        closed_for_s=3599.5,
    )
    return msgspec.structs.replace(event, **fields)


def look(session: OpenSession, heard: News, now: float = 100.0) -> Decisions:
    """Decide about one session."""
    return decide({session.session: session}, heard, now=now, at=AT, terms=TERMS)


@pytest.mark.parametrize(
    ("left_s", "renewed"), [(59.0, False), (40.0, False), (39.99, True), (0.0, True), (None, True)]
)
@pytest.mark.parametrize("state", ["armed", "on"])
def test_lease_is_renewed_after_a_third(state: str, left_s: float | None, renewed: bool) -> None:  # noqa: FBT001 - a table
    """A live session is renewed once two thirds of its lease are left, and nothing else happens to it."""
    decisions = look(RUNNING, news(msgspec.structs.replace(ON, state=state, lease_left_s=left_s)))
    assert decisions.renew == (((1, "s1"),) if renewed else ())
    assert decisions.endings == ()
    assert "s1" in decisions.sessions


@pytest.mark.parametrize("state", ["idle", "ended", "tripped"])
def test_session_that_is_over_is_not_renewed(state: str) -> None:
    """A session that guard shows as over is not renewed, whatever it still shows of it."""
    assert look(RUNNING, news(msgspec.structs.replace(ON, state=state, lease_left_s=1.0))).renew == ()


def test_end_comes_from_guards_own_event() -> None:
    """The end carries guard's reason, its register after opening, and its own count of the time with power."""
    decisions = look(RUNNING, news(OVER, ended()))
    assert decisions.endings == (Ending("s1", "full", "tail", 1250, 1_000_000, 1_400_600, 3_599_500, powered=True),)
    assert decisions.sessions == {}


def test_event_beats_the_snapshot_of_a_live_port() -> None:
    """An end that was told counts although the snapshot, taken a moment before, still shows power."""
    assert len(look(RUNNING, news(ON, ended())).endings) == 1


def test_first_told_end_counts() -> None:
    """Should guard tell two ends of one session, the first one is the end."""
    endings = look(RUNNING, news(OVER, ended(), ended(code="user"))).endings
    assert [ending.reason for ending in endings] == ["full"]


def test_end_of_another_session_ends_nothing() -> None:
    """Events of sessions that are not open are nobody's end."""
    assert look(RUNNING, news(ON, ended("s0"))).endings == ()


@pytest.mark.parametrize(("waited_s", "settled"), [(0.0, False), (END_GRACE_S - 0.01, False), (END_GRACE_S, True)])
def test_snapshot_stands_in_for_an_end_that_was_never_told(waited_s: float, settled: bool) -> None:  # noqa: FBT001 - a table
    """A session that is over is settled from the snapshot only when its event is overdue."""
    seen = look(RUNNING, news(OVER), now=100.0).sessions["s1"]
    decisions = look(seen, news(OVER), now=100.0 + waited_s)
    assert bool(decisions.endings) is settled
    if settled:
        ending = decisions.endings[0]
        assert (ending.reason, ending.end_register_mwh, ending.on_ms) == ("full", 1_300_000, 90_000)
        assert ending.age_ms == END_GRACE_S * 1000


def test_wait_for_the_end_starts_anew_when_it_was_not_over() -> None:
    """A session seen alive again forgets that it was once seen as over."""
    seen = look(RUNNING, news(OVER), now=100.0).sessions["s1"]
    assert look(seen, news(ON), now=101.0).sessions["s1"].over_since_s is None


@pytest.mark.parametrize(
    ("session", "boot", "reason", "energy_wh", "flag", "on_ms"),
    [
        pytest.param(RUNNING, "g2", "guard_restarted", 200, EnergyFlag.LAST_READING, 60_000, id="guard restarted"),
        pytest.param(FRESH, "g2", "guard_restarted", 0, EnergyFlag.NO_READING, None, id="restarted, nothing read"),
        pytest.param(FRESH, "g1", "never_energised", 0, None, None, id="never asked for"),
        pytest.param(RUNNING, "g1", "interrupted", 200, EnergyFlag.LAST_READING, 60_000, id="guard lost it"),
    ],
)
@pytest.mark.parametrize("port", [IDLE, None, msgspec.structs.replace(ON, session="other", lease_left_s=50.0)])
def test_session_that_guard_does_not_know(
    session: OpenSession,
    boot: str,
    reason: str,
    energy_wh: int,
    flag: EnergyFlag | None,
    on_ms: int | None,
    port: PortSnapshot | None,
) -> None:
    """A session unknown to guard is closed with the last known reading and with the reason that is true."""
    (ending,) = look(session, news(port, boot=boot)).endings
    assert (ending.reason, ending.on_ms) == (reason, on_ms)
    body = settle(session, ending, AT, COUNTER)
    assert (body.energy_wh, body.energy_flag) == (energy_wh, flag)


def test_running_without_a_record_is_released() -> None:
    """Power that nobody has a record of is taken away."""
    decisions = decide({}, news(ON), now=0.0, at=AT, terms=TERMS)
    assert decisions.release == ((1, "s1"),)
    assert look(RUNNING, news(ON)).release == ()


def test_abandoned_session_is_released_and_not_renewed() -> None:
    """A session whose start was refused to its customer must not run, even if guard took it after all."""
    decisions = look(replace(FRESH, abandoned=True), news(msgspec.structs.replace(ON, lease_left_s=1.0)))
    assert (decisions.release, decisions.renew) == (((1, "s1"),), ())
    assert decisions.sessions["s1"].abandoned


@pytest.mark.parametrize(("now", "written"), [(60.0, False), (119.9, False), (120.0, True), (59.9, True)])
def test_reading_is_made_durable_once_per_interval(now: float, written: bool) -> None:  # noqa: FBT001 - a table
    """A running session is checkpointed when the common interval has changed, so that all ports share a commit."""
    decisions = look(RUNNING, news(ON), now=now)
    assert bool(decisions.checkpoints) is written
    assert decisions.slot == int(now // TERMS.checkpoint_s)


def test_closing_is_made_durable_at_once() -> None:
    """The first snapshot with power is written, whatever the interval; before there is power nothing is."""
    ((session, reading),) = look(FRESH, news(ON)).checkpoints
    body = checkpoint(session, reading)
    assert (body.port, body.leg, body.start_register_mwh, body.register_mwh) == (1, 1, 1_000_000, 1_300_000)
    assert (body.on_ms, body.power_w, body.count.energy_mwh) == (90_000, 200, 300_000)
    assert [(piece.on_ms, piece.energy_mwh) for piece in body.usage.pieces] == [(90_000, 300_000)]
    armed = msgspec.structs.replace(IDLE, state="armed", session="s1", lease_left_s=59.0)
    assert look(FRESH, news(armed)).checkpoints == ()


def test_newest_reading_is_remembered_while_it_runs() -> None:
    """Between two checkpoints the newest reading is known, so that a lost guard costs as little as possible."""
    seen = look(RUNNING, news(ON)).sessions["s1"]
    assert seen.reading == Reading(1_000_000, 1_300_000, 90_000, 200)
    (ending,) = look(seen, news(IDLE, boot="g2")).endings
    assert settle(seen, ending, AT, COUNTER).energy_wh == 300


REGISTER = st.none() | st.integers(0, 10**10)


def test_settled_session_has_everything_of_the_bill() -> None:
    """One end carries reason, registers, energy, seconds, both fees and the tariff it was started under."""
    (ending,) = look(RUNNING, news(OVER, ended())).endings
    body = settle(RUNNING, ending, AT, COUNTER)
    assert (body.order, body.port, body.reason, body.detail, body.age_ms) == ("o1", 1, "full", "tail", 1250)
    assert (body.start_register_mwh, body.end_register_mwh, body.energy_wh) == (1_000_000, 1_400_600, 401)
    assert (body.electricity_fen, body.service_fen, body.tariff_version) == (21, 12, "t1")
    assert (body.duration_s, body.energy_flag) == (3600, None)


def test_long_words_of_guard_do_not_break_the_record() -> None:
    """Reason and detail are cut to what a body may hold."""
    body = settle(RUNNING, Ending("s1", "r" * 300, "d" * 300, powered=True), AT, COUNTER)
    assert msgspec.json.decode(canonical(body), type=type(body)) == body


@pytest.mark.parametrize(
    "reading", [None, Checkpoint(port=1, start_register_mwh=5, register_mwh=9, on_ms=7, power_w=3)]
)
def test_open_session_is_restored_from_its_facts(reading: Checkpoint | None) -> None:
    """A restarted station knows of a session what the journal knows."""

    def fact(kind: FactKind, body: SessionStarted | Checkpoint) -> Fact:
        return Fact(
            seq=1,
            boot="b",
            boottime_ms=0,
            wall_ms=0,
            clock="none",
            kind=kind,
            session="s1",
            body=msgspec.Raw(canonical(body)),
            hash="0" * 64,
        )

    durable = None if reading is None else fact(FactKind.CHECKPOINT, reading)
    session = restore(SessionFacts(fact(FactKind.SESSION_STARTED, STARTED), durable, None))
    assert session.started == STARTED
    assert session.reading == (None if reading is None else Reading(5, 9, 7, 3))


@pytest.mark.parametrize(
    ("port", "faults", "taken", "code"),
    [
        pytest.param(IDLE, [], False, None, id="idle"),
        pytest.param(msgspec.structs.replace(OVER), [], False, None, id="last one over"),
        pytest.param(None, [], False, "unknown_port", id="unknown"),
        pytest.param(IDLE, [], True, "port_busy", id="a session is not settled yet"),
        pytest.param(ON, [], False, "port_busy", id="runs"),
        pytest.param(msgspec.structs.replace(ON, state="armed"), [], False, "port_busy", id="about to run"),
        pytest.param(IDLE, ["smoke"], False, "cabinet_faulty", id="cabinet"),
        pytest.param(IDLE, ["cabinet_temperature_warning", "door_open"], False, None, id="only told"),
        pytest.param(IDLE, ["door_open", "cabinet_temperature_high"], False, "cabinet_faulty", id="inhibits"),
        pytest.param(IDLE, ["of_a_newer_guard"], False, "cabinet_faulty", id="not known"),
        pytest.param(
            msgspec.structs.replace(IDLE, state="tripped", reason="over_current"),
            [],
            False,
            "port_faulty",
            id="latched",
        ),
        pytest.param(
            msgspec.structs.replace(IDLE, findings=["meter_lost"]), [], False, "port_faulty", id="standing fault"
        ),
        pytest.param(msgspec.structs.replace(IDLE, findings=["temperature_warning"]), [], False, None, id="harmless"),
    ],
)
def test_start_is_refused_before_anything_is_promised(
    port: PortSnapshot | None,
    faults: list[str],
    taken: bool,  # noqa: FBT001 - a table
    code: str | None,
) -> None:
    """A port that is unknown, taken or faulty is refused with the code that says so."""
    snapshot = msgspec.structs.replace(news(port).snapshot, cabinet_faults=faults)
    refusal = why_not(1, snapshot, taken=taken)
    assert (refusal.code if isinstance(refusal, Refused) else None) == code


def test_nothing_starts_while_guard_tests_the_cabinet() -> None:
    """Refused before anything is promised, with the test that runs; it takes seconds."""
    snapshot = news(IDLE).snapshot
    running = msgspec.structs.replace(snapshot, test_running="relays")
    assert why_not(1, snapshot, taken=False) is None
    assert why_not(1, running, taken=False) == Refused(code="test_running", detail="relays")


STATES = st.sampled_from(["idle", "armed", "on", "ended", "tripped"])
PORTS = st.builds(
    PortSnapshot,
    port=st.just(1),
    state=STATES,
    closed=st.booleans(),
    session=st.sampled_from([None, "s1", "s2"]),
    reason=st.sampled_from([None, "full"]),
    register_mwh=REGISTER,
    start_register_mwh=REGISTER,
    closed_for_s=st.none() | st.floats(0, 1e5),
    lease_left_s=st.none() | st.floats(0, 60),
)
HEARD = st.tuples(PORTS, st.booleans(), st.sampled_from(["g1", "g1", "g1", "g2"]), st.floats(0, 30, allow_nan=False))


@given(st.lists(HEARD, min_size=1, max_size=30))
def test_whatever_guard_says_a_session_ends_at_most_once_and_is_never_lost(
    heard: list[tuple[PortSnapshot, bool, str, float]],
) -> None:
    """Through any sequence of answers a session is either still open or has exactly one end, which can be written."""
    sessions: dict[str, OpenSession] = {"s1": FRESH}
    now, endings = 0.0, 0
    for port, told, boot, step_s in heard:
        now += step_s
        events = (ended(),) if told else ()
        decisions = decide(sessions, news(port, *events, boot=boot), now=now, at=AT, terms=TERMS)
        after = dict(decisions.sessions)
        for ending in decisions.endings:
            before = sessions[ending.session]
            body = (leg_end if ending.cause else settle)(before, ending, AT, COUNTER)
            assert msgspec.json.decode(canonical(body), type=type(body)) == body
            if isinstance(body, LegEnded):
                after[ending.session] = paused(before, body, AT)
            else:
                endings += 1
        live = port.state in ("armed", "on") and port.session is not None
        for target in (*decisions.renew, *decisions.release):
            assert live
            assert target == (1, port.session)
        sessions = after
    assert endings + len(sessions) == 1
