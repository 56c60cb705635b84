"""Cards in the configuration: the table ``[cards]``. Money is fen (0.01 yuan)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Cards(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Starting with a card. The caps bound what copied and lost cards can cost while nobody can be asked."""

    enabled: Annotated[bool, Meta(description="Card readers start and end sessions")] = True
    key_file: Annotated[
        str,
        Meta(
            max_length=255,
            description="Key of the hashes of cards, 64 hex digits, when several cabinets share a list; "
            "empty: one of its own in station.data_dir",
        ),
    ] = ""
    day_cap_fen: Annotated[
        int, Meta(ge=0, le=1_000_000, description="The most one card may run up in a day, fen; a list may differ")
    ] = 500
    session_cap_fen: Annotated[
        int, Meta(ge=10, le=1_000_000, description="The most one session by card may cost, fen")
    ] = 300
    debt_cap_fen: Annotated[
        int,
        Meta(ge=0, le=100_000_000, description="The most all cards may owe that the backend does not know of yet, fen"),
    ] = 20_000
    per_card_sessions: Annotated[int, Meta(ge=1, le=40, description="Sessions one card may have at a time")] = 1
    debounce_s: Annotated[
        float, Meta(ge=1, le=60, description="A card seen again at the same reader within this is the same swipe")
    ] = 5.0
    list_max_age_days: Annotated[
        int, Meta(ge=0, le=3650, description="A list set longer ago starts nothing, days; 0: no limit")
    ] = 90
    offline_starts: Annotated[
        bool, Meta(description="Cards start sessions while the backend is not connected, or where there is none")
    ] = True
