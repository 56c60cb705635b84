"""``card_desk.Engine`` over the sessions of this cabinet: the only file that knows both."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from pilenode.ipc.messages import Plan, Refused
from pilenode.station.card_desk import Running
from pilenode.station.session import why_not
from pilenode.station.sessions import StartRequest
from pilenode.station.tariff import price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.ipc.messages import Done, StartReply
    from pilenode.station.card_desk import CardStart
    from pilenode.station.sessions import Sessions
    from pilenode.upstream.facts import TariffTerms

#: Upper bound of ``Plan.energy_wh``.
_MOST_WH: Final = 100_000
#: Guard cuts at the first reading above the planned energy. 3,500 W (the most a port may be set to) through the usual
#: 2 s between two readings are 2 Wh, which must fit the reserve too.
_OVERSHOOT_WH: Final = 2


def energy_wh(amount_fen: int, terms: TariffTerms) -> int | None:
    """Return the most energy that costs at most ``amount_fen`` under ``terms``, None when it costs nothing."""

    def cost_fen(wh: int) -> int:
        fees = price(wh, terms)
        return fees.electricity_fen + fees.service_fen

    if cost_fen(_MOST_WH) <= amount_fen:
        return None
    return bisect_right(range(_MOST_WH + 1), amount_fen, key=cost_fen) - 1


class CardEngine:
    """Starts and ends sessions for cards under ``terms``."""

    def __init__(self, sessions: Sessions, terms: TariffTerms) -> None:
        self._sessions = sessions
        self._terms = terms

    async def start(self, wish: CardStart) -> StartReply | Refused:
        """Start a session that ends when it costs ``amount_fen``; a refusal is on record already."""
        most_wh = energy_wh(wish.amount_fen, self._terms)
        plan = Plan() if most_wh is None else Plan(energy_wh=max(1, most_wh - _OVERSHOOT_WH))
        request = StartRequest(
            port=wish.port,
            order=wish.order,
            plan=plan,
            source="card",
            by=wish.reader,
            card=wish.card,
            reserve_fen=wish.amount_fen,
            offline=wish.offline,
        )
        return await self._sessions.start(request)

    async def stop(self, port: int, reason: str, *, session: str) -> Done | Refused:
        """End that session."""
        return await self._sessions.stop(port, reason, session=session)

    def running(self) -> Sequence[Running]:
        """Return the sessions that have no end yet, oldest first."""
        return [Running(one.port, one.session, one.started.card) for one in self._sessions.running]

    def why_not(self, port: int) -> Refused | None:
        """Return why no session may start on ``port`` by guard's newest snapshot; guard has the last word."""
        snapshot = self._sessions.snapshot
        if snapshot is None:
            return Refused(code="guard_absent")
        return why_not(port, snapshot, taken=any(one.port == port for one in self._sessions.running))
