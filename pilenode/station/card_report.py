"""The cabinet's own cards as people read them, from facts alone: learned ones and single denials. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_cards import CardAllowed, CardDenied, CardForgotten, CardLearned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilenode.ipc.messages import StoredFact

#: The facts that this list is made of.
KINDS: Final = [
    str(kind) for kind in (FactKind.CARD_LEARNED, FactKind.CARD_FORGOTTEN, FactKind.CARD_DENIED, FactKind.CARD_ALLOWED)
]


class OwnCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that this cabinet knows by itself. ``state``: "learned" or "denied"; ``words``: its name, or why."""

    card: str
    state: str
    words: str
    by: str
    wall_ms: int
    clock: str
    until_ms: int | None = None


def own_cards(facts: Iterable[StoredFact]) -> list[OwnCard]:
    """Return what stands after ``facts`` (of ``KINDS``, oldest first): denied cards first, each sort by age."""
    learned: dict[str, OwnCard] = {}
    denied: dict[str, OwnCard] = {}
    for fact in facts:
        match fact.kind:
            case FactKind.CARD_LEARNED:
                one = msgspec.json.decode(fact.body, type=CardLearned)
                learned[one.card] = _own(fact, one, "learned", one.name)
            case FactKind.CARD_FORGOTTEN:
                learned.pop(msgspec.json.decode(fact.body, type=CardForgotten).card, None)
            case FactKind.CARD_DENIED:
                other = msgspec.json.decode(fact.body, type=CardDenied)
                denied[other.card] = _own(fact, other, "denied", other.reason)
            case FactKind.CARD_ALLOWED:
                denied.pop(msgspec.json.decode(fact.body, type=CardAllowed).card, None)
    return [*denied.values(), *learned.values()]


def newest_learned(facts: Iterable[StoredFact], reader: str) -> str | None:
    """Return the card that ``reader`` has learned last in ``facts``, None when it has learned none."""
    found = None
    for fact in facts:
        if fact.kind == FactKind.CARD_LEARNED:
            one = msgspec.json.decode(fact.body, type=CardLearned)
            found = one.card if one.reader == reader else found
    return found


def _own(fact: StoredFact, body: CardLearned | CardDenied, state: str, words: str) -> OwnCard:
    until_ms = body.until_ms if isinstance(body, CardLearned) else None
    return OwnCard(
        card=body.card,
        state=state,
        words=words,
        by=body.by,
        wall_ms=fact.wall_ms,
        clock=fact.clock,
        until_ms=until_ms,
    )
