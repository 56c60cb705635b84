"""One open session as a value: its legs, what it has used, and what is known of it now. Pure.

A session is one order and one settlement. Its power may be interrupted and given again: every stretch with power asked
for under one lease name of guard is a **leg**. Guard gives a name that ended no power again, so going on is a new leg.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.prices import Prices
from pilenode.station.usage import PowerHistogram
from pilenode.upstream.facts import (
    Checkpoint,
    EnergyCount,
    EnergyFlag,
    FactKind,
    LegEnded,
    LegStarted,
    SessionModified,
    SessionStarted,
)
from pilenode.upstream.facts_money import Usage

if TYPE_CHECKING:
    from pilenode.ipc.messages import GuardEvent, Plan, Snapshot
    from pilenode.ipc.wish import Wish
    from pilenode.station.entries import SessionFacts
    from pilenode.upstream.facts import Fact
    from pilenode.upstream.facts_outage import Outage

#: Guard's words for a port that holds a live session (``safety.port.PortStatus``).
LIVE: Final = frozenset({"armed", "on"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the past as a record tells it. ``wall_ms`` None: no clock could be trusted then."""

    boot: str
    boottime_ms: int
    wall_ms: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest that is known of a leg that has had power."""

    start_register_mwh: int | None
    register_mwh: int | None
    on_ms: int
    power_w: int | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One stretch with power. ``begun``: when it was written, before guard was asked, with the boot of then."""

    number: int
    guard_boot: str
    begun: Moment


