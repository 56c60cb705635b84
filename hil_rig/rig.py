"""The rig: one simulated cabinet around a real guard process, tied to it by ttys, a pins file and 1-wire files.

Every few milliseconds, and whenever a meter is asked, the rig reads what the guard's pins did and brings the world
to the present; the probes are written now and then. Nothing else connects the rig and the program under test.
"""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from config.load import load_meter
from hil_rig.meters import SimulatedMeter
from hil_rig.pins import VARIABLE, open_inputs
from hil_rig.probes import Probes
from hil_rig.wire import Rack
from hil_rig.world import HOLD_S, Happening, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from hil_rig.loads import Load
    from hil_rig.world import Quantities

_TICK_S = 0.005
_PROBES_S = 0.2

Level = Literal["high", "low"]


@dataclass(frozen=True, slots=True)
class RigBus:
    """One RS-485 line; ``turnaround_s`` is what its meters take before they reply, seconds."""

    name: str = "main"
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    turnaround_s: float = 0.005


@dataclass(frozen=True, slots=True)
class RigPort:
    """One socket: relay pin (BCM) and the level that closes it, meter, probe, and what its meter's counter says.

    The history of the port notes when its current passes ``limit_a``. ``refresh_s``: how often its meter renews its
    registers, seconds; 0 = whenever it is asked. Ports with the same bus and unit share one meter and have a
    ``channel`` each.
    """

    number: int
    pin: int
    unit: int
    model: str
    active: Level = "high"
    bus: str = "main"
    probe: str | None = None
    limit_a: float = math.inf
    counter_wh: float = 0.0
    refresh_s: float = 0.0
    channel: int = 1


@dataclass(frozen=True, slots=True)
class RigCabinet:
    """One cabinet. Without ``contactor_pin`` there is no contactor, without ``heartbeat_pin`` no dead-man.

    The mains wander by ``supply_noise_v`` (see ``World``), so that readings which stay the same are a fault of a meter.
    """

    ports: tuple[RigPort, ...]
    buses: tuple[RigBus, ...] = (RigBus(),)
    contactor_pin: int | None = None
    contactor_active: Level = "high"
    heartbeat_pin: int | None = None
    hold_s: float = HOLD_S
    cabinet_probe: str | None = None
    supply_v: float = 220.0
    supply_noise_v: float = 1.5
    ambient_c: float = 25.0


