"""Orderly charging in the configuration: the table ``[load]`` and its ``[[load.feeder]]``.

Everything here is convenience and lies below guard's own limit (``[cabinet]``): no threshold is shared.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from config.schema_base import Name


class Feeder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some ports behind one line or circuit breaker of their own, with a budget of its own."""

    name: Annotated[Name, Meta(description="Name in messages")]
    ports: Annotated[
        list[Annotated[int, Meta(ge=1, le=99)]],
        Meta(min_length=1, max_length=40, description="Numbers of the ports behind it; each in one feeder at most"),
    ]
    limit_a: Annotated[float, Meta(gt=0, le=125, description="Budget of these ports together, A")]


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may charge at the same time: starts wait their turn, and sessions pause where the budget is short.

    Nothing here protects: the limits of `[cabinet]` do, and guard keeps them whatever stands here.
    """

    budget_a: (
        Annotated[
            float,
            Meta(gt=0, le=125, description="What all ports may draw together, A; left out: cabinet.current_limit_a"),
        ]
        | None
    ) = None
    admit_ratio: Annotated[
        float, Meta(ge=0.5, lt=1, description="A session starts where the expected sum stays within this share")
    ] = 0.9
    shed_ratio: Annotated[
        float, Meta(ge=0.6, le=1, description="Sessions pause when the measured sum is above this share")
    ] = 1.0
    shed_after_s: Annotated[float, Meta(ge=1, le=120, description="That excess must last this long, seconds")] = 10.0
    min_on_s: Annotated[
        float, Meta(ge=0, le=3600, description="A session is not paused before it has had power this long, seconds")
    ] = 300.0
    min_off_s: Annotated[float, Meta(ge=0, le=3600, description="A pause lasts at least this long, seconds")] = 300.0
    resume_margin_a: Annotated[
        float, Meta(ge=0, le=5, description="Room beyond its last draw that a paused session waits for, A")
    ] = 0.5
    max_pauses: Annotated[
        int, Meta(ge=0, le=20, description="Pauses of one session; when nothing else helps after these, it ends")
    ] = 3
    close_stagger_s: Annotated[float, Meta(ge=0.2, le=60, description="Between two starts or resumptions, seconds")] = (
        5.0
    )
    start_demand_a: Annotated[
        float, Meta(gt=0, le=16, description="Expected of an unknown charger before five sessions were seen, A")
    ] = 2.0
    settle_s: Annotated[
        float, Meta(ge=10, le=3600, description="The expected draw is kept free this long after a start, seconds")
    ] = 180.0
    spare_below_a: Annotated[
        float, Meta(ge=0, le=5, description="Sessions that draw less (nearly full) pause last, A")
    ] = 0.5
    queue_length: Annotated[
        int, Meta(ge=0, le=40, description="Starts that may wait; 0: none waits, a start without room is refused")
    ] = 20
    queue_wait_s: Annotated[float, Meta(ge=60, le=86_400, description="A start waits no longer, seconds")] = 14_400.0
    feeder: Annotated[list[Feeder], Meta(max_length=8)] = []
