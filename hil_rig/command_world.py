"""Random lives of one cabinet's commands, with somebody on the way who repeats, delays, reorders, forges and floods.

The real ``Commands`` with its gate judges; journal and sessions are models that keep a record of effects. What must
hold is checked at the moment of the effect, by another way of reckoning than the gate's: ``World.broken`` names every
promise that did not hold.
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pilenode.ipc.acts import LiftLock
from pilenode.ipc.messages import Done, Refused, StartReply
from pilenode.ipc.wish import Change
from pilenode.station.commands import Commands
from pilenode.station.entries import JournalConflictError, JournalFailedError
from pilenode.station.gate import PER_MINUTE, Gate
from pilenode.station.signatures import PURPOSE, KeyRing
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import MAX_START_LIFE_MS, Command, IncomingCommand

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

    from pilenode.station.acts import Acts
    from pilenode.station.entries import NewFact
    from pilenode.station.journal import Journal
    from pilenode.station.sessions import Sessions, StartRequest
    from pilenode.upstream.facts import CommandResult

NODE: Final = "cabinet-1"
_NOW_MS: Final = 1_800_000_000_000
_HOUR_MS: Final = 3_600_000
_MINUTE_S: Final = 60.0
#: No challenge is good for longer than this after it was told first.
_CHALLENGE_S: Final = 600.0
_PORTS: Final = 4
#: Shares of what happens on the way, each a limit of a random number from 0 to 1.
_RETAINED: Final = 0.05
_FLOOD: Final = 0.15
_REPEATED: Final = 0.35
_NEW_QUALITY, _STEP, _RESTART = 0.05, 0.10, 0.13
_GOOD, _BARE, _FOREIGN = 0.6, 0.8, 0.9
_UNSURE: Final = (ClockQuality.NONE, ClockQuality.RTC)


def seal(command: Command, key: Ed25519PrivateKey, name: str) -> bytes:
    """Return ``command`` as operations send it: in an envelope with a signature."""
    content = msgspec.json.encode(command)
    signature = key.sign(PURPOSE + content)
    parts = {"signed": content, "sig": signature}
    return msgspec.json.encode({part: base64.b64encode(what).decode() for part, what in parts.items()} | {"key": name})


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it is on the way. ``authentic``: made by operations, for this cabinet."""

    command: Command
    payload: bytes
    authentic: bool


@dataclass(slots=True)
class _Stored:
    body: bytes


class _Journal:
    """Answers by id; now and then it cannot read or keep."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.results: dict[str, _Stored] = {}

    async def find_command(self, name: str) -> _Stored | None:
        if self._world.chance(0.01):
            raise JournalFailedError("model")
        return self.results.get(name)

    async def append(self, facts: Sequence[NewFact]) -> None:
        if self._world.chance(0.01):
            raise JournalFailedError("model")
        for fact in facts:
            result = cast("CommandResult", fact.body)
            if result.id in self.results:
                raise JournalConflictError("model")
            self.results[result.id or ""] = _Stored(msgspec.json.encode(result))


class _Sessions:
    """One session a port, one session an order, as the real ones."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.running: dict[int, tuple[str, str]] = {}  # port: session, order
        self.orders: dict[str, str] = {}

    async def start(self, request: StartRequest) -> StartReply | Refused:
        self._world.called("start")
        if request.order in self.orders:
            return StartReply(session=self.orders[request.order], port=request.port)
        if request.port in self.running or request.port > _PORTS:
            return Refused(code="port_busy")
        session = f"s{len(self.orders)}"
        self.orders[request.order] = session
        self.running[request.port] = session, request.order
        self._world.started(request.by)
        return StartReply(session=session, port=request.port)

    async def stop(
        self, port: int, reason: str, *, session: str | None = None, order: str | None = None
    ) -> Done | Refused:
        del reason
        found = self.running.get(port)
        if found is None or session not in (None, found[0]) or order not in (None, found[1]):
            return Refused(code="wrong_session")
        del self.running[port]
        return Done()

    async def modify(self, port: int, session: str, change: Change, source: str, by: str) -> Done | Refused:
        del change, source
        if port not in self.running or self.running[port][0] != session:
            return Refused(code="wrong_session")
        self._world.did("modify", by)
        return Done()


class _Acts:
    def __init__(self, world: World) -> None:
        self._world = world

    async def perform(self, act: object, who: Any) -> Done:  # noqa: ANN401 - a model
        del act
        self._world.did("act", who.by)
        return Done()


