"""What the load plan is asked with and what it answers. All immutable; times are seconds on one steady clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pilenode.station.load_forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.schema import Config

#: The group that every port belongs to; names of feeders have no space.
CABINET: Final = "the cabinet"


@dataclass(frozen=True, slots=True)
class Feeder:
    """Ports behind one line, and what they may draw together, A."""

    name: str
    ports: frozenset[int]
    limit_a: float


@dataclass(frozen=True, slots=True)
class LoadRules:
    """The table ``[load]``; keys, units and ranges as in ``config.schema_load``. ``budget_a`` is the installer's."""

    budget_a: float
    admit_ratio: float = 0.9
    shed_ratio: float = 1.0
    shed_after_s: float = 10.0
    min_on_s: float = 300.0
    min_off_s: float = 300.0
    resume_margin_a: float = 0.5
    max_pauses: int = 3
    close_stagger_s: float = 5.0
    start_demand_a: float = 2.0
    settle_s: float = 180.0
    spare_below_a: float = 0.5
    queue_length: int = 20
    queue_wait_s: float = 14_400.0
    feeders: tuple[Feeder, ...] = ()

    @classmethod
    def of(cls, config: Config) -> LoadRules:
        """Return the rules of a cabinet."""
        table = config.load
        values = {
            name: getattr(table, name) for name in cls.__dataclass_fields__ if name not in ("budget_a", "feeders")
        }
        budget_a = config.cabinet.current_limit_a if table.budget_a is None else table.budget_a
        feeders = tuple(Feeder(one.name, frozenset(one.ports), one.limit_a) for one in table.feeder)
        return cls(budget_a=budget_a, feeders=feeders, **values)


@dataclass(frozen=True, slots=True)
class Charging:
    """An open session. ``live``: it has a lease; otherwise it is paused, by this plan or because the power was gone.

    ``since_s``: when this leg, or this pause, began. ``on_s``: seconds with power in all its legs. ``pauses``: how
    often this plan has paused it. ``current_a``: what its newest fresh reading shows, None without one. ``owner``: card
    or account, None where nobody knows.
    """

    session: str
    port: int
    live: bool
    since_s: float
    on_s: float = 0.0
    pauses: int = 0
    current_a: float | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A start that waits, by its order."""

    order: str
    port: int
    since_s: float
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The cabinet now. ``budget_a``: what is in force, never above the installer's. ``queue``: oldest first.

    ``inlet_a``: what a meter in front of all ports shows, None without a fresh value.
    """

    budget_a: float
    sessions: tuple[Charging, ...] = ()
    queue: tuple[Waiting, ...] = ()
    inlet_a: float | None = None


@dataclass(frozen=True, slots=True)
class Admit:
    """Start what waits under this order, now."""

    order: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Take this order out of the queue; ``why`` is a refusal of the catalogue."""

    order: str
    why: str


@dataclass(frozen=True, slots=True)
class Pause:
    """End this session's leg (reason "shed"); the session stays open."""

    session: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Ask guard for the next leg of this session."""

    session: str


@dataclass(frozen=True, slots=True)
class End:
    """End this session for good (reason "shed"): it has been paused as often as it may, and nothing else helps."""

    session: str


Decision = Admit | Leave | Pause | Resume | End


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of one open session: the draw that counts for it, and the most it has drawn, A."""

    demand_a: float
    peak_a: float
    owner: str | None


@dataclass(frozen=True, slots=True)
class LoadState:
    """Memory of the plan; a new one is good at any time (the open sessions and the queue come with the view).

    ``over_s``, ``far_s``: since when a group is above its shed threshold, and far above. ``tried_s``: when an order or
    session was last told to begin, so that a refusal of guard is not answered with the next request at once.
    """

    forecast: Forecast = field(default_factory=Forecast)
    known: Mapping[str, Known] = field(default_factory=dict)
    over_s: Mapping[str, float] = field(default_factory=dict)
    far_s: Mapping[str, float] = field(default_factory=dict)
    tried_s: Mapping[str, float] = field(default_factory=dict)
    budget_a: float | None = None
    lowered: bool = False  # the budget fell, and the sum has not come down to it yet
    closed_s: float | None = None
    shed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows: the new memory, what to do in this order, and the place in the queue of every order, from 1."""

    state: LoadState
    decisions: tuple[Decision, ...]
    positions: Mapping[str, int]
