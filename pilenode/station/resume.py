"""Whether a session goes on after an interruption. Pure: facts, guard's picture and the policy in, a decision out.

A decision is made again with every look until it is carried out, so it depends on levels only, and a station that
dies meanwhile comes to the same one. Never twice for one interruption: a leg that was begun under this boot and this
guard and is gone again was not ended by the interruption before it (``outage_of`` finds no boot and no guard changed).

A session goes on only when everything says yes: the policy, the length (an unknown one is too long), the count, the
reason for which its last leg ended, no fault at port or cabinet, no lock, and something left of its plan within the
allowed hours. Otherwise it is closed with its last durable reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from pilenode.station.plans import Over, Used, guard_plan
from pilenode.upstream.facts_outage import Outage
from safety.catalogue import CATALOGUE, Effect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.schema_session import Session
    from pilenode.ipc.messages import Snapshot
    from pilenode.ipc.wish import Wish
    from pilenode.station.windows import Hours

#: Endings of a leg that an interruption explains. None: guard's memory of it is gone with the power.
_INTERRUPTED: Final = frozenset({None, "power_lost", "supply_lost", "guard_restarted", "lease_expired"})
#: What is closed is called after its cause.
_CLOSED: Final = {"power": "power_lost", "guard": "guard_restarted", "station": "lease_expired"}
#: A controller without a hardware clock learns the time from the network within this long after boot, or not at all.
CLOCK_WAIT_S: Final = 300.0
#: Meters and probes are read for the first time within this long after guard's start; what stands then is no start-up.
SETTLE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment and whose it was. ``wall_ms`` is None when the wall clock cannot be trusted."""

    boot: str
    guard_boot: str
    boottime_ms: int
    wall_ms: int | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A session without an end whose leg is over. ``position``: 0 for the first port that wants to go on.

    ``last_s`` and ``why`` are of its newest leg: the last moment at which power is on record (its durable reading, else
    its start), and how guard said that it ended, None when nobody has told. ``resumed``: interruptions survived so far.
    """

    port: int
    wish: Wish
    used: Used
    last: Instant
    why: str | None
    resumed: int
    position: int = 0
    locked: bool = False
    amount_left_mwh: int | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Begin a new leg in ``delay_s``; when it is 0, now."""

    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again: something is not known yet that will be soon."""

    why: str


@dataclass(frozen=True, slots=True)
class Close:
    """End the session with its last durable reading. ``reason`` is an ending, ``why`` what kept it from going on."""

    reason: str
    why: str


def outage_of(last: Instant, now: Instant, why: str | None) -> Outage:
    """Return what happened between the last record of power and now.

    Within one boot its clock measures the length exactly. Across boots only two trusted wall clocks can, and a clock
    that has gone back cannot. A supply that guard saw fail is a lost supply, although the controller stayed up.
    """
    if last.boot != now.boot:
        length_ms = None if last.wall_ms is None or now.wall_ms is None else now.wall_ms - last.wall_ms
        known = length_ms is not None and length_ms >= 0
        return Outage(cause="power", from_ms=last.wall_ms, length_ms=length_ms if known else None)
    length_ms = max(0, now.boottime_ms - last.boottime_ms)
    if why == "supply_lost":
        return Outage(cause="power", from_ms=last.wall_ms, length_ms=length_ms)
    same = last.guard_boot == now.guard_boot
    return Outage(cause="station" if same else "guard", from_ms=last.wall_ms, length_ms=length_ms)


def decide(
    session: Interrupted, now: Instant, snapshot: Snapshot, policy: Session, hours: Hours
) -> Resume | Wait | Close:
    """Return what becomes of an interrupted session. Ask again after a Wait and after a delay above 0."""
    outage = outage_of(session.last, now, session.why)
    rules = (_by_policy(session, outage, now, policy), _by_plan(session, now, hours), _by_guard(session, snapshot))
    refusal = next(chain.from_iterable(rules), None)
    if isinstance(refusal, Wait):
        return refusal
    if refusal is not None:
        return Close(_CLOSED[outage.cause], refusal)
    return Resume(max(0.0, session.position * policy.resume_stagger_s - snapshot.uptime_s))


def _by_policy(session: Interrupted, outage: Outage, now: Instant, policy: Session) -> Iterator[str | Wait]:
    if not (policy.resume_after_guard_restart if outage.cause == "guard" else policy.resume):
        yield "resume is off"
    if session.why not in _INTERRUPTED:
        yield f"ended before: {session.why}"
    if outage.cause == "station" and session.why != "lease_expired":
        yield "interrupted again"  # this boot and this guard had it: it went on already, or was never interrupted
    if session.resumed >= policy.resume_at_most:
        yield f"interrupted {session.resumed + 1} times"
    if outage.length_ms is None:
        waits = now.wall_ms is None and now.boottime_ms < CLOCK_WAIT_S * 1000
        yield Wait("clock_unknown") if waits else "length of the interruption unknown"
    elif outage.length_ms > policy.resume_max_outage_s * 1000:
        yield f"interrupted for {outage.length_ms // 1000} s"


def _by_plan(session: Interrupted, now: Instant, hours: Hours) -> Iterator[str]:
    if session.locked:
        yield "locked"
    if now.wall_ms is None and session.wish.until_ms is not None:
        yield "clock_unknown"
    if now.wall_ms is not None and not hours.open_at(now.wall_ms):
        yield "outside_hours"
    left = guard_plan(
        session.wish,
        earlier=session.used,
        now_ms=now.wall_ms or 0,
        amount_left_mwh=session.amount_left_mwh,
    )
    if isinstance(left, Over):
        yield left.code


def _by_guard(session: Interrupted, snapshot: Snapshot) -> Iterator[str | Wait]:
    port = next((one for one in snapshot.ports if one.port == session.port), None)
    if port is None:
        yield "unknown_port"
        return
    if port.state == "tripped":
        yield f"fault: {port.reason or 'unknown'}"
    if port.state in ("armed", "on"):
        yield "port_busy"
    standing = [code for code in (*snapshot.cabinet_faults, *port.findings) if _in_the_way(code)]
    yield from (f"fault: {code}" for code in standing if code not in CATALOGUE or CATALOGUE[code].holds)
    if snapshot.test_running is not None:
        yield Wait("test_running")
    if standing == ["supply_lost"]:
        yield Wait("supply_lost")  # for as long as the length of the interruption allows
    starting = snapshot.uptime_s < SETTLE_S
    yield from (Wait(code) if starting else f"fault: {code}" for code in standing)
    if port.register_mwh is None:
        yield Wait("starting_up") if starting else "meter not read"


def _in_the_way(code: str) -> bool:
    return code not in CATALOGUE or CATALOGUE[code].effect is not Effect.TELL
