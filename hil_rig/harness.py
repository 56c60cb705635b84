"""The whole cabinet as real processes: rig, guard, station, broker and backend, started and ended by hand.

Everything lives below one directory and on loopback. Only processes started here are ever signalled.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from config.load import load_meter
from hil_rig.auxiliary import AuxiliaryContact
from hil_rig.meters import SimulatedMeter
from hil_rig.rig import Rig, RigBus, RigCabinet, RigPort
from pilenode.ipc import messages
from pilenode.ipc.client import RequestError, ask
from pilenode.ipc.codec import Decoder, encode
from pilenode.ipc.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hil_rig.world import Quantities

CONTACTOR_PIN, HEARTBEAT_PIN, SMOKE_PIN, ESTOP_PIN = 17, 27, 23, 24
CONTACTOR_FEEDBACK_PIN, FIRE_PIN, FLOOD_PIN, RCD_PIN, DOOR_PIN = 22, 25, 20, 26, 21
#: Contacts of a cabinet that has them all, by kind; the RCD concerns port 1 only, the door cuts. With 20 ports no line
#: is left for the door.
ALL_CONTACTS = {
    "smoke": SMOKE_PIN,
    "estop": ESTOP_PIN,
    "fire": FIRE_PIN,
    "flood": FLOOD_PIN,
    "rcd": RCD_PIN,
    "door": DOOR_PIN,
}
FIRST_RELAY_PIN = 2
#: Relays of ports 1 to 20: every line of the 28 that inputs and other outputs leave over; the door's is the last.
_RELAY_PINS: tuple[int, ...] = (*range(FIRST_RELAY_PIN + 1, 17), 18, 19, 0, 1, 2, DOOR_PIN)
CABINET_PROBE = "28-0000000000ff"
INLET_UNIT = 200
_START_S = 20.0
#: CPUSchedulingPriority of systemd/pilenode-guard.service.
_GUARD_PRIORITY = 40
_RIG_PRIORITY = 30


class HarnessError(RuntimeError):
    """A process of the harness did not do what was waited for."""


def relay_pin(port: int) -> int:
    """Return the BCM number of a port's relay."""
    return _RELAY_PINS[port - 1]


def _table(name: str, values: Mapping[str, object]) -> str:
    rows = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *rows])


