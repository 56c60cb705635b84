"""Threads that read probes: rounds are posted as they come, and modules take slow turns among meters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.load import load_text
from drivers.gpio import pin_factory
from hil_rig.converter import thermistor_code, write_codes
from hil_rig.probes import Probes
from pilenode import clock
from pilenode.guard import assemble
from pilenode.guard.board import CABINET, Board
from pilenode.guard.module_turns import ModuleBusWorker, ModuleTurn
from pilenode.guard.schedule import FIRST_PAUSE_S, PATIENCE
from pilenode.guard.workers import FittedMeter, ProbeWorker
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WARM = ProbeReading(1.0, 25.0)


class Rounds:
    """Probes that are read in a fixed order; ``between`` is called before each."""

    def __init__(self, between: Callable[[int], None] = lambda _: None) -> None:
        self._between = between

    def round(self, now: Callable[[], float]) -> Iterator[tuple[int, ProbeReading | Missing]]:
        """Yield ports 1 and 2."""
        assert now() > 0
        for port in (1, 2):
            self._between(port)
            yield port, WARM

    def news(self) -> list[str]:
        """Say something."""
        return ["a word"]


def test_a_reading_is_there_as_soon_as_it_is_read() -> None:
    """A probe that hangs does not hold back those read before it; news go to the log; a stop ends the round."""
    board = Board([1, 2], [1, 2], 0.0)
    told: list[object] = []
    seen: list[bool] = []
    rounds = Rounds(lambda port: seen.append(port == 2 and board.inputs()[1].probe == WARM))
    worker = ProbeWorker("x", board, rounds, 0.0, lambda event, **fields: told.append((event, fields)))
    worker._work()
    assert seen == [False, True]
    assert told == [("probes", {"news": "a word"})]
    worker.stop()
    fresh = Board([1, 2], [1, 2], 0.0)
    worker = ProbeWorker("x", fresh, Rounds(), 0.0, lambda *_, **__: None)
    worker.stop()
    worker._work()
    assert fresh.inputs()[1].probe == WARM
    assert isinstance(fresh.inputs()[2].probe, Missing)


# -- modules -------------------------------------------------------------------------------------------------------


class Log:
    """Who was polled, in order, and what the module says."""

    def __init__(self) -> None:
        self.polled: list[object] = []
        self.good = True


class FakeMeter:
    """A meter that notes its polls."""

    def __init__(self, log: Log, name: int) -> None:
        self._log, self._name = log, name

    def poll(self, now: Callable[[], float], *, slow: bool) -> dict[int, MeterReading | Missing]:
        """Note."""
        assert slow in (True, False)
        self._log.polled.append(self._name)
        return {1: MeterReading(now(), 220.0, 0.1, 20.0)}


class FakeModule:
    """A module that notes its polls."""

    def __init__(self, log: Log, name: str = "module") -> None:
        self._log, self._name = log, name

    def poll(self, now: Callable[[], float]) -> dict[int, ProbeReading | Missing]:
        """Note."""
        self._log.polled.append(self._name)
        return {3: ProbeReading(now(), 31.0) if self._log.good else Missing(MissingReason.TIMEOUT, now())}


@pytest.fixture
def time_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stand in for guard's clock: the one element is the time."""
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])
    return now


def worker(log: Log, ports: int, *modules: ModuleTurn) -> ModuleBusWorker:
    """Return the worker of a bus with so many meters."""
    board = Board(range(1, max(ports, 1) + 1), [1], 0.0)
    meters = [FittedMeter(FakeMeter(log, port), {1: port}) for port in range(1, ports + 1)]
    limits = {port: PortLimits() for port in range(1, ports + 1)}
    return ModuleBusWorker("main", board, meters, limits, modules)


def turn(log: Log, interval_s: float = 0.0, name: str = "module") -> ModuleTurn:
    """Return the turn of a module whose input 3 is the probe of port 1."""
    return ModuleTurn(FakeModule(log, name), {3: 1}, interval_s)  # type: ignore[arg-type] # a stand-in


def test_every_meter_has_its_turn_between_two_of_modules(time_s: list[float]) -> None:
    """Also when modules are always due, and however many there are: the promise counts one turn of each in a round."""
    log = Log()
    made = worker(log, 3, turn(log, name="a"), turn(log, name="b"))
    for _ in range(12):
        time_s[0] += 0.1
        made._work()
    assert log.polled == ["a", 1, 2, 3, "b", 1, 2, 3, "a", 1, 2, 3]


