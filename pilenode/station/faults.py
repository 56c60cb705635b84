"""Guard's events about faults and periodic tests as facts of the journal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pilenode.station.entries import NewFact
from pilenode.station.session import session_of
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, FactKind, Fault, PeriodicResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilenode.ipc.messages import GuardEvent
    from pilenode.station.session import News

_KINDS: Final = {
    "tripped": FactKind.FAULT_LATCHED,
    "finding": FactKind.FAULT_FOUND,
    "cleared": FactKind.FAULT_CLEARED,
}


def fault_facts(news: News, after: int, ordered: Mapping[str, str] | None = None) -> list[NewFact]:
    """Return the facts of every fault and test above ``after``, the newest event that is a fact already.

    ``ordered``: who ordered a test, by its kind; one that nobody ordered was done because it was its time.
    """
    boot = news.snapshot.guard_boot
    facts = []
    for event in news.events:
        if event.seq <= after:
            continue
        if event.kind == "tested":
            facts.append(_test_fact(event, boot, (ordered or {}).get(event.code or "", "")))
        elif event.kind in _KINDS:
            facts.append(_fault_fact(event, boot))
    return facts


def _fault_fact(event: GuardEvent, guard_boot: str) -> NewFact:
    body = Fault(
        guard_boot=guard_boot,
        event=event.seq,
        age_ms=max(0, round(event.age_s * 1000)),
        port=event.port,
        code=(event.code or "")[:MAX_CODE],
        detail=event.detail[:MAX_WORDS],
    )
    # Guard knows the leg; the record is about its session.
    return NewFact(_KINDS[event.kind], body, None if event.session is None else session_of(event.session))


def _test_fact(event: GuardEvent, guard_boot: str, by: str) -> NewFact:
    body = PeriodicResult(
        test=(event.code or "")[:MAX_CODE],
        ok=event.ok is True,
        detail=event.detail[:MAX_WORDS],
        by=by[:MAX_WORDS],
        age_ms=max(0, round(event.age_s * 1000)),
        guard_boot=guard_boot,
        event=event.seq,
    )
    return NewFact(FactKind.TESTED, body)
