"""What a cabinet tells: the kinds of fact, the body of each kind, and the chain that ties them together.

A fact is written once and never changed. Its body is canonical JSON (keys sorted, no spaces), because the chain hash
covers those very bytes; whoever stores a fact keeps the bytes, not a re-encoded object.

Units are in the names; every number is an integer.
Registers are recorded as the meter told them. ``age_ms`` says how long before the row was written the thing happened,
because the time of a row is the time of its commit.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from config.tariff import TariffSchedule, VersionName
from pilenode.ipc.acts import CardId
from pilenode.ipc.messages import Identifier, PortNumber, Words
from pilenode.ipc.wish import Wish
from pilenode.upstream.facts_cards import CardAllowed, CardDenied, CardForgotten, CardLearned, CardsSet
from pilenode.upstream.facts_config import ConfigApplied, ConfigRefused
from pilenode.upstream.facts_journal import FactsRemoved, LogSalvaged, Removed
from pilenode.upstream.facts_ledger import Inspected, LedgerUpdated, LockLifted, LockSet
from pilenode.upstream.facts_load import BudgetSet, QueueLeft, StartQueued
from pilenode.upstream.facts_money import Count, Payment, PowerTimes, Settlement, TariffSet, Usage
from pilenode.upstream.facts_outage import Outage
from pilenode.upstream.facts_time import Anchor

#: The link before the first fact of a log.
GENESIS: Final = bytes(32)
#: The largest integer that every JSON reader keeps exactly.
MAX_INTEGER: Final = 2**53

#: Longest code and longest detail in a body, characters.
MAX_CODE: Final = 64
MAX_WORDS: Final = 200

#: A register or power as a meter told it, which may be below 0.
Measured = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Code = Annotated[str, Meta(max_length=MAX_CODE)]


class FactKind(StrEnum):
    """The kinds of fact. Stored and sent upstream, so a word is never reused for something else."""

    BOOT = "boot"
    SESSION_STARTED = "session_started"
    CHECKPOINT = "checkpoint"
    LEG_ENDED = "leg_ended"
    LEG_STARTED = "leg_started"
    SESSION_MODIFIED = "session_modified"
    SESSION_ENDED = "session_ended"
    START_REFUSED = "start_refused"
    FAULT_LATCHED = "fault_latched"
    FAULT_FOUND = "fault_found"
    FAULT_CLEARED = "fault_cleared"
    FAULT_RESET = "fault_reset"
    COMMAND_RESULT = "command_result"
    TESTED = "tested"
    ACT_REFUSED = "act_refused"
    TARIFF_SET = "tariff_set"
    LOCK_SET = "lock_set"
    LOCK_LIFTED = "lock_lifted"
    LEDGER_UPDATED = "ledger_updated"
    INSPECTED = "inspected"
    START_QUEUED = "start_queued"
    QUEUE_LEFT = "queue_left"
    BUDGET_SET = "budget_set"
    ANCHOR = "anchor"
    CARDS_SET = "cards_set"
    CARD_DENIED = "card_denied"
    CARD_ALLOWED = "card_allowed"
    CARD_LEARNED = "card_learned"
    CARD_FORGOTTEN = "card_forgotten"
    LOG_SALVAGED = "log_salvaged"
    FACTS_REMOVED = "facts_removed"
    CONFIG_APPLIED = "config_applied"
    CONFIG_REFUSED = "config_refused"
    REMOVED = "removed"  # never written: stands in the place of facts that are gone


class EnergyFlag(StrEnum):
    """Why the energy of a session is not simply the difference of two good registers. Flagged, never corrected."""

    NO_BASELINE = "no_baseline"  # no register at closing: counted from the first reading on
    NO_READING = "no_reading"  # no register after closing at all: energy 0
    LAST_READING = "last_reading"  # no register at the end: the last known reading was taken
    REGISTER_BACKWARD = "register_backward"  # the register fell: nothing counts until it has passed its highest
    LIFETIME_VALUE = "lifetime_value"  # 0 at closing, then the lifetime: counted from there on
    REGISTER_WRAPPED = "register_wrapped"  # the counter began again at 0: counted across the end of its range
    REGISTER_JUMPED = "register_jumped"  # a rise that no load explains (another meter): the rise is not counted
    OVER_POSSIBLE = "over_possible"  # more than the port can give in the time: what it can give was taken


#: Each of them once.
EnergyFlags = Annotated[list[EnergyFlag], Meta(max_length=len(EnergyFlag))]


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all bodies. Unknown fields are ignored, so an older reader survives a newer cabinet."""


class Boot(_Body, frozen=True, kw_only=True):
    """The station process started."""

    version: Annotated[str, Meta(max_length=40)]


