"""When charging is allowed, and which sessions go on after the power was away: the table ``[session]``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: A time of day; 24:00 is the end of a day only.
_CLOCK = r"^(?:[01]\d|2[0-3]):[0-5]\d$"
_CLOCK_OR_END = r"^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$"


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}):
    """Hours of the day in which charging is allowed; past midnight where ``to`` is earlier than ``from``."""

    from_: Annotated[str, Meta(pattern=_CLOCK, description="Local time at which it begins, HH:MM")]
    to: Annotated[str, Meta(pattern=_CLOCK_OR_END, description="Local time at which it ends, HH:MM up to 24:00")]


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Allowed hours, and what becomes of a session that was interrupted. Safety depends on neither."""

    allowed: Annotated[
        list[Window],
        Meta(max_length=8, description="Hours in which sessions start, while the clock can be trusted; empty: always"),
    ] = []
    at_end: Annotated[
        Literal["finish", "end"],
        Meta(description="When the hours end: finish lets running sessions go on, end ends them"),
    ] = "finish"
    resume: Annotated[bool, Meta(description="Sessions go on when the power returns; false: they are closed")] = True
    resume_after_guard_restart: Annotated[
        bool, Meta(description="The same when only the cutoff process was restarted and has found no fault")
    ] = True
    resume_max_outage_s: Annotated[
        int, Meta(ge=0, le=43_200, description="Not after a longer interruption, seconds; an unknown one is too long")
    ] = 1800
    resume_at_most: Annotated[
        int, Meta(ge=0, le=20, description="So many times one session goes on, then it is closed")
    ] = 3
    resume_stagger_s: Annotated[
        float, Meta(ge=0, le=60, description="From one port to the next when several go on, seconds")
    ] = 2.0