@dataclass(frozen=True, slots=True)
class Setup:
    """What the cabinet looks like. ``extra`` is TOML appended to the configuration as it is.

    ``buses``: lines that the ports are spread over evenly, neighbours together. ``channels``: so many neighbours share
    one meter of the model. ``full``: with every kind of contact,
    the contactor's auxiliary contact, a probe for the air and an inlet meter. ``refresh_s``: how often meters renew
    their registers, seconds; 0 = whenever asked. ``limits`` and ``supply`` are more keys of the tables
    [limits] and [cabinet], ``cabinet_a`` what the supply gives to all ports together.
    """

    node: str = "rig-001"
    ports: int = 4
    baud: int = 19_200
    model: str = "pzem004t-v3"
    turnaround_s: float = 0.005
    turnaround_limit_ms: float = 40.0
    profile: str = "demo"
    probes: bool = True
    upstream_url: str | None = None
    limit_a: float = 6.0
    buses: int = 1
    channels: int = 1
    full: bool = False
    refresh_s: float = 0.0
    supply_noise_v: float = 1.5
    cabinet_a: float = 100.0
    probe_interval_s: float | None = None
    limits: Mapping[str, object] = field(default_factory=dict)
    supply: Mapping[str, object] = field(default_factory=dict)
    extra: str = ""

    def bus(self, port: int) -> str:
        """Return the name of a port's line."""
        number = (port - 1) * self.buses // self.ports
        return "main" if number == 0 else f"main-{number + 1}"

    def unit(self, port: int) -> int:
        """Return the address of a port's meter."""
        return (port - 1) // self.channels + 1

    def channel(self, port: int) -> int:
        """Return which channel of its meter serves a port."""
        return (port - 1) % self.channels + 1

    @property
    def bus_names(self) -> tuple[str, ...]:
        """The names of all lines."""
        return tuple(dict.fromkeys(self.bus(port) for port in range(1, self.ports + 1)))

    @property
    def contacts(self) -> Mapping[str, int]:
        """The contacts that are fitted, kind to pin."""
        kinds = ALL_CONTACTS if self.full else ("smoke", "estop")
        taken = {relay_pin(port) for port in range(1, self.ports + 1)}
        return {kind: ALL_CONTACTS[kind] for kind in kinds if ALL_CONTACTS[kind] not in taken}

    def probe(self, port: int) -> str | None:
        """Return the 1-wire id of a port's probe."""
        return f"28-{port:012x}" if self.probes else None

    def cabinet(self) -> RigCabinet:
        """Return the same cabinet for the rig."""
        ports = tuple(
            RigPort(
                number=number,
                pin=relay_pin(number),
                unit=self.unit(number),
                channel=self.channel(number),
                model=self.model,
                bus=self.bus(number),
                probe=self.probe(number),
                limit_a=self.limit_a,
                counter_wh=1000.0 * number,
                refresh_s=self.refresh_s,
            )
            for number in range(1, self.ports + 1)
        )
        return RigCabinet(
            ports,
            tuple(RigBus(name, baud=self.baud, turnaround_s=self.turnaround_s) for name in self.bus_names),
            contactor_pin=CONTACTOR_PIN,
            heartbeat_pin=HEARTBEAT_PIN,
            cabinet_probe=CABINET_PROBE if self.full else None,
            supply_noise_v=self.supply_noise_v,
        )

    def toml(self, directory: Path, storage: Path, devices: Mapping[str, Path], onewire: Path) -> str:
        """Return the configuration file of this cabinet; what must be durable is kept below ``storage``."""
        parts = [
            f'profile = "{self.profile}"',
            f'[node]\nid = "{self.node}"\nlanguage = "en"',
            f'[guard]\nsocket = "{directory}/guard.sock"\nstate_dir = "{storage}/guard"',
            f'[station]\ndata_dir = "{storage}/station"\ncontrol_socket = "{directory}/control.sock"',
            '[gpio]\nfactory = "hil_rig.pins:RigFactory"',
            f"contactor_pin = {CONTACTOR_PIN}\nheartbeat_pin = {HEARTBEAT_PIN}",
            *([f"contactor_feedback_pin = {CONTACTOR_FEEDBACK_PIN}"] if self.full else []),
            *(
                f'[[bus]]\nname = "{name}"\ndevice = "{devices[name]}"\nbaud = {self.baud}\n'
                f"turnaround_ms = {self.turnaround_limit_ms}"
                for name in self.bus_names
            ),
            *(self._input(kind, pin) for kind, pin in self.contacts.items()),
            _table("onewire", {"root": str(onewire)} | self._pace()),
            _table("limits", {"current_limit_a": self.limit_a} | dict(self.limits)),
            _table("cabinet", {"current_limit_a": self.cabinet_a} | dict(self.supply)),
            *([self._sensors()] if self.full else []),
            '[[tariff]]\nversion = "demo-2026"\nelectricity_milli_yuan_per_kwh = 520\nservice_milli_yuan_per_kwh = 300',
        ]
        for number in range(1, self.ports + 1):
            probe = f'\nprobe = {{ id = "{self.probe(number)}" }}' if self.probes else ""
            parts.append(
                f"[[port]]\nnumber = {number}\n"
                f'meter = {{ model = "{self.model}", unit = {self.unit(number)}, channel = {self.channel(number)}, '
                f'bus = "{self.bus(number)}" }}\n'
                f"relay = {{ pin = {relay_pin(number)} }}{probe}"
            )
        if self.upstream_url:
            parts.append(f'[upstream]\nurl = "{self.upstream_url}"')
        return "\n\n".join([*parts, self.extra, ""])

    def _pace(self) -> dict[str, object]:
        return {} if self.probe_interval_s is None else {"interval_s": self.probe_interval_s}

    def _input(self, kind: str, pin: int) -> str:
        more = {"rcd": "\nports = [1]", "door": '\npolicy = "cut"'}.get(kind, "")
        return f'[[input]]\nname = "{kind}"\nkind = "{kind}"\npin = {pin}{more}'

    def _sensors(self) -> str:
        inlet = f'[cabinet.inlet]\nmodel = "{self.model}"\nunit = {INLET_UNIT}\nbus = "main"'
        return f'[cabinet.probe]\nid = "{CABINET_PROBE}"\n\n{inlet}'


