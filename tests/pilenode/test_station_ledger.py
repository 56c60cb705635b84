"""Promises of the ledger: every problem is one entry that somebody closes, and lateness is never guessed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.ipc.acts import Inspect, UpdateEntry
from pilenode.ipc.messages import LedgerShown, Refused
from pilenode.station.desk import Who
from pilenode.station.ledger import KINDS, Ledger, Policy, matters
from pilenode.station.ledger_desk import LedgerDesk
from pilenode.station.ledger_entry import (
    DAY_MS,
    MAX_HISTORY,
    Entry,
    EntryKind,
    Late,
    State,
    as_of,
    entry_id,
    late,
    seq_of,
)
from pilenode.station.ledger_records import Records
from pilenode.upstream.facts import EnergyFlag, FactKind, FaultReset, PeriodicResult, SessionEnded
from pilenode.upstream.facts_ledger import Inspected, LedgerUpdated, LockLifted, LockSet
from tests.pilenode.ledger_models import LOG_ID, MORNING_MS, PORTS, Log, ended, fault, stamp

CLI = Who("cli", "uid 1000: cli:li")
POLICY = Policy(serious_days=3, normal_days=7, responsible="Wang", contingency="close the port")


def read(log: Log, policy: Policy = POLICY) -> list[Entry]:
    """Return the entries of a log."""
    ledger = Ledger(policy)
    for fact in log.facts:
        ledger.take(fact)
    return [*ledger.entries.values()]


def only(log: Log) -> Entry:
    """Return the one entry of a log."""
    (entry,) = read(log)
    return entry


def inspected(what: str, *, ok: bool, port: int | None = None) -> Inspected:
    """Return the body of an inspection."""
    return Inspected(what=what, ok=ok, inspector="Chen", detail="cleared" if ok else "boxes", port=port, source="cli")


def lock_set(kind: str = "lockout", until_ms: int | None = None) -> LockSet:
    """Return the body of a lock."""
    return LockSet(
        lock="l-1", port=2, lock_kind=kind, authority="Fire", reason="wires", until_ms=until_ms, source="upstream"
    )


def test_a_latched_fault_is_an_entry_with_a_deadline() -> None:
    """When, where, what, who answers, what is done meanwhile; the age of the event counts."""
    log = Log()
    log.add(FactKind.FAULT_LATCHED, fault("over_current", 3, age_ms=500, detail="7.4 A"))
    entry = only(log)
    assert (entry.seq, entry.kind, entry.code, entry.port, entry.detail) == (
        1,
        EntryKind.FAULT,
        "over_current",
        3,
        "7.4 A",
    )
    assert (entry.found_ms, entry.clock, entry.serious) == (MORNING_MS - 500, "ntp", True)
    assert entry.due_ms == MORNING_MS - 500 + 3 * DAY_MS
    assert (entry.responsible, entry.contingency, entry.state) == ("Wang", "close the port", State.OPEN)
    assert [(step.what, step.text) for step in entry.history] == [("found", "7.4 A")]


def test_the_same_fault_again_counts_and_another_port_is_another_entry() -> None:
    """Until it is closed; after that it is a new entry."""
    log = Log()
    for wall_ms in (MORNING_MS, MORNING_MS + 5, MORNING_MS + 9):
        log.add(FactKind.FAULT_FOUND, fault("meter_lost", 1), wall_ms)
    log.add(FactKind.FAULT_FOUND, fault("meter_lost", 2))
    first, second = read(log)
    assert (first.count, first.found_ms, first.last_ms, second.count) == (3, MORNING_MS, MORNING_MS + 9, 1)
    assert first.due_ms == MORNING_MS + 7 * DAY_MS
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, state="closed", measure="new wire", source="cli"))
    log.add(FactKind.FAULT_FOUND, fault("meter_lost", 1))
    assert [(entry.seq, entry.count, entry.state) for entry in read(log)] == [
        (1, 3, State.CLOSED),
        (4, 1, State.OPEN),
        (6, 1, State.OPEN),
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("meter_lost", True),
        ("temperature_high", True),
        ("relay_worn", True),
        ("contactor_worn", True),
        ("meter_stuck", True),
        ("not_known_yet", True),
        ("temperature_warning", False),
        ("door_open", False),
        ("never_draws", False),
        ("supply_lost", False),
        ("cabinet_overload", False),
    ],
)
def test_which_faults_that_do_not_latch_matter(code: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """What keeps a port from its work, wears out or is unknown; neither mere words nor the supply's doings."""
    assert matters(code) is expected
    log = Log()
    log.add(FactKind.FAULT_FOUND, fault(code))
    assert bool(read(log)) is expected
    log.add(FactKind.FAULT_LATCHED, fault(code, event=2))
    assert len(read(log)) == 1


