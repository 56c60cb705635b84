"""All probes of a 1-wire bus in one conversion, and everything that keeps them from it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from drivers.onewire import BULK_PAUSE_S, OneWire
from hil_rig.onewire import OneWireMaster
from hil_rig.probes import ProbeFault, contents
from safety.budget import BULK_LIMIT_S
from safety.reading import Missing, MissingReason, ProbeReading

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [f"28-00000000000{number}" for number in range(1, 5)]


class Tree:
    """A tree of plain files with one bus master, a clock that only waiting moves, and a kernel that does as told.

    ``states``: what ``therm_bulk_read`` says at each look after a trigger, the last one for ever.
    """

    def __init__(self, root: Path, names: list[str], states: tuple[str, ...] = ("1",), master: int = 1) -> None:
        self.root = root
        self.now_s = 1000.0
        self.triggers = 0
        self._states = states
        self._looks: list[str] = []
        self.master = root / f"w1_bus_master{master}"
        self.master.mkdir(parents=True)
        self.bulk = self.master / "therm_bulk_read"
        self.bulk.write_text("0\n")
        for name in names:
            device = self.master / name
            device.mkdir()
            (device / "ext_power").write_text("1\n")
            (device / "resolution").write_text("12\n")
            (root / name).symlink_to(device)
            self.warm(name, 25.0)

    def warm(self, name: str, celsius: float, fault: ProbeFault = ProbeFault.NONE) -> None:
        """Let a probe show this."""
        (self.master / name / "w1_slave").write_text(contents(celsius, fault))

    def wait(self, seconds: float) -> None:
        """Let time pass, and the kernel go on with what was written."""
        self.now_s += seconds
        if self.bulk.read_text() == "trigger\n":
            self.triggers += 1
            self._looks = list(self._states)
        if self._looks:
            self.bulk.write_text(self._looks[0] + "\n")
            self._looks = self._looks[1:] or self._looks

    def now(self) -> float:
        """Return the time."""
        return self.now_s

    def bus(self, names: list[str] = NAMES, **more: object) -> OneWire:
        """Return the driver, its numbers from 1."""
        return OneWire(str(self.root), dict(enumerate(names, 1)), wait=self.wait, **more)  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a bus with four probes at 25 °C that can convert together."""
    return Tree(tmp_path, NAMES, states=("-1", "-1", "1"))


def test_one_conversion_for_all_and_every_reading_as_old_as_its_trigger(tree: Tree) -> None:
    """Four probes cost one trigger; nobody's age is understated by the wait."""
    tree.warm(NAMES[2], 41.5)
    found = dict(tree.bus().round(tree.now))
    assert tree.triggers == 1
    assert found == {n: ProbeReading(1000.0, 41.5 if n == 3 else 25.0) for n in (1, 2, 3, 4)}
    assert tree.now_s == pytest.approx(1000.03)


def test_the_trigger_is_one_write_of_eight_bytes(tree: Tree) -> None:
    """The kernel ignores anything else without an error: the word comes with its line end, and nothing follows."""
    written = []
    wait = tree.wait

    def look(seconds: float) -> None:
        written.append(tree.bulk.read_bytes())
        wait(seconds)

    dict(OneWire(str(tree.root), dict(enumerate(NAMES, 1)), wait=look).round(tree.now))
    assert written[0] == b"trigger\n"


def test_several_masters_each_convert_once(tmp_path: Path) -> None:
    """A probe belongs to the master below which it stands; a master with one of ours is read without a trigger."""
    first, second, third = (
        Tree(tmp_path, names, master=n) for n, names in enumerate((NAMES[:2], NAMES[2:], ["28-0000000000aa"]), 1)
    )

    def wait(seconds: float) -> None:
        for one in (first, second, third):
            one.wait(seconds)

    bus = OneWire(str(tmp_path), dict(enumerate([*NAMES, "28-0000000000aa"], 1)), wait=wait)
    found = dict(bus.round(first.now))
    assert (first.triggers, second.triggers, third.triggers) == (1, 1, 0)
    assert all(isinstance(outcome, ProbeReading) for outcome in found.values())
    assert len(found) == 5