class GuardClient:
    """A blocking connection to guard's socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(5.0)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._decoder: Decoder[messages.GuardReply] = Decoder(messages.GuardReply)

    def ask(self, request: messages.GuardRequest) -> messages.GuardReply:
        """Send a request and return its reply. Raises OSError when guard is gone."""
        self.send(request)
        return self.receive()

    def send(self, request: messages.GuardRequest) -> None:
        """Send a request; its reply must be received before the next one."""
        self._socket.sendall(encode(request))

    def receive(self) -> messages.GuardReply:
        """Wait for a reply."""
        while True:
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionResetError("guard closed the connection")
            for reply in self._decoder.feed(data):
                return reply

    def snapshot(self) -> messages.Snapshot:
        """Return guard's view of the cabinet."""
        reply = self.ask(messages.GetSnapshot())
        if not isinstance(reply, messages.Snapshot):
            raise HarnessError(f"guard answered {reply}")
        return reply

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def wait(what: str, condition: Callable[[], object], seconds: float = _START_S, every_s: float = 0.02) -> None:
    """Wait until ``condition()`` is true. Raises HarnessError naming ``what`` when it does not become so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise HarnessError(f"{what}: not within {seconds:g} s")
        time.sleep(every_s)


def _real_time(pid: int) -> bool:
    """Give a process that has just started the scheduling of pilenode-guard.service; return whether that is allowed."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(_GUARD_PRIORITY))
    except PermissionError:
        return False
    return True


def inlet_meter(rig: Rig, setup: Setup) -> SimulatedMeter:
    """Return a meter in front of all ports of ``rig``: the sum of what they take."""
    numbers = tuple(rig.meters)

    def measure() -> Quantities:
        rig.catch_up()
        each = [rig.world.meter(number) for number in numbers]
        current_a = math.fsum(one.current_a for one in each)
        power_w = math.fsum(one.power_w for one in each)
        apparent_va = each[0].voltage_v * current_a
        return replace(
            each[0],
            current_a=current_a,
            power_w=power_w,
            power_factor=min(1.0, power_w / apparent_va) if apparent_va else 0.0,
            energy_wh=math.fsum(one.energy_wh for one in each),
        )

    return SimulatedMeter(load_meter(setup.model), measure)


