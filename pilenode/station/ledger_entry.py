"""What an entry of the ledger (台账) is, and whether it is late. Values only."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from pilenode.station.wallclock import ClockQuality

DAY_MS: Final = 86_400_000
#: Steps kept of one entry; the oldest of a longer history are dropped, after the first.
MAX_HISTORY: Final = 100


class EntryKind(StrEnum):
    """What has opened an entry."""

    FAULT = "fault"
    TEST = "test"  # a periodic test failed
    INSPECTION = "inspection"  # an inspection was bad
    ENERGY = "energy"  # the energy of a session is not simply the difference of two good registers
    LOCKOUT = "lockout"


class State(StrEnum):
    """How far somebody has come with an entry."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"


class Late(StrEnum):
    """Whether an entry is past its deadline. ``UNKNOWN``: no trusted clock now, or none when it was found."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history of an entry. ``wall_ms`` None: the clock of that time could not be trusted."""

    seq: int
    wall_ms: int | None
    what: str  # "found", "reset", "repaired", "good", "lifted", "updated"
    by: str = ""
    text: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. Its number is the ``seq`` of the fact that opened it; times are ms since the epoch.

    ``found_ms`` and ``last_ms`` None: the clock of that time could not be trusted. ``due_ms`` None: no deadline can
    be told. ``count``: how often it was found while the entry was open. ``standing``: not known to have gone.
    """

    seq: int
    kind: EntryKind
    code: str  # of the catalogue, a periodic test, an energy flag, the id of a lock, or what was inspected
    port: int | None
    found_ms: int | None
    last_ms: int | None
    clock: str
    detail: str = ""
    serious: bool = False
    count: int = 1
    standing: bool = True
    state: State = State.OPEN
    measure: str = ""
    responsible: str = ""
    contingency: str = ""
    due_ms: int | None = None
    closed_ms: int | None = None
    history: tuple[Step, ...] = ()


def entry_id(log_id: str, seq: int) -> str:
    """Return the name of an entry that is the same in every export: ``<log_id>-<seq>``."""
    return f"{log_id}-{seq}"


def seq_of(name: str, log_id: str) -> int | None:
    """Return the ``seq`` in the name of an entry, None when it is none of this log. The bare number will do."""
    log, dash, number = name.rpartition("-")
    if (dash and log != log_id) or not (number.isascii() and number.isdigit()):
        return None
    return int(number)


def as_of(entry: Entry, now_ms: int, clock: str) -> Entry:
    """Return ``entry`` as it stands now: that of a lock-out whose time is over by a trusted clock is closed."""
    ended = entry.kind is EntryKind.LOCKOUT and entry.due_ms is not None and entry.state is not State.CLOSED
    if not ended or clock == ClockQuality.NONE or now_ms < (entry.due_ms or 0):
        return entry
    return msgspec.structs.replace(entry, state=State.CLOSED, standing=False, closed_ms=entry.due_ms)


def late(entry: Entry, now_ms: int, clock: str) -> Late:
    """Return whether ``entry`` is past its deadline at ``now_ms``, by a clock of quality ``clock``."""
    if entry.state is State.CLOSED or entry.kind is EntryKind.LOCKOUT:
        return Late.NO  # a lock that is over is no matter of being late
    if entry.due_ms is None or clock == ClockQuality.NONE:
        return Late.UNKNOWN
    return Late.YES if now_ms > entry.due_ms else Late.NO
