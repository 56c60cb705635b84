"""What the house allows: who may start, who must end, who may go on. The one place where all rules meet.

Every rule is a pure function in a module of its own; this file asks them in their order, and the first refusal counts.
Nothing here protects anybody from fire: that is guard's, which knows nothing of these rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from pilenode.station import locks, plans, resume
from pilenode.station.bill import amount_limit
from pilenode.station.plans import Over, Used
from pilenode.station.start_rules import unfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.schema_session import Session as Policy
    from pilenode.ipc.messages import Plan, PortSnapshot, Refused, Snapshot
    from pilenode.ipc.wish import Wish
    from pilenode.station.locks import HeldLock
    from pilenode.station.session import OpenSession
    from pilenode.station.wallclock import Stamp
    from pilenode.station.windows import Hours
    from pilenode.upstream.facts_outage import Outage

#: A plan with a clock time or a sum of money is reckoned anew this often, ms: clocks are set, and prices change.
REVIEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class End:
    """A session must end now. ``reason`` is an ending of the catalogue."""

    reason: str
    detail: str = ""
    outage: Outage | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """A paused session waits on."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """A paused session may have power again now."""

    outage: Outage | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What guard shall hold for the present leg; ``for_ms``: for how long that is right, None: to the end."""

    plan: Plan
    for_ms: int | None = None


