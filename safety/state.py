"""The values that ``safety.step`` takes and gives. All immutable; all times are seconds on guard's monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safety.cabinet_heat import CabinetHeat
from safety.catalogue_entry import Effect
from safety.completion import CompletionLimits, CompletionState
from safety.contactor import Contactor
from safety.hazards import HazardMemory, PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.port import PortStatus
from safety.supply import Supply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.proof import Proof
    from safety.reading import MeterReading, Missing, ProbeReading


@dataclass(frozen=True, slots=True)
class Contact:
    """An external input: the catalogue ``code`` it raises, and how long its alarm must stand.

    ``effect`` is what it does while it stands (a door may tell, inhibit or cut). ``ports``: those that it concerns;
    empty = the whole cabinet. A code whose catalogue entry holds is latched, any other one clears by itself.
    """

    name: str
    code: str
    debounce_s: float
    effect: Effect = Effect.CUT
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while guard runs.

    ``contactor``: there is a master contactor; ``feedback``: its auxiliary contact is wired; ``heartbeat``: the
    dead-man output is wired.
    """

    ports: Mapping[int, PortLimits]
    cabinet: CabinetLimits = CabinetLimits()
    completion: CompletionLimits = CompletionLimits()
    max_duration_s: float = 36_000.0
    contacts: tuple[Contact, ...] = ()
    contactor: bool = False
    feedback: bool = False
    heartbeat: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What ends a session on purpose. Energy and duration count from the closing, the deadline from the grant.

    ``for_amount``: the energy was bought with a sum of money; ``for_hours``: the deadline is the end of the hours in
    which charging is allowed. The end is called after them.
    """

    energy_wh: float | None = None
    duration_s: float | None = None
    deadline_s: float | None = None
    for_amount: bool = False
    for_hours: bool = False


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
    relay_opened_s: float | None = None  # last time this port's relay was opened, whoever's session it was

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
    """What belongs to no single port.

    ``latched``: codes that hold until a person releases them; ``findings``: everything else that stands;
    ``standing``: codes whose cause is there right now, latched or not. ``cutting`` and ``inhibiting``: those of all
    that open everything, or keep new sessions away.
    """

    alarm_since_s: Mapping[str, float] = field(default_factory=dict)  # contacts in alarm, by name
    latched: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    cutting: tuple[str, ...] = ()
    inhibiting: tuple[str, ...] = ()
    contactor: Contactor = Contactor()
    heat: CabinetHeat = CabinetHeat()
    supply: Supply = Supply()
    proof: Proof | None = None  # the periodic test that runs now
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
class Amend:
    """Put another plan in the place of a live session's. Its ``deadline_s`` counts from now; lease and relay stay."""

    ticket: int
    port: int
    session: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Release:
    """End a session on purpose."""

    ticket: int
    port: int
    session: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Release the latch of a port, or of the cabinet when ``port`` is None.

    ``repair``: what was repaired; some faults are released with it only.
    """

    ticket: int
    port: int | None
    repair: str = ""


@dataclass(frozen=True, slots=True)
class RunTest:
    """Run a periodic test of the cabinet now (``safety.proof.KINDS``). Refused unless every port is idle."""

    ticket: int
    kind: str
    port: None = None


Request = Grant | Renew | Amend | Release | Reset | RunTest


@dataclass(frozen=True, slots=True)
class Inputs:
    """One snapshot of the world. ``contacts`` maps every configured contact to whether it is in alarm.

    ``cabinet_probe`` and ``inlet`` are None where not fitted. ``feedback``: whether the auxiliary contact says that the
    master contactor is closed, None where it is not wired. ``self_test``: codes that guard's own tests raise now.
    """

    ports: Mapping[int, PortInputs]
    contacts: Mapping[str, bool] = field(default_factory=dict)
    requests: tuple[Request, ...] = ()
    latch_store_ok: bool = True
    cabinet_probe: ProbeReading | Missing | None = None
    inlet: MeterReading | Missing | None = None
    feedback: bool | None = None
    self_test: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. ``code`` is None when it was carried out, else a refusal of the catalogue."""

    ticket: int
    code: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; kinds as in ``pilenode.ipc.messages.GuardEvent``. ``ok`` is the result of a test."""

    kind: str
    at_s: float
    port: int | None = None
    session: str | None = None
    code: str | None = None
    detail: str = ""
    start_energy_wh: float | None = None
    end_energy_wh: float | None = None
    closed_for_s: float | None = None
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What the shell must do now, opening first. ``closed`` holds every port whose relay is to be closed.

    ``heartbeat``: whether the dead-man output is to be toggled; not during its proof.
    """

    closed: frozenset[int]
    contactor: bool
    heartbeat: bool = True
    answers: tuple[Answer, ...] = ()
    read_register: frozenset[int] = frozenset()  # ports whose energy register is wanted soon
