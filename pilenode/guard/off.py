"""``pilenode-guard-off``: drive every output of the cabinet off, from outside, while guard is dead.

It needs the GPIO and Python's standard library: no configuration that is right, no lock, no socket, no disk that can
be written. systemd runs it whenever guard has ended (ExecStopPost=) and once more when guard has given up
(OnFailure=), because a Raspberry Pi kernel keeps a line at its last level when its owner dies.

Which lines, it reads from the *off plan*: a small text file that guard writes before it claims its first line, closed
by a CRC-32. Without a whole plan it takes from the configuration file what it can find there.

    pilenode off plan 1
    factory lgpio
    chip 0
    line 17 0 contactor
    line 5 0 port 1
    line 27 0 heartbeat
    crc 1a2b3c4d

A line is a BCM number, the level that is off, and its name. Contactor first: one write takes the power from every
port, from one with a welded relay too. Every line is tried, whatever happens to the others.

Lines that guard still holds are refused by the kernel (busy). That is reported and is right: a guard that holds its
lines and is alive decides alone.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PLAN = Path("/var/lib/pilenode-guard/off-plan")
CONFIG = Path("/etc/pilenode/pilenode.toml")
_NAME = "off-plan"
_HEAD = "pilenode off plan 1"
#: Nobody has more lines than this; a longer file is no plan.
_LONGEST = 65_536


class OffLine(NamedTuple):
    """One output: BCM number, the electrical level that is off, and what hangs on it."""

    pin: int
    level: int
    name: str


class Plan(NamedTuple):
    """What to drive and through what. ``chip``: number of the gpiochip, None = find it."""

    factory: str
    chip: int | None
    lines: tuple[OffLine, ...]


class PlanError(Exception):
    """A plan or configuration cannot be used."""


class _Chip(Protocol):
    """The part of lgpio that is used here."""

    def gpiochip_open(self, gpiochip: int) -> int: ...
    def gpiochip_close(self, handle: int) -> int: ...
    def gpio_get_chip_info(self, handle: int) -> tuple[int, int, str, str]: ...
    def gpio_claim_output(self, handle: int, gpio: int, level: int) -> int: ...


def ordered(
    contactor: tuple[int, bool] | None, relays: Iterable[tuple[int, int, bool]], heartbeat: int | None
) -> tuple[OffLine, ...]:
    """Return the lines in the order in which they are driven.

    ``contactor`` is (BCM number, closed by the high level), ``relays`` are (port, BCM number, closed by the high
    level); the heartbeat rests at low.
    """
    lines = [] if contactor is None else [OffLine(contactor[0], int(not contactor[1]), "contactor")]
    lines += [OffLine(pin, int(not active_high), f"port {port}") for port, pin, active_high in relays]
    if heartbeat is not None:
        lines.append(OffLine(heartbeat, 0, "heartbeat"))
    return tuple(lines)


# -- the plan ------------------------------------------------------------------------------------------------


def write_plan(directory: Path, factory: str, chip: int | None, lines: Iterable[OffLine]) -> Path:
    """Make the plan durable in ``directory`` and return its path. A plan that says the same is left alone.

    Raises OSError when it cannot be written; the old one is whole then, but may name other lines.
    """
    from pilenode.guard import durable  # noqa: PLC0415 - the helper itself never writes a plan

    rows = [_HEAD, f"factory {factory}"]
    if chip is not None:
        rows.append(f"chip {chip}")
    rows += [f"line {line.pin} {line.level} {line.name}" for line in lines]
    text = "".join(f"{row}\n" for row in rows).encode("ascii")
    text += b"crc %08x\n" % zlib.crc32(text)
    path = directory / _NAME
    try:
        same = path.read_bytes() == text
    except OSError:
        same = False
    if not same:
        durable.replace(path, text)
    return path


def read_plan(path: Path) -> Plan:
    """Return the plan in ``path``. Raises PlanError when it is missing or not whole."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST)
    except OSError as error:
        raise PlanError(f"no plan: {error}") from error
    body, mark, crc = data.rpartition(b"crc ")
    if not mark or crc != b"%08x\n" % zlib.crc32(body):
        raise PlanError(f"{path}: damaged")
    try:
        return _parsed(body.decode("ascii").splitlines())
    except ValueError as error:
        raise PlanError(f"{path}: {error}") from error


def _parsed(rows: list[str]) -> Plan:
    if not rows or rows[0] != _HEAD:
        raise ValueError("not a plan that this version can read")
    factory, chip, lines = "", None, []
    for row in rows[1:]:
        key, _, value = row.partition(" ")
        if key == "factory":
            factory = value
        elif key == "chip":
            chip = int(value)
        elif key == "line":
            pin, level, name = value.split(" ", 2)
            lines.append(OffLine(int(pin), int(level), name))
        else:
            raise ValueError(f"unknown row {row!r}")
    if not factory or not lines:
        raise ValueError("names no lines")
    return Plan(factory, chip, tuple(lines))


# -- without a plan: whatever the configuration still tells ------------------------------------------------------


def read_config(path: Path) -> Plan:
    """Return what can be found in the configuration file, right or wrong otherwise. Raises PlanError when nothing can.

    What is not said is taken for the schema's default: factory lgpio, active high.
    """
    import tomllib  # noqa: PLC0415 - only when there is no plan

    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise PlanError(f"{path}: {error}") from error
    gpio = _table(found.get("gpio"))
    factory = gpio.get("factory", "lgpio")
    contactor = _pin(gpio.get("contactor_pin"))
    ports = found.get("port")
    lines = ordered(
        None if contactor is None else (contactor, gpio.get("contactor_active") != "low"),
        _relays(ports if isinstance(ports, list) else []),
        _pin(gpio.get("heartbeat_pin")),
    )
    if not lines:
        raise PlanError(f"{path}: names no outputs")
    return Plan(factory if isinstance(factory, str) else "lgpio", None, lines)


