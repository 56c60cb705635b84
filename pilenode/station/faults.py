"""Guard's events about faults as facts of the journal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pilenode.station.entries import NewFact
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, FactKind, Fault

if TYPE_CHECKING:
    from pilenode.station.session import News

_KINDS: Final = {
    "tripped": FactKind.FAULT_LATCHED,
    "finding": FactKind.FAULT_FOUND,
    "cleared": FactKind.FAULT_CLEARED,
}


def fault_facts(news: News, after: int) -> list[NewFact]:
    """Return the facts of every fault event above ``after``, the newest event that is a fact already."""
    return [
        NewFact(
            _KINDS[event.kind],
            Fault(
                guard_boot=news.snapshot.guard_boot,
                event=event.seq,
                age_ms=max(0, round(event.age_s * 1000)),
                port=event.port,
                code=(event.code or "")[:MAX_CODE],
                detail=event.detail[:MAX_WORDS],
            ),
            event.session,
        )
        for event in news.events
        if event.kind in _KINDS and event.seq > after
    ]
