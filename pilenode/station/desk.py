"""Who decides about administrative acts: one desk for each family, whose memory is the facts it has made.

Rules of this file:
- a desk decides and writes nothing itself: it returns the facts to be written, or a refusal, and nothing has changed;
- a desk learns of a fact when the fact is durable, whoever made it (``keep``), and of all earlier ones at start: its
  state is a fold over facts, so that a restart, a kill and a power cut all end in the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilenode.ipc.acts import Act
    from pilenode.ipc.messages import Refused
    from pilenode.station.entries import NewFact
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.facts import Fact, FactKind


@dataclass(frozen=True, slots=True)
class Who:
    """Who acts. ``source`` is "cli" or "upstream"; ``by`` is for people."""

    source: str
    by: str


class Desk(Protocol):
    """One family of acts."""

    @property
    def acts(self) -> tuple[type[Act], ...]:
        """Return the acts that this desk decides about."""

    @property
    def kinds(self) -> tuple[FactKind, ...]:
        """Return the kinds of fact that its memory is made of."""

    def judge(self, act: Act, who: Who, now: Stamp) -> Sequence[NewFact] | Refused:
        """Return the facts of an accepted act, or why it is refused. Changes nothing."""

    def keep(self, fact: Fact) -> None:
        """Take one durable fact of ``kinds`` into the picture; facts come in order of ``seq``."""