def test_a_fault_that_goes_away_stays_in_the_ledger() -> None:
    """Somebody has to look; the entry only says that it does not stand any more."""
    log = Log()
    log.add(FactKind.FAULT_FOUND, fault("probe_fault"))
    log.add(FactKind.FAULT_CLEARED, fault("probe_fault", event=2))
    assert (only(log).state, only(log).standing) == (State.OPEN, False)
    log.add(FactKind.FAULT_FOUND, fault("probe_fault", event=3))
    assert (only(log).standing, only(log).count) == (True, 2)


@pytest.mark.parametrize(
    ("port", "repair", "state", "steps"),
    [
        (1, "new socket", State.CLOSED, ["found", "repaired"]),
        (1, "", State.OPEN, ["found", "reset"]),
        (2, "new socket", State.OPEN, ["found"]),
        (None, "new socket", State.OPEN, ["found"]),
    ],
)
def test_a_reset_with_a_record_of_the_repair_closes_what_was_latched_there(
    port: int | None, repair: str, state: State, steps: list[str]
) -> None:
    """Without one it is only noted; other places are not touched."""
    log = Log()
    log.add(FactKind.FAULT_LATCHED, fault("relay_welded", 1))
    log.add(FactKind.FAULT_FOUND, fault("meter_lost", 1, event=2))
    log.add(FactKind.FAULT_RESET, FaultReset(port=port, by="li", repair=repair), MORNING_MS + 7)
    welded, lost = read(log)
    assert (welded.state, [step.what for step in welded.history]) == (state, steps)
    assert (lost.state, len(lost.history)) == (State.OPEN, 1)
    if state is State.CLOSED:
        assert (welded.measure, welded.closed_ms, welded.standing) == ("new socket", MORNING_MS + 7, False)


def test_failed_tests_and_bad_inspections_are_closed_by_good_ones() -> None:
    """Of the same kind, and of the same place; what was said becomes the measure of an inspection."""
    log = Log()
    log.add(FactKind.TESTED, PeriodicResult(test="probes", ok=False, detail="40 °C"))
    log.add(FactKind.INSPECTED, inspected("boxes", ok=False))
    log.add(FactKind.INSPECTED, inspected("boxes", ok=False, port=2))
    log.add(FactKind.TESTED, PeriodicResult(test="meters", ok=True))
    assert [entry.state for entry in read(log)] == [State.OPEN] * 3
    log.add(FactKind.TESTED, PeriodicResult(test="probes", ok=True))
    log.add(FactKind.INSPECTED, inspected("boxes", ok=True))
    assert [(entry.code, entry.port, entry.state, entry.measure) for entry in read(log)] == [
        ("probes", None, State.CLOSED, ""),
        ("boxes", None, State.CLOSED, "cleared"),
        ("boxes", 2, State.OPEN, ""),
    ]
    records = Records()
    for fact in log.facts:
        records.take(fact)
    assert [(check.seq, check.kind, check.ok) for check in records.checks] == [
        (1, "test", False),
        (2, "inspection", False),
        (3, "inspection", False),
        (4, "test", True),
        (5, "test", True),
        (6, "inspection", True),
    ]


def test_doubtful_energy_is_an_entry_and_good_energy_is_none() -> None:
    """By flag and port, with the session."""
    log = Log()
    log.add(FactKind.SESSION_ENDED, ended(1), session="s1")
    assert not read(log)
    log.add(FactKind.SESSION_ENDED, ended(1, flag=EnergyFlag.REGISTER_BACKWARD, age_ms=4), session="s2")
    log.add(FactKind.SESSION_ENDED, ended(1, flag=EnergyFlag.REGISTER_BACKWARD), session="s3")
    entry = only(log)
    assert (entry.kind, entry.code, entry.port, entry.detail, entry.count, entry.found_ms) == (
        EntryKind.ENERGY,
        "register_backward",
        1,
        "s2",
        2,
        MORNING_MS - 4,
    )


