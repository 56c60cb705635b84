"""Why no session may start on a port: what station can tell before it promises anything. Guard has the last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.ipc.messages import Refused
from pilenode.station.session import LIVE
from pilenode.upstream.facts import MAX_WORDS
from safety.catalogue import CATALOGUE, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilenode.ipc.messages import PortSnapshot, Snapshot


def why_not(port: int, snapshot: Snapshot, *, taken: bool) -> Refused | None:
    """Return why no session may start on ``port``, or None. ``taken``: the journal has an open session there."""
    shown = next((candidate for candidate in snapshot.ports if candidate.port == port), None)
    if shown is None:
        return Refused(code="unknown_port")
    if taken or shown.state in LIVE:
        return Refused(code="port_busy", detail=shown.session or "")
    return unfit(shown, snapshot)


def unfit(shown: PortSnapshot, snapshot: Snapshot) -> Refused | None:
    """Return what keeps a port from having power, whoever asks; None when guard would give it."""
    whole = in_the_way(snapshot.cabinet_faults)
    if whole:
        return Refused(code="cabinet_faulty", detail=", ".join(whole)[:MAX_WORDS])
    if snapshot.test_running is not None:
        return Refused(code="test_running", detail=snapshot.test_running[:MAX_WORDS])
    if shown.state == "tripped":
        return Refused(code="port_faulty", detail=(shown.reason or "")[:MAX_WORDS])
    standing = in_the_way(shown.findings)
    return Refused(code="port_faulty", detail=", ".join(standing)[:MAX_WORDS]) if standing else None


def in_the_way(codes: Iterable[str]) -> list[str]:
    """Return the codes that keep a session from starting; one that is not known does."""
    return [code for code in codes if code not in CATALOGUE or CATALOGUE[code].effect is not Effect.TELL]
