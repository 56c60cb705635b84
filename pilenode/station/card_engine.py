"""``card_desk.Engine`` over the sessions of this cabinet: the only file that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pilenode.ipc.messages import Refused
from pilenode.ipc.wish import Wish
from pilenode.station.card_desk import Running
from pilenode.station.sessions import StartRequest
from pilenode.station.start_rules import why_not
from pilenode.upstream.facts_money import Payment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.ipc.messages import Done, StartReply
    from pilenode.station.card_desk import CardStart
    from pilenode.station.sessions import Sessions


#: Before the order of a start that waits, where the name of a session would stand: no session has a colon in its name.
_WAITS: Final = "waits:"


class CardEngine:
    """Starts and ends sessions for cards."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def start(self, wish: CardStart) -> StartReply | Refused:
        """Start a session that ends when it costs ``amount_fen``; a refusal is on record already."""
        request = StartRequest(
            port=wish.port,
            order=wish.order,
            plan=Wish(amount_fen=wish.amount_fen),
            source="card",
            by=wish.reader,
            card=wish.card,
            payment=Payment(mode="postpaid", limit_fen=wish.amount_fen),
            offline=wish.offline,
        )
        return await self._sessions.start(request)

    async def stop(self, port: int, reason: str, *, session: str) -> Done | Refused:
        """End that session, or take that start out of the queue."""
        order = session.removeprefix(_WAITS) if session.startswith(_WAITS) else None
        return await self._sessions.stop(port, reason, session=None if order else session, order=order)

    def running(self) -> Sequence[Running]:
        """Return the sessions that have no end yet, oldest first, and then the starts that wait for their turn."""
        running = [Running(one.port, one.session, one.started.card) for one in self._sessions.running]
        waiting = [Running(one.port, _WAITS + one.order, one.owner or None) for one in self._sessions.waiting]
        return [*running, *waiting]

    def why_not(self, port: int) -> Refused | None:
        """Return why no session may start on ``port`` by guard's newest snapshot; guard has the last word."""
        snapshot = self._sessions.snapshot
        if snapshot is None:
            return Refused(code="guard_absent")
        return why_not(port, snapshot, taken=any(one.port == port for one in self.running()))
