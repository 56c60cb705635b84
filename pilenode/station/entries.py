"""What goes into the journal and what comes out of it. Values only; the database is in ``journal``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pilenode.upstream.facts import Body, Fact, FactKind

#: No session starts with less room than this: the ends of running sessions must still fit.
RESERVE_BYTES: Final = 8 * 1024 * 1024


class JournalFailedError(Exception):
    """The journal cannot be read or written now. ``problem`` is for people."""

    code = "journal_failed"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class JournalConflictError(Exception):
    """A fact that may exist only once exists already; nothing of the batch was written."""


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to be written."""

    kind: FactKind
    body: Body
    session: str | None = None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The facts one session is made of: its start, its newest durable reading, its end.

    ``turns``: the ends and beginnings of its legs and the changes of its plan, in order.
    """

    start: Fact
    reading: Fact | None
    end: Fact | None
    turns: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalPolicy:
    """How much room the journal may take, and how long facts are kept after the backend has confirmed them.

    ``ballast_bytes`` are given up when the disk is full; no session starts with less than ``reserve_bytes`` free.
    Above ``budget_bytes`` readings go, oldest first, confirmed or not; nothing else ever goes unconfirmed.
    """

    ballast_bytes: int = 0
    reserve_bytes: int = RESERVE_BYTES
    budget_bytes: int = 1024 * 1024 * 1024
    telemetry_days: int = 90
    record_days: int = 1100


DEFAULT_POLICY: Final = JournalPolicy()


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """Where the log stands. ``problem`` is None while it can be written and read.

    ``head``: link of the newest fact, hex. ``no_start``: why no session may start although the log can be written.
    ``used_bytes``: what the facts take of the file; ``free_bytes`` of the file system, None while not known.
    ``removed``: facts taken out of this log. ``set_aside``: damaged files that wait for a person. ``check``: "", then
    "ok" once the whole file was found sound.
    """

    log_id: str
    last_seq: int
    acked_seq: int
    problem: str | None
    head: str = ""
    no_start: str | None = None
    used_bytes: int = 0
    free_bytes: int | None = None
    ballast: bool = True
    removed: int = 0
    set_aside: tuple[str, ...] = ()
    check: str = ""

    @property
    def trouble(self) -> str | None:
        """Return what somebody has to know, None while all is well: a new session could be recorded."""
        if self.problem is not None or self.no_start is not None:
            return self.problem or self.no_start
        return f"set aside: {', '.join(self.set_aside)}" if self.set_aside else None

    @property
    def ok(self) -> bool:
        """Return whether all is well."""
        return self.trouble is None
