"""Periodic tests that need the outputs. All ports are idle while one runs, and no port relay is ever closed by one.

``dead_man``: the contactor is closed without load, the heartbeat stops, the auxiliary contact must drop.
``relays``: the contactor is closed while every relay is open; no meter may see its socket live. A welded relay shows
only where a load is plugged in or where the meter sits behind the relay; the other ones are proved at every opening.

A contact that bounces proves nothing: what the auxiliary contact says counts after it has said so for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from safety.reading import MeterReading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.inputs import PortInputs
    from safety.limits import CabinetLimits, PortLimits

KINDS: Final = ("dead_man", "relays")
#: The contactor must have dropped this long after the last heartbeat edge, seconds: the hold of the charge pump (300 to
#: 500 ms, reliability 1.3) and the release of the contactor, with a margin.
DROP_S: Final = 1.0
#: The auxiliary contact must stay open this long to count as dropped, seconds: two ticks, more than any bounce.
DROPPED_S: Final = 0.1
#: Longest wait for readings of every port in the relay proof, seconds; a port that is silent until then is not proved.
READ_S: Final = 20.0


class Phase(StrEnum):
    """Where a test is."""

    CLOSING = "closing"  # contactor ordered closed; waits until its auxiliary contact says so, or for settling time
    SILENT = "silent"  # dead_man: heartbeat stopped
    READING = "reading"  # relays: waits for fresh readings of every port


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that runs. Times are seconds; ``since_s`` is when the present phase began.

    ``seen_s``: since when the auxiliary contact has said what this phase waits for, None while it does not.
    ``counted``: readings of the relay proof by port, as the time of the newest and their number.
    """

    kind: str
    started_s: float
    phase: Phase = Phase.CLOSING
    since_s: float = 0.0
    seen_s: float | None = None
    counted: Mapping[int, tuple[float, int]] = field(default_factory=dict)

    @property
    def heartbeat(self) -> bool:
        """Whether the dead-man output is toggled now."""
        return self.phase is not Phase.SILENT


@dataclass(frozen=True, slots=True)
class Result:
    """How a test ended. ``fault``: code to latch for the cabinet, None when there is none."""

    ok: bool
    detail: str
    fault: str | None = None


def begin(kind: str, now: float) -> Proof:
    """Return a test of ``kind`` (one of ``KINDS``) that starts now."""
    return Proof(kind, now, Phase.CLOSING, now)


def advance(
    proof: Proof,
    ports: Mapping[int, PortInputs],
    live: frozenset[int],
    feedback: bool | None,  # noqa: FBT001 - three states: closed, open, not wired
    limits: CabinetLimits,
    port_limits: Mapping[int, PortLimits],
    now: float,
) -> tuple[Proof | None, Result | None]:
    """Return the test one tick on, or None with its result.

    ``live``: ports whose rules find their socket live although its relay is open. The rules of a port need
    ``weld_samples`` readings, taken ``weld_settle_s`` after the contactor closed; the relay proof waits for as many.
    """
    if live and proof.kind == "relays":
        return None, Result(ok=False, detail="live though open: " + _listed(live))
    if proof.phase is Phase.CLOSING:
        return _closing(proof, feedback, limits, now)
    if proof.phase is Phase.SILENT:
        return _silent(proof, feedback, now)
    return _reading(proof, ports, port_limits, now)


def _watch(proof: Proof, *, seen: bool, now: float) -> Proof:
    """Return the test with it noted since when the auxiliary contact says what is waited for."""
    return replace(proof, seen_s=(now if proof.seen_s is None else proof.seen_s) if seen else None)


def _closing(
    proof: Proof,
    feedback: bool | None,  # noqa: FBT001
    limits: CabinetLimits,
    now: float,
) -> tuple[Proof | None, Result | None]:
    waited_s = now - proof.since_s
    proof = _watch(proof, seen=feedback is True, now=now)
    since_s = proof.since_s if feedback is None else proof.seen_s
    if since_s is not None and now - since_s >= limits.contactor_settle_s:
        phase = Phase.SILENT if proof.kind == "dead_man" else Phase.READING
        return replace(proof, phase=phase, since_s=now, seen_s=None), None
    if feedback is False and waited_s >= limits.contactor_feedback_s:
        return None, Result(ok=False, detail="the contactor did not close", fault="contactor_not_closed")
    return proof, None


def _silent(proof: Proof, feedback: bool | None, now: float) -> tuple[Proof | None, Result | None]:  # noqa: FBT001
    waited_s = now - proof.since_s
    proof = _watch(proof, seen=feedback is False, now=now)
    if proof.seen_s is not None:
        if now - proof.seen_s < DROPPED_S:
            return proof, None
        return None, Result(ok=True, detail=f"dropped after {proof.seen_s - proof.since_s:.2f} s")
    if waited_s >= DROP_S:
        return None, Result(ok=False, detail=f"still closed after {waited_s:.2f} s", fault="dead_man_failed")
    return proof, None


def _reading(
    proof: Proof,
    ports: Mapping[int, PortInputs],
    port_limits: Mapping[int, PortLimits],
    now: float,
) -> tuple[Proof | None, Result | None]:
    counted = {
        number: _count(proof.counted.get(number, (proof.since_s + port_limits[number].opened_after_s, 0)), port)
        for number, port in ports.items()
    }
    unread = [number for number, (_, count) in counted.items() if count < port_limits[number].weld_samples]
    if not unread:
        return None, Result(ok=True, detail=f"{len(ports)} ports")
    settle_s = max(limits.opened_after_s for limits in port_limits.values())
    if now - proof.since_s >= settle_s + READ_S:
        return None, Result(ok=False, detail="not read: " + _listed(unread))
    return replace(proof, counted=counted), None


def _count(before: tuple[float, int], port: PortInputs) -> tuple[float, int]:
    """Return time of the newest and number of the readings that count, with those of this tick."""
    newest_s, count = before
    for reading in (*port.earlier, port.meter):
        if isinstance(reading, MeterReading) and reading.taken_s > newest_s:
            newest_s, count = reading.taken_s, count + 1
    return newest_s, count


def _listed(ports: frozenset[int] | list[int]) -> str:
    return ", ".join(str(number) for number in sorted(ports))
