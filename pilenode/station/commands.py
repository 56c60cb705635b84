"""Commands from upstream: judged, carried out once, answered always.

Rules of this file:
- switching on needs everything to be right; a stop that names its session or order is always honoured, also late,
  retained, or with a journal that fails: it can only ever end that one session;
- an id that was answered before gets the stored answer and has no second effect;
- a start is never taken from a retained message;
- a command is refused after its ``exp``, unless nothing is known of the time (clock quality "none"). Then the age of
  a command is bounded by the connection instead: the station connects with a clean session, so a broker keeps nothing
  for it while it is away, and what arrives was sent while this connection stood. A start must also repeat the
  challenge then (``gate``), so that nobody on the way can hold it back;
- an answer is stored when it is the last word on that id. A refusal that says nothing about the command itself (who
  sent it, the challenge, the rate) is not: the same id may come again. Of the others a flood leaves only so many a
  minute; what had no effect may be judged again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pilenode import clock
from pilenode.ipc.messages import Done, Refused, StartReply
from pilenode.log import RateLimiter
from pilenode.station import wallclock
from pilenode.station.command_text import hear
from pilenode.station.desk import Who
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.gate import Gate, Verdict
from pilenode.station.sessions import StartRequest
from pilenode.upstream.facts import CommandResult, FactKind
from pilenode.upstream.facts_money import Payment

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.station.acts import Acts
    from pilenode.station.command_text import Heard
    from pilenode.station.journal import Journal
    from pilenode.station.sessions import Sessions
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.contract import Command, IncomingCommand

#: Refusals that are the last word on an id.
_FINAL: Final = frozenset({"retained_command", "expired"})

#: Results held in memory while the journal takes none; starts are refused all that time, so they are few.
_MAX_UNKEPT: Final = 256

log = structlog.get_logger()


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
        self,
        journal: Journal,
        sessions: Sessions,
        acts: Acts,
        now: Callable[[], Stamp] = wallclock.stamp,
        gate: Gate | None = None,
    ) -> None:
        self._journal = journal
        self._sessions = sessions
        self._acts = acts
        self._now = now
        self._gate = gate or Gate()
        self._limiter = RateLimiter()
        self._unkept: dict[str, CommandResult] = {}  # what had its effect and could not be written down
        self.refused: Counter[str] = Counter()

    def challenge(self) -> str | None:
        """Return what a start must repeat now, None while the clock makes it needless."""
        return self._gate.challenge(self._now())

    async def handle(self, incoming: IncomingCommand) -> CommandResult:
        """Return what became of a command. Never raises for what is in it."""
        heard = hear(incoming.payload)
        if isinstance(heard, CommandResult):
            return self._count(heard)
        command = heard.command
        if command.id in self._unkept:
            return await self._again(self._unkept[command.id])
        try:
            stored = await self._journal.find_command(command.id)
        except JournalFailedError as error:
            if command.op != "stop":
                return self._count(_refused(command, "journal_failed", error.problem[:200]))
            stored = None
        if stored is not None:
            return msgspec.json.decode(stored.body, type=CommandResult)
        verdict = await self._judge(heard, retained=incoming.retained)
        result = _refused(command, *verdict) if verdict.code else await self._carry_out(command)
        final = not verdict.code or verdict.code in _FINAL
        if result.ok or (final and self._gate.keeps()):
            await self._remember(result)
        return self._count(result)

    async def _judge(self, heard: Heard, *, retained: bool) -> Verdict:
        verdict = await self._gate.authentic(heard)
        if not verdict.code:
            # After the wait for the signature: what expired meanwhile has expired.
            verdict = self._gate.fresh(heard.command, retained=retained, now=self._now())
        return verdict if verdict.code else self._gate.rate(heard.command)

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

    async def _again(self, result: CommandResult) -> CommandResult:
        """Answer from memory, and try to write it down once more."""
        await self._remember(result)
        return result

    async def _remember(self, result: CommandResult) -> None:
        try:
            await self._journal.append([NewFact(FactKind.COMMAND_RESULT, result, result.session)])
        except (JournalFailedError, JournalConflictError) as error:
            # After a restart it is judged again: a start is the same session by its order, a stop has nothing to end.
            log.warning("result of a command not kept", command=result.id, problem=str(error))
            if result.ok and result.id is not None and len(self._unkept) < _MAX_UNKEPT:
                self._unkept[result.id] = result
        else:
            self._unkept.pop(result.id or "", None)

    def _count(self, result: CommandResult) -> CommandResult:
        if not result.ok:
            self.refused[result.code] += 1
            held_back = self._limiter.admit("refused", clock.monotonic_s())  # whatever the codes: a flood has many
            if held_back is not None:
                log.warning(
                    "command refused", command=result.id, code=result.code, detail=result.detail, held_back=held_back
                )
        return result
