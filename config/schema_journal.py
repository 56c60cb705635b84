"""The journal in the configuration: the table ``[journal]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Room for the journal, and how long facts stay in it after the backend has confirmed them."""

    budget_mb: Annotated[
        int,
        Meta(
            ge=32,
            le=65_536,
            description="Above this many MB of facts the oldest readings go, confirmed or not; nothing else does",
        ),
    ] = 1024
    ballast_mb: Annotated[
        int,
        Meta(ge=1, le=1024, description="Room kept so that a full disk still takes the ends of running sessions, MB"),
    ] = 16
    reserve_mb: Annotated[
        int, Meta(ge=1, le=1024, description="No session starts with less free room than this, MB")
    ] = 8
    telemetry_days: Annotated[
        int, Meta(ge=7, le=3660, description="Confirmed readings of running sessions stay for so many days")
    ] = 90
    record_days: Annotated[
        int,
        Meta(
            ge=180,
            le=36_600,
            description="Confirmed sessions and events stay for so many days; decisions in force stay always",
        ),
    ] = 1100
