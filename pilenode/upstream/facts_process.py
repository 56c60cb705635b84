"""Facts about the processes of a cabinet besides ``boot``: an end in order, and a guard that was not there before."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pilenode.ipc.messages import Identifier

Count = Annotated[int, Meta(ge=0, le=2**53)]
Reason = Annotated[str, Meta(max_length=16)]


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """The station process ends in order. ``reason``: "signal", "new_log", "configuration".

    Without it before the next ``boot`` the process was killed, or its storage took nothing any more.
    """

    reason: Reason


class GuardStarted(msgspec.Struct, frozen=True, kw_only=True):
    """Station sees a guard that it has not seen before; ``age_ms``: how long before this row that one started.

    ``before`` is the guard seen last. ``reason``: "first" (none was), "reboot" (the machine started anew), "restart"
    (guard alone: killed, a bug, its watchdog, or asked to).
    """

    guard_boot: Identifier
    before: Identifier | None = None
    reason: Reason
    age_ms: Count = 0