class SessionStarted(_Body, frozen=True, kw_only=True):
    """A session exists. Durable before guard is asked to close the relay."""

    order: Identifier
    port: PortNumber
    source: Annotated[str, Meta(max_length=16)]  # "cli", "upstream", "card"
    by: Words = ""
    plan: Wish = Wish()
    tariff: TariffSchedule  # the prices that it runs under, as far ahead as it may last
    tariff_version: VersionName  # the version at its start
    payment: Payment = Payment(mode="postpaid")
    guard_boot: Identifier  # the guard that was about to be asked
    card: CardId | None = None  # whose card it was; ``by`` names the reader then
    offline: bool = False  # the backend was not connected when the card started it


class EnergyCount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a leg has been counted for so far (``pilenode.station.energy``).

    ``register_mwh``: the register that the next one is compared with, read after ``at_ms`` with power. ``on_ms``: time
    with power. ``read``: there was a register after closing.
    """

    energy_mwh: Count = 0
    flags: EnergyFlags = []
    register_mwh: Measured | None = None
    at_ms: Count = 0
    on_ms: Count = 0
    read: bool = False


class Checkpoint(_Body, frozen=True, kw_only=True):
    """A running session's reading made durable. The first one says that the relay has closed."""

    port: PortNumber
    leg: Annotated[int, Meta(ge=1, le=99)] = 1
    start_register_mwh: Measured | None
    register_mwh: Measured | None
    on_ms: Count
    power_w: Measured | None
    count: EnergyCount = EnergyCount()  # of this leg
    usage: Usage = Usage()  # of the whole session so far
    power_ms: PowerTimes = []


class SessionEnded(_Body, frozen=True, kw_only=True):
    """The one end of a session, with everything the bill is made of.

    The registers are those of the last leg; energy and duration are those of all ``legs``. ``pause_ms`` is how long
    it had no power between its legs, None where no clock can tell.
    """

    order: Identifier
    port: PortNumber
    reason: Code
    detail: Words = ""
    age_ms: Count
    start_register_mwh: Measured | None
    end_register_mwh: Measured | None
    energy_wh: Count
    energy_flag: EnergyFlag | None = None  # the first of ``energy_flags``
    energy_flags: EnergyFlags = []
    duration_s: Count
    legs: Annotated[int, Meta(ge=1, le=99)] = 1
    pause_ms: Count | None = 0
    outage: Outage | None = None  # what it did not survive
    electricity_fen: Count
    service_fen: Count
    tariff_version: VersionName
    money: Settlement  # the bill and all it is made of


class LegEnded(_Body, frozen=True, kw_only=True):
    """The power of a session was interrupted; the session goes on. ``cause``: "load", "power" or "guard".

    The first leg begins with ``session_started``, every further one with ``leg_started``. ``energy_mwh`` is what this
    leg counts for. ``detail`` is guard's.
    """

    port: PortNumber
    leg: Annotated[int, Meta(ge=1, le=99)]
    cause: Annotated[str, Meta(max_length=16)]
    reason: Code
    detail: Words = ""
    age_ms: Count = 0
    start_register_mwh: Measured | None
    end_register_mwh: Measured | None
    energy_mwh: Count
    energy_flags: EnergyFlags = []
    on_ms: Count
    usage: Usage = Usage()  # of the whole session so far
    power_ms: PowerTimes = []


class LegStarted(_Body, frozen=True, kw_only=True):
    """A session goes on. Durable before guard is asked; ``guard_boot`` is the guard that was about to be asked.

    ``pause_ms``: how long it had no power, None where no clock can tell.
    """

    port: PortNumber
    leg: Annotated[int, Meta(ge=2, le=99)]
    cause: Annotated[str, Meta(max_length=16)]
    pause_ms: Count | None
    outage: Outage | None = None
    guard_boot: Identifier


class SessionModified(_Body, frozen=True, kw_only=True):
    """The plan of a running session was changed. ``plan`` is the whole new one."""

    port: PortNumber
    plan: Wish
    source: Annotated[str, Meta(max_length=16)]
    by: Words = ""


class StartRefused(_Body, frozen=True, kw_only=True):
    """A start was refused before anything was promised."""

    order: Identifier
    port: PortNumber
    source: Annotated[str, Meta(max_length=16)]
    code: Code
    detail: Words = ""
    card: CardId | None = None  # whose card was refused; ``port`` is the one it would have got


class Fault(_Body, frozen=True, kw_only=True):
    """A fault latched, stands without latching, or went away. ``event`` counts within one ``guard_boot``."""

    guard_boot: Identifier
    event: Count
    age_ms: Count
    port: PortNumber | None
    code: Code
    detail: Words = ""


class FaultReset(_Body, frozen=True, kw_only=True):
    """A person released a latch (of the cabinet when ``port`` is None). ``repair``: what was repaired."""

    port: PortNumber | None
    by: Words
    repair: Words = ""