def test_a_module_is_read_no_more_often_than_its_interval(time_s: list[float]) -> None:
    """What it says goes to the port of the input."""
    log = Log()
    made = worker(log, 2, turn(log, interval_s=2.0))
    for _ in range(44):
        made._work()
        time_s[0] += 0.1
    assert log.polled.count("module") == 3
    assert log.polled.count(1) == pytest.approx(log.polled.count(2), abs=1)
    probe = made._board.inputs()[1].probe
    assert isinstance(probe, ProbeReading)
    assert (probe.temperature_c, round(probe.taken_s)) == (31.0, 104)


def test_a_bus_of_modules_alone_reads_them(time_s: list[float]) -> None:
    """No meters, no waiting for them."""
    log = Log()
    made = worker(log, 0, turn(log, interval_s=0.0))
    for _ in range(3):
        time_s[0] += 0.1
        made._work()
    assert log.polled == ["module"] * 3


def test_a_dead_module_is_tried_less_and_less_often_and_never_given_up(time_s: list[float]) -> None:
    """Two failures are noise; from the third on it waits; a good answer ends that."""
    log = Log()
    log.good = False
    module = turn(log)
    made = worker(log, 1, module)
    for _ in range(2 * PATIENCE):
        time_s[0] += 0.01
        made._work()
    assert (module.failures, log.polled.count("module")) == (PATIENCE, PATIENCE)
    tried_s = module.tried_s or 0.0
    assert not module.due(tried_s + FIRST_PAUSE_S - 0.01)
    assert module.due(tried_s + FIRST_PAUSE_S)
    assert module.due(tried_s + 5.0)
    log.good = True
    module.take(made._board, tried_s + 5.0)
    assert module.failures == 0


# -- from the configuration to readings ------------------------------------------------------------------------------

CABINET_TOML = """
[node]
id = "n1"
[gpio]
factory = "hil_rig.pins:RigFactory"
[onewire]
root = "{root}/w1"
[[bus]]
name = "main"
device = "{root}/tty"
[[port]]
number = 1
meter = {{ model = "pzem004t-v3", unit = 1, bus = "main" }}
relay = {{ pin = 5 }}
probe = {{ id = "28-000000000001" }}
[[port]]
number = 2
meter = {{ model = "pzem004t-v3", unit = 2, bus = "main" }}
relay = {{ pin = 6 }}
probe = {{ adc = "a", channel = 2 }}
[[port]]
number = 3
meter = {{ model = "pzem004t-v3", unit = 3, bus = "main" }}
relay = {{ pin = 13 }}
probe = {{ module = "m", channel = 4 }}
[[port]]
number = 4
meter = {{ model = "pzem004t-v3", unit = 4, bus = "main" }}
relay = {{ pin = 19 }}
[cabinet.probe]
module = "m"
channel = 1
[[adc]]
name = "a"
ntc_to = "supply"
[[adc]]
name = "unused"
select_pin = 7
[[probe_module]]
name = "m"
bus = "main"
unit = 9
"""


def test_each_probe_is_read_over_the_wire_that_the_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One source per wire with exactly its ports; a converter without probes is not opened."""
    monkeypatch.setenv("HIL_RIG_PINS", str(tmp_path / "pins"))
    config = load_text(CABINET_TOML.format(root=tmp_path))
    Probes(tmp_path / "w1").write("28-000000000001", 21.0)
    write_codes(tmp_path / "pins.codes", {(8, 2): thermistor_code(42.0, to_ground=False)})
    assert sorted(assemble.probed(config)) == [CABINET, 1, 2, 3]
    factory = pin_factory(config.gpio.factory)
    sources = assemble.probe_sources(config, factory)
    assert [(source.name, source.interval_s) for source in sources] == [("1-wire", 2.0), ("a", 1.0)]
    found = {port: one for source in sources for port, one in source.probes.round(clock.monotonic_s)}
    assert {port: round(one.temperature_c) for port, one in found.items() if isinstance(one, ProbeReading)} == {
        1: 21,
        2: 42,
    }
    (module,) = assemble.module_turns(config, "main", assemble.line(config.bus[0]))
    assert (module.ports, module.interval_s) == ({4: 3, 1: CABINET}, 2.0)
    assert assemble.module_turns(config, "other", assemble.line(config.bus[0])) == []
    factory.close()
