"""What lights and buzzer show of the core's state: pure, from state and time to on or off.

No pattern of a light ever stands still: even "ready" winks once in three seconds. A light that is frozen, which is what
a line looks like whose process has died, so never looks like a cabinet that works.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from safety.catalogue import CATALOGUE, Effect
from safety.port import PortStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.state import CabinetState, PortState, State

#: A new fault calls for this long, seconds; a cause that endangers people sounds for as long as it stands.
CALL_S: Final = 60.0


class Light(NamedTuple):
    """A light of a port (``fault``: its second one), the cabinet's own (port 0), or the buzzer (port 0)."""

    kind: str  # "status", "fault", "cabinet" or "buzzer"
    port: int


class Sign(StrEnum):
    """What is shown."""

    READY = "ready"
    STARTING = "starting"
    CHARGING = "charging"
    FULL = "full"
    ENDED = "ended"
    BLOCKED = "blocked"  # no new session for now
    FAULT = "fault"  # latched


@dataclass(frozen=True, slots=True)
class Pattern:
    """Seconds on and off in turn, beginning with on, for ever. Empty: dark."""

    steps: tuple[float, ...] = ()

    def lit(self, now: float) -> bool:
        """Return whether it is on at ``now``; one clock for all, so that a row of lights blinks together."""
        if not self.steps:
            return False
        left_s = now % sum(self.steps)
        for index, step_s in enumerate(self.steps):
            if left_s < step_s:
                return index % 2 == 0
            left_s -= step_s
        return False


DARK: Final = Pattern()
WINK: Final = Pattern((2.9, 0.1))
FLICKER: Final = Pattern((0.1, 0.1))
SLOW: Final = Pattern((1.0, 1.0))
TWICE: Final = Pattern((0.1, 0.2, 0.1, 1.6))
ONCE: Final = Pattern((0.1, 1.9))
SHORT: Final = Pattern((0.5, 1.5))
FAST: Final = Pattern((0.25, 0.25))
#: Buzzer: a cause that stands, and a new fault.
ALARM: Final = Pattern((0.5, 0.5))
CALL: Final = Pattern((0.1, 0.1, 0.1, 0.1, 0.1, 4.5))

#: Status light and fault light of a port. With one light alone it shows whichever of the two is not dark.
PORT: Final[Mapping[Sign, tuple[Pattern, Pattern]]] = {
    Sign.READY: (WINK, DARK),
    Sign.STARTING: (FLICKER, DARK),
    Sign.CHARGING: (SLOW, DARK),
    Sign.FULL: (TWICE, DARK),
    Sign.ENDED: (ONCE, DARK),
    Sign.BLOCKED: (DARK, SHORT),
    Sign.FAULT: (DARK, FAST),
}
#: Light of the cabinet: all well; a port is latched, or something stands that does not cut everything; all is cut.
CABINET_SIGNS: Final[Mapping[Sign, Pattern]] = {Sign.READY: WINK, Sign.BLOCKED: SLOW, Sign.FAULT: FAST}


def port_sign(port: PortState, cabinet: CabinetState) -> Sign:
    """Return what the lights of a port show. A running session shows as such whatever may not start beside it."""
    if port.latched is not None or cabinet.cutting:
        return Sign.FAULT
    if port.live:
        return Sign.CHARGING if port.status is PortStatus.ON else Sign.STARTING
    if cabinet.inhibiting or any(CATALOGUE[code].effect in (Effect.CUT, Effect.INHIBIT) for code in port.findings):
        return Sign.BLOCKED
    if port.status is PortStatus.ENDED:
        return Sign.FULL if port.reason == "full" else Sign.ENDED
    return Sign.READY


def cabinet_sign(state: State) -> Sign:
    """Return what the light of the cabinet shows."""
    cabinet = state.cabinet
    if cabinet.cutting:
        return Sign.FAULT
    troubled = any(port.latched is not None for port in state.ports.values())
    return Sign.BLOCKED if troubled or cabinet.latched or cabinet.findings else Sign.READY


@dataclass(frozen=True, slots=True)
class Heard:
    """Memory of the buzzer: what was latched when it looked last (None: it has not), and when something was added."""

    held: frozenset[tuple[int, str]] | None = None
    since_s: float | None = None


def listen(memory: Heard, state: State, now: float) -> Heard:
    """Return the memory with what is latched now. What was latched before guard began calls nobody again."""
    held = frozenset((number, port.latched) for number, port in state.ports.items() if port.latched is not None)
    held |= {(0, code) for code in state.cabinet.latched}
    new = memory.held is not None and not held <= memory.held
    return Heard(held, now if new else memory.since_s)


def sounds(memory: Heard, state: State, now: float) -> bool:
    """Return whether the buzzer is on now."""
    if any(code in state.cabinet.standing for code in state.cabinet.cutting):
        return ALARM.lit(now)
    calling = memory.held and memory.since_s is not None and now - memory.since_s < CALL_S
    return bool(calling) and CALL.lit(now)


def lit(light: Light, state: State, memory: Heard, now: float, *, alone: bool) -> bool:
    """Return whether ``light`` is on now; ``alone``: it is the only light of its port."""
    if light.kind == "buzzer":
        return sounds(memory, state, now)
    if light.kind == "cabinet":
        return CABINET_SIGNS[cabinet_sign(state)].lit(now)
    status, fault = PORT[port_sign(state.ports[light.port], state.cabinet)]
    if light.kind == "fault":
        return fault.lit(now)
    return status.lit(now) or (alone and fault.lit(now))
