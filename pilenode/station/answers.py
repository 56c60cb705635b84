"""What the command line gets to its questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, assert_never

import msgspec

from pilenode import __version__
from pilenode.ipc.codec import MAX_FRAME
from pilenode.ipc.messages import (
    ControlReply,
    ControlRequest,
    Facts,
    FactsReply,
    ForgetConfig,
    GetTariff,
    Modify,
    OrderTest,
    Perform,
    Place,
    RecordTest,
    Refused,
    ResetFault,
    SessionRecord,
    Sessions,
    SessionsReply,
    Start,
    Status,
    StatusReply,
    Stop,
    StoredFact,
)
from pilenode.station import timeline
from pilenode.station.desk import Who
from pilenode.station.entries import JournalFailedError
from pilenode.station.records import record
from pilenode.station.sessions import StartRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pilenode.station import sessions
    from pilenode.station.acts import Acts
    from pilenode.station.card_service import CardService
    from pilenode.station.control import Peer
    from pilenode.station.desired_keeper import DesiredKeeper
    from pilenode.station.entries import SessionFacts
    from pilenode.station.journal import Journal
    from pilenode.station.load_control import LoadControl
    from pilenode.station.oversight import Oversight
    from pilenode.station.sync import Sync
    from pilenode.station.tariff_desk import TariffDesk
    from pilenode.station.tests_runner import Prover
    from pilenode.station.timekeeper import Timekeeper
    from pilenode.upstream.contract import Upstream
    from pilenode.upstream.facts_time import Anchor

#: Room in a reply for what stands around the records, bytes.
_FRAME_BYTES: Final = 1024
_MAX_WORDS: Final = 200

_Record = TypeVar("_Record", SessionRecord, StoredFact)


class Answers:
    """Answers requests whose right has been checked. ``dropped`` counts malformed input per source."""

    def __init__(
        self,
        node: str,
        journal: Journal,
        controller: sessions.Sessions,
        prover: Prover,
        acts: Acts,
        dropped: Callable[[], Mapping[str, int]],
    ) -> None:
        self.upstream: tuple[Upstream, Sync] | None = None
        self.tariff: TariffDesk | None = None
        self.oversight: Oversight | None = None
        self.place: Place | None = None
        self.timekeeper: Timekeeper | None = None
        self.cards: CardService | None = None
        self.load: LoadControl | None = None
        self.desired: DesiredKeeper | None = None
        self._node = node
        self._journal = journal
        self._controller = controller
        self._prover = prover
        self._acts = acts
        self._dropped = dropped

    async def answer(self, request: ControlRequest, peer: Peer) -> ControlReply:
        """Return the reply to ``request`` of ``peer``."""
        match request:
            case Status() | Sessions() | Facts() | GetTariff():
                return await self._look(request)
            case Start() | Modify() | Stop():
                return await self._order(request, _by(request.by, peer))
            case ResetFault():
                return await self._controller.reset_fault(request.port, _by(request.by, peer), request.repair)
            case Perform():
                return await self._acts.perform(request.act, Who("cli", _by(request.by, peer)))
            case ForgetConfig():
                return await self._forget(_by(request.by, peer))
            case OrderTest() | RecordTest():
                return await self._test(request, _by(request.by, peer))
            case _:
                assert_never(request)

    async def _order(self, request: Start | Modify | Stop, by: str) -> ControlReply:
        if isinstance(request, Start):
            return await self._controller.start(StartRequest(request.port, request.order, request.plan, "cli", by))
        if isinstance(request, Modify):
            return await self._controller.modify(request.port, request.session, request.change, "cli", by)
        if request.session is None and request.order is None:
            return Refused(code="wrong_session", detail="")
        return await self._controller.stop(request.port, "technician", session=request.session, order=request.order)

    async def _look(self, request: Status | Sessions | Facts | GetTariff) -> ControlReply:
        if isinstance(request, GetTariff):
            return await self._tariff()
        if isinstance(request, Status):
            return await self._status()
        return await (self._sessions(request.limit) if isinstance(request, Sessions) else self._facts(request))

    async def _tariff(self) -> ControlReply:
        if self.tariff is None or not await self._acts.catch_up():
            return Refused(code="journal_failed", detail=(self._journal.status().problem or "")[:_MAX_WORDS])
        return self.tariff.reply()

    async def _test(self, request: OrderTest | RecordTest, by: str) -> ControlReply:
        if isinstance(request, OrderTest):
            return await self._prover.order(request.kind, by)
        return await self._prover.record(request.kind, by, request.detail, ok=request.ok)

    async def _forget(self, by: str) -> ControlReply:
        return Refused(code="nothing_desired") if self.desired is None else await self.desired.forget(by)

    async def _status(self) -> StatusReply:
        problem, found, known, head = None, [], {}, 0
        try:
            found = await self._journal.open_sessions()
            # Read after the sessions: where one of them is missing because it has ended, its end counts as unsent.
            head = await self._journal.head()
            known = await self._anchors(found)
        except JournalFailedError as error:
            problem = error.problem
        status = self._journal.status()
        last_seq = max(status.last_seq, head)
        problem = status.trouble or problem
        records = [record(facts, status.acked_seq, known) for facts in found]
        upstream, sync = self.upstream or (None, None)
        protocol = sync.protocol if sync is not None else None
        trouble = None
        if self.upstream is not None:
            trouble = self.upstream[0].problem if protocol is None else self.upstream[1].problem
        return StatusReply(
            node=self._node,
            version=__version__,
            guard=self._controller.snapshot,
            sessions=records,
            upstream_connected=protocol is not None,
            upstream_url=upstream.url if upstream is not None else None,
            upstream_protocol=protocol,
            upstream_problem=None if trouble is None else trouble.code,
            upstream_detail="" if trouble is None else trouble.detail,
            outbox=last_seq - status.acked_seq,
            log_id=status.log_id,
            last_seq=last_seq,
            acked_seq=status.acked_seq,
            journal_ok=problem is None,
            journal_problem=problem,
            dropped=dict(self._dropped()),
            tests=self._prover.reports(),
            load=None if self.load is None else self.load.status(),
            place=self.place,
            timezone="Asia/Shanghai" if self.place is None else self.place.timezone,
            **self._overseen(),
            clock=self.timekeeper.status() if self.timekeeper is not None else None,
            readers=self.cards.readers() if self.cards is not None else [],
            cards=self.cards.report() if self.cards is not None else None,
            config=self.desired.shown() if self.desired is not None else None,
        )

    def _overseen(self) -> dict[str, Any]:
        oversight = self.oversight
        return {} if oversight is None else {"locks": oversight.locks(), "ledger": oversight.ledger()}

    async def _facts(self, request: Facts) -> FactsReply | Refused:
        try:
            found = await self._journal.facts(request.kinds, request.after, request.limit)
        except JournalFailedError as error:
            return Refused(code="journal_failed", detail=error.problem[:_MAX_WORDS])
        status = self._journal.status()
        facts = [msgspec.convert(fact, StoredFact, from_attributes=True) for fact in found]
        return FactsReply(log_id=status.log_id, last_seq=status.last_seq, facts=_that_fit(facts))

    async def _sessions(self, limit: int) -> SessionsReply | Refused:
        try:
            found = await self._journal.sessions(limit)
            known = await self._anchors(found)
        except JournalFailedError as error:
            return Refused(code="journal_failed", detail=error.problem[:_MAX_WORDS])
        acked = self._journal.status().acked_seq
        return SessionsReply(sessions=_that_fit([record(facts, acked, known) for facts in found]))

    async def _anchors(self, found: Sequence[SessionFacts]) -> dict[str, list[Anchor]]:
        boots = {fact.boot for facts in found for fact in (facts.start, facts.end) if fact is not None}
        return timeline.anchors(await self._journal.anchors(boots)) if boots else {}


def _by(words: str, peer: Peer) -> str:
    """Return who it was: what the kernel says, and what the person says."""
    return f"{peer}: {words}"[:_MAX_WORDS] if words else str(peer)


def _that_fit(records: list[_Record]) -> list[_Record]:
    """Return the first records that fit one frame."""
    room = MAX_FRAME - _FRAME_BYTES
    for count, item in enumerate(records):
        room -= len(msgspec.json.encode(item)) + 1
        if room < 0:
            return records[:count]
    return records