def one_by_one(tree: Tree, found: dict[int, ProbeReading | Missing]) -> bool:
    """Return whether all four were read, without a shared conversion."""
    return (
        tree.triggers == 0
        and [one.temperature_c for one in found.values() if isinstance(one, ProbeReading)] == [25.0] * 4
    )


def test_a_kernel_without_shared_conversions(tree: Tree) -> None:
    """Where the master has no such file the probes are read one by one, and nobody is told: nothing is wrong."""
    tree.bulk.unlink()
    bus = tree.bus()
    assert one_by_one(tree, dict(bus.round(tree.now)))
    assert not tree.bulk.exists()
    assert bus.news() == []


@pytest.mark.parametrize("weak", ["28-000000000003", "28-0000000000ee"])
def test_a_parasite_powered_probe_on_the_bus_is_not_asked_to_share(tree: Tree, weak: str) -> None:
    """It cannot convert while others do, whether it is one of ours or not."""
    (tree.master / weak).mkdir(exist_ok=True)
    (tree.master / weak / "ext_power").write_text("0\n")
    assert one_by_one(tree, dict(tree.bus().round(tree.now)))


def test_shared_conversions_can_be_switched_off(tree: Tree) -> None:
    """The configuration has the last word."""
    assert one_by_one(tree, dict(tree.bus(bulk=False).round(tree.now)))


def test_a_file_that_may_not_be_written(tree: Tree) -> None:
    """It belongs to root where no udev rule says otherwise: one by one, told once, tried again after ten minutes."""
    tree.bulk.unlink()
    tree.bulk.mkdir()  # refuses even root
    bus = tree.bus()
    assert one_by_one(tree, dict(bus.round(tree.now)))
    (told,) = bus.news()
    assert told.startswith("w1_bus_master1: no shared conversion (")
    tree.now_s += BULK_PAUSE_S - 0.1
    dict(bus.round(tree.now))
    assert bus.news() == []
    tree.now_s += 0.2
    dict(bus.round(tree.now))
    assert len(bus.news()) == 1


@pytest.mark.parametrize(("states", "lasts_s"), [(("0",), 0.01), (("-1",), BULK_LIMIT_S)])
def test_a_conversion_that_does_not_come(tmp_path: Path, states: tuple[str, ...], lasts_s: float) -> None:
    """Refused or stuck: given up within its limit, all probes are read in the same round, and as old as the trigger.

    A late result of that trigger is what they may show, so their readings carry its time.
    """
    tree = Tree(tmp_path, NAMES, states)
    bus = tree.bus()
    found = dict(bus.round(tree.now))
    assert found == dict.fromkeys((1, 2, 3, 4), ProbeReading(1000.0, 25.0))
    assert tree.now_s - 1000.0 == pytest.approx(lasts_s, abs=0.011)
    assert len(bus.news()) == 1
    dict(bus.round(tree.now))
    assert tree.triggers == 1


def test_one_failure_ends_shared_conversions_on_every_bus_for_a_while(tmp_path: Path) -> None:
    """The promise counts one failed conversion in a round, whatever the number of buses."""
    first, second = (Tree(tmp_path, names, ("0",), n) for n, names in enumerate((NAMES[:2], NAMES[2:]), 1))

    def wait(seconds: float) -> None:
        first.wait(seconds)
        second.wait(seconds)

    bus = OneWire(str(tmp_path), dict(enumerate(NAMES, 1)), wait=wait)
    found = dict(bus.round(first.now))
    assert (first.triggers, second.triggers) == (1, 0)
    assert len(found) == 4