def test_a_session_with_several_flags_is_one_entry_that_names_them_all() -> None:
    """The first is its code, the others stand in its detail."""
    flags = [EnergyFlag.NO_BASELINE, EnergyFlag.REGISTER_WRAPPED]
    body = msgspec.structs.replace(ended(1, flag=EnergyFlag.NO_BASELINE), energy_flags=flags)
    log = Log()
    log.add(FactKind.SESSION_ENDED, body, session="s1")
    assert (only(log).code, only(log).detail) == ("no_baseline", "s1, register_wrapped")


def test_a_name_in_the_body_does_not_hide_a_flag() -> None:
    """The quick look for sessions without a flag is not fooled by what people write."""
    body = msgspec.structs.replace(ended(1, flag=EnergyFlag.NO_READING), detail='"energy_flag":null')
    log = Log()
    log.add(FactKind.SESSION_ENDED, body, session="s")
    assert only(log).code == "no_reading"
    assert {"port", "energy_flag", "energy_flags", "age_ms"} <= set(SessionEnded.__struct_fields__)


def test_a_lockout_is_an_entry_until_it_is_lifted_or_over() -> None:
    """Its end is its deadline; maintenance is none."""
    log = Log()
    log.add(FactKind.LOCK_SET, lock_set("maintenance"))
    assert not read(log)
    log = Log()
    log.add(FactKind.LOCK_SET, lock_set(until_ms=MORNING_MS + 100))
    entry = only(log)
    assert (entry.kind, entry.responsible, entry.measure, entry.due_ms) == (
        EntryKind.LOCKOUT,
        "Fire",
        "wires",
        MORNING_MS + 100,
    )
    for now_ms, clock, state in (
        (MORNING_MS + 99, "ntp", State.OPEN),
        (MORNING_MS + 100, "ntp", State.CLOSED),
        (MORNING_MS + 101, "none", State.OPEN),
    ):
        assert as_of(entry, now_ms, clock).state is state
    assert late(entry, MORNING_MS + 99, "ntp") is Late.NO
    log.add(FactKind.LOCK_LIFTED, LockLifted(lock="l-1", authority="Fire", reason="mended", source="upstream"))
    assert (only(log).state, only(log).history[-1].text) == (State.CLOSED, "mended")


@pytest.mark.parametrize(
    ("state", "due_ms", "now_ms", "clock", "expected"),
    [
        (State.OPEN, 1000, 999, "ntp", Late.NO),
        (State.OPEN, 1000, 1000, "ntp", Late.NO),
        (State.OPEN, 1000, 1001, "ntp", Late.YES),
        (State.IN_PROGRESS, 1000, 1001, "server", Late.YES),
        (State.CLOSED, 1000, 1001, "ntp", Late.NO),
        (State.OPEN, 1000, 1001, "none", Late.UNKNOWN),
        (State.OPEN, 1000, 999, "none", Late.UNKNOWN),
        (State.OPEN, None, 1001, "ntp", Late.UNKNOWN),
        (State.CLOSED, None, 1001, "none", Late.NO),
    ],
)
def test_late_to_the_millisecond_and_never_guessed(
    state: State, due_ms: int | None, now_ms: int, clock: str, expected: Late
) -> None:
    """After its deadline, by a trusted clock; where there is none that is said."""
    log = Log()
    log.add(FactKind.FAULT_LATCHED, fault("smoke", None))
    entry = msgspec.structs.replace(only(log), state=state, due_ms=due_ms)
    assert late(entry, now_ms, clock) is expected


def test_what_was_found_without_a_clock_has_no_date_and_no_deadline() -> None:
    """Until somebody sets one."""
    log = Log()
    log.add(FactKind.FAULT_LATCHED, fault("smoke", None), 5, "none")
    assert (only(log).found_ms, only(log).due_ms, only(log).clock, only(log).history[0].wall_ms) == (
        None,
        None,
        "none",
        None,
    )
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, due_ms=MORNING_MS, source="cli", by="li"))
    assert only(log).due_ms == MORNING_MS


