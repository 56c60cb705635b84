"""The physics of one cabinet: supply, contactor, dead-man, relays, loads, meters' quantities and heat.

Time is passed in and the world sleeps nowhere: ``advance(now_s)`` brings it to a moment, and everything that happens
on the way (a script's step, the dead-man letting go) happens at its own exact time. One lock makes it thread-safe.

Where the wires go: the meters sit before the contactor, so they live and show the mains voltage while everything is
off; current flows through a port when the contactor is closed *and* the port's relay is.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hil_rig.loads import NOTHING, Draw, Load
from hil_rig.mains import wander_v
from hil_rig.warmth import HEATING_K_PER_A2, HEATING_TIME_S, Warmth

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The contactor's supply outlives the last heartbeat edge by this long, seconds (charge pump).
HOLD_S = 0.3
#: No step of the integration is shorter, seconds: rounding must not make time stand still.
_SHORTEST_STEP_S = 1e-6
_HISTORY = 1000


class Happening(StrEnum):
    """What a history records."""

    RELAY_CLOSED = "relay_closed"
    RELAY_OPENED = "relay_opened"
    CURRENT_BEGAN = "current_began"
    CURRENT_STOPPED = "current_stopped"
    LIMIT_PASSED = "limit_passed"
    LIMIT_KEPT = "limit_kept"
    CONTACTOR_CLOSED = "contactor_closed"
    CONTACTOR_OPENED = "contactor_opened"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, at ``time_s`` of the world's clock."""

    time_s: float
    what: Happening


@dataclass(frozen=True, slots=True)
class Quantities:
    """What an ideal meter of a port measures now."""

    voltage_v: float
    current_a: float
    power_w: float
    power_factor: float
    frequency_hz: float
    energy_wh: float


@dataclass(slots=True)
class _Port:
    warmth: Warmth
    relay: bool = False
    welded: bool = False
    load: Load | None = None
    powered_s: float = 0.0
    energy_wh: float = 0.0
    draw: Draw = NOTHING
    limit_a: float = math.inf
    history: deque[Event] = field(default_factory=lambda: deque(maxlen=_HISTORY))