class Harness:
    """One cabinet below ``directory``; a context manager that ends what it started."""

    def __init__(self, directory: Path, setup: Setup | None = None, storage: Path | None = None) -> None:
        self.setup = setup or Setup()
        self.directory = directory
        self.storage = storage or directory
        directory.mkdir(parents=True, exist_ok=True)
        self.rig = Rig(self.setup.cabinet(), directory)
        # Names that go with the rig: a guard left behind by a crashed test must not open a recycled pty.
        self.devices = {name: directory / ("rs485" + name.removeprefix("main")) for name in self.setup.bus_names}
        for name, device in self.devices.items():
            device.symlink_to(self.rig.device(name))
        self.config_file = directory / "cabinet.toml"
        self.write_config()
        for pin in self.setup.contacts.values():
            self.rig.set_contact(pin, 0)  # normally-closed loops to ground: 0 is healthy
        self.auxiliary: AuxiliaryContact | None = None
        if self.setup.full:
            self.auxiliary = AuxiliaryContact(self.rig, CONTACTOR_FEEDBACK_PIN)
            self.inlet = inlet_meter(self.rig, self.setup)
            self.rig.racks["main"].meters = {**self.rig.racks["main"].meters, INLET_UNIT: self.inlet}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.real_time = False  # whether guard got the scheduling that its systemd unit gives it
        self._stack = ExitStack()

    @property
    def device(self) -> Path:
        """The tty of the first line, by the name that the configuration gives."""
        return self.devices["main"]

    def write_config(self) -> None:
        """Write the configuration file."""
        text = self.setup.toml(self.directory, self.storage, self.devices, self.rig.onewire_root)
        self.config_file.write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        self._stack.enter_context(self.rig)
        if self.auxiliary:
            self._stack.enter_context(self.auxiliary)
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("station", "guard"):
            with suppress(HarnessError):
                self.end(name)
        for device in self.devices.values():
            device.unlink(missing_ok=True)
        self._stack.close()

    def physics_first(self) -> bool:
        """Give the threads of the rig real-time priority below guard's; return whether that is allowed.

        Wires and mains do not wait because a computer is busy. For benches that load the machine.
        """
        try:
            for thread in threading.enumerate():
                if thread is not threading.main_thread() and thread.native_id is not None:
                    os.sched_setscheduler(thread.native_id, os.SCHED_FIFO, os.sched_param(_RIG_PRIORITY))
        except PermissionError:
            return False
        return True

    # -- processes ------------------------------------------------------------------------------------------

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start "guard" or "station" and wait until it answers."""
        log = (self.directory / f"{name}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pilenode.cli", name, "--config", str(self.config_file)],
                env=os.environ | self.rig.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes[name] = process
        if name == "guard":
            self.real_time = _real_time(process.pid)
        wait(f"{name} answers", lambda: self._alive(name) and self._answers(name))
        return process

    def _alive(self, name: str) -> bool:
        status = self.processes[name].poll()
        if status is not None:
            raise HarnessError(f"{name} ended with {status}:\n{self.log(name)[-3000:]}")
        return True

    def _answers(self, name: str) -> bool:
        try:
            if name == "station":
                self.status()
            else:
                client = GuardClient(self.directory / "guard.sock")
                try:
                    client.ask(messages.Hello())
                finally:
                    client.close()
        except (OSError, RequestError):
            return False
        return True

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process of this harness."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> float:
        """SIGKILL a process and return when (CLOCK_MONOTONIC, seconds)."""
        process = self.processes.pop(name)
        now = time.monotonic()
        process.kill()
        process.wait()
        return now

    def end(self, name: str, seconds: float = 10.0) -> int | None:
        """Ask a process to stop and return its exit status, None when it was not running."""
        process = self.processes.pop(name, None)
        if process is None:
            return None
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise HarnessError(f"{name} did not stop within {seconds:g} s") from error

    def log(self, name: str) -> str:
        """Return what a process has written."""
        path = self.directory / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # -- questions and orders -------------------------------------------------------------------------------

    def guard(self) -> GuardClient:
        """Return a connection to guard that is closed with the harness."""
        client = GuardClient(self.directory / "guard.sock")
        self._stack.callback(client.close)
        return client

    def status(self) -> messages.StatusReply:
        """Return what ``pilenode status`` shows."""
        return ask(str(self.directory / "control.sock"), messages.Status(), messages.StatusReply)

    def sessions(self, limit: int = 100) -> list[messages.SessionRecord]:
        """Return the newest sessions."""
        request = messages.Sessions(limit=limit)
        return ask(str(self.directory / "control.sock"), request, messages.SessionsReply).sessions

    def order(self, port: int, order: str, plan: Wish | None = None) -> messages.StartReply:
        """Start a session by order. Raises RequestError with the refusal's code."""
        request = messages.Start(port=port, order=order, plan=plan or Wish(), by="rig")
        return ask(str(self.directory / "control.sock"), request, messages.StartReply)

    def stop(self, port: int) -> None:
        """Stop what is on a port now."""
        session = next(one.session for one in self.status().sessions if one.port == port)
        request = messages.Stop(port=port, session=session, by="rig")
        ask(str(self.directory / "control.sock"), request, messages.Done)

    def port(self, number: int) -> messages.PortSnapshot:
        """Return guard's view of one port, by way of station."""
        snapshot = self.status().guard
        if snapshot is None:
            raise HarnessError("guard does not answer the station")
        return next(port for port in snapshot.ports if port.port == number)

    def pins(self) -> Iterator[tuple[float, int, bool]]:
        """Return every output change so far: seconds (CLOCK_MONOTONIC), BCM pin, level."""
        for line in self.rig.pins_file.read_text(encoding="ascii").splitlines():
            nanoseconds, pin, level = line.split()
            yield int(nanoseconds) / 1e9, int(pin), level == "1"
