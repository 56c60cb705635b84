"""Bodies of the facts about cards. No number of a card stands in them: ``card`` is a keyed hash.

``source`` is the way an act came in ("cli", "upstream"), ``by`` who acted, for people. Times are ms since the epoch.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pilenode.ipc.acts import CardId, Words

_Source = Annotated[str, Meta(max_length=16)]


class CardsSet(msgspec.Struct, frozen=True, kw_only=True):
    """A new list of cards counts. ``sha256`` names its content, which is in a file beside the journal."""

    version: int
    sha256: Annotated[str, Meta(min_length=64, max_length=64)]
    cards: int
    denied: int
    valid_until_ms: int | None = None
    source: _Source
    by: Words = ""


class CardDenied(msgspec.Struct, frozen=True, kw_only=True):
    """A single card is refused until it is allowed again."""

    card: CardId
    reason: Words = ""
    source: _Source
    by: Words = ""


class CardAllowed(msgspec.Struct, frozen=True, kw_only=True):
    """The refusal of a single card was taken back."""

    card: CardId
    reason: Words = ""
    source: _Source
    by: Words = ""


class CardLearned(msgspec.Struct, frozen=True, kw_only=True):
    """A card was taken into the cabinet's own list: a technician held it against ``reader``."""

    card: CardId
    reader: Annotated[str, Meta(max_length=32)]
    name: Words = ""
    until_ms: int | None = None
    source: _Source
    by: Words = ""


class CardForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """A learned card was struck out of the cabinet's own list."""

    card: CardId
    source: _Source
    by: Words = ""
