"""The simulated 1-wire bus keeps the kernel's rules, above all the one that makes readings old."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from hil_rig.onewire import OneWireMaster

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("28-000000000001", "28-000000000002")


def shown(root: Path, name: str) -> float:
    """Read a probe as any program would and return °C."""
    return int((root / name / "w1_slave").read_text().rpartition("t=")[2]) / 1000


def trigger(root: Path, words: bytes) -> None:
    """Write to the master and wait until it has looked."""
    (root / "w1_bus_master1" / "therm_bulk_read").write_bytes(words)
    time.sleep(0.02)


def settled(root: Path) -> str:
    """Return what the master says when no conversion is under way any more."""
    file = root / "w1_bus_master1" / "therm_bulk_read"
    while (state := file.read_text()) == "-1\n":
        time.sleep(0.005)
    return state


def test_a_lone_reading_converts_and_takes_its_time(tmp_path: Path) -> None:
    """Each reading blocks for a conversion of its own and shows the present."""
    with OneWireMaster(tmp_path, 1, dict.fromkeys(NAMES, 20.0), conversion_s=0.05) as master:
        began_s = time.monotonic()
        assert [shown(tmp_path, NAMES[0]), shown(tmp_path, NAMES[0])] == [20.0, 20.0]
        assert time.monotonic() - began_s >= 0.1
        master.celsius[NAMES[0]] = 30.0
        assert shown(tmp_path, NAMES[0]) == 30.0
        assert master.conversions == 3


def test_a_shared_conversion_waits_for_each_reader_however_long(tmp_path: Path) -> None:
    """What was converted together is shown once, old as it may be; the next reading is new."""
    with OneWireMaster(tmp_path, 1, dict.fromkeys(NAMES, 20.0), conversion_s=0.05) as master:
        trigger(tmp_path, b"trigger\n")
        assert settled(tmp_path) == "1\n"
        master.celsius = dict.fromkeys(NAMES, 60.0)
        assert [shown(tmp_path, name) for name in NAMES] == [20.0, 20.0]
        assert settled(tmp_path) == "0\n"
        assert shown(tmp_path, NAMES[0]) == 60.0


@pytest.mark.parametrize(("words", "refuses"), [(b"trigger", False), (b"convert\n", False), (b"trigger\n", True)])
def test_other_words_convert_nothing(tmp_path: Path, words: bytes, *, refuses: bool) -> None:
    """Seven bytes are no trigger, as in the kernel; a bus that refuses says 0."""
    with OneWireMaster(tmp_path, 1, dict.fromkeys(NAMES, 20.0), conversion_s=0.05) as master:
        master.refuses = refuses
        trigger(tmp_path, words)
        assert settled(tmp_path) == "0\n"
        assert master.triggers == 0
