"""The desk of cards: lists, single denials, learned cards, and what all of them owe.

``desk.Desk`` of the acts ``set_cards``, ``deny_card``, ``allow_card``, ``learn_card`` and ``forget_card``. Two things
are in memory only and count for nothing by themselves, so a restart may forget them: the parts of a list that is not
whole yet (``card_lists``), and that a reader waits for a card to learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.ipc.acts import AllowCard, DenyCard, ForgetCard, LearnCard, SetCards
from pilenode.ipc.messages import Refused
from pilenode.station.card_exposure import KINDS as SESSION_KINDS
from pilenode.station.card_lists import CardLists
from pilenode.station.cards import Book, Card, is_denied
from pilenode.station.entries import NewFact
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_cards import CardAllowed, CardDenied, CardForgotten, CardLearned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from pilenode.ipc.acts import Act
    from pilenode.station.card_exposure import Exposure
    from pilenode.station.desk import Who
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact

#: How long a reader waits for a card to learn, ms.
LEARN_MS: Final = 30_000
#: Single denials, and learned cards, at most: more of them is what lists are for.
MAX_SINGLES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Learning:
    """A reader that waits for a card to learn, until ``until_ms`` of the clock that counts through (boottime)."""

    act: LearnCard
    who: Who
    until_ms: int


class CardBook:
    """What this cabinet knows of cards. ``readers``: names of the configuration; ``key_id`` None: there is no key."""

    acts = (SetCards, DenyCard, AllowCard, LearnCard, ForgetCard)
    kinds = (
        FactKind.CARDS_SET,
        FactKind.CARD_DENIED,
        FactKind.CARD_ALLOWED,
        FactKind.CARD_LEARNED,
        FactKind.CARD_FORGOTTEN,
        *SESSION_KINDS,
    )

    def __init__(
        self, folder: Path, readers: Collection[str], exposure: Exposure, key_id: Callable[[], str | None]
    ) -> None:
        self.exposure = exposure
        self.lists = CardLists(folder)
        self._readers = readers
        self._key_id = key_id
        self._denied: dict[str, CardDenied] = {}
        self._learned: dict[str, CardLearned] = {}
        self._learning: dict[str, Learning] = {}

    # -- what is known -----------------------------------------------------------------------------------------

    @property
    def book(self) -> Book:
        """Return what counts now."""
        learned = {card: Card(until_ms=one.until_ms) for card, one in self._learned.items()}
        return Book(self.lists.listed, bool(self.lists.trouble), self._denied.keys(), learned)

    def learning(self, reader: str, now_ms: int) -> Learning | None:
        """Return for whom the next card at ``reader`` is to be learned, and stop waiting for it."""
        learning = self._learning.pop(reader, None)
        return learning if learning is not None and now_ms < learning.until_ms else None

    # -- the desk ----------------------------------------------------------------------------------------------

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Return the facts of an accepted act (none for a part of a list, and for what is so already), or why not."""
        if isinstance(act, SetCards):
            return self.lists.judge(act, who, self._key_id())
        if isinstance(act, LearnCard):
            return self._learn(act, who, now)
        return self._single(act, who)

    def keep(self, fact: Fact) -> None:
        """Take one durable fact into the picture."""
        match fact.kind:
            case FactKind.CARDS_SET:
                self.lists.keep(fact)
            case FactKind.CARD_DENIED:
                denied = msgspec.json.decode(fact.body, type=CardDenied)
                self._denied[denied.card] = denied
            case FactKind.CARD_ALLOWED:
                self._denied.pop(msgspec.json.decode(fact.body, type=CardAllowed).card, None)
            case FactKind.CARD_LEARNED:
                learned = msgspec.json.decode(fact.body, type=CardLearned)
                self._learned[learned.card] = learned
            case FactKind.CARD_FORGOTTEN:
                self._learned.pop(msgspec.json.decode(fact.body, type=CardForgotten).card, None)
            case _:
                self.exposure.keep(fact)

    # -- single acts -------------------------------------------------------------------------------------------

    def _single(self, act: Act, who: Who) -> Sequence[NewFact] | Refused:
        match act:
            case DenyCard():
                return self._deny(act, who)
            case AllowCard():
                return self._allow(act, who)
            case ForgetCard() if act.card in self._learned:
                return [_fact(FactKind.CARD_FORGOTTEN, CardForgotten(card=act.card, source=who.source, by=who.by))]
        return Refused(code="card_unknown")

    def _deny(self, act: DenyCard, who: Who) -> Sequence[NewFact] | Refused:
        if act.card in self._denied:
            return []
        if len(self._denied) >= MAX_SINGLES:
            return Refused(code="card_list_long", detail=f"{MAX_SINGLES} single denials")
        return [_fact(FactKind.CARD_DENIED, CardDenied(card=act.card, reason=act.reason, source=who.source, by=who.by))]

    def _allow(self, act: AllowCard, who: Who) -> Sequence[NewFact] | Refused:
        listed = self.lists.listed
        if listed is not None and act.card in listed.denied:
            return Refused(code="card_denied", detail=f"by list {listed.version}")
        if act.card not in self._denied:
            return []
        body = CardAllowed(card=act.card, reason=act.reason, source=who.source, by=who.by)
        return [_fact(FactKind.CARD_ALLOWED, body)]

    def _learn(self, act: LearnCard, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        if act.reader not in self._readers:
            return Refused(code="card_reader_unknown", detail=", ".join(sorted(self._readers))[:200])
        if self._key_id() is None:
            return Refused(code="card_no_key")
        if act.until_ms is not None and self.exposure.present(now).surely_ms >= act.until_ms:
            return Refused(code="card_expired")
        if len(self._learned) >= MAX_SINGLES:
            return Refused(code="card_list_long", detail=f"{MAX_SINGLES} learned cards")
        self._learning[act.reader] = Learning(act, who, now.boottime_ms + LEARN_MS)
        return []

    def learned(self, card: str, learning: Learning) -> NewFact | Refused:
        """Return the fact of a card that was held against a reader that waited for it."""
        if is_denied(card, self.book):
            return Refused(code="card_denied")
        body = CardLearned(
            card=card,
            reader=learning.act.reader,
            name=learning.act.name,
            until_ms=learning.act.until_ms,
            source=learning.who.source,
            by=learning.who.by,
        )
        return _fact(FactKind.CARD_LEARNED, body)


def _fact(kind: FactKind, body: CardDenied | CardAllowed | CardLearned | CardForgotten) -> NewFact:
    return NewFact(kind, body)
