"""What the house allows: who may start, who must end, who may go on after a pause. One place where all rules meet.

Every rule is a pure function in a module of its own; this file asks them in their order. The first refusal counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from pilenode.ipc.messages import Plan
from pilenode.station.plans import Over, Used, guard_plan
from pilenode.station.start_rules import unfit

if TYPE_CHECKING:
    from pilenode.ipc.messages import PortSnapshot, Refused, Snapshot
    from pilenode.station.session import OpenSession
    from pilenode.station.sessions import StartRequest
    from pilenode.station.wallclock import Stamp


#: What guard is given of a plan that earlier legs have used up: nothing that a meter can show.
_SPENT_WH = 0.001


@dataclass(frozen=True, slots=True)
class End:
    """A session must end now. ``reason`` is an ending of the catalogue."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A paused session waits on."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """A paused session may have power again now."""


class House(Protocol):
    """The rules of one cabinet, as the controller asks them."""

    def why_not_start(self, request: StartRequest, now: Stamp) -> Refused | None:
        """Return why nobody may start this now, or None."""

    def plan(self, session: OpenSession) -> Plan:
        """Return what guard shall hold for the present leg."""

    def must_end(self, session: OpenSession, now: Stamp) -> End | None:
        """Return why a session may not stay open, with or without power, or None."""

    def after_loss(
        self, session: OpenSession, cause: str, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait:
        """Return what becomes of a session whose power went away with guard or with the whole cabinet."""

    def after_pause(
        self, session: OpenSession, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait | GoOn:
        """Return what becomes of a session without power."""


class PlainHouse:
    """A house with no rules but guard's: everybody may start, nobody goes on after power was lost."""

    def why_not_start(self, request: StartRequest, now: Stamp) -> Refused | None:
        """Refuse nothing."""
        del request, now
        return None

    def plan(self, session: OpenSession) -> Plan:
        """Let guard hold what needs neither clock nor prices: energy and time, less what was used."""
        wish = msgspec.structs.replace(session.plan, until_ms=None)
        left = guard_plan(wish, earlier=Used(session.before.energy_mwh, session.before.on_ms), now_ms=0)
        return Plan(energy_wh=_SPENT_WH) if isinstance(left, Over) else left

    def must_end(self, session: OpenSession, now: Stamp) -> End | None:
        """End nothing."""
        del session, now
        return None

    def after_loss(
        self, session: OpenSession, cause: str, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait:
        """Close the session with its last reading."""
        del session, port, snapshot, now
        return End("power_lost" if cause == "power" else "guard_restarted")

    def after_pause(
        self, session: OpenSession, port: PortSnapshot | None, snapshot: Snapshot, now: Stamp
    ) -> End | Wait | GoOn:
        """Go on as soon as the port is fit for it."""
        del session, now
        return Wait() if port is None or unfit(port, snapshot) is not None else GoOn()
