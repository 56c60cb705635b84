"""Locks and ledger of one cabinet, wired to the acts: what the status, the upstream and the sessions ask about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pilenode.ipc.messages import Place
from pilenode.station import locks, wallclock
from pilenode.station.ledger import Policy
from pilenode.station.ledger_desk import LedgerDesk
from pilenode.station.locks import LockDesk
from pilenode.station.statistics import DEFAULT_TIMEZONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.schema import Config
    from pilenode.ipc.messages import LedgerShown, LockShown
    from pilenode.station.acts import Acts
    from pilenode.station.journal import Journal
    from pilenode.station.locks import HeldLock
    from pilenode.station.wallclock import Stamp

#: How often facts that others have written are taken in, seconds.
_FOLLOW_S: Final = 1.0


class Oversight:
    """The two desks. ``desks`` go to ``Acts``; ``follow`` keeps their pictures up to date."""

    def __init__(self, config: Config, journal: Journal, now: Callable[[], Stamp] = wallclock.stamp) -> None:
        ports = [port.number for port in config.port]
        terms = config.ledger
        policy = Policy(terms.serious_days, terms.normal_days, terms.responsible, terms.contingency)
        self._now = now
        self._locks = LockDesk(ports)
        self._ledger = LedgerDesk(policy, lambda: journal.status().log_id, ports)
        self._whole = False
        self.desks = (self._locks, self._ledger)

    async def follow(self, acts: Acts) -> None:
        """Keep the pictures up to date until cancelled."""
        while True:
            self._whole = await acts.catch_up() or self._whole
            await asyncio.sleep(_FOLLOW_S)

    def locked(self, port: int) -> HeldLock | None:
        """Return the gravest lock that keeps ``port`` without power now, None when it may be used."""
        return locks.locked(self._locks.locks, port, self._now())

    @property
    def now(self) -> Stamp:
        """Return the present moment."""
        return self._now()

    def locks(self) -> list[LockShown]:
        """Return the locks that are not over."""
        return locks.shown(self._locks.locks, self._now())

    def ledger(self) -> LedgerShown | None:
        """Return what of the ledger needs somebody, None while it has not been read."""
        return self._ledger.shown(self._now()) if self._whole else None


def place(config: Config) -> Place:
    """Return what reports say about the cabinet itself."""
    site, terms = config.site, config.ledger
    return Place(
        site=config.node.site,
        district=site.district,
        community=site.community,
        building=site.building,
        site_class=site.kind,
        operator=site.operator,
        timezone=getattr(config.node, "timezone", DEFAULT_TIMEZONE),
        serious_days=terms.serious_days,
        normal_days=terms.normal_days,
        responsible=terms.responsible,
        contingency=terms.contingency,
        ports=[port.number for port in config.port],
    )
