"""Promises of guard's events as facts: each once, with what it told, and nothing that is none."""

from __future__ import annotations

from pilenode.ipc.messages import GuardEvent, Snapshot
from pilenode.station.faults import fault_facts
from pilenode.station.session import News
from pilenode.upstream.facts import FactKind, Fault, PeriodicResult

SNAPSHOT = Snapshot(guard_boot="g", last_event=9, uptime_s=1, contactor=False, cabinet_faults=[], ports=[])
EVENTS = (
    GuardEvent(seq=1, age_s=9.0, kind="tripped", port=1, session="s.2", code="over_current", detail="9 A"),
    GuardEvent(seq=2, age_s=2.0, kind="closed", port=2),
    GuardEvent(seq=3, age_s=1.5, kind="tested", code="dead_man", ok=True, detail="dropped after 0.40 s"),
    GuardEvent(seq=4, age_s=1.0, kind="tested", code="relays", detail="x" * 300),
    GuardEvent(seq=5, age_s=-0.1, kind="tripped", code="dead_man_failed"),
)


def test_faults_and_tests_become_facts_and_nothing_else_does() -> None:
    """In the order of the events; of the session, whichever leg it was; a result that does not say good is bad."""
    facts = fault_facts(News(SNAPSHOT, EVENTS), 0, {"relays": "Li"})
    assert [fact.kind for fact in facts] == [
        FactKind.FAULT_LATCHED,
        FactKind.TESTED,
        FactKind.TESTED,
        FactKind.FAULT_LATCHED,
    ]
    assert [fact.session for fact in facts] == ["s", None, None, None]
    latched, proved, failed, last = (fact.body for fact in facts)
    assert latched == Fault(guard_boot="g", event=1, age_ms=9000, port=1, code="over_current", detail="9 A")
    assert proved == PeriodicResult(
        test="dead_man", ok=True, detail="dropped after 0.40 s", age_ms=1500, guard_boot="g", event=3
    )
    assert isinstance(failed, PeriodicResult)
    assert (failed.ok, failed.by, failed.detail) == (False, "Li", "x" * 200)
    assert isinstance(last, Fault)
    assert last.age_ms == 0


def test_what_is_a_fact_already_is_none_again() -> None:
    """Only events above the newest one that is kept."""
    facts = fault_facts(News(SNAPSHOT, EVENTS), 3)
    assert [fact.body.event for fact in facts if isinstance(fact.body, Fault | PeriodicResult)] == [4, 5]