def _relays(ports: list[object]) -> Iterator[tuple[int, int, bool]]:
    for place, entry in enumerate(ports, 1):
        port = _table(entry)
        relay = _table(port.get("relay"))
        pin, number = _pin(relay.get("pin")), port.get("number")
        if pin is not None:
            yield number if isinstance(number, int) else place, pin, relay.get("active") != "low"


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _pin(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# -- the lines ---------------------------------------------------------------------------------------------------


def drive(plan: Plan) -> list[str]:
    """Drive every line of ``plan`` off and return one sentence per line that refused. Never raises."""
    try:
        claim = _lgpio(plan.chip) if plan.factory == "lgpio" else _imported(plan.factory)
    except Exception as error:  # noqa: BLE001 - back ends have no common exception
        return [f"{plan.factory} cannot be used, no line was driven: {error or type(error).__name__}"]
    refused = []
    for line in plan.lines:
        try:
            claim(line.pin, line.level)
        except Exception as error:  # noqa: BLE001 - the next line must still be tried
            refused.append(f"GPIO {line.pin} ({line.name}) was not driven: {error or type(error).__name__}")
    return refused


def _lgpio(number: int | None) -> Callable[[int, int], object]:
    _leave_for_a_writable_directory()
    import lgpio  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415 - not on every machine; makes a FIFO

    chip: _Chip = lgpio
    handle = chip.gpiochip_open(number) if number is not None else _header(chip)
    return lambda pin, level: chip.gpio_claim_output(handle, pin, level)


def _header(chip: _Chip) -> int:
    """Open the chip of the 40-pin header: 0, but 4 on a Raspberry Pi 5 before kernel 6.6.45. Told by its label."""
    last: Exception = OSError("no gpiochip")
    for number in (0, 4):
        try:
            handle = chip.gpiochip_open(number)
            if chip.gpio_get_chip_info(handle)[3].startswith("pinctrl-"):
                return handle
            chip.gpiochip_close(handle)
        except Exception as error:  # noqa: BLE001 - lgpio.error, whose base is Exception
            last = error
    # No chip of a Raspberry Pi: another board has its lines on the first one.
    try:
        return chip.gpiochip_open(0)
    except Exception as error:
        raise error from last


def _leave_for_a_writable_directory() -> None:
    """Lgpio makes a FIFO in the working directory while it is imported, and does not load when it cannot."""
    os.environ.pop("LG_WD", None)
    wanted = (os.curdir, os.environ.get("RUNTIME_DIRECTORY", ""), "/run", "/dev/shm", "/tmp")  # noqa: S108 - see above
    for directory in wanted:
        if directory and os.access(directory, os.W_OK | os.X_OK):
            os.chdir(directory)
            return


def _imported(name: str) -> Callable[[int, int], object]:
    """Return how "module:Class", a gpiozero pin factory, drives a line."""
    import importlib  # noqa: PLC0415 - a rig's business

    module, _, attribute = name.partition(":")
    factory = getattr(importlib.import_module(module), attribute)()
    # The pin must stay referenced: a collected one would become an input.
    pins = []

    def claim(pin: int, level: int) -> None:
        pins.append(factory.pin(pin))
        pins[-1].output_with_state(bool(level))

    return claim


# -- the program -------------------------------------------------------------------------------------------------

_USAGE = "usage: pilenode-guard-off [--plan FILE] [--config FILE]"


def main(arguments: list[str] | None = None) -> int:
    """Drive everything off. Exit status 0: every line is off; 1: not every line, see stderr; 2: wrong arguments."""
    files = {"--plan": PLAN, "--config": CONFIG}
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) % 2 or not set(words[::2]) <= files.keys():
        _say(_USAGE)
        return 2
    files.update((option, Path(value)) for option, value in zip(words[::2], words[1::2], strict=True))
    failures = []
    try:
        plan = read_plan(files["--plan"])
    except PlanError as error:
        _say(f"{error}; taking the lines from {files['--config']}")
        try:
            plan = read_config(files["--config"])
        except PlanError as wrong:
            failures.append(f"nothing was driven: {wrong}")
            plan = None
    if plan is not None:
        failures += drive(plan)
    for failure in failures:
        _say(failure)
    _note(files["--plan"].parent, failures)
    return 1 if failures else 0


def _say(sentence: str) -> None:
    try:
        print(f"pilenode-guard-off: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - it has no log of its own
    except (OSError, ValueError):
        return  # nobody reads: the lines matter


#: Ends of guard (systemd's $SERVICE_RESULT) after which it had no time to say anything itself.
_WORDLESS = frozenset({"watchdog", "signal", "core-dump", "oom-kill", "timeout"})


def _note(directory: Path, failures: list[str]) -> None:
    """Keep a black box for a guard that could not write one. Last and without promise: the lines are off already."""
    result = os.environ.get("SERVICE_RESULT", "")
    if result not in _WORDLESS:
        return
    try:
        from pilenode.guard import boxes  # noqa: PLC0415 - after the lines

        status = f"{os.environ.get('EXIT_CODE', '')} {os.environ.get('EXIT_STATUS', '')}".strip()
        boxes.keep(directory, {"error": f"guard ended without words: {result} ({status})", "not_off": failures})
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here must not hide that the lines are off
        _say(f"no black box: {error}")


if __name__ == "__main__":
    sys.exit(main())
