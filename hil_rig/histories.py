"""Random histories of a cabinet and what none of them may do: ``python -m hil_rig.histories [--count N] [--seed S]``.

A history is some dozens of ticks with random readings, probes, contacts, requests, silence and time. After every tick
the four invariants of the design are checked on the shipped core:

1. a closed relay has a live lease, a session, a fresh reading and a cabinet in which nothing cuts;
2. a tripped port leaves its latch only by a reset for it, and an ended one closes only for another session;
3. time without news makes no verdict milder: what cuts now still cuts a moment later with the very same inputs;
4. a refused request leaves everything as it was.

The table at the end says how often each fault was reached: a history that reaches nothing proves nothing.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import random
import sys
import time
from dataclasses import dataclass, field, replace

import safety
from safety.catalogue import CATALOGUE, Effect
from safety.catalogue_entry import Latch
from safety.hazards import judge
from safety.inputs import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.port import PortStatus
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import (
    Amend,
    Contact,
    Grant,
    Inputs,
    Orders,
    Plan,
    Release,
    Renew,
    Request,
    Reset,
    RunTest,
    Settings,
    State,
)

LIMITS = PortLimits()
SETTINGS = Settings(
    ports={1: LIMITS, 2: PortLimits(meter_behind_relay=True), 3: LIMITS},
    cabinet=CabinetLimits(current_limit_a=12.0),
    contacts=(
        Contact("smoke", "smoke", 0.1),
        Contact("rcd", "rcd", 0.1, ports=(2, 3)),
        Contact("door", "door_open", 0.5, Effect.INHIBIT),
    ),
    contactor=True,
    feedback=True,
)
_TICKS = 40
#: Share of ticks in which the two expensive invariants are looked at.
_LOOK_CLOSER = 0.25
_WITHOUT_PROBE = 3
_SESSIONS = ("a", "b", "c", "d", "e", "f")


class InvariantError(AssertionError):
    """A history broke an invariant."""


@dataclass
class Socket:
    """What is true of one port of the random world."""

    amps: float = 1.0
    celsius: float = 25.0
    welded: bool = False
    silent: bool = False
    known: PortInputs = field(default_factory=lambda: PortInputs(Missing(MissingReason.NEVER_READ, 0.0)))


@dataclass
class History:
    """One random cabinet with its clock."""

    dice: random.Random
    state: State = field(default_factory=lambda: safety.initial(SETTINGS))
    now: float = 100.0
    volts: float = 220.0
    sockets: dict[int, Socket] = field(default_factory=lambda: {port: Socket() for port in SETTINGS.ports})
    orders: Orders = field(default_factory=lambda: Orders(frozenset(), contactor=False))
    contactor_stuck: bool = False
    luck: float = 1.0  # scales every mishap: in a cabinet where all goes wrong at once nothing ever closes
    alarms: dict[str, bool] = field(default_factory=lambda: {contact.name: False for contact in SETTINGS.contacts})
    reached: collections.Counter[str] = field(default_factory=collections.Counter)

    def run(self, ticks: int = _TICKS) -> None:
        """Live through that many ticks. Raises InvariantError."""
        for _ in range(ticks):
            self._fate()
            inputs = self._inputs()
            before = self.state
            self.state, self.orders, events = safety.step(before, inputs, self.now)
            self.reached.update(f"{event.kind} {event.code or ''}".strip() for event in events)
            _check_closed(self.state, self.orders, inputs, self.now)
            _check_latches(before, self.state, inputs)
            if self._chance(_LOOK_CLOSER):
                _check_refusals(before, self.state, self.orders, inputs, self.now)
                self._check_silence(inputs)

    def _chance(self, share: float) -> bool:
        return self.dice.random() < share

    def _mishap(self, share: float) -> bool:
        return self.dice.random() < share * self.luck

    def _fate(self) -> None:
        dice = self.dice
        self.now += dice.choice((0.05, 0.05, 0.05, 0.3, 0.3, 1.0, 2.5, 6.0) + ((40.0,) if self._chance(0.2) else ()))
        if self._chance(0.1):
            self.volts = dice.choice((265.0, 150.0, 0.0)) if self._mishap(0.5) else 220.0
        if self._chance(0.1):
            self.contactor_stuck = self._mishap(0.1)
        for name in self.alarms:
            self.alarms[name] = self._chance(0.7) if self.alarms[name] else self._mishap(0.03)
        for socket in self.sockets.values():
            if self._chance(0.2):
                socket.amps = dice.choice((6.7, 7.5, 9.5, 20.0) if self._mishap(0.3) else (0.0, 0.5, 1.0, 2.0, 5.9))
            if self._chance(0.1):
                socket.celsius = dice.choice((66.0, 71.0, 81.0, 85.0, -50.0) if self._mishap(0.3) else (25.0, 40.0))
            socket.welded = self._chance(0.9) if socket.welded else self._mishap(0.02)
            socket.silent = self._chance(0.7) if socket.silent else self._mishap(0.1)

    def _inputs(self) -> Inputs:
        fed = self.orders.contactor or self.contactor_stuck
        for number, socket in self.sockets.items():
            socket.known = self._known(number, socket, fed=fed)
        hot = self.dice.choice((56.0, 61.0, 71.0)) if self._mishap(0.05) else 25.0
        return Inputs(
            {number: socket.known for number, socket in self.sockets.items()},
            dict(self.alarms),
            tuple(self._request() for _ in range(self.dice.choice((0, 0, 1, 1, 2)))),
            latch_store_ok=not self._mishap(0.05),
            cabinet_probe=ProbeReading(self.now, hot),
            feedback=fed,
            self_test=("clock_fault",) if self._mishap(0.003) else (),
        )

    def _known(self, number: int, socket: Socket, *, fed: bool) -> PortInputs:
        dice, before = self.dice, socket.known
        if socket.silent:
            reason = dice.choice((MissingReason.TIMEOUT, MissingReason.BAD_CRC, MissingReason.OUT_OF_RANGE))
            return replace(before, meter_error=Missing(reason, self.now), earlier=())
        on = fed and (number in self.orders.closed or socket.welded) and self.volts > 0
        volts = self.volts if on or not SETTINGS.ports[number].meter_behind_relay else 0.0
        amps = socket.amps if on else 0.0
        lie = 1.5 if self._mishap(0.1) else 1.0
        watts = min(29_000.0, volts * amps * 0.95 * lie)
        shaken_v = min(299.0, max(0.0, volts + dice.uniform(-0.5, 0.5))) if volts else 0.0
        reading = MeterReading(self.now, shaken_v, amps, watts, 0.95, 500.0 + self.now, self.now)
        lost = before.probe if self._chance(0.5) else Missing(MissingReason.PROBE_FAULT, 0.0)
        probe = lost if self._mishap(0.2) else ProbeReading(self.now, socket.celsius)
        return PortInputs(reading, probe=None if number == _WITHOUT_PROBE else probe)

    def _request(self) -> Request:
        dice = self.dice
        port = dice.choice((1, 1, 2, 2, 3, 3, 9))
        session, ttl_s = dice.choice(_SESSIONS), dice.choice((0.2, 5.0, 60.0, 1000.0))
        kind = dice.choice(("grant",) * 6 + ("renew",) * 3 + ("amend", "release", "reset", "reset", "test"))
        if kind == "grant":
            plan = Plan(dice.choice((None, 1.0, 100.0)), dice.choice((None, 3.0, 600.0)))
            return Grant(0, port, session, ttl_s, plan)
        if kind == "renew":
            return Renew(0, port, session, ttl_s)
        if kind == "amend":
            limits = (dice.choice((None, 0.001, 100.0)), dice.choice((None, 3.0, 600.0)), dice.choice((None, 30.0)))
            return Amend(0, port, session, Plan(*limits, for_amount=dice.choice((False, True))))
        if kind == "release":
            return Release(0, port, session, dice.choice(("user", "remote", "over_current", "nonsense")))
        if kind == "reset":
            return Reset(0, dice.choice((port, port, None)), dice.choice(("", "replaced")))
        return RunTest(0, dice.choice(("dead_man", "relays", "nonsense")))

    def _check_silence(self, inputs: Inputs) -> None:
        """Judge every port again, later, with nothing new."""
        later = self.now + self.dice.choice((0.05, 1.0, 20.0))
        for number, port in self.state.ports.items():
            quiet = replace(inputs.ports[number], earlier=())
            limits = SETTINGS.ports[number]
            _, codes = judge(port.hazards, quiet, limits, later)
            _, codes_now = judge(port.hazards, quiet, limits, self.now)
            if _milder(codes, codes_now):
                raise InvariantError(f"port {number}: {codes_now} became {codes} by {later - self.now:g} s of silence")


def _milder(later: tuple[str, ...], before: tuple[str, ...]) -> bool:
    """Return whether something that holds is gone, or nothing cuts any more where something did.

    One code that clears by itself may become another one: an under-voltage that lasts is a lost supply.
    """
    held = [code for code in before if CATALOGUE[code].holds and code not in later]
    cut, cuts = (any(CATALOGUE[code].effect is Effect.CUT for code in codes) for codes in (before, later))
    return bool(held) or (cut and not cuts)


def _check_closed(state: State, orders: Orders, inputs: Inputs, now: float) -> None:
    for number in orders.closed:
        port, meter = state.ports[number], inputs.ports[number].meter
        if port.session is None or port.lease_until_s <= now or port.status is not PortStatus.ON:
            raise InvariantError(f"port {number} is closed without a live lease")
        if not isinstance(meter, MeterReading) or meter.age_s(now) > SETTINGS.ports[number].meter_max_age_s:
            raise InvariantError(f"port {number} is closed without a fresh reading")
        if state.cabinet.cutting or state.cabinet.latched or state.cabinet.proof is not None:
            raise InvariantError(f"port {number} is closed in a cabinet that is cut or under test")


def _check_latches(before: State, after: State, inputs: Inputs) -> None:
    for number, port in after.ports.items():
        was = before.ports[number]
        resets = [one for one in inputs.requests if isinstance(one, Reset) and one.port == number]
        if was.status is PortStatus.TRIPPED and port.status is not PortStatus.TRIPPED and not resets:
            raise InvariantError(f"port {number} left its latch by itself")
        repaired = any(one.repair for one in resets)
        if _repair(was.latched) and not _repair(port.latched) and not repaired:
            raise InvariantError(f"port {number} lost {was.latched} without a repair")
        if was.status is PortStatus.ENDED and port.live and port.session == was.session:
            raise InvariantError(f"port {number} closed again for session {port.session}")


def _repair(code: str | None) -> bool:
    return code is not None and CATALOGUE[code].latch is Latch.REPAIR


def _check_refusals(before: State, after: State, orders: Orders, inputs: Inputs, now: float) -> None:
    if len(inputs.requests) == 1 and orders.answers[0].code is not None:
        without, _, _ = safety.step(before, replace(inputs, requests=()), now)
        if without != after:
            raise InvariantError(f"{inputs.requests[0]} was refused and changed something")


def batch(seed: int, count: int) -> collections.Counter[str]:
    """Live through ``count`` histories; return what was reached. Raises InvariantError naming the seed."""
    reached: collections.Counter[str] = collections.Counter()
    for number in range(count):
        history = History(random.Random(seed + number), luck=(0.05, 0.3, 1.0, 3.0)[number % 4])
        try:
            history.run()
        except Exception as error:
            raise InvariantError(f"seed {seed + number}: {error}") from error
        reached += history.reached
    return reached


def main() -> int:
    """Live through the histories on every core and print what was reached."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.histories", description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="histories (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="first seed; history n has seed + n")
    arguments = parser.parse_args()
    started_s = time.monotonic()
    size = 500
    jobs = [(arguments.seed + first, min(size, arguments.count - first)) for first in range(0, arguments.count, size)]
    reached: collections.Counter[str] = collections.Counter()
    with multiprocessing.get_context("spawn").Pool() as pool:
        for number, part in enumerate(pool.starmap(batch, jobs, chunksize=1), 1):
            reached += part
            if sys.stderr.isatty():
                print(f"\r{number * size} of {arguments.count}", end="", file=sys.stderr)
    print(f"{arguments.count} histories of {_TICKS} ticks, {time.monotonic() - started_s:.0f} s: no invariant broken")
    for what, times in sorted(reached.items()):
        print(f"  {times:>9} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
