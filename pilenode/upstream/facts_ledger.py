"""Bodies of the facts about locks, inspections and the ledger.

``source`` is the way an act came in ("cli", "upstream"), ``by`` who acted, for people. Times are ms since the epoch.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pilenode.ipc.messages import Identifier, PortNumber, Words

_Source = Annotated[str, Meta(max_length=16)]


class LockSet(msgspec.Struct, frozen=True, kw_only=True):
    """A port (the cabinet when ``port`` is None) was locked; ``lock_kind`` is "lockout" or "maintenance"."""

    lock: Identifier
    port: PortNumber | None
    lock_kind: Annotated[str, Meta(max_length=16)]
    authority: Words
    reason: Words
    from_ms: int | None = None
    until_ms: int | None = None
    source: _Source
    by: Words = ""


class LockLifted(msgspec.Struct, frozen=True, kw_only=True):
    """A lock was ended by an authorised act. A lock whose time is over has no such fact."""

    lock: Identifier
    authority: Words
    reason: Words
    source: _Source
    by: Words = ""


class LedgerUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """Something was written into the entry that the fact ``entry`` of this log had opened. None: unchanged."""

    entry: Annotated[int, Meta(ge=1)]
    measure: Words | None = None
    responsible: Words | None = None
    contingency: Words | None = None
    due_ms: int | None = None
    state: Annotated[str, Meta(max_length=16)] | None = None
    note: Words | None = None
    source: _Source
    by: Words = ""


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody (``inspector``) has inspected ``what``."""

    what: Annotated[str, Meta(max_length=64)]
    ok: bool
    inspector: Words
    detail: Words = ""
    port: PortNumber | None = None
    source: _Source
    by: Words = ""