class House(Protocol):
    """The rules of one cabinet, as the controller asks them."""

    @property
    def stagger_s(self) -> float:
        """Return the pause between two sessions that go on after a loss of power, seconds."""

    def why_not_start(self, port: int, wish: Wish, now: Stamp) -> Refused | None:
        """Return why nobody may start this now, or None."""

    def held(self, session: OpenSession, now: Stamp) -> Held | Over:
        """Return what guard shall hold for the present leg, or what of the plan is used up."""

    def must_end(self, session: OpenSession, now: Stamp) -> End | None:
        """Return why a session may not stay open, with or without power, or None."""

    def after_loss(
        self, session: OpenSession, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait | GoOn:
        """Return what becomes of a session whose power went away with guard or with the whole cabinet.

        ``session`` is paused already, in thought or in fact.
        """


class PlainHouse:
    """A house with no rules but the customer's own plan: everybody may start, nobody goes on after a loss of power."""

    stagger_s = 2.0

    def why_not_start(self, port: int, wish: Wish, now: Stamp) -> Refused | None:
        """Refuse only a plan that cannot be."""
        del port
        return plans.why_not(wish, known_ms(now))

    def held(self, session: OpenSession, now: Stamp) -> Held | Over:
        """Hand on what is left of the customer's plan."""
        return held(session, now, None, None)

    def must_end(self, session: OpenSession, now: Stamp) -> End | None:
        """End nothing."""
        del session, now
        return None

    def after_loss(
        self, session: OpenSession, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait | GoOn:
        """Close the session with its last reading."""
        del port, snapshot, now
        return End(lost("power" if session.pause is None else session.pause.cause))


class CabinetHouse:
    """The rules of a configured cabinet. ``longest_s``: power over all legs of a session."""

    def __init__(
        self, policy: Policy, hours: Hours, longest_s: float, locked: Callable[[int], HeldLock | None]
    ) -> None:
        self.stagger_s = policy.resume_stagger_s
        self._policy = policy
        self._hours = hours
        self._longest_ms = round(longest_s * 1000)
        self._locked = locked

    def why_not_start(self, port: int, wish: Wish, now: Stamp) -> Refused | None:
        """Locks first: they are an authority's; then the hours, then the plan itself."""
        lock = self._locked(port)
        if lock is not None:
            return locks.refusal(lock)
        known = known_ms(now)
        return plans.why_closed(self._hours, known) or plans.why_not(wish, known)

    def held(self, session: OpenSession, now: Stamp) -> Held | Over:
        """Take off what earlier legs have used, and convert money and clock times into what guard can hold."""
        known = known_ms(now)
        closes_ms = None if known is None else self._hours.deadline_ms(known)
        return held(session, now, closes_ms, self._longest_ms)

    def must_end(self, session: OpenSession, now: Stamp) -> End | None:
        """End what is locked; a pause outlives neither the plan nor the hours."""
        lock = self._locked(session.port)
        if lock is not None:
            return End(locks.ending(lock), lock.set.lock)
        if session.pause is None:
            return None
        left = self.held(session, now)
        return End(left.code) if isinstance(left, Over) else None

    def after_loss(
        self, session: OpenSession, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait | GoOn:
        """Ask the policy for interrupted sessions."""
        del port
        pause = session.pause
        if pause is None:
            return Wait()
        left = amount_left_mwh(session, now)
        interrupted = resume.Interrupted(
            port=session.port,
            wish=session.plan,
            used=Used(session.before.energy_mwh, session.before.on_ms),
            last=resume.Instant(pause.since.boot, session.leg.guard_boot, pause.since.boottime_ms, pause.since.wall_ms),
            why=None if pause.cause == "load" else pause.reason,
            resumed=sum(cause != "load" for cause in session.before.causes[:-1]),
            locked=self._locked(session.port) is not None,
            amount_left_mwh=None if left is None else left[0],
        )
        instant = resume.Instant(now.boot, snapshot.guard_boot, now.boottime_ms, known_ms(now))
        outage = resume.outage_of(interrupted.last, instant, interrupted.why)
        match resume.decide(interrupted, instant, snapshot, self._policy, self._hours):
            case resume.Close(reason=reason, why=why):
                return End(reason, why, outage)
            case resume.Resume(delay_s=0):
                return GoOn(outage)
            case _:
                return Wait()


def known_ms(now: Stamp) -> int | None:
    """Return what time it is, None where no clock can be trusted."""
    return None if now.clock == "none" else now.wall_ms


def lost(cause: str) -> str:
    """Return what the end of a session is called whose power went away for that cause and is not coming back."""
    return {"guard": "guard_restarted", "load": "shed"}.get(cause, "power_lost")


def fit(port: PortSnapshot | None, snapshot: Snapshot) -> bool:
    """Return whether guard would give a port power now, as far as its snapshot tells."""
    return port is not None and unfit(port, snapshot) is None


def held(session: OpenSession, now: Stamp, closes_ms: int | None, longest_ms: int | None) -> Held | Over:
    """Return what guard shall hold for the present leg of ``session``, or what of its plan is used up."""
    wish, before = session.plan, session.before
    if longest_ms is not None and before.on_ms:
        if before.on_ms >= longest_ms:
            return Over("max_duration")
        longest_s = max(1, longest_ms // 1000)
        wish = msgspec.structs.replace(wish, duration_s=min(wish.duration_s or longest_s, longest_s))
    left = amount_left_mwh(session, now)
    plan = plans.guard_plan(
        wish,
        earlier=Used(before.energy_mwh, before.on_ms),
        now_ms=now.wall_ms,
        leg_mwh=session.count.energy_mwh,
        amount_left_mwh=None if left is None else left[0],
        closes_ms=closes_ms,
    )
    if isinstance(plan, Over):
        return plan
    reviews = [left[1]] if left is not None else []
    if wish.until_ms is not None or closes_ms is not None or left is not None:
        reviews.append(REVIEW_MS)
    return Held(plan, min(reviews) if reviews else None)


def amount_left_mwh(session: OpenSession, now: Stamp) -> tuple[int, int] | None:
    """Return what the session's money still buys, mWh, and for how long that holds, ms; None without a limit."""
    payment = session.started.payment
    bounds = [session.plan.amount_fen, payment.limit_fen, payment.paid_fen if payment.mode == "prepaid" else None]
    amounts = [amount for amount in bounds if amount is not None]
    if not amounts:
        return None
    limit = amount_limit(
        min(amounts), session.usage.pieces, session.power.power_ms, session.prices.schedule, known_ms(now)
    )
    return limit.energy_mwh, limit.for_ms
