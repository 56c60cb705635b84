"""The life of a simulated cabinet: sessions are granted, something goes wrong, it must be cut, it is repaired, again.

One generator per port (or one for the whole cabinet) yields the requests of its next tick. Everything that must hold
in every tick is checked in every tick: see ``Story.check``.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hil_rig.sim_cabinet import SUPPLY_V, SimCabinet
from hil_rig.sim_cabinet_hazards import CABINET_KINDS, flowing_a
from hil_rig.sim_hazards import PORT_KINDS, SLOW_KINDS, PortKind
from safety.port import PortStatus
from safety.state import Grant, Release, Renew, Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil_rig.bounds import Bounds
    from hil_rig.sim_cabinet_hazards import CabinetKind, Wanted
    from hil_rig.sim_cases import Case
    from safety.state import Request

_LEASE_S = 60.0
_RENEW_S = 20.0
#: A port that has not become usable again by then is a failure, seconds: cooling, clearing times, slow probes.
_RECOVERY_S = 180.0
#: Waiting beyond the bound, to tell "late" from "never", seconds.
_BEYOND_S = 5.0
#: Meters that may fail on one line at once, the dead ones of the case included: what the promise allows.
_FAILING = 2
_SILENT = PortKind("lease silent", 6.0, lambda *_: None)


@dataclass(frozen=True, slots=True)
class Sample:
    """One injection: when (simulated seconds), how long the cut took, and its bound. ``took_s`` infinite: never cut."""

    kind: str
    port: int | None
    at_s: float
    took_s: float
    bound_s: float

    @property
    def kept(self) -> bool:
        """Whether it was cut in time."""
        return self.took_s <= self.bound_s


@dataclass(slots=True)
class Story:
    """One case, told until ``wanted`` injections have been made."""

    case: Case
    wanted: int
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cabinet: SimCabinet = field(init=False)
    _rng: random.Random = field(init=False)
    _begun: int = 0
    _ticket: int = 0
    _refused: dict[int, str | None] = field(default_factory=dict)
    _hurt: set[int] = field(default_factory=set)  # ports that may be cut now
    _granted: dict[int, str] = field(default_factory=dict)  # sessions that may be on
    _warming: bool = False

    def __post_init__(self) -> None:
        self._rng = random.Random(f"story {self.case.name}")
        if self.case.kind == "whole":
            self._lighten()
        else:
            self.cabinet = SimCabinet(self.case.layout, self._rng)
        for port in self.case.dead:
            self.cabinet.sockets[port].dead = True

    def _lighten(self) -> None:
        """Build a cabinet with light loads and a supply that just bears them, so that an overload can be made."""
        layout = self.case.layout
        cabinet = SimCabinet(layout, self._rng)
        total_a = 0.0
        for number, limits in layout.settings.ports.items():
            socket = cabinet.sockets[number]
            socket.base_w = socket.load_w = max(110.0, 0.3 * socket.base_w)
            total_a += max(socket.load_w / (SUPPLY_V * socket.factor), 1.0)
            del limits
        limits_a = total_a + 1.5
        settings = replace(layout.settings, cabinet=replace(layout.settings.cabinet, current_limit_a=limits_a))
        light = SimCabinet(replace(layout, settings=settings), self._rng)
        for number in layout.settings.ports:
            mine, theirs = light.sockets[number], cabinet.sockets[number]
            mine.base_w = mine.load_w = theirs.base_w
            mine.factor = theirs.factor
        self.cabinet = light

    def tell(self) -> None:
        """Live until the injections are made; stops at the first failure."""
        living = [port for port in self.case.layout.settings.ports if port not in self.case.dead]
        scripts = [self._whole()] if self.case.kind == "whole" else [self._port(port) for port in living]
        while scripts and not self.failures:
            requests: list[Request] = []
            for script in list(scripts):
                try:
                    requests += next(script)
                except StopIteration:
                    scripts.remove(script)
            before = self.cabinet.closed
            self.cabinet.advance(tuple(requests))
            for answer in self.cabinet.answers:
                self._refused[answer.ticket] = answer.code
            self.check(before)

    def fail(self, what: str) -> None:
        """Note what went wrong, with where to look."""
        self.failures.append(f"--case {self.case.name}: {self.cabinet.now:.2f} s: {what}")

    def check(self, before: frozenset[int]) -> None:
        """Check what holds in every tick, whatever happens."""
        cabinet, now = self.cabinet, self.cabinet.now
        closed = cabinet.closed
        if len(closed - before) > 1:
            self.fail(f"{sorted(closed - before)} closed in one tick")
        for number in closed:
            port = cabinet.state.ports[number]
            if port.status is not PortStatus.ON or now >= port.lease_until_s:
                self.fail(f"port {number} closed without a live lease")
            if port.latched is not None:
                self.fail(f"port {number} closed though latched: {port.latched}")
        for number in closed - before:
            if self._granted.get(number) != cabinet.state.ports[number].session:
                self.fail(f"port {number} closed by itself: {cabinet.state.ports[number].session}")
        for number in before - closed:
            self._granted.pop(number, None)
            if number not in self._hurt:
                reason = cabinet.state.ports[number].reason
                self.fail(f"port {number} cut without a hazard: {reason} {cabinet.state.ports[number].detail}")
        if closed and cabinet.state.cabinet.cutting:
            self.fail(f"ports {sorted(closed)} closed under {cabinet.state.cabinet.cutting}")

    # -- steps -----------------------------------------------------------------------------------------------

    def _number(self) -> int:
        self._ticket += 1
        return self._ticket

    def _pause(self, seconds: float) -> Iterator[tuple[Request, ...]]:
        end_s = self.cabinet.now + seconds
        while self.cabinet.now < end_s:
            yield ()

    def _until(self, done: Callable[[], bool], seconds: float, what: str) -> Iterator[tuple[Request, ...]]:
        end_s = self.cabinet.now + seconds
        while not done():
            if self.cabinet.now > end_s:
                self.fail(f"{what}: not within {seconds:g} s")
                return
            yield ()

    def _ask(self, make: Callable[[int], Request], what: str) -> Iterator[tuple[Request, ...]]:
        """Ask until it is carried out."""
        end_s = self.cabinet.now + _RECOVERY_S
        while True:
            ticket = self._number()
            yield (make(ticket),)
            code = self._refused.pop(ticket, None)
            if code in (None, "nothing_latched"):
                return
            if self.cabinet.now > end_s:
                self.fail(f"{what}: still refused after {_RECOVERY_S:g} s: {code}")
                return
            port = make(0).port
            if code == "port_faulty" and port is not None and self.cabinet.state.ports[port].latched is not None:
                # Tripped after the session had ended: what the last readings of a hazard do.
                yield (Reset(self._number(), port, "bench"),)
            yield from self._pause(0.25)

    def _start(self, port: int) -> Iterator[tuple[Request, ...]]:
        session = f"s{port}-{self.cabinet.ticks}"
        self._granted[port] = session
        yield from self._ask(lambda ticket: Grant(ticket, port, session, _LEASE_S), f"grant {port}")
        yield from self._until(lambda: port in self.cabinet.closed, 30.0, f"port {port} closes")

    def _reset(self, port: int | None) -> Iterator[tuple[Request, ...]]:
        yield from self._ask(lambda ticket: Reset(ticket, port, "bench"), f"reset {port}")

    def _note(self, kind: str, port: int | None, at_s: float, cut_s: float, bound_s: float) -> None:
        sample = Sample(kind, port, at_s, cut_s - at_s, bound_s)
        self.samples.append(sample)
        if not sample.kept:
            self.fail(f"{kind} at {port}, from {at_s:.3f} s: {sample.took_s:.3f} s, bound {bound_s:.3f} s")

    # -- one port --------------------------------------------------------------------------------------------

    def _port(self, port: int) -> Iterator[tuple[Request, ...]]:
        socket = self.cabinet.sockets[port]
        while self._begun < self.wanted:
            yield from self._pause(self._rng.uniform(0.0, 0.5))
            yield from self._start(port)
            blind_s = self.case.layout.settings.ports[port].closed_after_s if self.case.layout.behind else 0.0
            yield from self._pause(self._rng.uniform(0.3, 1.8) + blind_s)
            while (kind := self._pick(port)) is None:
                yield from self._pause(0.2)
            self._begun += 1
            yield from self._settle(port, kind.settled(self.case.bounds[port]))
            self._hurt.add(port)
            yield from self._lease(port) if kind is _SILENT else self._hazard(port, kind)
            socket.sound()
            yield from self._pause(socket.refresh_s + 0.2)
            yield from self._reset(port)
            yield from self._until(lambda: not socket.powered, 5.0, f"port {port} is dead")
            self._hurt.discard(port)

    def _settle(self, port: int, seconds: float) -> Iterator[tuple[Request, ...]]:
        """Let a session run for a while."""
        end_s = self.cabinet.now + seconds
        while self.cabinet.now < end_s:
            yield from self._pause(min(_RENEW_S, end_s - self.cabinet.now))
            yield (Renew(self._number(), port, self._granted.get(port, ""), _LEASE_S),)

    def _pick(self, port: int) -> PortKind | None:
        """Draw a kind for ``port``; None when that one must wait for its turn."""
        kinds = SLOW_KINDS if self.case.kind == "slow" else (*PORT_KINDS, _SILENT)
        kind = self._rng.choices(kinds, [kind.weight for kind in kinds])[0]
        if kind.failing:
            line = next(line for line in self.case.layout.lines if port in line)
            return kind if sum(self.cabinet.sockets[other].dead for other in line) < _FAILING else None
        return None if kind.alone and self._warming else kind

    def _lease(self, port: int) -> Iterator[tuple[Request, ...]]:
        session, ttl_s = self._granted[port], self._rng.uniform(0.2, 1.0)
        yield from self._ask(lambda ticket: Renew(ticket, port, session, ttl_s), f"renew {port}")
        ends_s = self.cabinet.state.ports[port].lease_until_s
        yield from self._until(lambda: port not in self.cabinet.closed, ttl_s + 1.0, "lease ends")
        self._judge(_SILENT.name, port, ends_s, frozenset({"lease_expired"}), self.case.bounds[port].lease())

    def _hazard(self, port: int, kind: PortKind) -> Iterator[tuple[Request, ...]]:
        socket, bounds = self.cabinet.sockets[port], self.case.bounds[port]
        injection = kind.begin(self.cabinet, socket, bounds, self._rng)
        if injection is None:
            self._begun -= 1
            yield from self._lease(port)
            return
        self._warming = self._warming or socket.warming is not None
        at_s = renewed_s = self.cabinet.now
        session = self._granted[port]
        while port in self.cabinet.closed and self.cabinet.now - at_s < injection.bound_s + _BEYOND_S:
            if self.cabinet.now - renewed_s > _RENEW_S:
                renewed_s = self.cabinet.now
                yield (Renew(self._number(), port, session, _LEASE_S),)
            else:
                yield ()
        self._warming = self._warming and socket.warming is None
        # Several failing meters at once may cost a healthy one its age: that cut is as good, and earlier.
        codes = injection.codes | {"meter_lost"}
        self._judge(kind.name, port, at_s, codes, injection.bound_s)

    def _judge(self, kind: str, port: int, at_s: float, codes: frozenset[str], bound_s: float) -> None:
        state = self.cabinet.state.ports[port]
        cut_s = self.cabinet.cut_s(port)
        if port in self.cabinet.closed or cut_s is None:
            cut_s = math.inf
        elif state.reason not in codes:
            self.fail(f"{kind} at {port} was called {state.reason} ({state.detail})")
        self._note(kind, port, at_s, cut_s, bound_s)

    # -- the whole cabinet -----------------------------------------------------------------------------------

    def _whole(self) -> Iterator[tuple[Request, ...]]:
        ports = [port for port in self.case.layout.settings.ports if port not in self.case.dead]
        weights = [kind.weight for kind in CABINET_KINDS]
        while self._begun < self.wanted and not self.failures:
            kind = self._rng.choices(CABINET_KINDS, weights)[0]
            if kind.fresh:
                self.cabinet.restart()
                yield from self._pause(self._slowest().probes_s + self._rng.uniform(1.0, 2.0))
            else:
                for port in ports:
                    yield from self._start(port)
                yield from self._pause(self._rng.uniform(0.5, 2.0))
            self._begun += 1
            self._hurt.update(self.case.layout.settings.ports)
            wanted = kind.begin(self.cabinet, self._slowest(), self._rng)
            if wanted is None or self._shows_nothing(wanted):
                self._begun -= 1
            else:
                yield from self._watch(kind, wanted)
            yield from self._repair()
            self._hurt.clear()

    def _shows_nothing(self, wanted: Wanted) -> bool:
        """Return whether only ports with dead meters are concerned: they have no session that could be cut."""
        by_ports = wanted.below_a is None and not wanted.contactor
        return by_ports and self.case.dead.issuperset(wanted.ports)

    def _slowest(self) -> Bounds:
        return max(self.case.bounds.values(), key=lambda bounds: bounds.sight_s)

    def _watch(self, kind: CabinetKind, wanted: Wanted) -> Iterator[tuple[Request, ...]]:
        at_s = self.cabinet.now
        if wanted.requests:
            yield wanted.requests
            at_s = self.cabinet.now
        if kind.fresh:
            yield from self._until(lambda: self.cabinet.contactor.closed or self._seen(wanted), 5.0, "contactor closes")
            # With a fast line it may be open again already; then the request stands for the closing, one tick earlier.
            at_s = self.cabinet.contactor.changed_s if self.cabinet.contactor.closed else at_s
        renewed_s = at_s
        while not self._seen(wanted) and self.cabinet.now - at_s < wanted.bound_s + _BEYOND_S:
            if self.cabinet.now - renewed_s > _RENEW_S:
                renewed_s = self.cabinet.now
                yield tuple(Renew(self._number(), port, session, _LEASE_S) for port, session in self._granted.items())
            else:
                yield ()
        codes = self._codes()
        if not wanted.codes & codes:
            self.fail(f"{kind.name} was called {sorted(codes)}")
        seen = self._seen(wanted)
        self._note(kind.name, None, at_s, self._cut_s(wanted) if seen else math.inf, wanted.bound_s)

    def _seen(self, wanted: Wanted) -> bool:
        if wanted.below_a is not None:
            return flowing_a(self.cabinet) <= wanted.below_a
        if wanted.contactor and not self.cabinet.contactor_open:
            return False
        living = [port for port in wanted.ports if port not in self.case.dead]
        return all(self.cabinet.cut_s(port) is not None for port in living)

    def _cut_s(self, wanted: Wanted) -> float:
        if wanted.below_a is not None:
            return self.cabinet.now
        if wanted.contactor:
            return self.cabinet.contactor_open_s
        living = [port for port in wanted.ports if port not in self.case.dead]
        return max(self.cabinet.cut_s(port) or 0.0 for port in living)

    def _codes(self) -> frozenset[str]:
        state = self.cabinet.state
        found = {*state.cabinet.latched, *state.cabinet.findings}
        for port in state.ports.values():
            found.update(code for code in (port.latched, port.reason) if code)
        return frozenset(found)

    def _repair(self) -> Iterator[tuple[Request, ...]]:
        cabinet = self.cabinet
        cabinet.supply(SUPPLY_V)
        cabinet.feedback_stuck, cabinet.self_test = None, ()
        cabinet.alarms.update(dict.fromkeys(cabinet.alarms, False))
        for number, socket in cabinet.sockets.items():
            socket.sound()
            socket.dead = number in self.case.dead
        ports = [port for port in self.case.layout.settings.ports if port not in self.case.dead]
        yield from self._pause(0.5)
        for port in ports:
            if cabinet.state.ports[port].latched is not None:
                yield from self._reset(port)
        if cabinet.state.cabinet.latched:
            yield from self._reset(None)
        for port in ports:
            session = cabinet.state.ports[port].session
            if cabinet.state.ports[port].live and session is not None:
                yield from self._release(port, session)

    def _release(self, port: int, session: str) -> Iterator[tuple[Request, ...]]:
        yield from self._ask(lambda ticket: Release(ticket, port, session, "user"), f"release {port}")
