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
from pilenode.station.settle import checkpoint, leg_end, measure, settle
from pilenode.station.start_rules import why_not
from pilenode.upstream.facts import (
    Checkpoint,
    EnergyFlag,
    Fact,
    FactKind,
    LegEnded,
    SessionStarted,
    canonical,
)

LEASE_S, CHECKPOINT_S = 60.0, 60.0
STARTED = SessionStarted(
    order="o1",
    port=1,
    source="cli",
    plan=Wish(energy_wh=500),
    tariff=flat_schedule("t1", 520, 300),
    guard_boot="g1",
)
AT = Moment("boot", 5000, 1_800_000_000_000)
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
    return decide({session.session: session}, heard, now=now, at=AT, lease_s=LEASE_S, checkpoint_s=CHECKPOINT_S)


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
    body = settle(session, ending)
    assert (body.energy_wh, body.energy_flag) == (energy_wh, flag)


def test_running_without_a_record_is_released() -> None:
    """Power that nobody has a record of is taken away."""
    decisions = decide({}, news(ON), now=0.0, at=AT, lease_s=LEASE_S, checkpoint_s=CHECKPOINT_S)
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
    assert decisions.slot == int(now // CHECKPOINT_S)


def test_closing_is_made_durable_at_once() -> None:
    """The first snapshot with power is written, whatever the interval; before there is power nothing is."""
    ((session, reading),) = look(FRESH, news(ON)).checkpoints
    body = checkpoint(session, reading)
    assert body == Checkpoint(port=1, start_register_mwh=1_000_000, register_mwh=1_300_000, on_ms=90_000, power_w=200)
    armed = msgspec.structs.replace(IDLE, state="armed", session="s1", lease_left_s=59.0)
    assert look(FRESH, news(armed)).checkpoints == ()


def test_newest_reading_is_remembered_while_it_runs() -> None:
    """Between two checkpoints the newest reading is known, so that a lost guard costs as little as possible."""
    seen = look(RUNNING, news(ON)).sessions["s1"]
    assert seen.reading == Reading(1_000_000, 1_300_000, 90_000, 200)
    (ending,) = look(seen, news(IDLE, boot="g2")).endings
    assert settle(seen, ending).energy_wh == 300


@pytest.mark.parametrize(
    ("start", "end", "last", "powered", "energy_wh", "flag"),
    [
        pytest.param(1000, 2499, None, True, 1, None, id="rounded down"),
        pytest.param(1000, 2500, None, True, 2, None, id="half up"),
        pytest.param(1000, 1000, None, True, 0, None, id="nothing drawn"),
        pytest.param(None, 5000, None, True, 0, EnergyFlag.NO_BASELINE, id="no baseline: not the meter's whole life"),
        pytest.param(None, None, None, True, 0, EnergyFlag.NO_READING, id="nothing known"),
        pytest.param(None, None, None, None, 0, EnergyFlag.NO_READING, id="nothing known, perhaps no power"),
        pytest.param(None, None, None, False, 0, None, id="never had power"),
        pytest.param(None, 9000, (3000, 8000), True, 6, None, id="baseline of the reading"),
        pytest.param(1000, None, (1000, 8400), True, 7, EnergyFlag.LAST_READING, id="no end: last reading"),
        pytest.param(1000, None, (1000, None), True, 0, EnergyFlag.NO_READING, id="no end, no reading"),
        pytest.param(5000, 4999, None, True, 0, EnergyFlag.REGISTER_BACKWARD, id="backward"),
        pytest.param(5000, 0, (5000, 9000), True, 4, EnergyFlag.REGISTER_BACKWARD, id="backward: last reading"),
        pytest.param(5000, 8999, (5000, 9000), True, 4, EnergyFlag.REGISTER_BACKWARD, id="backward within"),
        pytest.param(5000, 9000, (5000, 9000), True, 4, None, id="unchanged since the reading"),
        pytest.param(5000, None, (5000, 4000), True, 0, EnergyFlag.LAST_READING, id="reading below the start"),
    ],
)
def test_energy_is_a_difference_of_registers_or_flagged(
    start: int | None,
    end: int | None,
    last: tuple[int | None, int | None] | None,
    powered: bool | None,  # noqa: FBT001 - a table
    energy_wh: int,
    flag: EnergyFlag | None,
) -> None:
    """Energy is half-up of end minus start; everything else is 0 or the last reading, and says so."""
    ending = Ending("s1", "full", start_register_mwh=start, end_register_mwh=end, powered=powered)
    reading = None if last is None else Reading(*last, on_ms=1000)
    energy_mwh, told = measure(ending, reading)
    assert ((energy_mwh + 500) // 1000, told) == (energy_wh, flag)


REGISTER = st.none() | st.integers(0, 10**10)


@given(REGISTER, REGISTER, st.none() | st.tuples(REGISTER, REGISTER), st.sampled_from([True, False, None]))
def test_energy_is_never_negative_and_never_more_than_was_counted(
    start: int | None,
    end: int | None,
    last: tuple[int | None, int | None] | None,
    powered: bool | None,  # noqa: FBT001 - drawn
) -> None:
    """No sequence of registers bills a negative energy, or more than the widest difference between two of them."""
    reading = None if last is None else Reading(*last, on_ms=1000)
    energy_mwh, flag = measure(
        Ending("s1", "full", start_register_mwh=start, end_register_mwh=end, powered=powered), reading
    )
    known = [value for value in (start, end, *(last or ())) if value is not None]
    assert 0 <= energy_mwh <= (max(known) - min(known) if known else 0)
    if flag is None and powered is not False:
        assert end is not None


def test_settled_session_has_everything_of_the_bill() -> None:
    """One end carries reason, registers, energy, seconds, both fees and the tariff it was started under."""
    (ending,) = look(RUNNING, news(OVER, ended())).endings
    body = settle(RUNNING, ending)
    assert (body.order, body.port, body.reason, body.detail, body.age_ms) == ("o1", 1, "full", "tail", 1250)
    assert (body.start_register_mwh, body.end_register_mwh, body.energy_wh) == (1_000_000, 1_400_600, 401)
    assert (body.electricity_fen, body.service_fen, body.tariff_version) == (21, 12, "t1")
    assert (body.duration_s, body.energy_flag) == (3600, None)


def test_long_words_of_guard_do_not_break_the_record() -> None:
    """Reason and detail are cut to what a body may hold."""
    body = settle(RUNNING, Ending("s1", "r" * 300, "d" * 300, powered=True))
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
        decisions = decide(sessions, news(port, *events, boot=boot), now=now, at=AT, lease_s=60.0, checkpoint_s=60.0)
        after = dict(decisions.sessions)
        for ending in decisions.endings:
            before = sessions[ending.session]
            body = leg_end(before, ending) if ending.cause else settle(before, ending)
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
