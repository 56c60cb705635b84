"""A desk to drive the safety core by hand: it keeps the state, the clock and the inputs between steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

import safety
from safety.catalogue_entry import Effect
from safety.hazards import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import (
    Amend,
    Answer,
    Contact,
    Event,
    Grant,
    Inputs,
    Orders,
    Plan,
    PortState,
    Release,
    Renew,
    Request,
    Reset,
    RunTest,
    Settings,
    State,
)

TICK_S = 0.05
NEVER = Missing(MissingReason.NEVER_READ, 0.0)


@dataclass
class Desk:
    """Two ports, contacts, a contactor with feedback. Every tick gives every port a fresh reading of what it draws.

    ``amps`` flow while a port's relay and the contactor are closed; those of ``welded`` ports whenever it is fed.
    """

    settings: Settings
    state: State
    now: float = 1000.0
    amps: dict[int, float] = field(default_factory=dict)
    wh: dict[int, float] = field(default_factory=dict)
    celsius: dict[int, float] = field(default_factory=dict)
    volts: dict[int, float] = field(default_factory=dict)
    silent: set[int] = field(default_factory=set)
    welded: set[int] = field(default_factory=set)
    worn: set[int] = field(default_factory=set)
    feedback: bool | None = None  # None: follows the contactor's order
    feedback_fitted: bool = True
    inlet_a: float | None = None
    self_test: tuple[str, ...] = ()
    contacts: dict[str, bool] = field(default_factory=dict)
    latch_store_ok: bool = True
    last: dict[int, PortInputs] = field(default_factory=dict)
    orders: Orders = field(default_factory=lambda: Orders(frozenset(), contactor=False))
    events: list[Event] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    _tickets: int = 0

    def port(self, number: int) -> PortState:
        """Return the state of one port."""
        return self.state.ports[number]

    def inputs(self) -> dict[int, PortInputs]:
        """Return what the ports look like now."""
        for number in self.settings.ports:
            before = self.last.get(number, PortInputs(NEVER))
            if number in self.silent:
                self.last[number] = replace(before, meter_error=Missing(MissingReason.TIMEOUT, self.now))
                continue
            closed = number in self.orders.closed or number in self.welded
            amps = self.amps.get(number, 0.0) if closed and self.orders.contactor else 0.0
            reading = MeterReading(
                self.now,
                self.volts.get(number, 220.0),
                amps,
                amps * 200.0,
                None,
                self.wh.get(number, 500.0),
                energy_taken_s=self.now,
            )
            celsius = self.celsius.get(number)
            probe = None if celsius is None else ProbeReading(self.now, celsius)
            self.last[number] = PortInputs(reading, probe=probe, worn=number in self.worn)
        return dict(self.last)

    def tick(self, *requests: Request, dt: float = TICK_S) -> list[Event]:
        """Advance the clock by one tick and step; return what happened."""
        self.now += dt
        inlet = None
        if self.inlet_a is not None:
            inlet = MeterReading(self.now, 220.0, self.inlet_a, self.inlet_a * 200.0)
        feedback = self.orders.contactor if self.feedback is None else self.feedback
        inputs = Inputs(
            self.inputs(),
            dict(self.contacts),
            requests,
            self.latch_store_ok,
            inlet=inlet,
            feedback=feedback if self.feedback_fitted else None,
            self_test=self.self_test,
        )
        self.state, self.orders, events = safety.step(self.state, inputs, self.now)
        self.answers |= {answer.ticket: answer for answer in self.orders.answers}
        self.events += events
        return list(events)

    def run(self, seconds: float) -> None:
        """Tick for that long."""
        for _ in range(round(seconds / TICK_S)):
            self.tick()

    def ask(self, request: Request) -> str | None:
        """Hand in one request and return the refusal code, None when it was carried out."""
        self.tick(request)
        return self.answers[request.ticket].code

    def ticket(self) -> int:
        """Return a fresh ticket."""
        self._tickets += 1
        return self._tickets

    def grant(self, port: int, session: str = "s", ttl_s: float = 60.0, plan: Plan = Plan()) -> str | None:  # noqa: B008
        """Ask for a grant."""
        return self.ask(Grant(self.ticket(), port, session, ttl_s, plan))

    def renew(self, port: int, session: str = "s", ttl_s: float = 60.0) -> str | None:
        """Ask for a longer lease."""
        return self.ask(Renew(self.ticket(), port, session, ttl_s))

    def amend(self, port: int, plan: Plan, session: str = "s") -> str | None:
        """Ask for another plan."""
        return self.ask(Amend(self.ticket(), port, session, plan))

    def release(self, port: int, session: str = "s", reason: str = "user") -> str | None:
        """Ask for the end of a session."""
        return self.ask(Release(self.ticket(), port, session, reason))

    def reset(self, port: int | None, repair: str = "") -> str | None:
        """Ask for the release of a latch."""
        return self.ask(Reset(self.ticket(), port, repair))

    def test(self, kind: str) -> str | None:
        """Ask for a periodic test."""
        return self.ask(RunTest(self.ticket(), kind))

    def switch_on(self, port: int, session: str = "s", ttl_s: float = 60.0, plan: Plan = Plan()) -> None:  # noqa: B008
        """Grant and wait until the relay is closed."""
        assert self.grant(port, session, ttl_s, plan) is None
        for _ in range(40):
            if port in self.orders.closed:
                return
            self.tick()
        raise AssertionError(f"port {port} did not close")

    def kinds(self, kind: str) -> list[Event]:
        """Return the events of one kind so far."""
        return [event for event in self.events if event.kind == kind]


@pytest.fixture
def desk() -> Desk:
    """Return a desk that has run for a second, so that every meter has reported."""
    settings = Settings(
        ports={1: PortLimits(meter_refresh_s=0.0), 2: PortLimits(meter_refresh_s=0.0)},
        cabinet=CabinetLimits(),
        contacts=(
            Contact("smoke", "smoke", 0.1),
            Contact("button", "estop", 0.0),
            Contact("rcd-2", "rcd", 0.1, ports=(2,)),
            Contact("door", "door_open", 0.5, Effect.TELL),
            Contact("lid", "door_open", 0.5, Effect.INHIBIT),
            Contact("hatch", "door_open", 0.5, Effect.CUT),
        ),
        contactor=True,
        feedback=True,
    )
    made = Desk(settings, safety.initial(settings))
    made.contacts = {contact.name: False for contact in settings.contacts}
    made.run(1.0)
    return made
