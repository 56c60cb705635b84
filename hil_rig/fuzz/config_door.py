"""The files that a technician, or somebody far away, writes: configuration, meter profiles, prices."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import config
from config.errors import ConfigError
from config.load import cabinet_limits, completion_limits, load, port_limits
from config.meter_files import check_meter
from config.tariff_file import load_schedule
from hil_rig.fuzz.cabinet import SMALL
from hil_rig.fuzz.doors import BrokenPromiseError
from hil_rig.fuzz.guard_bench import scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.errors import Problem

_HOME: Final = Path(config.__file__).parent
_TARIFF: Final = """
schedule = 3
timezone = "Asia/Shanghai"
[[tariff]]
version = "2026"
electricity_milli_yuan_per_kwh = 520
service_milli_yuan_per_kwh = 300
[[tariff]]
version = "2027"
valid_from = "2027-01-01 00:00"
valid_until = "2028-01-01 00:00"
period = [
  { from = "00:00", to = "08:00", electricity_milli_yuan_per_kwh = 310, service_milli_yuan_per_kwh = 300 },
  { from = "08:00", to = "24:00", electricity_milli_yuan_per_kwh = 580, service_milli_yuan_per_kwh = 300 },
]
[[tariff]]
version = "2028"
valid_from = "2028-01-01 00:00"
electricity_milli_yuan_per_kwh = 520
service_tier = [{ up_to_w = 200, milli_yuan_per_hour = 100 }, { up_to_w = 400, milli_yuan_per_hour = 200 }]
"""
_MORE: Final = """
[upstream]
url = "mqtts://broker.example:8883"
ca_file = "/etc/pilenode/ca.pem"
[[input]]
name = "smoke"
kind = "smoke"
pin = 23
[[port]]
number = 3
relay = { pin = 7, active = "low" }
meter = { bus = "main", unit = 3, model = "sdm120" }
current_limit_a = 6.0
"""


def samples() -> Sequence[bytes]:
    """Return good configurations, small and complete."""
    small = SMALL.format(node="n-1", guard="/run/g", data="/var/lib/p", control="/run/c")
    example = (_HOME / "example.toml").read_bytes()
    complete = b"\n".join(line for line in example.split(b"\n") if line and not line.startswith(b"#"))
    return (small.encode(), (small + _MORE).encode(), complete, example)


def meter_samples() -> Sequence[bytes]:
    """Return the shipped meter profiles."""
    return [(_HOME / "meters" / f"{name}.toml").read_bytes() for name in ("pzem004t-v3", "sdm120", "jsy-mk-194t")]


def tariff_samples() -> Sequence[bytes]:
    """Return a file of prices, and one that is no such file."""
    return (_TARIFF.encode(), samples()[0])


class _FileDoor:
    """One file, written anew for each input."""

    def __init__(self, name: str) -> None:
        self.closings = 0
        self._directory = scratch()
        self._file = self._directory / name

    def give(self, data: bytes) -> str:
        """Write ``data`` and have it read."""
        self._file.write_bytes(data)
        return self._judge(self._file, data.count(b"\n") + 1)

    def _judge(self, file: Path, lines: int) -> str:
        raise NotImplementedError

    def close(self) -> None:
        """Free everything."""
        shutil.rmtree(self._directory, ignore_errors=True)


def _told(problems: Sequence[Problem], lines: int) -> str:
    """Return the code of the first problem, after every one was found to be a sentence with a place."""
    for one in problems:
        if not (one.zh and one.en and one.remedy_zh and one.remedy_en):
            raise BrokenPromiseError(f"a problem without words: {one.code}")
        if one.line is not None and not 1 <= one.line <= lines:
            raise BrokenPromiseError(f"a problem on a line that is not there: {one.line} of {lines}")
        (one.zh + one.en + one.key).encode()
    return problems[0].code if problems else "taken"


class Door(_FileDoor):
    """The configuration: either every problem with its place, or limits that safety can be given."""

    def __init__(self) -> None:
        super().__init__("cabinet.toml")

    def _judge(self, file: Path, lines: int) -> str:
        try:
            made = load(file)
        except ConfigError as error:
            if not error.problems:
                raise BrokenPromiseError("refused without a problem") from error
            return _told([one for one in error.problems if one.file == str(file)], lines)
        for port in made.port:
            port_limits(made, port)
        cabinet_limits(made)
        completion_limits(made)
        return "taken"

    def well(self) -> None:
        """Read the example."""
        if self.give(samples()[3]) != "taken":
            raise BrokenPromiseError("a good file is refused")


class MeterDoor(_FileDoor):
    """A meter profile of the user's own."""

    def __init__(self) -> None:
        super().__init__("pzem-fuzz.toml")

    def give(self, data: bytes) -> str:
        """Write ``data`` under a name of the user's and have it read."""
        return super().give(data.replace(b'"pzem004t-v3"', b'"pzem-fuzz"', 1))

    def _judge(self, file: Path, lines: int) -> str:
        profile, problems = check_meter(file)
        if (profile is None) != bool(problems):
            raise BrokenPromiseError("neither a profile nor a problem")
        return _told(problems, lines)

    def well(self) -> None:
        """Read a shipped profile."""
        if self.give(meter_samples()[0]) != "taken":
            raise BrokenPromiseError("a good file is refused")


class TariffDoor(_FileDoor):
    """A file of prices."""

    def __init__(self) -> None:
        super().__init__("prices.toml")

    def _judge(self, file: Path, lines: int) -> str:
        schedule, problems = load_schedule(file)
        if (schedule is None) != bool(problems):
            raise BrokenPromiseError("neither prices nor a problem")
        return _told(problems, lines)

    def well(self) -> None:
        """Read a good one."""
        if self.give(tariff_samples()[0]) != "taken":
            raise BrokenPromiseError("a good file is refused")
