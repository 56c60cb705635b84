"""Guard's own loop and server in this process, with pins that write down what they are told."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import safety
from pilenode.guard.board import Board
from pilenode.guard.counters import Counts, Tally
from pilenode.guard.housekeeper import Housekeeper
from pilenode.guard.latches import Latches
from pilenode.guard.loop import Loop
from pilenode.guard.rights import Rights, resolve
from pilenode.guard.server import Server
from pilenode.notify import Notifier
from safety.limits import CabinetLimits, PortLimits
from safety.reading import MeterReading
from safety.state import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilenode.ipc import messages
    from safety.state import State

PORTS: Final = (1, 2)
SETTINGS: Final = Settings(
    ports={number: PortLimits(meter_refresh_s=0.0) for number in PORTS},
    cabinet=CabinetLimits(contactor_settle_s=0.05, close_stagger_s=0.05, contactor_hold_s=0.1),
)
_AMPS: Final = 1.0
_VOLTS: Final = 220.0


def scratch() -> Path:
    """Return a new directory in memory where there is such a place: a disk is not what is tested."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a name and a directory of its own there
    return Path(tempfile.mkdtemp(prefix="pilenode-fuzz-", dir=memory if memory.is_dir() else None))


class Pins:
    """Outputs that remember. ``closings`` are those since ``forget``, in order."""

    def __init__(self) -> None:
        self.on: set[int] = set()
        self.closings: list[int] = []

    def forget(self) -> None:
        """Begin anew, everything open."""
        self.on.clear()
        self.closings.clear()

    def switch(self, port: int, *, closed: bool) -> None:
        """Note a relay."""
        if closed:
            self.on.add(port)
            self.closings.append(port)
        else:
            self.on.discard(port)

    def contactor(self, *, closed: bool) -> None:
        """Do nothing: the relays are what is looked at."""

    def heartbeat(self) -> None:
        """Do nothing."""

    def all_off(self) -> None:
        """Open everything."""
        self.on.clear()

    def close(self) -> None:
        """Do nothing."""


class NoContacts:
    """No alarms."""

    def alarms(self) -> Mapping[str, bool]:
        """Return none."""
        return {}


class GuardBench:
    """A guard of two ports with sound meters. Time is passed in; ``refresh`` begins a life from a state."""

    def __init__(self, now: float) -> None:
        self.directory = scratch()
        self.pins = Pins()
        self.socket = self.directory / "guard.sock"
        own = resolve("")
        self.server = Server(self.socket, Rights(own.users, None), self._read)
        self.loop = self.refresh(safety.initial(SETTINGS), now)

    def close(self) -> None:
        """Free everything."""
        self.server.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def refresh(self, state: State, now: float) -> Loop:
        """Let a guard begin that knows ``state``; what the old one had been asked is forgotten."""
        self.pins.forget()
        self._board = Board(PORTS, (), now)
        self._now = now
        self.loop = Loop(
            state=state,
            board=self._board,
            relays=self.pins,
            contacts=NoContacts(),
            housekeeper=Housekeeper(self.directory, lambda *_, **__: None, Latches()),
            notifier=Notifier(),
            guard_boot="boot",
            tally=Tally(Counts(), now),
            reference=lambda: self._now,
        )
        self.loop.server = self.server
        return self.loop

    def _read(self, request: messages.GuardRequest) -> messages.GuardReply:
        return self.loop.read(request)

    def tick(self, now: float) -> None:
        """Judge and act once, with fresh readings."""
        self._now = now
        for port in PORTS:
            amps = _AMPS if port in self.pins.on else 0.0
            self._board.put_meter(port, MeterReading(now, _VOLTS, amps, _VOLTS * amps, None, 7.0, now))
        self.loop.tick(now)
