"""The walls hold, and they are real: every kind of forbidden import is put in once and must be named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pilenode", "drivers", "safety", "config", "hil_rig")


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of ``tree``; a wide terminal keeps module names in one piece."""
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache"],
        cwd=tree,
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the project's own modules and contracts."""
    for package in PACKAGES:
        only_code = shutil.ignore_patterns("__pycache__", "*.csv", "*.json", "*.toml")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=only_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_walls_hold() -> None:
    """Nothing in the checkout imports what it may not."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("safety/reading.py", "time"),
        ("safety/engine.py", "random"),
        ("safety/hazards.py", "msgspec"),
        ("safety/port.py", "config.schema"),
        ("drivers/meter.py", "config.schema"),
        ("drivers/registers.py", "serial"),
        ("drivers/bus.py", "gpiozero"),
        ("drivers/card_reader.py", "serial"),
        ("drivers/card_serial.py", "pymodbus"),
        ("drivers/card_mfrc522.py", "gpiozero"),
        ("drivers/card_wiegand.py", "os"),
        ("drivers/card_reader.py", "config.schema_reader"),
        ("pilenode/guard/main.py", "pilenode.station.readers"),
        ("config/load.py", "drivers.meter"),
        ("config/schema.py", "hil_rig"),
        ("pilenode/clock.py", "pilenode.ipc.codec"),
        ("pilenode/guard/main.py", "sqlite3"),
        ("pilenode/guard/main.py", "asyncio"),
        ("pilenode/guard/loop.py", "pilenode.station"),
        ("pilenode/station/main.py", "pilenode.guard.loop"),
        ("pilenode/station/main.py", "sqlite_utils"),
        ("pilenode/station/main.py", "aiomqtt"),
        ("pilenode/station/journal.py", "pilenode.cli"),
        ("pilenode/upstream/mqtt.py", "pilenode.station"),
        ("pilenode/cli/main.py", "pilenode.upstream.mqtt"),
        ("pilenode/cli/main.py", "pymodbus.client"),
    ],
)
def test_a_breach_is_named(copy: Path, module: str, forbidden: str) -> None:
    """A forbidden import breaks a contract, and the report names module, import and line."""
    path = copy / module
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n\ndef breach() -> None:\n    import {forbidden}\n", encoding="utf-8")
    line = text.count("\n") + 4
    importer = module.removesuffix(".py").replace("/", ".")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout
    assert f"{importer} -> {forbidden.partition('.')[0]}" in result.stdout
    assert f"l.{line}" in result.stdout


def test_a_breach_through_a_third_module_is_named(copy: Path) -> None:
    """Guard may not reach an event loop through something it imports either."""
    with (copy / "pilenode/ipc/codec.py").open("a", encoding="utf-8") as codec:
        codec.write("\nimport asyncio\n")
    result = lint_imports(copy)
    assert result.returncode == 1
    assert "pilenode.ipc.codec -> asyncio" in result.stdout


def test_guard_loads_neither_database_nor_broker_nor_cli() -> None:
    """What third-party code drags in counts too: a guard that is ready to run has none of these in memory.

    rich is not in the list although a contract forbids guard to import it: structlog loads it where it is installed.
    """
    foreign = ("sqlite3", "sqlite_utils", "aiomqtt", "paho", "click", "pilenode.station", "pilenode.upstream")
    program = f"import sys, pilenode.guard.main; print(*(name for name in {foreign!r} if name in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert result.stdout.strip() == ""
