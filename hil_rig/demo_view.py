"""What a person sees of the demo: a live table on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from hil_rig.demo_outcome import Outcome
    from pilenode.ipc.messages import PortSnapshot, StatusReply

_STYLES = {"on": "green", "tripped": "bold red", "ended": "cyan", "armed": "yellow"}
_LINES_KEPT = 12


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the demo. ``arrived``: sessions whose end is stored at the backend."""

    at_s: float
    status: StatusReply
    broker: str
    arrived: int
    broker_up: bool

    @property
    def ports(self) -> list[PortSnapshot]:
        """Return guard's view of the ports, empty while it does not answer."""
        return self.status.guard.ports if self.status.guard else []


class View(Protocol):
    """Shows the demo while it runs."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""

    def tell(self, at_s: float, text: str) -> None:
        """Say that something happens."""

    def show(self, scene: Scene) -> None:
        """Show the present moment."""


class Plain:
    """A line for everything that changes."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, str | None]] = {}
        self._outbox = (0, True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def tell(self, at_s: float, text: str) -> None:
        """Print a line."""
        print(f"{at_s:6.1f} s  {text}", flush=True)

    def show(self, scene: Scene) -> None:
        """Print a line for every port whose state has changed, and when the outbox has been emptied."""
        for port in scene.ports:
            state = (port.state, port.reason)
            if self._last.get(port.port, ("idle", None)) != state:
                self._last[port.port] = state
                reason = f" ({port.reason})" if port.reason and port.state != "on" else ""
                self.tell(scene.at_s, f"port {port.port}: {port.state}{reason}  {_power(port)}")
        connected = scene.status.upstream_connected
        if (waiting := (scene.status.outbox, connected)) != self._outbox and connected != self._outbox[1]:
            word = "connected" if connected else "not connected"
            self.tell(scene.at_s, f"upstream {word}, {scene.status.outbox} facts wait")
        self._outbox = waiting


class Table:
    """A table that is drawn again and again, with the latest lines of the story below it."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=8)
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, at_s: float, text: str) -> None:
        """Add a line to the story."""
        self._lines = [*self._lines, f"{at_s:6.1f} s  {text}"][-_LINES_KEPT:]

    def show(self, scene: Scene) -> None:
        """Draw."""
        self._live.update(Group(_head(scene), _ports(scene), Panel(Text("\n".join(self._lines)), title="story")))


def _head(scene: Scene) -> Text:
    status = scene.status
    broker = ("up", "green") if scene.broker_up else ("GONE", "bold red")
    link = (status.upstream_protocol or "connected", "green") if status.upstream_connected else ("offline", "red")
    return Text.assemble(
        f"{scene.at_s:5.1f} s   broker {scene.broker} ",
        broker,
        "   station ",
        link,
        f"   facts waiting {status.outbox}   sessions at the backend {scene.arrived}",
    )


def _ports(scene: Scene) -> RichTable:
    table = RichTable(expand=True)
    for name in ("port", "state", "reason", "V", "A", "W", "Wh", "°C"):
        table.add_column(name, justify="left" if name in ("state", "reason") else "right", no_wrap=True)
    for port in scene.ports:
        used = None
        if port.register_mwh is not None and port.start_register_mwh is not None:
            used = (port.register_mwh - port.start_register_mwh) / 1000
        row = (port.voltage_v, port.current_a, port.power_w, used, port.temperature_c)
        digits = (1, 2, 1, 0, 1)
        cells = ["–" if value is None else f"{value:.{d}f}" for value, d in zip(row, digits, strict=True)]
        reason = "" if port.state in ("on", "armed") else port.reason or ""
        table.add_row(str(port.port), Text(port.state, style=_STYLES.get(port.state, "")), reason, *cells)
    return table


def _power(port: PortSnapshot) -> str:
    if port.power_w is None or port.current_a is None:
        return "no reading"
    return f"{port.current_a:.2f} A {port.power_w:.0f} W"


def summary(ended: list[Outcome]) -> None:
    """Print how every session ended."""
    table = RichTable(title="Sessions as they arrived upstream")
    for name in ("port", "story", "reason", "Wh", "electricity", "service", "delay"):
        table.add_column(name, justify="right" if name in ("port", "Wh", "electricity", "service") else "left")
    for outcome in ended:
        end = outcome.ended
        cells = ["–"] * 4
        if end is not None:
            cells = [end.reason, str(end.energy_wh), _yuan(end.electricity_fen), _yuan(end.service_fen)]
        table.add_row(str(outcome.part.port), outcome.part.title, *cells, outcome.delay)
    Console(width=None if Console().is_terminal else 150).print(table)


def _yuan(fen: int | None) -> str:
    return "–" if fen is None else f"{fen // 100}.{fen % 100:02d} yuan"
