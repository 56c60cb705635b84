"""Commands from upstream: judged, carried out once, answered always.

Rules of this file:
- switching on needs everything to be right; a stop that names its session or order is always honoured, also late,
  retained, or with a journal that fails: it can only ever end that one session;
- an id that was answered before gets the stored answer and has no second effect;
- a start is never taken from a retained message;
- a command is refused after its ``exp``, unless nothing is known of the time (clock quality "none"). Then the age of
  a command is bounded by the connection instead: the station connects with a clean session, so a broker keeps nothing
  for it while it is away, and what arrives was sent while this connection stood.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import structlog

from pilenode import clock
from pilenode.ipc.messages import Done, Identifier, Refused, StartReply
from pilenode.log import RateLimiter
from pilenode.station import wallclock
from pilenode.station.desk import Who
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.sessions import StartRequest
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.contract import MAX_COMMAND_BYTES, Command
from pilenode.upstream.facts import CommandResult, FactKind
from pilenode.upstream.facts_money import Payment

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.station.acts import Acts
    from pilenode.station.journal import Journal
    from pilenode.station.sessions import Sessions
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.contract import IncomingCommand

log = structlog.get_logger()


class _OnlyId(msgspec.Struct):
    """What is looked for in a command that is otherwise malformed."""

    id: Identifier


def parse(payload: bytes) -> Command | CommandResult:
    """Return the command in ``payload``, or the refusal that it deserves."""
    if len(payload) > MAX_COMMAND_BYTES:
        return CommandResult(id=None, ok=False, code="oversized")
    try:
        command = msgspec.json.decode(payload, type=Command)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return CommandResult(id=_id_of(payload), ok=False, code="malformed", detail=str(error)[:200])
    lacking = _lacking(command)
    return _refused(command, "malformed", lacking) if lacking else command


def _lacking(command: Command) -> str:
    """Return what a command lacks that its ``op`` needs, empty when it is whole."""
    if command.exp < command.iat:
        return "exp before iat"
    if command.op == "act":
        return "act without act" if command.act is None else ""
    if command.port is None:
        return f"{command.op} without port"
    if command.op == "stop" and command.session is None and command.order is None:
        return "stop without session or order"
    if command.op == "modify" and (command.session is None or command.change is None):
        return "modify without session or change"
    return "start without order" if command.op == "start" and command.order is None else ""


def _id_of(payload: bytes) -> str | None:
    try:
        return msgspec.json.decode(payload, type=_OnlyId).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def judge(command: Command, *, retained: bool, now: Stamp) -> str | None:
    """Return the refusal code of a command for its way and its age, or None."""
    if command.op == "stop":
        return None
    if retained:
        return "retained_command"
    return "expired" if now.clock is not ClockQuality.NONE and now.wall_ms > command.exp else None


def _refused(command: Command, code: str, detail: str = "") -> CommandResult:
    return CommandResult(id=command.id, op=command.op, ok=False, code=code, detail=detail, port=command.port)


def _request(command: Command) -> StartRequest:
    paid = command.paid_fen
    payment = Payment(mode="postpaid") if paid is None else Payment(mode="prepaid", paid_fen=paid)
    return StartRequest(
        port=command.port or 0,
        order=command.order or "",
        plan=command.plan,
        source="upstream",
        by=command.id,
        payment=payment,
    )


class Commands:
    """Carries out commands one at a time. ``refused`` counts refusals by code since start."""

    def __init__(
        self, journal: Journal, sessions: Sessions, acts: Acts, now: Callable[[], Stamp] = wallclock.stamp
    ) -> None:
        self._journal = journal
        self._sessions = sessions
        self._acts = acts
        self._now = now
        self._limiter = RateLimiter()
        self.refused: Counter[str] = Counter()

    async def handle(self, incoming: IncomingCommand) -> CommandResult:
        """Return what became of a command. Never raises for what is in it."""
        command = parse(incoming.payload)
        if isinstance(command, CommandResult):
            return self._count(command)
        try:
            stored = await self._journal.find_command(command.id)
        except JournalFailedError as error:
            if command.op == "start":
                return self._count(_refused(command, "journal_failed", error.problem[:200]))
            stored = None
        if stored is not None:
            return msgspec.json.decode(stored.body, type=CommandResult)
        code = judge(command, retained=incoming.retained, now=self._now())
        result = _refused(command, code) if code is not None else await self._carry_out(command)
        await self._remember(result)
        return self._count(result)

    async def _carry_out(self, command: Command) -> CommandResult:
        if command.op == "act":
            return await self._act(command)
        if command.port is None:
            return _refused(command, "malformed", "no port")
        reply: StartReply | Done | Refused
        if command.op == "stop":
            reply = await self._sessions.stop(command.port, "remote", session=command.session, order=command.order)
        elif command.op == "modify" and command.session is not None and command.change is not None:
            reply = await self._sessions.modify(command.port, command.session, command.change, "upstream", command.id)
        else:
            reply = await self._sessions.start(_request(command))
        if isinstance(reply, Refused):
            return _refused(command, reply.code, reply.detail)
        session = reply.session if isinstance(reply, StartReply) else command.session
        return CommandResult(id=command.id, op=command.op, ok=True, port=command.port, session=session)

    async def _act(self, command: Command) -> CommandResult:
        if command.act is None:
            return _refused(command, "malformed", "act without act")
        reply = await self._acts.perform(command.act, Who("upstream", command.id))
        if isinstance(reply, Refused):
            return _refused(command, reply.code, reply.detail)
        return CommandResult(id=command.id, op="act", ok=True)

    async def _remember(self, result: CommandResult) -> None:
        try:
            await self._journal.append([NewFact(FactKind.COMMAND_RESULT, result, result.session)])
        except (JournalFailedError, JournalConflictError) as error:
            # Repeated, it is judged again: a start is the same session by its order, a stop has nothing left to end.
            log.warning("result of a command not kept", command=result.id, problem=str(error))

    def _count(self, result: CommandResult) -> CommandResult:
        if not result.ok:
            self.refused[result.code] += 1
            held_back = self._limiter.admit(result.code, clock.monotonic_s())
            if held_back is not None:
                log.warning(
                    "command refused", command=result.id, code=result.code, detail=result.detail, held_back=held_back
                )
        return result
