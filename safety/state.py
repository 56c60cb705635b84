"""The values that ``safety.step`` takes and gives. All immutable; all times are seconds on guard's monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safety.completion import CompletionLimits, CompletionState
from safety.hazards import HazardMemory, PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.port import PortStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Contact:
    """An external input that cuts the cabinet: the catalogue ``code`` it raises and how long its alarm must stand."""

    name: str
    code: str
    debounce_s: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while guard runs."""

    ports: Mapping[int, PortLimits]
    cabinet: CabinetLimits = CabinetLimits()
    completion: CompletionLimits = CompletionLimits()
    max_duration_s: float = 36_000.0
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What ends a session on purpose. Energy counts from the register at closing, duration from closing."""

    energy_wh: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class PortState:
    """One port between ticks. ``session`` and what follows it describe the present or the last session."""

    status: PortStatus = PortStatus.IDLE
    hazards: HazardMemory = HazardMemory()
    findings: tuple[str, ...] = ()
    latched: str | None = None
    session: str | None = None
    plan: Plan = Plan()
    lease_until_s: float = 0.0
    armed_at_s: float = 0.0
    closed_at_s: float | None = None
    opened_at_s: float | None = None
    reason: str | None = None
    detail: str = ""
    start_energy_wh: float | None = None
    end_energy_wh: float | None = None
    completion: CompletionState | None = None
    sampled_s: float = 0.0  # taken_s of the newest reading given to the completion rules
    awaiting_register: bool = False  # open, but the register has not been read since

    @property
    def live(self) -> bool:
        """Whether a session holds this port."""
        return self.status in (PortStatus.ARMED, PortStatus.ON)

    def closed_for_s(self, now: float) -> float | None:
        """Return how long the present or last session has had power, None when it never had."""
        if self.closed_at_s is None:
            return None
        return (now if self.opened_at_s is None else self.opened_at_s) - self.closed_at_s


@dataclass(frozen=True, slots=True)
class CabinetState:
    """What belongs to no single port."""

    alarm_since_s: Mapping[str, float] = field(default_factory=dict)  # contacts in alarm, by name
    latched: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    contactor_since_s: float | None = None  # None while open
    needed_s: float = 0.0  # last time a port was live
    closed_at_s: float = -1e9  # last time any port closed


@dataclass(frozen=True, slots=True)
class State:
    """Everything the safety core remembers."""

    settings: Settings
    ports: Mapping[int, PortState]
    cabinet: CabinetState = CabinetState()


@dataclass(frozen=True, slots=True)
class Grant:
    """Give ``port`` power for ``session``. ``ticket`` pairs the request with its answer."""

    ticket: int
    port: int
    session: str
    ttl_s: float
    plan: Plan = Plan()


@dataclass(frozen=True, slots=True)
class Renew:
    """Extend a lease."""

    ticket: int
    port: int
    session: str
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """End a session on purpose."""

    ticket: int
    port: int
    session: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Release the latch of a port, or of the cabinet when ``port`` is None."""

    ticket: int
    port: int | None


Request = Grant | Renew | Release | Reset


@dataclass(frozen=True, slots=True)
class Inputs:
    """One snapshot of the world. ``contacts`` maps every configured contact to whether it is in alarm."""

    ports: Mapping[int, PortInputs]
    contacts: Mapping[str, bool] = field(default_factory=dict)
    requests: tuple[Request, ...] = ()
    latch_store_ok: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. ``code`` is None when it was carried out, else a refusal of the catalogue."""

    ticket: int
    code: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. The kinds are those of ``pilenode.ipc.messages.GuardEvent``."""

    kind: str
    at_s: float
    port: int | None = None
    session: str | None = None
    code: str | None = None
    detail: str = ""
    start_energy_wh: float | None = None
    end_energy_wh: float | None = None
    closed_for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What the shell must do now, opening first. ``closed`` holds every port whose relay is to be closed."""

    closed: frozenset[int]
    contactor: bool
    answers: tuple[Answer, ...] = ()
    read_register: frozenset[int] = frozenset()  # ports whose energy register is wanted soon