class PeriodicResult(_Body, frozen=True, kw_only=True):
    """A periodic test was done. ``by`` is who ordered or did it, "" when it was its time.

    ``guard_boot`` and ``event`` name the event by which guard told it; None where station or a person did the test.
    """

    test: Code  # "dead_man", "relays", "probes", "meters", "rcd"
    ok: bool
    detail: Words = ""
    by: Words = ""
    age_ms: Count = 0
    guard_boot: Identifier | None = None
    event: Count | None = None


class CommandResult(_Body, frozen=True, kw_only=True):
    """What became of a command. ``code`` is "" when it was carried out, else a refusal of the catalogue.

    ``id`` is None when the command was too malformed to tell its own.
    """

    id: Identifier | None
    op: Annotated[str, Meta(max_length=16)] = ""
    ok: bool
    code: Code = ""
    detail: Words = ""
    port: PortNumber | None = None
    session: Identifier | None = None


class ActRefused(_Body, frozen=True, kw_only=True):
    """An administrative act (``pilenode.ipc.acts``) was refused and changed nothing."""

    act: Code
    source: Annotated[str, Meta(max_length=16)]
    by: Words = ""
    code: Code
    detail: Words = ""


Body = (
    Boot
    | SessionStarted
    | Checkpoint
    | LegEnded
    | LegStarted
    | SessionModified
    | SessionEnded
    | StartRefused
    | Fault
    | FaultReset
    | CommandResult
    | PeriodicResult
    | ActRefused
    | TariffSet
    | LockSet
    | LockLifted
    | LedgerUpdated
    | Inspected
    | StartQueued
    | QueueLeft
    | BudgetSet
    | Anchor
    | CardsSet
    | CardDenied
    | CardAllowed
    | CardLearned
    | CardForgotten
    | LogSalvaged
    | FactsRemoved
    | ConfigApplied
    | ConfigRefused
    | Removed
)

BODY_TYPES: Final[dict[FactKind, type[msgspec.Struct]]] = {
    FactKind.BOOT: Boot,
    FactKind.SESSION_STARTED: SessionStarted,
    FactKind.CHECKPOINT: Checkpoint,
    FactKind.LEG_ENDED: LegEnded,
    FactKind.LEG_STARTED: LegStarted,
    FactKind.SESSION_MODIFIED: SessionModified,
    FactKind.SESSION_ENDED: SessionEnded,
    FactKind.START_REFUSED: StartRefused,
    FactKind.FAULT_LATCHED: Fault,
    FactKind.FAULT_FOUND: Fault,
    FactKind.FAULT_CLEARED: Fault,
    FactKind.FAULT_RESET: FaultReset,
    FactKind.COMMAND_RESULT: CommandResult,
    FactKind.TESTED: PeriodicResult,
    FactKind.ACT_REFUSED: ActRefused,
    FactKind.TARIFF_SET: TariffSet,
    FactKind.LOCK_SET: LockSet,
    FactKind.LOCK_LIFTED: LockLifted,
    FactKind.LEDGER_UPDATED: LedgerUpdated,
    FactKind.INSPECTED: Inspected,
    FactKind.START_QUEUED: StartQueued,
    FactKind.QUEUE_LEFT: QueueLeft,
    FactKind.BUDGET_SET: BudgetSet,
    FactKind.ANCHOR: Anchor,
    FactKind.CARDS_SET: CardsSet,
    FactKind.CARD_DENIED: CardDenied,
    FactKind.CARD_ALLOWED: CardAllowed,
    FactKind.CARD_LEARNED: CardLearned,
    FactKind.CARD_FORGOTTEN: CardForgotten,
    FactKind.LOG_SALVAGED: LogSalvaged,
    FactKind.FACTS_REMOVED: FactsRemoved,
    FactKind.CONFIG_APPLIED: ConfigApplied,
    FactKind.CONFIG_REFUSED: ConfigRefused,
    FactKind.REMOVED: Removed,
}


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a log as it is stored and sent. ``hash``: its hex SHA-256 link, "" where that was left out."""

    seq: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    boot: Annotated[str, Meta(max_length=64)]
    boottime_ms: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    wall_ms: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    clock: Annotated[str, Meta(max_length=8)]  # "none", "rtc", "ntp", "server"
    kind: Annotated[str, Meta(max_length=32)]
    session: Identifier | None = None
    body: msgspec.Raw
    hash: Annotated[str, Meta(max_length=64)] = ""


def canonical(body: Body) -> bytes:
    """Return the canonical JSON of a body."""
    return msgspec.json.encode(body, order="sorted")


def link(previous: bytes, log_id: str, fact: Fact) -> bytes:
    """Return the 32-byte hash of ``fact`` (its own ``hash`` field is not looked at) after ``previous``."""
    row = (
        log_id,
        fact.seq,
        fact.boot,
        fact.boottime_ms,
        fact.wall_ms,
        fact.clock,
        fact.kind,
        fact.session,
        bytes(fact.body).decode(),
    )
    return hashlib.sha256(previous + msgspec.json.encode(row)).digest()
