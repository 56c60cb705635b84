"""What the journal says of itself: that it had to begin anew, and what it took out of a log.

Whoever checks a chain treats a ``removed`` row as the end of a hole: the facts from ``since`` to its own ``seq`` are
gone, and the hash of the row is the link of the last of them, from which the chain goes on.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**53)]
Detail = Annotated[str, Meta(max_length=200)]


class LogSalvaged(msgspec.Struct, frozen=True, kw_only=True):
    """First fact of a log that had to take the place of another one.

    ``cause``: "corrupt" (the file was damaged), "lost_tail" (facts that the storage had confirmed were gone),
    "missing" (the file was gone), "renounced" (the backend holds facts of the old log that are not in it).
    ``file`` is what the old log was set aside as, "" where there was none. ``old_last_seq``: newest fact found;
    ``recovered``: facts that were readable; ``unproven``: those of them whose own predecessor is lost, so that the
    chain says nothing about them; ``damaged``: readable but contradicted by the chain, not taken over; ``missing``:
    holes below ``old_last_seq``. What was written after that, nobody can know.

    The next ``carried`` facts are copies of facts of the old log with their own times: whoever has the old ones counts
    them once (session, order, command id and guard event are unique over both).
    """

    cause: Annotated[str, Meta(max_length=16)]
    detail: Detail = ""
    file: Annotated[str, Meta(max_length=100)] = ""
    old_log_id: Annotated[str, Meta(max_length=16)] = ""
    old_last_seq: Count = 0
    recovered: Count = 0
    carried: Count = 0
    unproven: Count = 0
    damaged: Count = 0
    missing: Count = 0


class FactsRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """Facts were taken out of this log. ``cause``: "age" (confirmed and old enough) or "room" (over the budget).

    ``upto`` is the newest of them; ``unconfirmed`` of ``count`` had not been confirmed.
    """

    cause: Annotated[str, Meta(max_length=16)]
    count: Count
    unconfirmed: Count = 0
    upto: Count


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in the place of facts that were removed: those from ``since`` up to the ``seq`` of this row."""

    since: Count
