"""The files of the rig's pins: what any outside program may rely on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gpiozero import Button, InputDevice, OutputDevice
from gpiozero.exc import PinSetInput

from hil_rig.pins import RigFactory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DESCRIPTORS = Path("/proc/self/fd")
TOGGLE = """
from hil_rig.pins import RigFactory
from gpiozero import OutputDevice
device = OutputDevice(17, pin_factory=RigFactory())
while True:
    device.on()
    device.off()
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the pins file, for this process and its children."""
    pins = tmp_path / "pins"
    monkeypatch.setenv("HIL_RIG_PINS", str(pins))
    return pins


@pytest.fixture
def factory(path: Path) -> Iterator[RigFactory]:
    """Return a factory on a fresh set of files."""
    assert not path.exists()
    with RigFactory() as made:
        yield made


def changes(path: Path) -> list[tuple[int, int]]:
    """Return (pin, level) of every line."""
    return [(int(line.split()[1]), int(line.split()[2])) for line in path.read_text().splitlines()]


def send(path: Path, text: str) -> None:
    """Write to the inputs as a shell would: open, write, close."""
    with (path.parent / f"{path.name}.in").open("w") as fifo:
        fifo.write(text)


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether ``condition`` comes true within two seconds."""
    end_s = time.monotonic() + 2.0
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.002)
    return condition()


def test_without_the_variable_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rig without a place for its files is refused and names the variable."""
    monkeypatch.delenv("HIL_RIG_PINS", raising=False)
    with pytest.raises(RuntimeError, match="HIL_RIG_PINS"):
        RigFactory()


def test_each_change_of_an_output_is_one_line_and_nothing_else_is(factory: RigFactory, path: Path) -> None:
    """First drive, changes and only changes are written, with the electrical level."""
    high = OutputDevice(17, pin_factory=factory)
    low = OutputDevice(27, active_high=False, pin_factory=factory)
    high.on()
    high.on()
    low.on()
    low.off()
    high.off()
    assert changes(path) == [(17, 0), (27, 1), (17, 1), (27, 0), (27, 1), (17, 0)]


def test_lines_carry_the_monotonic_clock(factory: RigFactory, path: Path) -> None:
    """The first word is CLOCK_MONOTONIC in nanoseconds at the change."""
    before = time.monotonic_ns()
    OutputDevice(17, pin_factory=factory)
    (line,) = path.read_bytes().splitlines(keepends=True)
    assert line.endswith(b"\n")
    assert before <= int(line.split()[0]) <= time.monotonic_ns()


def test_a_line_that_becomes_an_output_carelessly_shows_its_blip(factory: RigFactory, path: Path) -> None:
    """As on a kernel, an output without a level is low first: a driver that forgets the level is found out."""
    pin = factory.pin(27)
    pin.function = "output"
    pin.state = True
    pin.function = "output"
    assert changes(path) == [(27, 0), (27, 1)]


def test_a_released_output_keeps_its_level(factory: RigFactory, path: Path) -> None:
    """Closing without switching off opens no relay here either."""
    OutputDevice(17, initial_value=True, pin_factory=factory).close()
    assert changes(path) == [(17, 1)]


def test_an_input_cannot_be_driven(factory: RigFactory, path: Path) -> None:
    """The rules of gpiozero's pins hold."""
    with pytest.raises(PinSetInput):
        factory.pin(17).state = True
    assert changes(path) == []


def test_the_file_is_appended_to(path: Path) -> None:
    """A second run adds to what the first one wrote."""
    for _ in range(2):
        with RigFactory() as factory:
            OutputDevice(17, pin_factory=factory)
    assert changes(path) == [(17, 0), (17, 0)]


