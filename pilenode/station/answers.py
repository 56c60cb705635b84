"""What the command line gets to its questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, assert_never

import msgspec

from pilenode import __version__
from pilenode.ipc.codec import MAX_FRAME
from pilenode.ipc.messages import (
    ControlReply,
    ControlRequest,
    Facts,
    FactsReply,
    OrderTest,
    Perform,
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
from pilenode.station.desk import Who
from pilenode.station.entries import JournalFailedError
from pilenode.station.records import record
from pilenode.station.sessions import StartRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pilenode.station import sessions
    from pilenode.station.acts import Acts
    from pilenode.station.control import Peer
    from pilenode.station.journal import Journal
    from pilenode.station.sync import Sync
    from pilenode.station.tests_runner import Prover
    from pilenode.upstream.contract import Upstream

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
        self._node = node
        self._journal = journal
        self._controller = controller
        self._prover = prover
        self._acts = acts
        self._dropped = dropped

    async def answer(self, request: ControlRequest, peer: Peer) -> ControlReply:
        """Return the reply to ``request`` of ``peer``."""
        match request:
            case Status() | Sessions() | Facts():
                return await self._look(request)
            case Start():
                by = _by(request.by, peer)
                return await self._controller.start(StartRequest(request.port, request.order, request.plan, "cli", by))
            case Stop():
                return await self._controller.stop(request.port, "technician", session=request.session)
            case ResetFault():
                return await self._controller.reset_fault(request.port, _by(request.by, peer), request.repair)
            case Perform():
                return await self._acts.perform(request.act, Who("cli", _by(request.by, peer)))
            case OrderTest() | RecordTest():
                return await self._test(request, _by(request.by, peer))
            case _:
                assert_never(request)

    async def _look(self, request: Status | Sessions | Facts) -> ControlReply:
        if isinstance(request, Status):
            return await self._status()
        return await (self._sessions(request.limit) if isinstance(request, Sessions) else self._facts(request))

    async def _test(self, request: OrderTest | RecordTest, by: str) -> ControlReply:
        if isinstance(request, OrderTest):
            return await self._prover.order(request.kind, by)
        return await self._prover.record(request.kind, by, request.detail, ok=request.ok)

    async def _status(self) -> StatusReply:
        problem, found = None, []
        try:
            found = await self._journal.open_sessions()
        except JournalFailedError as error:
            problem = error.problem
        # Read after the sessions: where one of them is missing because it has ended, its end counts as unsent.
        status = self._journal.status()
        problem = status.trouble or problem
        records = [record(facts, status.acked_seq) for facts in found]
        upstream, sync = self.upstream or (None, None)
        protocol = sync.protocol if sync is not None else None
        return StatusReply(
            node=self._node,
            version=__version__,
            guard=self._controller.snapshot,
            sessions=records,
            upstream_connected=protocol is not None,
            upstream_url=upstream.url if upstream is not None else None,
            upstream_protocol=protocol,
            outbox=status.last_seq - status.acked_seq,
            log_id=status.log_id,
            last_seq=status.last_seq,
            acked_seq=status.acked_seq,
            journal_ok=problem is None,
            journal_problem=problem,
            dropped=dict(self._dropped()),
            tests=self._prover.reports(),
        )

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
        except JournalFailedError as error:
            return Refused(code="journal_failed", detail=error.problem[:_MAX_WORDS])
        acked = self._journal.status().acked_seq
        return SessionsReply(sessions=_that_fit([record(facts, acked) for facts in found]))


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
