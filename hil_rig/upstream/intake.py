"""What becomes of the facts that arrive for one log, given what is stored of it. Pure.

Rules of this file:
- batches come in any order, again, and from several connections at once; none of it changes what stands at the end;
- the backend computes the links itself, from the one of ``upto`` on. A cabinet's own link is only compared;
- what follows directly on ``upto`` counts as the cabinet tells it. Where its links are not ours, the log is noted as
  broken, and the acknowledgement, which has our link, shows it to the cabinet: it begins a new log. So nothing sticks;
- what follows on a gap waits. When the gap closes, it is believed as far as the links bear it out; the rest waits to be
  told again;
- two facts under one number are both kept. Above ``upto`` the newer stands, unless the older is the one that the link
  bears out; at or below ``upto`` nothing moves any more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pilenode.upstream.contract import Ack, Resend
from pilenode.upstream.facts import GENESIS, FactKind, link
from pilenode.upstream.facts_journal import LogSalvaged, Removed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pilenode.upstream.contract import Hello
    from pilenode.upstream.facts import Fact

#: How long a gap may stand without any progress before the facts are asked for, ms; doubled each time.
ASK_MS: Final = 5_000
_MAX_ASK_MS: Final = 600_000
#: Nobody answers: the log is another one by now.
_MAX_ASKS: Final = 8
#: As many facts are asked for where what waits is not borne out by its links.
_DOUBTED: Final = 200
#: Waiting facts that are read at once when a gap has closed.
PAGE: Final = 500

#: Why a fact is kept aside. A copy of a fact that was removed since contradicts nothing.
IN_HOLE: Final = "in_hole"


class Known(Protocol):
    """What is stored of a log."""

    def between(self, since: int, upto: int) -> Sequence[Fact]:
        """Return the stored facts from ``since`` to ``upto``, in order."""

    def after(self, seq: int, limit: int) -> Sequence[Fact]:
        """Return the first stored facts above ``seq``."""


@dataclass(frozen=True, slots=True)
class LogState:
    """How far a log is complete. ``link`` is that of ``upto``; ``top`` is the newest fact that is stored.

    ``head_seq``, ``head``: a link that the cabinet has announced and the chain has not reached, 0: none.
    ``broken_at``: the first link of the cabinet that ours is not. ``old_log_id``, ``carried``: what the log took over.
    ``ask_at_ms``: when to ask for what is missing, None while nothing is; ``asks``: how often that was done.
    """

    upto: int = 0
    link: bytes = GENESIS
    top: int = 0
    head_seq: int = 0
    head: bytes = b""
    broken_at: int | None = None
    old_log_id: str = ""
    carried: int = 0
    ask_at_ms: int | None = None
    asks: int = 0
    duplicates: int = 0

    def ack(self, log_id: str, resend: Resend | None = None) -> Ack:
        """Return what the cabinet is told."""
        return Ack(log_id=log_id, upto=self.upto, hash=self.link.hex(), resend=resend)

    def asked(self, now_ms: int) -> LogState:
        """Return the state after the missing facts were asked for."""
        asks = self.asks + 1
        pause_ms = min(_MAX_ASK_MS, ASK_MS << asks)
        return replace(self, asks=asks, ask_at_ms=now_ms + pause_ms if asks < _MAX_ASKS else None)


@dataclass(frozen=True, slots=True)
class Aside:
    """A fact that does not stand, and why."""

    seq: int
    reason: str
    content: bytes


@dataclass(slots=True)
class Changes:
    """What is to be written. ``taken``: numbers of stored facts that something else stands for now."""

    added: dict[int, Fact] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    aside: list[Aside] = field(default_factory=list)


def begin(fact: Fact) -> int:
    """Return the first number that a row stands for."""
    return msgspec.json.decode(fact.body, type=Removed).since if fact.kind == FactKind.REMOVED else fact.seq


def well_formed(facts: Sequence[Fact]) -> bool:
    """Return whether a batch can be kept at all: in order, text is text, and holes have a link and a beginning."""
    last = 0
    for fact in facts:
        if fact.seq <= last or "\x00" in fact.boot + fact.clock + fact.kind:
            return False
        last = fact.seq
        try:
            bytes(fact.body).decode()
            if fact.kind == FactKind.REMOVED and not (fact.hash and 1 <= begin(fact) <= fact.seq):
                return False
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
    return True


def same(one: Fact, other: Fact) -> bool:
    """Return whether two rows are the same fact; either may have been sent without its link."""
    return _content(one) == _content(other)


def _content(fact: Fact) -> tuple[object, ...]:
    return (
        fact.seq,
        fact.boot,
        fact.boottime_ms,
        fact.wall_ms,
        fact.clock,
        fact.kind,
        fact.session,
        bytes(fact.body),
    )


class Intake:
    """Takes what one transaction holds for one log. ``state`` and ``changes`` are what is to be written then."""

    def __init__(self, log_id: str, state: LogState, known: Known) -> None:
        self.state = state
        self.changes = Changes()
        self._log_id = log_id
        self._known = known
        self._before = state
        self._again = 0

    # -- what arrives ------------------------------------------------------------------------------------------

    def greet(self, hello: Hello) -> Resend | None:
        """Take a hello and return what is wanted again: what the cabinet believes confirmed and is not here."""
        upto = self.state.upto
        if hello.last > upto:
            if self.state.head_seq > hello.last:  # it has announced more than it has now
                content = msgspec.json.encode({"last": self.state.head_seq, "head": self.state.head.hex()})
                self.changes.aside.append(Aside(self.state.head_seq, "announced", content))
            if not upto < self.state.head_seq <= hello.last:  # the oldest announcement binds the most
                self.state = replace(self.state, head_seq=hello.last, head=bytes.fromhex(hello.head))
        confirmed = min(hello.first_unacked - 1, hello.last)
        return Resend(since=upto + 1, upto=confirmed) if confirmed > upto else None

    def take(self, facts: Sequence[Fact]) -> None:
        """Take a well-formed batch."""
        stored = self._stored(facts[0].seq, facts[-1].seq)
        above = [fact for fact in facts if fact.seq > self.state.upto]
        agreed = [self._below(fact, stored.get(fact.seq)) for fact in facts[: len(facts) - len(above)]]
        if not all(agreed):
            self._diverged(above, stored)
            return
        run = self._attached(above)
        if run:
            self._pass(run, stored)
        for fact in above[len(run) :]:
            self._wait(fact, stored.get(fact.seq))
        if run:
            self._follow()

    def done(self, now_ms: int) -> None:
        """Note what came again, and when to ask for what is missing."""
        self.state = replace(self.state, duplicates=self.state.duplicates + self._again)
        if self.state.top <= self.state.upto:
            self.state = replace(self.state, ask_at_ms=None, asks=0)
        elif self.state.upto > self._before.upto or self.state.ask_at_ms is None:
            self.state = replace(self.state, ask_at_ms=now_ms + ASK_MS, asks=0)

    # -- at or below upto --------------------------------------------------------------------------------------

    def _below(self, fact: Fact, known: Fact | None) -> bool:
        """Take a fact whose place is settled and return whether it is the one that stands there."""
        if known is not None and (same(known, fact) or fact.kind == FactKind.REMOVED):
            self._duplicate()  # a hole in the place of a fact: it was confirmed, and removed there since
        elif known is None and fact.kind == FactKind.REMOVED:
            self._duplicate()
        elif known is None or known.kind == FactKind.REMOVED:
            self._aside(fact, IN_HOLE)
        else:
            self._aside(fact, "settled")
            return False
        return True

    def _diverged(self, above: Sequence[Fact], stored: Mapping[int, Fact]) -> None:
        """Keep what follows on another history aside: it would not chain to ours."""
        for fact in above:
            known = stored.get(fact.seq)
            if known is not None and same(known, fact):
                self._duplicate()
            else:
                self._aside(fact, "diverged")

    # -- directly on upto --------------------------------------------------------------------------------------

    def _attached(self, facts: Sequence[Fact]) -> list[Fact]:
        run: list[Fact] = []
        upto = self.state.upto
        for fact in facts:
            if begin(fact) > upto + 1:
                break
            run.append(fact)
            upto = fact.seq
        return run

    def _pass(self, run: list[Fact], stored: Mapping[int, Fact]) -> None:
        """Let facts stand that follow on what is settled."""
        older = [stored.get(fact.seq, fact) for fact in run]
        links, wrong = self._links(run)
        if wrong and not all(map(same, run, older)):
            old_links, old_wrong = self._links(older)
            if not old_wrong:  # the link bears out what was there before
                for fact, known in zip(run, older, strict=True):
                    if not same(fact, known):
                        self._aside(fact, "not_borne_out")
                run, links, wrong = older, old_links, 0
        for fact in run:
            self._stand(fact, stored.get(fact.seq))
        if wrong and self.state.broken_at is None:
            self.state = replace(self.state, broken_at=wrong)
        self._settle(run, links)

    def _links(self, run: Sequence[Fact]) -> tuple[list[bytes], int]:
        """Return the links of facts that follow on ``upto``, and the first that the cabinet tells otherwise, or 0."""
        links, last, wrong = [], self.state.link, 0
        for fact in run:
            if fact.kind == FactKind.REMOVED:
                last = bytes.fromhex(fact.hash)
            else:
                last = link(last, self._log_id, fact)
                if not wrong and fact.hash and bytes.fromhex(fact.hash) != last:
                    wrong = fact.seq
            links.append(last)
        return links, wrong

    def _settle(self, run: Sequence[Fact], links: Sequence[bytes]) -> None:
        """Move ``upto`` to the end of a run that follows on it."""
        state, last = self.state, run[-1].seq
        broken_at, head_seq, head = state.broken_at, state.head_seq, state.head
        if head_seq and last >= head_seq:
            told = next((digest for fact, digest in zip(run, links, strict=True) if fact.seq == head_seq), head)
            broken_at = head_seq if told != head and broken_at is None else broken_at
            head_seq, head = 0, b""
        salvaged = _salvaged(run[0]) if run[0].seq == 1 else (state.old_log_id, state.carried)
        self.state = replace(
            state,
            upto=last,
            link=links[-1],
            top=max(state.top, last),
            head_seq=head_seq,
            head=head,
            broken_at=broken_at,
            old_log_id=salvaged[0],
            carried=salvaged[1],
        )

    # -- behind a gap ------------------------------------------------------------------------------------------

    def _wait(self, fact: Fact, known: Fact | None) -> None:
        """Keep a fact that follows on a gap."""
        self.state = replace(self.state, top=max(self.state.top, fact.seq))
        if known is not None and known.kind == FactKind.REMOVED and fact.kind != FactKind.REMOVED:
            self._aside(fact, IN_HOLE)
        else:
            self._stand(fact, known)

    def _follow(self) -> None:
        """Settle what has waited, as far as the links bear it out."""
        proven = PAGE
        while self.state.top > self.state.upto and proven > PAGE // 2:  # a page ends at most one batch behind a link
            run: list[Fact] = []
            links: list[bytes] = []
            proven, at, last = 0, self.state.upto, self.state.link
            for fact in self._waiting(at):
                if begin(fact) > at + 1:
                    break
                told = bytes.fromhex(fact.hash)
                last = told if fact.kind == FactKind.REMOVED else link(last, self._log_id, fact)
                if told and told != last:
                    break
                run.append(fact)
                links.append(last)
                at = fact.seq
                if told:
                    proven = len(run)
            if proven:
                self._settle(run[:proven], links[:proven])

    def _waiting(self, seq: int) -> Iterator[Fact]:
        """Yield what stands above ``seq``, stored or just added, at most a page."""
        stored = deque(fact for fact in self._known.after(seq, PAGE) if fact.seq not in self.changes.taken)
        fresh = deque(self.changes.added[key] for key in sorted(self.changes.added) if key > seq)
        for _ in range(PAGE):
            if stored and (not fresh or stored[0].seq < fresh[0].seq):
                yield stored.popleft()
            elif fresh:
                yield fresh.popleft()

    # -- small things ------------------------------------------------------------------------------------------

    def _stored(self, since: int, upto: int) -> dict[int, Fact]:
        if since > self.state.top:
            return {}
        stored = {} if since > self._before.top else {fact.seq: fact for fact in self._known.between(since, upto)}
        for seq in self.changes.taken:
            stored.pop(seq, None)
        stored.update({seq: fact for seq, fact in self.changes.added.items() if since <= seq <= upto})
        return stored

    def _stand(self, fact: Fact, known: Fact | None) -> None:
        """Let a fact stand under its number, whatever has stood there."""
        if known is not None and same(known, fact):
            self._duplicate()
            return
        if known is not None:
            holes = FactKind.REMOVED in (known.kind, fact.kind)
            self._aside(known, IN_HOLE if holes else "replaced")
            if self.changes.added.pop(known.seq, None) is None:
                self.changes.taken.add(known.seq)
        self.changes.added[fact.seq] = fact

    def _aside(self, fact: Fact, reason: str) -> None:
        self.changes.aside.append(Aside(fact.seq, reason, msgspec.json.encode(fact)))

    def _duplicate(self) -> None:
        self._again += 1


def missing(state: LogState, first_waiting: int) -> Resend:
    """Return what to ask for. ``first_waiting``: the first number above ``upto`` that something stored stands for."""
    if first_waiting > state.upto + 1:
        return Resend(since=state.upto + 1, upto=first_waiting - 1)
    return Resend(since=state.upto + 1, upto=min(state.top, state.upto + _DOUBTED))


def _salvaged(fact: Fact) -> tuple[str, int]:
    if fact.kind != FactKind.LOG_SALVAGED:
        return "", 0
    try:
        told = msgspec.json.decode(fact.body, type=LogSalvaged)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", 0
    return told.old_log_id, told.carried
