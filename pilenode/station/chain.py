"""Checks the hash chain of a log while it is read from its beginning. Pure."""

from __future__ import annotations

import msgspec

from pilenode.upstream.facts import GENESIS, Fact, FactKind, link
from pilenode.upstream.facts_journal import Removed


class Chain:
    """Takes every fact of a log in order. ``broken_at``: the first ``seq`` that does not follow, None so far.

    ``seq`` and ``hash`` are the head: the newest fact and its link in hex (of the empty log: 0 and zeros). After a
    break the chain goes on from what stands in the log, so that the head is always told.
    """

    def __init__(self, log_id: str) -> None:
        self.broken_at: int | None = None
        self.log_id = log_id
        self.seq = 0
        self._last = GENESIS

    @property
    def hash(self) -> str:
        """Return the link of the newest fact, hex."""
        return self._last.hex()

    def take(self, fact: Fact) -> None:
        """Check one more fact; one that was sent without its link must be borne out by the next that has one."""
        if fact.kind == FactKind.REMOVED and self._over_hole(fact):
            return
        computed = link(self._last, self.log_id, fact)
        if (fact.seq != self.seq + 1 or fact.hash not in ("", computed.hex())) and self.broken_at is None:
            self.broken_at = fact.seq
        self.seq = fact.seq
        try:
            stored = bytes.fromhex(fact.hash) or computed
        except ValueError:
            stored = computed
        self._last = stored

    def _over_hole(self, fact: Fact) -> bool:
        """Go on behind facts that were removed by rule: the row that names the hole has the link of its last fact."""
        try:
            since, last = msgspec.json.decode(fact.body, type=Removed).since, bytes.fromhex(fact.hash)
        except (msgspec.DecodeError, ValueError):
            return False
        if not since <= self.seq + 1 <= fact.seq:
            return False
        self.seq, self._last = fact.seq, last
        return True
