"""The list of cards that counts, and how a new one takes its place: whole, at once, and never backwards.

A list counts when its ``cards_set`` is durable; its content was durable before that. What a fact names and no file
holds is a damaged list, never an older one: its denied cards are not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from pilenode.ipc.messages import Refused
from pilenode.station import card_store
from pilenode.station.card_parts import Parts, twice
from pilenode.station.entries import NewFact
from pilenode.upstream.facts import MAX_WORDS, FactKind
from pilenode.upstream.facts_cards import CardsSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pilenode.ipc.acts import SetCards
    from pilenode.station.card_store import ListFile
    from pilenode.station.cards import CardList
    from pilenode.station.desk import Who
    from pilenode.upstream.facts import Fact

log = structlog.get_logger()


class CardLists:
    """The list in force (``listed``), or why there is none although there should be one (``trouble``)."""

    def __init__(self, folder: Path) -> None:
        self.listed: CardList | None = None
        self.trouble = ""
        self._folder = folder
        self._parts = Parts()
        self._active: CardsSet | None = None  # the newest fact
        self._set_ms: int | None = None

    @property
    def staged(self) -> str:
        """Return how far a list on its way has come, for people; empty when there is none."""
        return self._parts.progress

    def keep(self, fact: Fact) -> None:
        """Take one ``cards_set``. Its file is looked for in ``refresh``: of older ones there is none any more."""
        self._active = msgspec.json.decode(fact.body, type=CardsSet)
        self._set_ms = fact.wall_ms if fact.clock != "none" else None

    def refresh(self) -> None:
        """Read the list that the newest ``cards_set`` names, if it is not the one held. For after a whole catch-up."""
        active = self._active
        if active is None or (self.listed is not None and self.listed.sha256 == active.sha256):
            return
        try:
            self.listed = card_store.read(self._folder, active.sha256, self._set_ms)
        except card_store.ListDamagedError as error:
            if not self.trouble:
                log.error("list of cards lost, no card is taken", version=active.version, problem=str(error))
            self.listed, self.trouble = None, str(error) or "damaged"
            return
        self.trouble = ""
        card_store.remove_others(self._folder, active.sha256)
        log.info("list of cards", version=active.version, cards=active.cards, denied=active.denied)

    def judge(self, act: SetCards, who: Who, key_id: str | None) -> Sequence[NewFact] | Refused:
        """Take one part; return the fact of the list when it was the last one, no fact before, or why not."""
        refusal = self._obstacle(act, key_id)
        if refusal is not None:
            return refusal
        listed = self._parts.whole()
        if listed is None:
            return []
        self._parts.clear()
        return self._activate(listed, who)

    def _obstacle(self, act: SetCards, key_id: str | None) -> Refused | None:
        if act.key_id is not None and act.key_id != key_id:
            return Refused(code="card_key_mismatch", detail=f"key {key_id or 'none'}")
        if self._active is not None and act.version < self._active.version:
            return Refused(code="card_list_old", detail=f"version {self._active.version} is held")
        code = self._parts.take(act)
        return Refused(code=code, detail=self._parts.progress) if code else None

    def _activate(self, listed: ListFile, who: Who) -> Sequence[NewFact] | Refused:
        held = self._active
        double = twice(listed)
        if double is not None:
            return Refused(code="card_list_bad", detail=f"{double} twice")
        sha256, content = card_store.encode(listed)
        same = held is not None and sha256 == held.sha256
        if held is not None and listed.version == held.version and not same:
            return Refused(code="card_list_old", detail=f"version {held.version} is held with other content")
        try:
            card_store.write(self._folder, sha256, content)
        except OSError as error:
            return Refused(code="card_list_not_kept", detail=str(error)[:MAX_WORDS])
        if same:
            self.refresh()  # what was lost is there again
            return []
        body = CardsSet(
            version=listed.version,
            sha256=sha256,
            cards=len(listed.cards),
            denied=len(listed.denied),
            valid_until_ms=listed.valid_until_ms,
            source=who.source,
            by=who.by,
        )
        return [NewFact(FactKind.CARDS_SET, body)]
