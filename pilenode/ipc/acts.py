"""Administrative acts: what an authorised party decides about a cabinet, apart from single sessions.

One union for both ways in: the technician's socket (``messages.Perform``) and upstream commands (``op: "act"``). An
act is judged, becomes facts when it is accepted, and becomes an ``act_refused`` fact with a code when it is not.

All structs are frozen and forbid unknown fields. Times are ms since the epoch, UTC; money is fen, currents are mA.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config.tariff import TariffSchedule

#: As in ``pilenode.ipc.messages``, which imports this file; a test holds them together.
Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:/-]+$")]
PortNumber = Annotated[int, Meta(ge=1, le=99)]
Words = Annotated[str, Meta(max_length=200)]
#: Words that must be there.
Said = Annotated[str, Meta(min_length=1, max_length=200)]
#: Ms since the epoch, up to the largest integer that every JSON reader keeps.
Moment = Annotated[int, Meta(ge=0, le=2**53)]
#: A card: 128 bits of a keyed hash of its number, in hex (``pilenode.station.card_id``).
CardId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
#: Cards in one part of a list; what a frame of 8 KiB takes is reached first where every card has all fields.
MAX_PART_CARDS = 180


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="act"):
    """Base of all acts."""


class Lock(Act, frozen=True, kw_only=True, tag="lock"):
    """Keep a port (the whole cabinet when ``port`` is None) without power; what runs there ends.

    ``kind``: "lockout" is the administrative measure of an authority (断电措施), "maintenance" a technician's work.
    ``from_ms`` None: at once; ``until_ms`` None: until it is lifted. The same lock again changes nothing; the same
    ``lock`` with other content is refused, and so is one that was lifted.
    """

    lock: Identifier
    port: PortNumber | None
    kind: Literal["lockout", "maintenance"]
    authority: Said
    reason: Said
    from_ms: Moment | None = None
    until_ms: Moment | None = None


class LiftLock(Act, frozen=True, kw_only=True, tag="lift_lock"):
    """End a lock before its time. ``authority`` says in whose name, ``reason`` why.

    A lock-out is lifted in the name of the authority that set it only. Maintenance that was begun at the cabinet is
    ended at the cabinet only, by any technician: nobody far away gives power to a port with hands in it.
    """

    lock: Identifier
    authority: Said
    reason: Said


class SetTariff(Act, frozen=True, kw_only=True, tag="set_tariff"):
    """Put other prices in force for the sessions that start from now on. Its number is above the present one's."""

    tariff: TariffSchedule


class UpdateEntry(Act, frozen=True, kw_only=True, tag="update_entry"):
    """Write into an entry of the ledger (台账). What is None stays as it is; at least one must be given.

    ``entry`` is "<log_id>-<seq>" or the bare number. Closing needs a measure, given here or before.
    """

    entry: Identifier
    measure: Words | None = None
    responsible: Words | None = None
    contingency: Words | None = None
    due_ms: Moment | None = None
    state: Literal["open", "in_progress", "closed"] | None = None
    note: Words | None = None


class Inspect(Act, frozen=True, kw_only=True, tag="inspect"):
    """Record an inspection (巡检) of ``what``. A bad one opens an entry of the ledger, the next good one closes it.

    ``by`` is who looked; ``port`` None: it concerns the whole cabinet.
    """

    what: Annotated[str, Meta(min_length=1, max_length=64)]
    ok: bool
    by: Said
    detail: Words = ""
    port: PortNumber | None = None


class SetBudget(Act, frozen=True, kw_only=True, tag="set_budget"):
    """Set what all ports may draw together, mA; never above the installer's budget. 0: nobody starts, all pause.

    ``until_ms`` None: until the next such act. The installer's own value lifts it.
    """

    limit_ma: Annotated[int, Meta(ge=0, le=125_000)]
    authority: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    until_ms: Moment | None = None


class ListedCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One card of a list. ``until_ms`` is the first moment at which it is no longer good; None: for ever.

    ``day_cap_fen`` stands in the place of ``cards.day_cap_fen``. A "staff" card may have any number of sessions.
    """

    card: CardId
    until_ms: Moment | None = None
    day_cap_fen: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    kind: Literal["user", "staff"] = "user"


class SetCards(Act, frozen=True, kw_only=True, tag="set_cards"):
    """One part of a new list of cards. When all parts of a version are there, the list counts, whole and at once.

    Parts come in any order and may come again. ``key_id`` names the key of the hashes (``pilenode card hash``); a
    list made with another key is refused. ``valid_until_ms`` must be the same in every part.
    """

    version: Annotated[int, Meta(ge=1, le=2**53)]
    part: Annotated[int, Meta(ge=1, le=1000)] = 1
    parts: Annotated[int, Meta(ge=1, le=1000)] = 1
    cards: Annotated[list[ListedCard], Meta(max_length=MAX_PART_CARDS)] = []
    denied: Annotated[list[CardId], Meta(max_length=MAX_PART_CARDS)] = []
    valid_until_ms: Moment | None = None
    key_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}$")] | None = None


class DenyCard(Act, frozen=True, kw_only=True, tag="deny_card"):
    """Refuse a card from now on, whatever lists say. It stands through new lists until it is allowed again."""

    card: CardId
    reason: Words = ""


class AllowCard(Act, frozen=True, kw_only=True, tag="allow_card"):
    """Take back a ``DenyCard``. A card that the list itself denies stays denied."""

    card: CardId
    reason: Words = ""


class LearnCard(Act, frozen=True, kw_only=True, tag="learn_card"):
    """Take the next card at ``reader`` into the cabinet's own list. Waits 30 s for it."""

    reader: Annotated[str, Meta(min_length=1, max_length=32)]
    name: Words = ""
    until_ms: Moment | None = None


class ForgetCard(Act, frozen=True, kw_only=True, tag="forget_card"):
    """Strike a learned card out of the cabinet's own list."""

    card: CardId


AnyAct = (
    Lock
    | LiftLock
    | SetTariff
    | UpdateEntry
    | Inspect
    | SetBudget
    | SetCards
    | DenyCard
    | AllowCard
    | LearnCard
    | ForgetCard
)