@pytest.mark.parametrize(("pull_up", "level"), [(True, 0), (True, 1), (False, 0), (False, 1)])
def test_an_input_follows_the_fifo(factory: RigFactory, path: Path, *, pull_up: bool, level: int) -> None:
    """A line written after the claim moves the input, against or with its bias."""
    device = InputDevice(6, pull_up=pull_up, pin_factory=factory)
    assert device.pin.state == pull_up
    send(path, f"6 {1 - level}\n")
    assert eventually(lambda: device.pin.state == 1 - level)
    send(path, f"6 {level}\n")
    assert eventually(lambda: device.pin.state == level)
    assert changes(path) == []


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_set_before_the_claim_counts(factory: RigFactory, path: Path, level: int) -> None:
    """The outside need not wait for the program to claim its inputs."""
    send(path, f"6 {level}\n")
    assert eventually(lambda: factory.levels == {6: bool(level)})
    assert InputDevice(6, pull_up=not level, pin_factory=factory).pin.state == level


def test_a_level_waits_in_the_fifo_for_the_program(path: Path) -> None:
    """What an outside program wrote before the start is there at the first look."""
    os.mkfifo(f"{path}.in")
    outside = os.open(f"{path}.in", os.O_RDWR)
    os.write(outside, b"6 0\n")
    with RigFactory() as factory:
        assert InputDevice(6, pull_up=True, pin_factory=factory).pin.state == 0
    os.close(outside)


def test_contacts_stay_where_they_are_when_the_program_starts_again(path: Path) -> None:
    """A healthy loop is still healthy after a restart, without anybody writing again."""
    with RigFactory() as factory:
        send(path, "6 0\n13 1\n6 1\n6 0\n")
        assert eventually(lambda: factory.levels == {6: False, 13: True})
    with RigFactory() as factory:
        assert InputDevice(6, pull_up=True, pin_factory=factory).pin.state == 0
        assert InputDevice(13, pull_up=False, pin_factory=factory).pin.state == 1


def test_malformed_lines_are_ignored(factory: RigFactory, path: Path) -> None:
    """Garbage moves nothing and stops nothing; half lines are put together."""
    device = InputDevice(6, pull_up=True, pin_factory=factory)
    send(path, "\n6\n6 2\nsix 0\n6 0 0\n-6 0\n\x00\xff 1\n" + "9" * 9000 + "\n6.0 0\n6 ")
    send(path, "0\n")
    assert eventually(lambda: device.pin.state == 0)
    assert factory.levels == {6: False}


def test_a_line_for_an_output_changes_nothing(factory: RigFactory, path: Path) -> None:
    """The outside cannot drive against an output."""
    device = OutputDevice(17, pin_factory=factory)
    send(path, "17 1\n6 1\n")
    assert eventually(lambda: 6 in factory.levels)
    assert device.value == 0
    assert changes(path) == [(17, 0)]


def test_edges_reach_gpiozero(factory: RigFactory, path: Path) -> None:
    """Events of gpiozero work on these pins."""
    button = Button(6, pull_up=True, pin_factory=factory)
    pressed: list[bool] = []
    button.when_pressed = lambda: pressed.append(True)
    send(path, "6 0\n")
    assert eventually(lambda: pressed == [True])
    button.close()


def test_a_file_in_the_place_of_the_fifo_is_refused(path: Path) -> None:
    """Lines that would never arrive are an error at the start."""
    (path.parent / "pins.in").write_text("")
    with pytest.raises(RuntimeError, match="not a FIFO"):
        RigFactory()


def test_close_can_be_called_twice_and_releases_the_files(path: Path) -> None:
    """The factory leaves no thread and no open file behind."""
    before = len(list(DESCRIPTORS.iterdir()))
    factory = RigFactory()
    OutputDevice(17, pin_factory=factory)
    factory.close()
    factory.close()
    assert path.exists()
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_every_line_survives_sigkill(path: Path) -> None:
    """What a killed program did to its outputs is all there, whole and in order."""
    child = subprocess.Popen(
        [sys.executable, "-c", TOGGLE],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert eventually(lambda: path.exists() and path.stat().st_size > 20_000)
    child.kill()
    child.wait()
    assert path.read_bytes().endswith(b"\n")
    assert changes(path) == [(17, index % 2) for index in range(len(changes(path)))]
    times = [int(line.split()[0]) for line in path.read_text().splitlines()]
    assert times == sorted(times)
