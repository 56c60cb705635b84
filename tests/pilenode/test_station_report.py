"""Promises of the state report: true, integer, and told when it is news."""

from __future__ import annotations

import msgspec

from pilenode.ipc.messages import LedgerShown, LockShown, PeriodicTest, PortSnapshot, Snapshot
from pilenode.station.report import report
from pilenode.station.telling import Telling
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import StateReport

AT = Stamp("b", 5, 1000, ClockQuality.NTP)
PORT = PortSnapshot(port=1, state="on", closed=True, session="s1.3", power_w=200.4, temperature_c=25.04)
SNAPSHOT = Snapshot(guard_boot="g", last_event=0, uptime_s=1, contactor=True, cabinet_faults=["smoke"], ports=[PORT])
TOLD = report(SNAPSHOT, AT, journal_ok=True)


def differs(before: StateReport, after: StateReport) -> bool:
    """Return whether ``after`` is told at once when ``before`` was told, however much was told before."""
    return Telling(told=before, told_at_s=0.0, credit=0.0).is_due(after, 1.0)


def later(**fields: object) -> StateReport:
    """Return the report with other values of port 1."""
    snapshot = msgspec.structs.replace(SNAPSHOT, ports=[msgspec.structs.replace(PORT, **fields)])
    return report(snapshot, AT, journal_ok=True)


def test_report_tells_what_guard_shows() -> None:
    """State, session, faults and rounded measurements arrive, in integers, and survive the wire."""
    (port,) = TOLD.ports
    assert (port.state, port.session, port.power_w, port.temperature_dc) == ("on", "s1", 200, 250)
    assert (TOLD.wall_ms, TOLD.clock, TOLD.guard, TOLD.journal_ok, TOLD.cabinet_faults) == (
        1000,
        "ntp",
        True,
        True,
        ["smoke"],
    )
    assert msgspec.json.decode(msgspec.json.encode(TOLD), type=StateReport) == TOLD


def test_absent_guard_is_told_as_absent() -> None:
    """Without guard nothing is claimed about ports."""
    told = report(None, AT, journal_ok=False)
    assert (told.guard, told.ports, told.journal_ok) == (False, [], False)
    assert differs(TOLD, told)


def test_periodic_tests_that_are_due_or_have_failed_are_news() -> None:
    """The backend sees them by name; one that is good and not due is not told."""
    tests = [
        PeriodicTest(kind="dead_man", fitted=True, due=False, last_ok=True),
        PeriodicTest(kind="probes", fitted=True, due=True, last_ok=False),
        PeriodicTest(kind="rcd", fitted=True, due=True),
    ]
    told = report(SNAPSHOT, AT, journal_ok=True, tests=tests)
    assert (told.tests_due, told.tests_failed) == (["probes", "rcd"], ["probes"])
    assert msgspec.json.decode(msgspec.json.encode(told), type=StateReport) == told
    assert differs(TOLD, told)
    assert differs(told, report(SNAPSHOT, AT, journal_ok=True, tests=tests[1:2]))
    assert not differs(TOLD, report(SNAPSHOT, AT, journal_ok=True, tests=tests[:1]))


def test_locks_and_the_ledger_are_told_and_are_news() -> None:
    """A lock by its id, place, kind and end; of the ledger how much waits, how much is late, how much nobody knows."""
    lock = LockShown(
        lock="l-1",
        port=None,
        kind="lockout",
        authority="Fire",
        reason="wires",
        from_ms=None,
        until_ms=9,
        in_force=True,
        time_known=True,
    )
    ledger = LedgerShown(open=2, in_progress=1, overdue=1, undated=4)
    told = report(SNAPSHOT, AT, journal_ok=True, locks=[lock], ledger=ledger)
    assert [(one.lock, one.port, one.kind, one.until_ms, one.in_force) for one in told.locks] == [
        ("l-1", None, "lockout", 9, True)
    ]
    assert (told.ledger_open, told.ledger_overdue, told.ledger_undated) == (3, 1, 4)
    assert (TOLD.ledger_open, TOLD.ledger_overdue, TOLD.ledger_undated) == (None, None, None)
    assert msgspec.json.decode(msgspec.json.encode(told), type=StateReport) == told
    changes: tuple[dict[str, object], ...] = (
        {"locks": []},
        {"locks": [msgspec.structs.replace(lock, in_force=False)]},
        {"ledger": msgspec.structs.replace(ledger, open=3)},
        {"ledger": msgspec.structs.replace(ledger, overdue=2)},
        {"ledger": msgspec.structs.replace(ledger, undated=5)},
    )
    for changed in changes:
        later_told = report(SNAPSHOT, AT, journal_ok=True, **{"locks": [lock], "ledger": ledger, **changed})  # type: ignore[arg-type]
        assert differs(told, later_told), changed
    assert not differs(told, report(SNAPSHOT, AT, journal_ok=True, locks=[lock], ledger=ledger))