def test_an_update_changes_what_it_names_and_is_in_the_history() -> None:
    """Everything else stays; an update of nothing known changes nothing; an entry can be opened again."""
    log = Log()
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    log.add(
        FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, responsible="Zhao", state="in_progress", source="cli", by="li")
    )
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=7, measure="x", source="cli"))
    entry = only(log)
    assert (entry.responsible, entry.contingency, entry.state) == ("Zhao", "close the port", State.IN_PROGRESS)
    assert (entry.history[-1].by, entry.history[-1].text) == ("li", "responsible: Zhao; state: in_progress")
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, measure="m", state="closed", source="cli"), MORNING_MS + 1)
    assert (only(log).closed_ms, only(log).measure) == (MORNING_MS + 1, "m")
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, state="open", source="cli"))
    assert (only(log).closed_ms, only(log).state) == (None, State.OPEN)
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    assert only(log).count == 2


def test_of_two_entries_for_the_same_the_one_that_was_open_first_counts() -> None:
    """Opening an old entry again does not take over what a newer one collects."""
    log = Log()
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, measure="m", state="closed", source="cli"))
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, state="open", source="cli"))
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    assert [(entry.seq, entry.count) for entry in read(log)] == [(1, 1), (3, 2)]


def test_a_history_is_bounded_and_keeps_its_first_step() -> None:
    """Nobody can fill the memory of the station by writing notes."""
    log = Log()
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    for number in range(MAX_HISTORY + 5):
        log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, note=str(number), source="cli"))
    history = only(log).history
    assert (len(history), history[0].what, history[-1].text) == (MAX_HISTORY, "found", f"note: {MAX_HISTORY + 4}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{LOG_ID}-12", 12),
        ("12", 12),
        ("fedcba9876543210-12", None),
        ("x", None),
        (f"{LOG_ID}-", None),
        ("-12", None),
        ("١٢", None),
    ],
)
def test_names_of_entries(name: str, expected: int | None) -> None:
    """The full name, or the bare number; never one of another log."""
    assert seq_of(name, LOG_ID) == expected
    assert seq_of(entry_id(LOG_ID, 12), LOG_ID) == 12


# -- the desk ----------------------------------------------------------------------------------------------


def desk_of(log: Log) -> LedgerDesk:
    """Return a desk that knows a log."""
    desk = LedgerDesk(POLICY, lambda: LOG_ID, PORTS)
    for fact in log.facts:
        if fact.kind in desk.kinds:
            desk.keep(fact)
    return desk


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (UpdateEntry(entry="1", measure="new wire"), None),
        (UpdateEntry(entry=f"{LOG_ID}-1", note="n"), None),
        (UpdateEntry(entry="1"), "malformed"),
        (UpdateEntry(entry="2", note="n"), "unknown_entry"),  # a fact, but no entry
        (UpdateEntry(entry="99", note="n"), "unknown_entry"),
        (UpdateEntry(entry="fedcba9876543210-1", note="n"), "unknown_entry"),
        (UpdateEntry(entry="1", state="closed"), "measure_needed"),
        (UpdateEntry(entry="1", state="closed", measure="  "), "measure_needed"),
        (UpdateEntry(entry="1", state="closed", measure="new wire"), None),
        (UpdateEntry(entry="3", state="closed", measure="x"), "entry_of_lock"),
        (UpdateEntry(entry="3", note="seen"), None),
        (UpdateEntry(entry="1", due_ms=0), None),
        (Inspect(what="boxes", ok=True, by="Chen"), None),
        (Inspect(what="boxes", ok=False, by="Chen", port=9), "unknown_port"),
    ],
)
def test_what_the_desk_accepts(act: UpdateEntry | Inspect, expected: str | None) -> None:
    """Entries that are there, content that says something, and no closing without a measure."""
    log = Log()
    log.add(FactKind.FAULT_FOUND, fault("meter_lost"))
    log.add(FactKind.TESTED, PeriodicResult(test="rcd", ok=True))
    log.add(FactKind.LOCK_SET, lock_set())
    outcome = desk_of(log).judge(act, CLI, stamp())
    if expected is None:
        assert not isinstance(outcome, Refused)
        (new,) = outcome
        log.add(new.kind, new.body)
        assert new.body.by == CLI.by  # type: ignore[union-attr]
    else:
        assert isinstance(outcome, Refused)
        assert outcome.code == expected


def test_a_closed_entry_may_be_told_more() -> None:
    """A note on what a good test has closed needs no measure."""
    log = Log()
    log.add(FactKind.TESTED, PeriodicResult(test="rcd", ok=False))
    log.add(FactKind.TESTED, PeriodicResult(test="rcd", ok=True))
    assert not isinstance(desk_of(log).judge(UpdateEntry(entry="1", note="n"), CLI, stamp()), Refused)


