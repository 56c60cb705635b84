"""What the commands on a serial line share: which device, how it is set, and what its trouble is called."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, NamedTuple

import click

from drivers.bus import SerialLine
from drivers.wire import ASK_TURNAROUND_S, Format, LineLostError, Wire
from pilenode.cli.bilingual import Command, Option, Text, json_option, language_option
from pilenode.cli.line_errors import LineError
from pilenode.cli.meter_models import bus_of
from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.cli.terminal import Terminal

#: How long an answer is waited for when a single meter is asked, seconds.
TURNAROUND_S = ASK_TURNAROUND_S
_BAUDS = ("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200")


class Place(NamedTuple):
    """The line that the options name.

    ``format`` is how it is set (None: neither options nor a configuration say so), ``bauds`` every ``--baud`` given,
    ``units`` the addresses that a configuration expects on it, ``turnaround_s`` how long an answer is waited for.
    """

    device: str
    format: Format | None
    bauds: tuple[int, ...]
    parity: str | None
    stopbits: int | None
    units: tuple[int, ...]
    turnaround_s: float

    def lines(self, baud: int, parity: str, stopbits: int) -> SerialLine:
        """Return a line of that format; the device is opened by the first request."""
        return SerialLine(self.device, baud, parity, stopbits, turnaround_s=self.turnaround_s)

    def chosen(self, otherwise: Format) -> Format:
        """Return how the line is set: as the options say, else as the configuration, else ``otherwise``."""
        base = self.format or otherwise
        return Format(
            self.bauds[0] if self.bauds else base.baud, self.parity or base.parity, self.stopbits or base.stopbits
        )

    def wire(self, otherwise: Format) -> Wire:
        """Return the line, set as ``chosen`` says."""
        one = self.chosen(otherwise)
        return Wire(self.lines(one.baud, one.parity, one.stopbits), self.turnaround_s)


def _place(
    device: str | None,
    config: str | None,
    bus: str | None,
    baud: tuple[str, ...],
    parity: str | None,
    stopbits: str | None,
) -> Place:
    if (device is None) == (config is None) or (config is None) != (bus is None):
        raise Misuse(
            "请给出 --device，或者 --config 与 --bus。", "Give either --device, or --config together with --bus."
        )
    format_: Format | None = None
    units: tuple[int, ...] = ()
    if config is not None and bus is not None:
        found = bus_of(config, bus)
        if found is None:
            raise Misuse(f"配置中没有总线 {bus}。", f"The configuration has no bus {bus}.")
        device, format_, units = found
    bauds = tuple(int(one) for one in baud)
    return Place(str(device), format_, bauds, parity, None if stopbits is None else int(stopbits), units, TURNAROUND_S)


def _options(*, many: bool) -> list[click.Parameter]:
    rate = (
        Text("波特率；可多次给出。", "Baud rate; may be given several times.")
        if many
        else Text("波特率。", "Baud rate.")
    )
    return [
        Option(["--device"], metavar="TTY", text=Text("串口设备。", "Serial device, e.g. /dev/ttyUSB0.")),
        Option(["--config"], metavar="FILE", text=Text("从配置取串口。", "Take the line from a configuration.")),
        Option(["--bus"], metavar="NAME", text=Text("配置中总线的名称。", "Name of the bus in the configuration.")),
        Option(["--baud"], type=click.Choice(_BAUDS), multiple=True, metavar="BAUD", text=rate),
        Option(["--parity"], type=click.Choice(["N", "E", "O"]), text=Text("校验位。", "Parity.")),
        Option(["--stopbits"], type=click.Choice(["1", "2"]), text=Text("停止位。", "Stop bits.")),
        json_option(),
        language_option(),
    ]


def on_line(name: str, text: Text, *, many: bool = False) -> Callable[[Callable[..., int]], Command]:
    """Make a command of a function ``(terminal, place, **options) -> exit status``; trouble of the device is told.

    ``many``: ``--baud`` may be given several times.
    """

    def decorate(function: Callable[..., int]) -> Command:
        def run(
            terminal: Terminal,
            device: str | None,
            config: str | None,
            bus: str | None,
            baud: tuple[str, ...],
            parity: str | None,
            stopbits: str | None,
            **more: object,
        ) -> int:
            if len(baud) > 1 and not many:
                raise Misuse("--baud 只能给出一次。", "--baud can be given once only.")
            try:
                return function(terminal, _place(device, config, bus, baud, parity, stopbits), **more)
            except LineLostError as error:
                raise LineError(error.errno, error.trouble) from error

        command = click.command(name, cls=Command, text=text)(click.pass_obj(update_wrapper(run, function)))
        command.params += _options(many=many)
        return command

    return decorate
