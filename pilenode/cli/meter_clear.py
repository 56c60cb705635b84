"""``pilenode meter clear-energy``: an act of its own, because what it takes away cannot be brought back."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import TYPE_CHECKING

import click

from config.load import load_meter
from drivers.clear_energy import clear_energy, confirmation
from drivers.registers import decode
from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.meter_line import on_line
from pilenode.cli.meter_models import ask, clear_command, factory_format, model
from pilenode.cli.meter_set import tell
from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from config.schema_meter import MeterProfile
    from drivers.wire import Wire
    from pilenode.cli.meter_line import Place
    from pilenode.cli.terminal import Terminal

_ATTEMPTS = 3


@on_line(
    "clear-energy",
    Text(
        "将电表电能寄存器清零，不可恢复。会话按寄存器差计量，因此只在调试时使用。",
        "Set the energy register of a meter to zero, for good. Sessions are metered by its difference: only for "
        "commissioning.",
    ),
)
@argument("name", metavar="MODEL", text=Text("型号，即档案名。", "Model: the name of its profile."))
@argument("unit", type=Number(int, 1, 247), text=Text("电表地址。", "Its address."))
@option(
    "--yes-clear",
    "confirmed",
    metavar="MODEL@UNIT",
    text=Text("脚本用：代替键入确认。", "For scripts: instead of typing the confirmation."),
)
def clear(terminal: Terminal, place: Place, name: str, unit: int, *, confirmed: str | None) -> int:
    """Clear after a confirmation, and tell the energy before and after."""
    profile = load_meter(name)
    typed = _typed(terminal, confirmation(name, unit)) if confirmed is None else confirmed
    with contextlib.closing(place.wire(factory_format(profile))) as wire:
        done = clear_energy(
            wire,
            clear_command(profile),
            ask(profile)(unit),
            lambda open_wire: _energy_wh(open_wire, profile, unit),
            model=name,
            confirmed=typed,
        )
    before, after = _words(done.before_wh), _words(done.after_wh)
    return tell(
        terminal,
        done.outcome,
        f"{name}（地址 {unit}）电能 {before} → {after}",
        f"{name} at address {unit}, energy {before} to {after}",
        before_wh=done.before_wh,
        after_wh=done.after_wh,
    )


def _typed(terminal: Terminal, expected: str) -> str:
    """Return what a person types after reading what it will do."""
    if terminal.json or not sys.stdin.isatty():
        raise Misuse(
            f"须有人键入确认，或给出 --yes-clear {expected}。",
            f"A person must type the confirmation, or give --yes-clear {expected}.",
        )
    terminal.line(terminal.pick("电能寄存器将清零，不可恢复。", "The energy register will be set to zero, for good."))
    try:
        return str(
            click.prompt(terminal.pick(f"请键入 {expected}", f"Type {expected}"), default="", show_default=False)
        )
    except click.Abort as error:
        raise KeyboardInterrupt from error


def _energy_wh(wire: Wire, profile: MeterProfile, unit: int) -> float | None:
    """Return the energy register in Wh, None when it cannot be read."""
    own = model(profile)
    for block in own.registers.blocks:
        if any(field.name == "energy_wh" for field in block.fields):
            for _ in range(_ATTEMPTS):
                data = wire.ask(own.question(unit, block))
                if isinstance(data, bytes):
                    energy_wh = decode(block, data, own.registers.bytes_per_register)["energy_wh"]
                    return energy_wh if math.isfinite(energy_wh) else None
    return None


def _words(energy_wh: float | None) -> str:
    return "?" if energy_wh is None else f"{energy_wh:.1f} Wh"
