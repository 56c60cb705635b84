"""The whole cabinet as real processes: rig, guard, station, broker and backend, started and ended by hand.

Everything lives below one directory and on loopback. Only processes started here are ever signalled.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from hil_rig.rig import Rig, RigBus, RigCabinet, RigPort
from pilenode.ipc import messages
from pilenode.ipc.client import RequestError, ask
from pilenode.ipc.codec import Decoder, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONTACTOR_PIN, HEARTBEAT_PIN, SMOKE_PIN, ESTOP_PIN = 17, 27, 23, 24
FIRST_RELAY_PIN = 2
_START_S = 20.0
#: CPUSchedulingPriority of systemd/pilenode-guard.service.
_GUARD_PRIORITY = 40


class HarnessError(RuntimeError):
    """A process of the harness did not do what was waited for."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the cabinet looks like. ``extra`` is TOML appended to the configuration as it is."""

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
    extra: str = ""

    def probe(self, port: int) -> str | None:
        """Return the 1-wire id of a port's probe."""
        return f"28-{port:012x}" if self.probes else None

    def cabinet(self) -> RigCabinet:
        """Return the same cabinet for the rig."""
        ports = tuple(
            RigPort(
                number=number,
                pin=FIRST_RELAY_PIN + number,
                unit=number,
                model=self.model,
                probe=self.probe(number),
                limit_a=self.limit_a,
                counter_wh=1000.0 * number,
            )
            for number in range(1, self.ports + 1)
        )
        buses = (RigBus(baud=self.baud, turnaround_s=self.turnaround_s),)
        return RigCabinet(ports, buses, contactor_pin=CONTACTOR_PIN, heartbeat_pin=HEARTBEAT_PIN)

    def toml(self, directory: Path, storage: Path, device: Path, onewire: Path) -> str:
        """Return the configuration file of this cabinet; what must be durable is kept below ``storage``."""
        parts = [
            f'profile = "{self.profile}"',
            f'[node]\nid = "{self.node}"\nlanguage = "en"',
            f'[guard]\nsocket = "{directory}/guard.sock"\nstate_dir = "{storage}/guard"',
            f'[station]\ndata_dir = "{storage}/station"\ncontrol_socket = "{directory}/control.sock"',
            '[gpio]\nfactory = "hil_rig.pins:RigFactory"',
            f"contactor_pin = {CONTACTOR_PIN}\nheartbeat_pin = {HEARTBEAT_PIN}",
            f'[[bus]]\nname = "main"\ndevice = "{device}"\nbaud = {self.baud}',
            f"turnaround_ms = {self.turnaround_limit_ms}",
            f'[[input]]\nname = "smoke"\nkind = "smoke"\npin = {SMOKE_PIN}',
            f'[[input]]\nname = "estop"\nkind = "estop"\npin = {ESTOP_PIN}',
            f'[onewire]\nroot = "{onewire}"',
            f"[limits]\ncurrent_limit_a = {self.limit_a}",
            '[tariff]\nversion = "demo-2026"\nelectricity_milli_yuan_per_kwh = 520\nservice_milli_yuan_per_kwh = 300',
        ]
        for number in range(1, self.ports + 1):
            probe = f'\nprobe = {{ id = "{self.probe(number)}" }}' if self.probes else ""
            parts.append(
                f'[[port]]\nnumber = {number}\nmeter = {{ model = "{self.model}", unit = {number}, bus = "main" }}\n'
                f"relay = {{ pin = {FIRST_RELAY_PIN + number} }}{probe}"
            )
        if self.upstream_url:
            parts.append(f'[upstream]\nurl = "{self.upstream_url}"')
        return "\n\n".join([*parts, self.extra, ""])


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
        self._socket.sendall(encode(request))
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


class Harness:
    """One cabinet below ``directory``; a context manager that ends what it started."""

    def __init__(self, directory: Path, setup: Setup | None = None, storage: Path | None = None) -> None:
        self.setup = setup or Setup()
        self.directory = directory
        self.storage = storage or directory
        directory.mkdir(parents=True, exist_ok=True)
        self.rig = Rig(self.setup.cabinet(), directory)
        # A name that goes with the rig: a guard left behind by a crashed test must not open a recycled pty.
        self.device = directory / "rs485"
        self.device.symlink_to(self.rig.device())
        self.config_file = directory / "cabinet.toml"
        self.write_config()
        for pin in (SMOKE_PIN, ESTOP_PIN):
            self.rig.set_contact(pin, 0)  # normally-closed loops to ground: 0 is healthy
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.real_time = False  # whether guard got the scheduling that its systemd unit gives it
        self._stack = ExitStack()

    def write_config(self) -> None:
        """Write the configuration file."""
        text = self.setup.toml(self.directory, self.storage, self.device, self.rig.onewire_root)
        self.config_file.write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        self._stack.enter_context(self.rig)
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("station", "guard"):
            with suppress(HarnessError):
                self.end(name)
        self.device.unlink(missing_ok=True)
        self._stack.close()

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

    def order(self, port: int, order: str, plan: messages.Plan | None = None) -> messages.StartReply:
        """Start a session by order. Raises RequestError with the refusal's code."""
        request = messages.Start(port=port, order=order, plan=plan or messages.Plan(), by="rig")
        return ask(str(self.directory / "control.sock"), request, messages.StartReply)

    def stop(self, port: int) -> None:
        """Stop what runs on a port."""
        ask(str(self.directory / "control.sock"), messages.Stop(port=port, by="rig"), messages.Done)

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