@dataclass(slots=True)
class World:
    """One life. ``keys``: the file of operations keys and the private one; None: nothing is signed."""

    random: Random
    keys: tuple[Path, Ed25519PrivateKey] | None
    broken: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    _monotonic_s: float = 0.0
    _step_ms: int = 0
    _quality: ClockQuality = ClockQuality.NTP
    _faults: bool = True
    _flood: bool = False
    _told: dict[str, float] = field(default_factory=dict)  # challenge: when it was first told
    _effects: Counter[str] = field(default_factory=Counter)
    _moments: dict[str, deque[float]] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)  # ids that this process has carried out
    _made: list[Sent] = field(default_factory=list)
    _current: tuple[Sent, bool] | None = None
    _journal: _Journal = field(init=False)
    _sessions: _Sessions = field(init=False)
    _commands: Commands = field(init=False)

    def __post_init__(self) -> None:
        self._journal, self._sessions = _Journal(self), _Sessions(self)
        self._quality = self.random.choice(list(ClockQuality))
        self._flood = self.random.random() < _FLOOD
        self._restart()

    def chance(self, share: float) -> bool:
        """Return True in ``share`` of the cases, while faults are played."""
        return self._faults and self.random.random() < share

    async def live(self, messages: int) -> None:
        """Let so many messages arrive."""
        for _ in range(messages * (3 if self._flood else 1)):
            self._let_time_pass()
            challenge = self._commands.challenge()
            if challenge is not None:
                self._told.setdefault(challenge, self._monotonic_s)
            sent = self._choose(challenge)
            await self._deliver(sent, retained=self.random.random() < _RETAINED)
        await self._everything_can_be_switched_off()

    # -- effects, judged as they happen ------------------------------------------------------------------------

    def started(self, by: str) -> None:
        """Judge a session that has just begun."""
        self.did("start", by)
        sent, retained = self._current or (None, False)
        if sent is None:
            return
        command, now = sent.command, self._stamp()
        if retained:
            self.broken["start from a retained message"] += 1
        if now.clock is not ClockQuality.NONE and now.wall_ms > command.exp:
            self.broken["start after expiry"] += 1
        if command.exp - command.iat > MAX_START_LIFE_MS:
            self.broken["start that is good for too long"] += 1
        if now.clock in _UNSURE:
            told_s = self._told.get(command.nonce or "")
            if told_s is None or self._monotonic_s - told_s > _CHALLENGE_S:
                self.broken["start without a fresh challenge"] += 1

    def did(self, op: str, by: str) -> None:
        """Judge an effect of any kind."""
        sent, _ = self._current or (None, False)
        if op == "start":
            self._effects[by] += 1
            if self._effects[by] > 1:
                self.broken["two sessions by one id"] += 1
        if sent is None or (self.keys is not None and not sent.authentic):
            self.broken["effect of a forged command"] += 1
        if op != "start":
            self.called(op)

    def called(self, op: str) -> None:
        """Count what was asked of the sessions or desks, with or without effect, against its rate."""
        moments = self._moments.setdefault(op, deque())
        moments.append(self._monotonic_s)
        while moments[0] <= self._monotonic_s - _MINUTE_S:
            moments.popleft()
        if len(moments) > 2 * PER_MINUTE[op]:  # a full bucket, and what flows in meanwhile
            self.broken["more than the rate"] += 1

    # -- the way ----------------------------------------------------------------------------------------------

    def _stamp(self) -> Stamp:
        at_ms = round(self._monotonic_s * 1000)
        wall_ms = at_ms if self._quality is ClockQuality.NONE else _NOW_MS + at_ms + self._step_ms
        return Stamp("boot", at_ms, max(0, wall_ms), self._quality)

    def _restart(self) -> None:
        ring = None if self.keys is None else KeyRing(self.keys[0])
        gate = Gate(NODE, ring, lambda: self._monotonic_s)
        self._commands = Commands(
            cast("Journal", self._journal),
            cast("Sessions", self._sessions),
            cast("Acts", _Acts(self)),
            self._stamp,
            gate,
        )
        for name in [name for name in self._effects if name not in self._journal.results]:
            del self._effects[name]  # could not be written down: from here on the order keeps it one session
        self._done.clear()
        self._moments.clear()  # buckets are full again
        self._told.clear()  # and what was told before is worth nothing

    def _let_time_pass(self) -> None:
        draw = self.random.random()
        self._monotonic_s += self.random.choice((0.0, 0.05, 1.0) if self._flood else (0.0, 1.0, 10.0, 200.0, 700.0))
        if draw < _NEW_QUALITY:
            self._quality = self.random.choice(list(ClockQuality))
        elif draw < _STEP:
            self._step_ms = self.random.choice((0, -_HOUR_MS, _HOUR_MS, -400 * 24 * _HOUR_MS, 400 * 24 * _HOUR_MS))
        elif draw < _RESTART and not self._flood:
            self._restart()

    def _choose(self, challenge: str | None) -> Sent:
        if self._made and self.random.random() < _REPEATED:
            return self.random.choice(self._made)  # repeated, late, out of order
        sent = self._make(challenge)
        self._made.append(sent)
        return sent

    def _make(self, challenge: str | None) -> Sent:
        choice = self.random.choice
        op = choice(("start",) * (12 if self._flood else 3) + ("stop", "modify", "act"))
        port = self.random.randint(1, _PORTS)
        session, order = self._sessions.running.get(port, (f"s{self.random.randrange(5)}", "o0"))
        # The backend's clock is right where the cabinet's may not be.
        iat = _NOW_MS + round(self._monotonic_s * 1000) + choice((0,) * 6 + (-_HOUR_MS, _HOUR_MS))
        command = Command(
            id=f"c{self.random.randrange(3 * len(self._made) + 3)}",
            op=op,  # type: ignore[arg-type] # one of the four
            port=port,
            order=f"o{self.random.randrange(len(self._made) + 2)}" if op == "start" else order,
            session=None if op == "start" else choice((session, session, None)) if op == "stop" else session,
            change=Change(energy_wh=500) if op == "modify" else None,
            act=LiftLock(lock="l1", authority="a", reason="r") if op == "act" else None,
            node=NODE if self._flood else choice((NODE,) * 8 + ("cabinet-2", None)),
            nonce=choice((challenge,) * 8 + (None, "guess")),
            iat=iat,
            exp=iat + choice((1000, 60_000, 60_000, MAX_START_LIFE_MS, MAX_START_LIFE_MS + 1)),
        )
        return self._dress(command)

    def _dress(self, command: Command) -> Sent:
        mine = command.node == NODE
        if self.keys is None:
            return Sent(command, msgspec.json.encode(command), authentic=True)
        _, key = self.keys
        draw = self.random.random()
        if draw < _GOOD:
            return Sent(command, seal(command, key, "ops"), authentic=mine)
        if draw < _BARE:
            return Sent(command, msgspec.json.encode(command), authentic=False)
        if draw < _FOREIGN:  # by a key of somebody's own under the name of a good one
            return Sent(command, seal(command, Ed25519PrivateKey.generate(), "ops"), authentic=False)
        good = msgspec.json.decode(seal(command, key, "ops"))
        other = msgspec.structs.replace(command, order="o-forged")
        good["signed"] = base64.b64encode(msgspec.json.encode(other)).decode()
        return Sent(other, msgspec.json.encode(good), authentic=False)

    async def _deliver(self, sent: Sent, *, retained: bool) -> None:
        self._current = sent, retained
        before = dict(self._sessions.running)
        answered = sent.command.id in self._journal.results or sent.command.id in self._done
        result = await self._commands.handle(IncomingCommand(sent.payload, retained))
        self._current = None
        if result.ok:
            self._done.add(result.id or "")
        self.codes[result.code or "carried out"] += 1
        command = sent.command
        named = before.get(command.port or 0)
        ends = command.op == "stop" and named is not None and (command.session, command.order) != (None, None)
        if not ends or answered or named is None:
            return
        meant = command.session in (None, named[0]) and command.order in (None, named[1])
        if meant and (not result.ok or command.port in self._sessions.running):
            self.broken["stop not honoured"] += 1

    async def _everything_can_be_switched_off(self) -> None:
        """Stop every session with a message that has nothing right but the session."""
        for port, (session, _) in list(self._sessions.running.items()):
            stop = Command(id=f"off-{session}", op="stop", port=port, session=session, node="x", iat=0, exp=0)
            await self._deliver(Sent(stop, msgspec.json.encode(stop), authentic=False), retained=True)
        if self._sessions.running:
            self.broken["stop not honoured"] += 1
