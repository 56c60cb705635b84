"""Facts about the clock itself. Every body in ``facts`` joins them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

#: The largest integer that every JSON reader keeps exactly (``facts.MAX_INTEGER``).
_MAX: int = 2**53


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """What ties the clock of one boot to the calendar: at ``boottime_ms`` of the fact's ``boot`` it was ``wall_ms``.

    Written at the first trusted moment of a boot, when the tie steps by more than a second, when ``quality`` changes,
    and when the last one has become vague. Facts of the same boot, earlier ones too, are dated by it
    (``pilenode.station.timeline``). ``step_ms``: how far the calendar moved against the anchor before, 0 for the first
    of a boot. The truth was within ``uncertainty_ms`` of ``wall_ms``, if the source told the truth.
    """

    boottime_ms: Annotated[int, Meta(ge=0, le=_MAX)]
    wall_ms: Annotated[int, Meta(ge=0, le=_MAX)]
    quality: Annotated[str, Meta(max_length=8)]  # "rtc", "server", "ntp"
    step_ms: Annotated[int, Meta(ge=-_MAX, le=_MAX)]
    uncertainty_ms: Annotated[int, Meta(ge=0, le=_MAX)]