def test_a_probe_that_falls_off_is_open_and_the_others_go_on(tree: Tree) -> None:
    """Its number still gets an outcome in every round."""
    bus = tree.bus()
    dict(bus.round(tree.now))
    for file in (tree.master / NAMES[1]).iterdir():
        file.unlink()
    (tree.master / NAMES[1]).rmdir()
    (tree.root / NAMES[1]).unlink()
    found = dict(bus.round(tree.now))
    lost = found[2]
    assert isinstance(lost, Missing)
    assert lost.reason is MissingReason.PROBE_OPEN
    assert 1000.0 < lost.since_s < 1000.1
    assert sum(isinstance(one, ProbeReading) for one in found.values()) == 3


def test_the_power_on_value_is_no_heat_in_a_shared_conversion_either(tree: Tree) -> None:
    """A chip that lost its supply while all converted at once shows 85.000 °C."""
    tree.warm(NAMES[0], 85.0)
    assert dict(tree.bus().round(tree.now))[1] == Missing(MissingReason.PROBE_RESET, 1000.0)


@pytest.mark.parametrize("bulk", [True, False])
def test_the_resolution_is_set_before_the_first_conversion_and_after_every_failure(tree: Tree, *, bulk: bool) -> None:
    """A chip that lost its supply has forgotten it."""
    file = tree.master / NAMES[0] / "resolution"
    bus = tree.bus(bulk=bulk, resolution_bits=10)
    dict(bus.round(tree.now))
    assert file.read_text().startswith("10\n")
    file.write_text("12\n")
    dict(bus.round(tree.now))
    assert file.read_text() == "12\n"
    tree.warm(NAMES[0], 85.0)
    dict(bus.round(tree.now))
    dict(bus.round(tree.now))
    assert file.read_text().startswith("10\n")


def test_the_resolution_stands_before_a_shared_conversion(tree: Tree) -> None:
    """Every probe of the bus has it when all are told to convert, not only when it is read."""
    seen = []

    def look(seconds: float) -> None:
        seen.append({(tree.master / name / "resolution").read_text()[:3] for name in NAMES})
        tree.wait(seconds)

    dict(OneWire(str(tree.root), dict(enumerate(NAMES, 1)), resolution_bits=10, wait=look).round(tree.now))
    assert seen[0] == {"10\n"}


def test_a_resolution_that_cannot_be_set_is_told_and_costs_no_reading(tree: Tree) -> None:
    """An older kernel has no such file."""
    (tree.master / NAMES[0] / "resolution").unlink()
    bus = tree.bus(resolution_bits=9)
    assert dict(bus.round(tree.now))[1] == ProbeReading(1000.0, 25.0)
    assert [sentence.split(":")[0] for sentence in bus.news()] == [f"resolution of {NAMES[0]} not set"]
    assert not (tree.master / NAMES[0] / "resolution").exists()
    assert bus.news() == []


def test_the_chips_resolution_is_left_alone_by_default(tree: Tree) -> None:
    """Nothing is written that nobody asked for."""
    dict(tree.bus().round(tree.now))
    assert {(tree.master / name / "resolution").read_text() for name in NAMES} == {"12\n"}


# -- with the time that conversions take ---------------------------------------------------------------------------


@pytest.mark.parametrize(("parasite", "conversions"), [(False, 1), (True, 4)])
def test_a_round_takes_one_conversion_where_they_can_be_shared(
    tmp_path: Path, *, parasite: bool, conversions: int
) -> None:
    """Four probes in the time of one, or in four times that; the temperatures are the probes' own."""
    celsius = {name: 20.0 + number for number, name in enumerate(NAMES, 1)}
    bus = OneWire(str(tmp_path), dict(enumerate(NAMES, 1)))
    with OneWireMaster(tmp_path, 1, celsius, conversion_s=0.15, parasite=parasite) as master:
        began_s = time.monotonic()
        found = dict(bus.round(time.monotonic))
        took_s = time.monotonic() - began_s
        assert master.conversions == conversions
    assert {n: one.temperature_c for n, one in found.items() if isinstance(one, ProbeReading)} == {
        1: 21.0,
        2: 22.0,
        3: 23.0,
        4: 24.0,
    }
    assert conversions * 0.15 <= took_s < conversions * 0.15 + 0.14
