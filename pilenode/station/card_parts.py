"""A list of cards on its way: its parts, until all of them are there. Pure, and in memory only.

What has arrived counts for nothing. A restart forgets it, and the sender, who has seen no ``cards_set``, sends again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.ipc.acts import MAX_PART_CARDS, SetCards
from pilenode.station.card_store import ListFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.ipc.acts import ListedCard

#: Cards in a list, denied ones counted in. 20,000 take some 2 MB on disk and 10 MB in memory.
MAX_CARDS: Final = 50_000

#: Bytes of one part. A frame and a command have 8 KiB, and need some for who asks, when and by what id.
PART_BYTES: Final = 7_600
#: What stands around the cards in a part.
_AROUND_BYTES: Final = 200


class Parts:
    """The parts of one version. A newer version, or another number of parts, begins anew."""

    def __init__(self) -> None:
        self._parts: dict[int, SetCards] = {}

    @property
    def progress(self) -> str:
        """Return how far the list has come, for people; empty when nothing is on its way."""
        first = next(iter(self._parts.values()), None)
        return "" if first is None else f"version {first.version}: {len(self._parts)} of {first.parts} parts"

    def clear(self) -> None:
        """Forget what has arrived."""
        self._parts.clear()

    def take(self, act: SetCards) -> str:
        """Take one part; return "" or the refusal it deserves, and then nothing has changed."""
        first = next(iter(self._parts.values()), None)
        if first is not None and act.version < first.version:
            return "card_list_old"
        if act.part > act.parts:
            return "card_list_bad"
        if first is not None and (act.version, act.parts) == (first.version, first.parts):
            return self._add(act, first)
        self._parts = {act.part: act}
        return ""

    def _add(self, act: SetCards, first: SetCards) -> str:
        if act.valid_until_ms != first.valid_until_ms or self._parts.get(act.part, act) != act:
            return "card_list_bad"
        here = sum(len(one.cards) + len(one.denied) for one in (*self._parts.values(), act))
        if act.part not in self._parts and here > MAX_CARDS:
            return "card_list_long"
        self._parts[act.part] = act
        return ""

    def whole(self) -> ListFile | None:
        """Return the list when all parts are there."""
        first = next(iter(self._parts.values()), None)
        if first is None or len(self._parts) < first.parts:
            return None
        cards = sorted((one for part in self._parts.values() for one in part.cards), key=_card)
        return ListFile(
            version=first.version,
            valid_until_ms=first.valid_until_ms,
            cards=cards,
            denied=sorted({card for part in self._parts.values() for card in part.denied}),
        )


def twice(listed: ListFile) -> str | None:
    """Return a card that stands in a list more than once, which of two rules holds for it nobody knows."""
    for before, after in zip(listed.cards, listed.cards[1:], strict=False):
        if before.card == after.card:
            return before.card
    return None


def split(listed: ListFile, key_id: str | None = None) -> list[SetCards]:
    """Return the parts of a list, each small enough for one command: 168 cards without an end, 107 with one."""
    contents = [*_contents(listed)] or [([], [])]
    return [
        SetCards(
            version=listed.version,
            part=number,
            parts=len(contents),
            cards=cards,
            denied=denied,
            valid_until_ms=listed.valid_until_ms,
            key_id=key_id,
        )
        for number, (cards, denied) in enumerate(contents, 1)
    ]


def _contents(listed: ListFile) -> Iterator[tuple[list[ListedCard], list[str]]]:
    """Yield cards, then denied ones, for one part after the other."""
    cards: list[ListedCard] = []
    denied: list[str] = []
    room = PART_BYTES - _AROUND_BYTES
    entries: tuple[ListedCard | str, ...] = (*listed.cards, *listed.denied)
    for entry in entries:
        room -= len(msgspec.json.encode(entry)) + 1
        if room < 0 or max(len(cards), len(denied)) == MAX_PART_CARDS:
            yield cards, denied
            cards, denied = [], []
            room = PART_BYTES - _AROUND_BYTES - len(msgspec.json.encode(entry)) - 1
        if isinstance(entry, str):
            denied.append(entry)
        else:
            cards.append(entry)
    if cards or denied:
        yield cards, denied


def _card(one: ListedCard) -> str:
    return one.card
