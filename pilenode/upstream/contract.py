"""What station and a backend say to each other, whatever protocol carries it.

Rules of this file:
- every payload is a bounded struct; what does not decode is dropped and counted by the adapter;
- a fact is done only when the backend's ``Ack`` says so after its own commit. That a broker took a message means
  nothing here;
- nothing that protects data may depend on a feature of MQTT 5.

Topics: ``pn/v1/<node>/up/{hello,st,ev,res,live}`` (``st`` and ``live`` are retained) and
``pn/v1/<node>/dn/{ack,cmd,cfg,time}`` (``cfg`` is retained; ``pilenode.upstream.desired``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from pilenode.ipc.acts import AnyAct, Moment
from pilenode.ipc.messages import Identifier, PortNumber
from pilenode.ipc.wish import Change, Wish
from pilenode.upstream.facts import MAX_INTEGER, Code, CommandResult, Fact, Measured
from pilenode.upstream.facts_config import ConfigReport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from pilenode.upstream.desired import IncomingConfig

#: Major version of this contract. It stands in every topic; what names another one is not read any further.
PROTOCOL: Final = 1
ROOT: Final = f"pn/v{PROTOCOL}"
#: Caps in bytes, checked before a byte is parsed.
MAX_COMMAND_BYTES: Final = 8 * 1024
#: A signed command of that size in base64, its signature and the name of its key.
MAX_ENVELOPE_BYTES: Final = 11 * 1024
MAX_ACK_BYTES: Final = 1024
MAX_TIME_BYTES: Final = 256
#: A start is good for no longer than this after it was issued, ms: who scanned a code does not wait for ten minutes.
MAX_START_LIFE_MS: Final = 600_000
#: Caps of one batch of facts; whichever is reached first closes it.
MAX_BATCH_FACTS: Final = 200
MAX_BATCH_BYTES: Final = 128 * 1024
#: The link before the first fact of a log, hex.
NO_LINK: Final = "0" * 64

UpLeaf = Literal["hello", "st", "ev", "res", "live"]
DownLeaf = Literal["ack", "cmd", "cfg", "time"]

LogId = Annotated[str, Meta(min_length=16, max_length=16, pattern=r"^[0-9a-f]{16}$")]
Sequence = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Major = Annotated[int, Meta(ge=0, le=999)]
#: The link of a fact, hex.
Digest = Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]


def up(node: str, leaf: UpLeaf) -> str:
    """Return the topic on which ``node`` tells something."""
    return f"{ROOT}/{node}/up/{leaf}"


def down(node: str, leaf: DownLeaf) -> str:
    """Return the topic on which ``node`` is told something."""
    return f"{ROOT}/{node}/dn/{leaf}"


class _Spoken(msgspec.Struct):
    """What is looked at before anything else: the major version, where a message names it."""

    protocol: Major = PROTOCOL


def other_major(payload: bytes) -> int | None:
    """Return the major version that ``payload`` names if it is another one than ours, else None.

    A field of another version may mean something else under the same name, so nothing of it is believed. What is not
    even JSON is left to whoever decodes it.
    """
    try:
        named = msgspec.json.decode(payload, type=_Spoken).protocol
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if named == PROTOCOL else named


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First message of a connection: which log this is and what of it is still to be confirmed.

    ``first_unacked`` is ``last + 1`` when everything is confirmed; ``head`` is the link of ``last``, zeros for an empty
    log. The backend answers with its ``Ack``, and may answer with the ``Time``. The same is said again now and then on
    a connection that lasts, to ask for the time anew. ``asked_ms``: ms of the station's boot when it asked; means
    nothing to anybody else.
    """

    protocol: Major = PROTOCOL
    version: Annotated[str, Meta(max_length=40)]
    log_id: LogId
    first_unacked: Sequence
    last: Sequence
    head: Digest
    asked_ms: Sequence | None = None


class FactBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring facts of one log in order of ``seq``.

    Only the last one and those of kind ``removed`` carry their link (``hash``); the reader computes the others. Batches
    may come in any order and more than once: what happens now is told before what waited.
    """

    log_id: LogId
    facts: Annotated[list[Fact], Meta(min_length=1, max_length=MAX_BATCH_FACTS)]


class Resend(msgspec.Struct, frozen=True, kw_only=True):
    """The facts from ``since`` up to and including ``upto`` are wanted again."""

    since: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    upto: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]


class Ack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The backend has committed every fact of ``log_id`` up to and including ``upto``.

    ``hash`` is the link of that fact as the backend computed it (zeros when ``upto`` is 0): the cabinet believes only
    who knows the same history. ``resend``: what the backend has not, or no more.
    """

    protocol: Major = PROTOCOL
    log_id: LogId
    upto: Sequence
    hash: Digest
    resend: Resend | None = None


class Time(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What time it was at the backend when it sent this, ms since the epoch.

    ``asked_ms`` is that of the ``Hello`` it answers, so that the station knows how long question and answer took; None
    when nobody asked. Must never be retained: nobody could tell how old it is.
    """

    protocol: Major = PROTOCOL
    wall_ms: Sequence
    asked_ms: Sequence | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Something the backend wants done. ``iat`` and ``exp`` are ms since the epoch.

    ``start`` needs ``port`` and ``order``; ``paid_fen`` is what was paid in advance, None: it is paid afterwards.
    ``modify`` needs ``port``, ``session`` and ``change``. ``stop`` needs ``port`` and ``session`` or ``order``, and
    ends, or takes out of the queue, that one only. ``act`` carries an administrative act and needs nothing else.

    What is unknown beside these fields is ignored; inside ``plan``, ``change`` and ``act`` it refuses the command, for
    it may be a limit (docs/adr/0025-contract.md).
    ``exp`` of a start is at most ``MAX_START_LIFE_MS`` after its ``iat``. ``node``: for which cabinet it is; a signed
    command must say so. ``nonce`` repeats the ``challenge`` of the state report: a start needs it while that has one.
    """

    protocol: Major = PROTOCOL
    id: Identifier
    op: Literal["start", "stop", "modify", "act"]
    port: PortNumber | None = None
    order: Identifier | None = None
    session: Identifier | None = None
    plan: Wish = Wish()
    paid_fen: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    change: Change | None = None
    act: AnyAct | None = None
    node: Identifier | None = None
    nonce: Annotated[str, Meta(max_length=64)] | None = None
    iat: Moment
    exp: Moment


class _Stop(msgspec.Struct, frozen=True, kw_only=True):
    """All that a stop needs to be understood."""

    id: Identifier
    op: Literal["stop"]
    port: PortNumber
    order: Identifier | None = None
    session: Identifier | None = None
    iat: Moment
    exp: Moment


def decode_command(payload: bytes) -> Command:
    """Return the command in ``payload``. Raises msgspec.DecodeError, UnicodeDecodeError and RecursionError.

    Off is always honoured: a stop is understood whatever else stands in it.
    """
    try:
        return msgspec.json.decode(payload, type=Command)
    except msgspec.ValidationError:
        stop = _stop_in(payload)
        if stop is None:
            raise
        return Command(**msgspec.structs.asdict(stop))


def _stop_in(payload: bytes) -> _Stop | None:
    try:
        return msgspec.json.decode(payload, type=_Stop)
    except msgspec.ValidationError:
        return None


class PortReport(msgspec.Struct, frozen=True, kw_only=True):
    """One port as the backend may show it. Measured values are None when missing."""

    port: PortNumber
    state: Annotated[str, Meta(max_length=16)]
    session: Identifier | None = None
    reason: Code | None = None
    findings: Annotated[list[Code], Meta(max_length=32)] = []
    power_w: Measured | None = None
    temperature_dc: Measured | None = None  # 0.1 °C


class LockReport(msgspec.Struct, frozen=True, kw_only=True):
    """One lock that is not over; ``port`` None: the whole cabinet. ``in_force`` False: it begins later."""

    lock: Identifier
    port: PortNumber | None
    kind: Annotated[str, Meta(max_length=16)]
    until_ms: Moment | None = None
    in_force: bool


class StateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of the cabinet (retained). ``guard`` False: the cutoff process does not answer.

    ``tests_due``, ``tests_failed``: periodic tests whose time has come, and whose last result was bad.
    ``locks``: those that are not over, gravest first. ``ledger_*``: entries that are not closed, those past their
    deadline, and those of which nobody can say; None while the ledger has not been read. ``challenge``: what a start
    must repeat (``Command.nonce``); None while the cabinet knows the time. ``config``: None where none can be desired.
    """

    wall_ms: Moment
    clock: Annotated[str, Meta(max_length=8)]
    guard: bool
    journal_ok: bool
    cabinet_faults: Annotated[list[Code], Meta(max_length=32)] = []
    ports: Annotated[list[PortReport], Meta(max_length=99)] = []
    tests_due: Annotated[list[Code], Meta(max_length=16)] = []
    tests_failed: Annotated[list[Code], Meta(max_length=16)] = []
    locks: Annotated[list[LockReport], Meta(max_length=64)] = []
    ledger_open: Sequence | None = None
    ledger_overdue: Sequence | None = None
    ledger_undated: Sequence | None = None
    challenge: Annotated[str, Meta(max_length=64)] | None = None
    config: ConfigReport | None = None


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the cabinet is connected (retained; ``online`` False is also the last will).

    ``session`` names one connection. A will that arrives late carries the number of the connection that died, so it
    cannot be taken for the death of a newer one.
    """

    session: Sequence
    online: bool


@dataclass(frozen=True, slots=True)
class IncomingCommand:
    """A command as it arrived, not yet looked at. ``retained``: the broker had kept it for whoever comes."""

    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no connection: a code of ``pilenode.identity.words``, and what the system said."""

    code: str
    detail: str = ""


class UpstreamLostError(Exception):
    """There is no connection to the backend (any more). Expected; the answer is to wait and try again.

    ``local``: nothing has left this machine, because it has no way out; trying again soon costs nobody anything.
    """

    def __init__(self, problem: str, *, local: bool = False) -> None:
        super().__init__(problem)
        self.local = local


class NotTakenError(Exception):
    """The broker said that it did not take a message, or that nobody is there to get it. The connection stands."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Link(Protocol):
    """One connection. Every method raises UpstreamLostError when the connection is gone.

    A send returns when the broker has taken the message, which is flow control and nothing more; it raises
    NotTakenError when the broker says that it has not (only MQTT 5 can say so).
    """

    @property
    def protocol(self) -> str:
        """Return what is spoken: "mqtt5" or "mqtt3.1.1"."""

    async def hello(self, message: Hello) -> None:
        """Send the first message of a connection."""

    async def facts(self, batch: FactBatch) -> int:
        """Send a batch of facts. Return how many bytes that were."""

    async def state(self, report: StateReport) -> None:
        """Send the present state."""

    async def result(self, result: CommandResult) -> None:
        """Send what became of a command."""

    def incoming(self) -> AsyncIterator[Ack | Time | IncomingCommand | IncomingConfig]:
        """Yield what the backend says, until the connection is lost."""


class Upstream(Protocol):
    """A way to reach a backend."""

    @property
    def url(self) -> str:
        """Return where the backend is, for people."""

    @property
    def problem(self) -> Problem | None:
        """Return why the last connection did not come about, None since one did or before the first was tried."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return how many incoming messages were dropped since start, by cause."""

    def connect(self) -> AbstractAsyncContextManager[Link]:
        """Return a connection, subscribed and announced. Entering raises UpstreamLostError when there is none."""
