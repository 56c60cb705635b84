"""What goes into the journal and what comes out of it. Values only; the database is in ``journal``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilenode.upstream.facts import Body, Fact, FactKind


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
class JournalStatus:
    """Where the log stands. ``problem`` is None while all is well."""

    log_id: str
    last_seq: int
    acked_seq: int
    problem: str | None
