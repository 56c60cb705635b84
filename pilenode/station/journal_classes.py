"""Which facts may leave the journal, and when. Pure.

Whatever is named here neither as telemetry nor as a record is standing: decisions that are in force until another fact
says otherwise (locks, prices, cards, budgets, the ledger), and every kind that somebody adds and forgets to name here.
Standing facts never leave.
"""

from __future__ import annotations

from typing import Final

from pilenode.upstream.facts import FactKind

#: Readings. A newer one of the same session stands for all older ones. Only these go to make room.
TELEMETRY: Final = frozenset({FactKind.CHECKPOINT})
#: What a session is made of. It leaves as a whole, once its end is confirmed and old.
OF_SESSION: Final = frozenset(
    {
        FactKind.SESSION_STARTED,
        FactKind.SESSION_MODIFIED,
        FactKind.LEG_ENDED,
        FactKind.LEG_STARTED,
        FactKind.SESSION_ENDED,
    }
)
#: Events by themselves, each of which leaves when it is confirmed and old.
EVENTS: Final = frozenset(
    {
        FactKind.BOOT,
        FactKind.START_REFUSED,
        FactKind.COMMAND_RESULT,
        FactKind.ACT_REFUSED,
        FactKind.FACTS_REMOVED,
        FactKind.CONFIG_REFUSED,
    }
)

#: Facts that nobody waits for: they go upstream with the next one that somebody may, or after a while by themselves.
PATIENT: Final = frozenset({*TELEMETRY, FactKind.ANCHOR, FactKind.FACTS_REMOVED, FactKind.REMOVED})


def words(kinds: frozenset[FactKind]) -> str:
    """Return kinds as a JSON list, for a statement."""
    return "[" + ",".join(f'"{kind}"' for kind in sorted(kinds)) + "]"