class World:
    """One cabinet. Times are seconds on one monotonic clock of the caller's choice; ``start_s`` is where it begins.

    ``contactor``: there is a master contactor, open at first. ``dead_man``: its supply (and, where there is no
    contactor, that of the whole cabinet) lasts ``hold_s`` beyond the last edge of the heartbeat.
    ``supply_noise_v``: the voltage at all meters wanders by so much to either side (``mains.wander_v`` with ``seed``);
    loads do not mind. 0: a supply that stands still.
    A setter with ``at_s`` first brings the world there; a time that has passed already counts as now, but the
    history keeps the time given. Unknown ports raise KeyError.
    """

    def __init__(  # noqa: PLR0913 - independent facts about one cabinet, all but the ports with a default
        self,
        ports: Iterable[int],
        *,
        start_s: float = 0.0,
        supply_v: float = 220.0,
        frequency_hz: float = 50.0,
        ambient_c: float = 25.0,
        contactor: bool = False,
        dead_man: bool = False,
        hold_s: float = HOLD_S,
        supply_noise_v: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._supply_noise_v = supply_noise_v
        self._seed = seed
        self._start_s = start_s
        self._lock = threading.RLock()
        self._now_s = start_s
        self._supply_v = supply_v
        self._frequency_hz = frequency_hz
        self._ambient_c = ambient_c
        self._air = Warmth(ambient_c)
        self._contactor_on = not contactor
        self._dead_man = dead_man
        self._hold_s = hold_s
        self._last_edge_s = -math.inf
        self._main_closed = not contactor and not dead_man
        self._ports = {number: _Port(Warmth(ambient_c)) for number in ports}
        self._history: deque[Event] = deque(maxlen=_HISTORY)

    # -- time ----------------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Bring the world to ``now_s``; a time that has passed changes nothing."""
        with self._lock:
            while self._now_s < now_s:
                end_s = min(now_s, max(self._next_change_s(), self._now_s + _SHORTEST_STEP_S))
                for port in self._ports.values():
                    self._integrate(port, end_s - self._now_s)
                self._air.pass_time(end_s - self._now_s, self._ambient_c, 0.0, self._ambient_c)
                self._now_s = end_s
                self._settle(end_s)

    def _next_change_s(self) -> float:
        changes = [self._last_edge_s + self._hold_s] if self._dead_man and self._main_closed else []
        changes += [
            self._now_s + port.load.next_change_s(port.powered_s) - port.powered_s
            for port in self._ports.values()
            if port.load is not None and self._powered(port)
        ]
        return min(changes, default=math.inf)

    def _integrate(self, port: _Port, seconds: float) -> None:
        if port.load is not None and self._powered(port):
            port.energy_wh += port.load.energy_wh(port.powered_s, port.powered_s + seconds)
            port.powered_s += seconds
        port.warmth.pass_time(seconds, self._ambient_c, port.draw.current_a, port.draw.celsius)

    def _powered(self, port: _Port) -> bool:
        return self._supply_v > 0 and self._main_closed and (port.relay or port.welded)

    def _settle(self, at_s: float) -> None:
        """Make contactor and draws agree with what is switched on now; record what that changed."""
        alive = not self._dead_man or self._now_s < self._last_edge_s + self._hold_s
        main_closed = self._contactor_on and alive
        if main_closed != self._main_closed:
            self._main_closed = main_closed
            what = Happening.CONTACTOR_CLOSED if main_closed else Happening.CONTACTOR_OPENED
            self._history.append(Event(at_s, what))
        for port in self._ports.values():
            before = port.draw
            on = port.load is not None and self._powered(port)
            port.draw = port.load.draw(port.powered_s, self._supply_v) if on and port.load is not None else NOTHING
            _record_current(port, before.current_a, at_s)

    # -- what the cabinet's outputs do ------------------------------------------------------------------------

    def relay(self, port: int, *, closed: bool, at_s: float) -> None:
        """Close or open the relay of ``port``; contacts that are welded stay closed all the same."""
        with self._lock:
            self.advance(at_s)
            state = self._ports[port]
            if state.relay != closed:
                state.history.append(Event(at_s, Happening.RELAY_CLOSED if closed else Happening.RELAY_OPENED))
            state.relay = closed
            self._settle(at_s)

    def contactor(self, *, closed: bool, at_s: float) -> None:
        """Energise or release the coil of the master contactor."""
        with self._lock:
            self.advance(at_s)
            self._contactor_on = closed
            self._settle(at_s)

    def heartbeat(self, *, at_s: float) -> None:
        """Tell the dead-man of one edge."""
        with self._lock:
            self.advance(at_s)
            self._last_edge_s = max(self._last_edge_s, at_s)
            self._settle(at_s)

    # -- what people and fate do ------------------------------------------------------------------------------

    def plug(self, port: int, load: Load | None, *, at_s: float) -> None:
        """Plug ``load`` in (None: pull the plug). It begins at its own beginning."""
        with self._lock:
            self.advance(at_s)
            state = self._ports[port]
            state.load, state.powered_s = load, 0.0
            self._settle(at_s)

    def watch(self, port: int, limit_a: float) -> None:
        """Note in the port's history when its current passes ``limit_a``, A."""
        with self._lock:
            self._ports[port].limit_a = limit_a

    def weld(self, port: int, *, welded: bool, at_s: float) -> None:
        """Weld the contacts of a relay shut, or repair them."""
        with self._lock:
            self.advance(at_s)
            self._ports[port].welded = welded
            self._settle(at_s)

    def supply(self, volts: float, *, at_s: float) -> None:
        """Change the mains voltage; 0 is a power cut."""
        with self._lock:
            self.advance(at_s)
            self._supply_v = volts
            self._settle(at_s)

    def poor_contact(
        self, port: int, heating_k_per_a2: float = HEATING_K_PER_A2, time_s: float = HEATING_TIME_S
    ) -> None:
        """Change how much the socket heats, K per A² once settled, and how fast; the defaults are a sound socket."""
        with self._lock:
            warmth = self._ports[port].warmth
            warmth.heating_k_per_a2, warmth.heating_time_s = heating_k_per_a2, time_s

    def ambient(self, celsius: float, *, at_s: float) -> None:
        """Change the temperature of the air; the cabinet's probe feels it at once, the sockets follow slowly."""
        with self._lock:
            self.advance(at_s)
            self._ambient_c = self._air.own_c = celsius

    def heat_source(self, port: int | None, k_per_min: float, *, at_s: float) -> None:
        """Warm a socket (None: the cabinet's air) from outside, with or without a load; 0 lets it cool again."""
        with self._lock:
            self.advance(at_s)
            (self._air if port is None else self._ports[port].warmth).outside_k_per_min = k_per_min

    def hot_probe(self, port: int | None, celsius: float | None) -> None:
        """Force what the probe of a port (None: of the cabinet) sees, °C; ``celsius`` None lets physics rule."""
        with self._lock:
            (self._air if port is None else self._ports[port].warmth).forced_c = celsius

    def counter(self, port: int, energy_wh: float) -> None:
        """Set the lifetime register of the port's meter, Wh."""
        with self._lock:
            self._ports[port].energy_wh = energy_wh

    # -- what can be seen -------------------------------------------------------------------------------------

    def meter(self, port: int) -> Quantities:
        """Return what the meter of ``port`` measures."""
        with self._lock:
            state = self._ports[port]
            draw = state.draw
            volts = self._supply_v if draw.voltage_v is None else draw.voltage_v
            if volts > 0:
                volts = max(0.0, volts + wander_v(self._now_s - self._start_s, self._supply_noise_v, self._seed))
            frequency = self._frequency_hz if volts > 0 else 0.0
            return Quantities(
                volts, draw.current_a, draw.power_w, draw.power_factor, frequency, energy_wh=state.energy_wh
            )

    def temperature_c(self, port: int | None = None) -> float:
        """Return what the probe of ``port`` sees, °C; without a port that of the cabinet."""
        with self._lock:
            return (self._air if port is None else self._ports[port].warmth).felt_c

    def relay_closed(self, port: int) -> bool:
        """Return whether the relay of ``port`` is switched on (welded contacts do not count)."""
        with self._lock:
            return self._ports[port].relay

    def main_closed(self) -> bool:
        """Return whether the ports are supplied: contactor closed and dead-man alive, as far as there are any."""
        with self._lock:
            return self._main_closed

    def history(self, port: int | None = None) -> tuple[Event, ...]:
        """Return the latest events of ``port``, oldest first; without a port those of the contactor."""
        with self._lock:
            return tuple(self._history if port is None else self._ports[port].history)

    def last_s(self, what: Happening, port: int | None = None) -> float | None:
        """Return when ``what`` happened last, or None."""
        return max((event.time_s for event in self.history(port) if event.what == what), default=None)


def _record_current(port: _Port, before_a: float, at_s: float) -> None:
    now_a = port.draw.current_a
    if (now_a > 0) != (before_a > 0):
        port.history.append(Event(at_s, Happening.CURRENT_BEGAN if now_a > 0 else Happening.CURRENT_STOPPED))
    if (now_a > port.limit_a) != (before_a > port.limit_a):
        port.history.append(Event(at_s, Happening.LIMIT_PASSED if now_a > port.limit_a else Happening.LIMIT_KEPT))