@dataclass(frozen=True, slots=True)
class Before:
    """What the ended legs of a session came to. ``causes``: why each of them ended without ending the session.

    ``pause_ms`` None: how long it was without power is not known.
    """

    energy_mwh: int = 0
    on_ms: int = 0
    flags: tuple[EnergyFlag, ...] = ()
    pause_ms: int | None = 0
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    """A session without power that is to go on. ``cause``: "load", "power" or "guard".

    ``since``: when it last had power, as far as is known. ``reason``: guard's word for the end, None where nobody has
    told. ``told``: when the end was written.
    """

    cause: str
    since: Moment
    reason: str | None
    told: Moment


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session without an end: what the journal holds of it, and what this process has seen since.

    ``pause`` is None while a leg runs or is to begin. ``slot``: the checkpoint interval whose reading is durable.
    ``over_since_s``: since when guard shows the leg as over without having told the end. ``abandoned``: its start was
    refused after guard was asked, so it must not run. ``stopped``: why it ends, where it was stopped without power and
    the record could not be written yet. ``held``: the plan that guard is known to have, ``review_ms``: when it must be
    reckoned anew (boottime). ``last``: when it was last known to have had power, or began.
    """

    session: str
    started: SessionStarted
    prices: Prices
    leg: Leg
    last: Moment
    plan: Wish
    begun: Moment
    before: Before = field(default_factory=Before)
    pause: Pause | None = None
    reading: Reading | None = None
    slot: int | None = None
    over_since_s: float | None = None
    abandoned: bool = False
    stopped: str = ""
    count: EnergyCount = field(default_factory=EnergyCount)
    usage: Usage = field(default_factory=Usage)
    power: PowerHistogram = field(default_factory=PowerHistogram)
    power_at_ms: int | None = None
    held: Plan | None = None
    review_ms: int | None = None

    @property
    def port(self) -> int:
        """Return the port it is on."""
        return self.started.port

    @property
    def lease(self) -> str:
        """Return the name of the present leg at guard."""
        return lease_name(self.session, self.leg.number)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a leg ended. ``powered`` False: the relay never closed; None: not known.

    ``cause``: why the session goes on all the same ("load", "power", "guard"); empty when this is its end.
    """

    session: str
    reason: str
    detail: str = ""
    age_ms: int = 0
    start_register_mwh: int | None = None
    end_register_mwh: int | None = None
    on_ms: int | None = None
    powered: bool | None = None
    cause: str = ""
    outage: Outage | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What guard said: its snapshot, and every event that was not handled before. The events are all there."""

    snapshot: Snapshot
    events: tuple[GuardEvent, ...] = ()


def lease_name(session: str, leg: int) -> str:
    """Return the name of a leg at guard."""
    return session if leg == 1 else f"{session}.{leg}"


def session_of(lease: str) -> str:
    """Return the session whose leg has that name at guard."""
    return lease.partition(".")[0]


def moment(fact: Fact) -> Moment:
    """Return when a fact was written."""
    return Moment(fact.boot, fact.boottime_ms, None if fact.clock == "none" else fact.wall_ms)


def earlier(at: Moment, ms: int) -> Moment:
    """Return the moment ``ms`` before ``at``."""
    wall_ms = None if at.wall_ms is None else max(0, at.wall_ms - ms)
    return replace(at, boottime_ms=at.boottime_ms - ms, wall_ms=wall_ms)


def span_ms(earlier: Moment, later: Moment) -> int | None:
    """Return the time between two moments, ms; None where no clock can tell. Within one boot it is exact."""
    if earlier.boot == later.boot:
        return max(0, later.boottime_ms - earlier.boottime_ms)
    if earlier.wall_ms is None or later.wall_ms is None or later.wall_ms < earlier.wall_ms:
        return None
    return later.wall_ms - earlier.wall_ms


def opened(session: str, started: SessionStarted, at: Moment) -> OpenSession:
    """Return a session that has just begun with its first leg."""
    return OpenSession(session, started, Prices(started.tariff), Leg(1, started.guard_boot, at), at, started.plan, at)


def restore(facts: SessionFacts) -> OpenSession:
    """Return an open session as the journal remembers it."""
    started = msgspec.json.decode(facts.start.body, type=SessionStarted)
    session = opened(facts.start.session or "", started, moment(facts.start))
    for fact in facts.turns:
        session = _turn(session, fact)
    if facts.reading is None:
        return session
    durable = msgspec.json.decode(facts.reading.body, type=Checkpoint)
    if durable.leg != session.leg.number or session.pause is not None:
        return session
    return replace(
        session,
        reading=Reading(durable.start_register_mwh, durable.register_mwh, durable.on_ms, durable.power_w),
        last=moment(facts.reading),
        count=durable.count,
        usage=durable.usage,
        power=PowerHistogram(tuple(durable.power_ms)),
    )


def _turn(session: OpenSession, fact: Fact) -> OpenSession:
    if fact.kind == FactKind.SESSION_MODIFIED:
        return replace(session, plan=msgspec.json.decode(fact.body, type=SessionModified).plan)
    if fact.kind == FactKind.LEG_ENDED:
        return paused(session, msgspec.json.decode(fact.body, type=LegEnded), moment(fact))
    return gone_on(session, msgspec.json.decode(fact.body, type=LegStarted), moment(fact))


def paused(session: OpenSession, body: LegEnded, at: Moment) -> OpenSession:
    """Return the session without power, after the end of a leg was written at ``at``."""
    before = session.before
    # Power that went away with guard or the whole cabinet went away some time after it was last seen.
    since = earlier(at, body.age_ms) if body.cause == "load" else session.last
    told_by_guard = body.reason not in {"power_lost", "guard_restarted"}
    return replace(
        session,
        before=replace(
            before,
            energy_mwh=before.energy_mwh + body.energy_mwh,
            on_ms=before.on_ms + body.on_ms,
            flags=tuple(flag for flag in EnergyFlag if flag in {*before.flags, *body.energy_flags}),
            causes=(*before.causes, body.cause),
        ),
        usage=body.usage,
        power=PowerHistogram(tuple(body.power_ms)),
        power_at_ms=None,
        pause=Pause(body.cause, since, body.reason if told_by_guard else None, at),
        count=EnergyCount(),
        reading=None,
        slot=None,
        over_since_s=None,
        held=None,
        review_ms=None,
    )


def gone_on(session: OpenSession, body: LegStarted, at: Moment) -> OpenSession:
    """Return the session with a further leg, which guard has not been asked for yet."""
    known = (
        None if session.before.pause_ms is None or body.pause_ms is None else session.before.pause_ms + body.pause_ms
    )
    return replace(
        session,
        leg=Leg(body.leg, body.guard_boot, at),
        before=replace(session.before, pause_ms=known),
        pause=None,
        reading=None,
        slot=None,
        over_since_s=None,
        last=at,
    )