def test_what_needs_somebody() -> None:
    """Counts of what is not closed, what is late and the longest so, and what nobody can date."""
    log = Log()
    assert desk_of(log).shown(stamp()) == LedgerShown()
    log.add(FactKind.FAULT_LATCHED, fault("over_current", 1), MORNING_MS - 3 * DAY_MS)
    log.add(FactKind.FAULT_FOUND, fault("meter_lost", 2), MORNING_MS - 8 * DAY_MS)
    log.add(FactKind.FAULT_FOUND, fault("probe_fault", 2), 0, "none")
    log.add(FactKind.LEDGER_UPDATED, LedgerUpdated(entry=3, state="in_progress", source="cli"))
    log.add(FactKind.LOCK_SET, lock_set(until_ms=MORNING_MS - 1), MORNING_MS - 9 * DAY_MS)
    told = desk_of(log).shown(stamp())
    assert told == LedgerShown(
        open=2,
        in_progress=1,
        overdue=1,
        undated=1,
        worst_entry=f"{LOG_ID}-2",
        worst_code="meter_lost",
        worst_port=2,
        worst_due_ms=MORNING_MS - DAY_MS,
    )
    assert desk_of(log).shown(stamp(MORNING_MS + 1)).overdue == 2
    dark = desk_of(log).shown(stamp(MORNING_MS + 1, "none"))
    assert (dark.open, dark.overdue, dark.undated, dark.worst_entry) == (3, 0, 3, None)


_BODIES = st.sampled_from(
    [
        (FactKind.FAULT_LATCHED, fault("over_current", 1)),
        (FactKind.FAULT_FOUND, fault("meter_lost", 1)),
        (FactKind.FAULT_CLEARED, fault("meter_lost", 1)),
        (FactKind.FAULT_RESET, FaultReset(port=1, by="li", repair="r")),
        (FactKind.FAULT_RESET, FaultReset(port=1, by="li")),
        (FactKind.TESTED, PeriodicResult(test="rcd", ok=False)),
        (FactKind.TESTED, PeriodicResult(test="rcd", ok=True)),
        (FactKind.INSPECTED, inspected("boxes", ok=False)),
        (FactKind.INSPECTED, inspected("boxes", ok=True)),
        (FactKind.SESSION_ENDED, ended(1, flag=EnergyFlag.NO_READING)),
        (FactKind.LOCK_SET, lock_set()),
        (FactKind.LOCK_LIFTED, LockLifted(lock="l-1", authority="a", reason="r", source="cli")),
        (FactKind.LEDGER_UPDATED, LedgerUpdated(entry=1, state="closed", measure="m", source="cli")),
        (FactKind.LEDGER_UPDATED, LedgerUpdated(entry=2, state="open", source="cli")),
    ]
)


@settings(deadline=None)
@given(st.lists(st.tuples(_BODIES, st.sampled_from(("ntp", "none"))), max_size=40), st.integers(0, 40))
def test_the_ledger_is_a_fold(steps: list[tuple[tuple[FactKind, object], str]], other: int) -> None:
    """Facts of other kinds between, or a reader of its own kinds only: the same ledger.

    And never two entries that are not closed for the same thing, unless one was opened again by hand.
    """
    log = Log()
    for (kind, body), clock in steps:
        log.add(kind, body, clock=clock)  # type: ignore[arg-type]
    whole, picked = Ledger(POLICY), Ledger(POLICY)
    for index, fact in enumerate(log.facts):
        whole.take(fact)
        if index == other:
            whole.take(msgspec.structs.replace(fact, kind="checkpoint"))
        if fact.kind in KINDS:
            picked.take(fact)
    assert whole.entries == picked.entries
    reopened = {2} if any(kind == FactKind.LEDGER_UPDATED and body.entry == 2 for (kind, body), _ in steps) else set()  # type: ignore[attr-defined]
    left = [
        (entry.kind, entry.code, entry.port)
        for entry in whole.entries.values()
        if entry.state is not State.CLOSED and entry.seq not in reopened
    ]
    assert len(left) == len(set(left))
    assert all(entry.state is not State.CLOSED or entry.clock for entry in whole.entries.values())
