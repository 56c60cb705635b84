"""The life of a port as one literal table.

Two rules of this file: every change of a port's status goes through ``transition``, and what is not in the table
is refused with the status unchanged.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class PortStatus(StrEnum):
    """Where a port is in its life. The relay is closed in ``ON`` and in no other status."""

    IDLE = "idle"
    ARMED = "armed"  # granted; waits for the contactor and for its turn to close
    ON = "on"
    ENDED = "ended"  # the session is over; only a new session can close the relay again
    TRIPPED = "tripped"  # latched; only a reset leads out


class Signal(StrEnum):
    """What can happen to a port."""

    GRANT = "grant"
    CLOSE = "close"
    FINISH = "finish"
    TRIP = "trip"
    RESET = "reset"


TRANSITIONS: Final[dict[tuple[PortStatus, Signal], PortStatus]] = {
    (PortStatus.IDLE, Signal.GRANT): PortStatus.ARMED,
    (PortStatus.IDLE, Signal.TRIP): PortStatus.TRIPPED,
    (PortStatus.ARMED, Signal.CLOSE): PortStatus.ON,
    (PortStatus.ARMED, Signal.FINISH): PortStatus.ENDED,
    (PortStatus.ARMED, Signal.TRIP): PortStatus.TRIPPED,
    (PortStatus.ON, Signal.FINISH): PortStatus.ENDED,
    (PortStatus.ON, Signal.TRIP): PortStatus.TRIPPED,
    (PortStatus.ENDED, Signal.GRANT): PortStatus.ARMED,
    (PortStatus.ENDED, Signal.TRIP): PortStatus.TRIPPED,
    (PortStatus.TRIPPED, Signal.RESET): PortStatus.IDLE,
}


def transition(status: PortStatus, signal: Signal) -> PortStatus | None:
    """Return the next status, or None when the table refuses the signal."""
    return TRANSITIONS.get((status, signal))


def diagram() -> str:
    """Return the table as a Mermaid state diagram for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> idle"]
    lines += [f"    {old} --> {new}: {signal}" for (old, signal), new in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"
