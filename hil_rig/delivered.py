"""Whether a journal is at the backend: every fact exactly once, in order, with the same history, and known so here."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from pilenode.station import schema
from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from pathlib import Path

    from hil_rig.upstream import Store

_SHOWN = 5


def mean_bytes(journal: Path) -> float:
    """Return how long the body of a fact is in the mean."""
    with closing(sqlite3.connect(f"file:{quote(str(journal))}?mode=ro", uri=True)) as connection:
        return float(connection.execute("SELECT avg(length(CAST(body AS BLOB))) FROM fact").fetchone()[0])


def problems(journal: Path, store: Store, node: str) -> list[str]:
    """Return everything that is wrong with what arrived of the log in ``journal``; it must have no holes.

    The head that the backend has computed from the facts is the one in the journal only if all facts are the same. That
    the station has stopped is its last word, written without a connection: it may be the one fact that waits.
    """
    with closing(sqlite3.connect(f"file:{quote(str(journal))}?mode=ro", uri=True)) as connection:
        meta = dict(connection.execute(schema.META).fetchall())
        newest = connection.execute("SELECT seq, hash, kind FROM fact ORDER BY seq DESC LIMIT 2").fetchall()
        (count,) = connection.execute("SELECT count(*) FROM fact").fetchone()
    log_id, found = meta["log_id"], []
    waits = len(newest) > 1 and newest[0][2] == FactKind.STOPPED and int(meta["acked"]) == newest[1][0]
    last, digest, _ = (newest[1:] if waits else newest or [(0, b"", "")])[0]
    count -= waits
    if count != last:
        found.append(f"the journal itself has {count} facts of {last}")
    if int(meta["acked"]) != last:
        found.append(f"the journal knows {meta['acked']} of {last} confirmed")
    rows = [row for row in store.rows(node) if row.log_id == log_id]
    seqs = [row.fact.seq for row in rows]
    missing = sorted(set(range(1, last + 1)) - set(seqs))
    twice = [seq for seq, times in Counter(seqs).items() if times > 1]
    for what, some in (("lost", missing), ("twice", twice), ("never written", [seq for seq in seqs if seq > last])):
        if some:
            found.append(f"{len(some)} facts {what}: {some[:_SHOWN]}")
    if seqs != sorted(seqs):
        found.append("facts are out of order")
    if store.head(node, log_id) != (last, bytes(digest).hex()):
        found.append(f"the backend's head {store.head(node, log_id)} is not the journal's {last} {bytes(digest).hex()}")
    if store.broken_link(node, log_id) is not None:
        found.append(f"the chain is broken at {store.broken_link(node, log_id)}")
    if store.contradictions(node):
        found.append(f"{store.contradictions(node)} facts arrived twice with other content")
    return found