class Rig:
    """A running cabinet; a context manager. Its files are below ``directory``, which must be writable.

    ``world`` is the physics, ``racks`` the lines by bus name, ``meters`` the meters by port (set their ``faults``),
    ``probes`` the thermometers (likewise), ``cabinet_c`` forces what the cabinet's own probe sees. Times are
    CLOCK_MONOTONIC seconds. Raises config.errors.ConfigError for a meter model without a good profile.
    """

    def __init__(self, cabinet: RigCabinet, directory: Path) -> None:
        self.pins_file = directory / "pins"
        self.onewire_root = directory / "w1"
        self.cabinet_c: float | None = None
        self._cabinet = cabinet
        self.world = World(
            (port.number for port in cabinet.ports),
            start_s=time.monotonic(),
            supply_v=cabinet.supply_v,
            ambient_c=cabinet.ambient_c,
            contactor=cabinet.contactor_pin is not None,
            dead_man=cabinet.heartbeat_pin is not None,
            hold_s=cabinet.hold_s,
            supply_noise_v=cabinet.supply_noise_v,
        )
        for port in cabinet.ports:
            self.world.watch(port.number, port.limit_a)
            self.world.counter(port.number, port.counter_wh)
        self._lock = threading.Lock()
        self._levels: dict[int, bool] = {}
        self._partial = b""
        self._pins_fd = os.open(self.pins_file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._inputs_fd = open_inputs(str(self.pins_file))
        self.probes = Probes(self.onewire_root)
        self.meters = self._meters()
        self._renewing = {id(meter): meter for meter in self.meters.values() if meter.refresh_s > 0}.values()
        self.racks = {bus.name: self._rack(bus) for bus in cabinet.buses}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rig", daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """Return what the program under test needs in its environment to find the pins."""
        return {VARIABLE: str(self.pins_file)}

    def device(self, bus: str = "main") -> str:
        """Return the tty of ``bus``."""
        return self.racks[bus].device

    def start(self) -> None:
        """Let time run."""
        self._write_probes()
        for rack in self.racks.values():
            rack.start()
        self._thread.start()

    def stop(self) -> None:
        """End the threads and take the lines away; the files stay."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for rack in self.racks.values():
            rack.stop()
        os.close(self._pins_fd)
        os.close(self._inputs_fd)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # -- what people and fate do ------------------------------------------------------------------------------

    def plug(self, port: int, load: Load | None) -> None:
        """Plug ``load`` into ``port`` now; None pulls the plug."""
        self.world.plug(port, load, at_s=self.catch_up())

    def weld(self, port: int, *, welded: bool = True) -> None:
        """Weld the relay contacts of ``port`` shut now, or repair them."""
        self.world.weld(port, welded=welded, at_s=self.catch_up())

    def supply(self, volts: float) -> None:
        """Change the mains voltage now; 0 is a power cut."""
        self.world.supply(volts, at_s=self.catch_up())

    def set_contact(self, pin: int, level: int) -> None:
        """Set the electrical level (0 or 1) of an input; it stays, also while nobody reads it."""
        os.write(self._inputs_fd, b"%d %d\n" % (pin, level))

    # -- what can be seen -------------------------------------------------------------------------------------

    def opened_at(self, port: int) -> float | None:
        """Return when the relay of ``port`` was last switched off, by the time in the pins file; None: never."""
        return self.world.last_s(Happening.RELAY_OPENED, port)

    def closed_at(self, port: int) -> float | None:
        """Return when the relay of ``port`` was last switched on, by the time in the pins file; None: never."""
        return self.world.last_s(Happening.RELAY_CLOSED, port)

    # -- the present ------------------------------------------------------------------------------------------

    def catch_up(self) -> float:
        """Bring the world to the present, with all that the pins did until then, and return that time."""
        with self._lock:
            # The time is taken first: every change that is older than it is in the file by then.
            now_s = time.monotonic()
            self._follow_pins()
            self.world.advance(now_s)
            return now_s

    def _run(self) -> None:
        probes_s = 0.0
        while not self._stopping.wait(_TICK_S):
            now_s = self.catch_up()
            for meter in self._renewing:
                meter.renew()
            if now_s >= probes_s:
                probes_s = now_s + _PROBES_S
                self._write_probes()

    def _follow_pins(self) -> None:
        while data := os.read(self._pins_fd, 65536):
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                nanoseconds, pin, level = map(int, line.split())
                self._follow(pin, high=bool(level), at_s=nanoseconds / 1e9)

    def _follow(self, pin: int, *, high: bool, at_s: float) -> None:
        was_high, self._levels[pin] = self._levels.get(pin, False), high
        if pin == self._cabinet.heartbeat_pin and high != was_high:
            self.world.heartbeat(at_s=at_s)
        if pin == self._cabinet.contactor_pin:
            self.world.contactor(closed=high == (self._cabinet.contactor_active == "high"), at_s=at_s)
        for port in self._cabinet.ports:
            if pin == port.pin:
                self.world.relay(port.number, closed=high == (port.active == "high"), at_s=at_s)

    def _write_probes(self) -> None:
        for port in self._cabinet.ports:
            if port.probe:
                self.probes.write(port.probe, self.world.temperature_c(port.number))
        if self._cabinet.cabinet_probe:
            air_c = self.world.temperature_c() if self.cabinet_c is None else self.cabinet_c
            self.probes.write(self._cabinet.cabinet_probe, air_c)

    def _meters(self) -> dict[int, SimulatedMeter]:
        """Return the meters by port: the same one for all ports that it serves."""
        shared: dict[tuple[str, int], list[RigPort]] = {}
        for port in self._cabinet.ports:
            shared.setdefault((port.bus, port.unit), []).append(port)
        meters: dict[int, SimulatedMeter] = {}
        for ports in shared.values():
            channels = {port.channel: port for port in ports}
            first = channels[min(channels)]
            sources = [self._measure(channels.get(channel, first)) for channel in range(1, max(channels) + 1)]
            model = load_meter(first.model)
            meter = SimulatedMeter(model, sources[0], more=sources[1:], refresh_s=first.refresh_s)
            meters |= dict.fromkeys((port.number for port in ports), meter)
        return meters

    def _measure(self, port: RigPort) -> Callable[[], Quantities]:
        def measure() -> Quantities:
            self.catch_up()
            return self.world.meter(port.number)

        return measure

    def _rack(self, bus: RigBus) -> Rack:
        units = {port.unit: self.meters[port.number] for port in self._cabinet.ports if port.bus == bus.name}
        return Rack(units, baud=bus.baud, parity=bus.parity, stopbits=bus.stopbits, turnaround_s=bus.turnaround_s)
