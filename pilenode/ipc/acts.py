"""Administrative acts: what an authorised party decides about a cabinet, apart from single sessions.

One union for both ways in: the technician's socket (``messages.Perform``) and upstream commands (``op: "act"``). An
act is judged, becomes facts when it is accepted, and becomes an ``act_refused`` fact with a code when it is not.

All structs are frozen and forbid unknown fields. Times are ms since the epoch, UTC; money is fen, currents are mA.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: As in ``pilenode.ipc.messages``, which imports this file; a test holds them together.
Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:/-]+$")]
PortNumber = Annotated[int, Meta(ge=1, le=99)]
Words = Annotated[str, Meta(max_length=200)]
#: Ms since the epoch, up to the largest integer that every JSON reader keeps.
Moment = Annotated[int, Meta(ge=0, le=2**53)]


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="act"):
    """Base of all acts."""


class Lock(Act, frozen=True, kw_only=True, tag="lock"):
    """Keep a port (the whole cabinet when ``port`` is None) without power; what runs there ends.

    ``kind``: "lockout" is the administrative measure of an authority (断电措施), "maintenance" a technician's work.
    ``from_ms`` None: at once; ``until_ms`` None: until it is lifted.
    """

    lock: Identifier
    port: PortNumber | None
    kind: Literal["lockout", "maintenance"]
    authority: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    from_ms: Moment | None = None
    until_ms: Moment | None = None


class LiftLock(Act, frozen=True, kw_only=True, tag="lift_lock"):
    """End a lock before its time. ``authority`` says in whose name, ``reason`` why."""

    lock: Identifier
    authority: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class SetBudget(Act, frozen=True, kw_only=True, tag="set_budget"):
    """Set what all ports may draw together, mA; never above the installer's budget. 0: nobody starts, all pause.

    ``until_ms`` None: until the next such act. The installer's own value lifts it.
    """

    limit_ma: Annotated[int, Meta(ge=0, le=125_000)]
    authority: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    until_ms: Moment | None = None


AnyAct = Lock | LiftLock | SetBudget
