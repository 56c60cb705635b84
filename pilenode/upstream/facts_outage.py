"""The part of facts that makes an interruption explicit. Integers; ms."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**53)]


class Outage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What interrupted a session: the supply or the controller, the cutoff process alone, the session process alone.

    ``from_ms`` is the last moment at which power is on record, None when the clock was not known then. ``length_ms`` is
    from there to when this was found, None when no clock can tell.
    """

    cause: Literal["power", "guard", "station"]
    from_ms: Count | None = None
    length_ms: Count | None = None
