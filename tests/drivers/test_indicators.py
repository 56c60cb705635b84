"""Lights and buzzer on GPIO lines: they show, and when they fail nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from drivers.gpio import GpioIndicators, GpioRelays, OutputSpec
from hil_rig.pins import RigFactory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.contracts import Indicators

STATUS, FAULT, BUZZER = ("status", 1), ("fault", 1), ("buzzer", 0)
SPECS = {
    STATUS: OutputSpec(12, active_high=True),
    FAULT: OutputSpec(13, active_high=False),
    BUZZER: OutputSpec(18, active_high=True),
}


class Breakable(MockPin):  # type: ignore[misc] # gpiozero has no types
    """A pin that can break, and counts how often it is driven."""

    broken = False
    driven = 0

    def _set_state(self, value: float) -> None:
        self.driven += 1
        if self.broken:
            raise OSError("line is gone")
        super()._set_state(value)


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    """Return simulated pins that can break."""
    with MockFactory(pin_class=Breakable) as made:
        yield made


def levels(factory: MockFactory) -> list[int]:
    """Return the electrical levels of the three lines."""
    return [int(factory.pin(pin).state) for pin in (12, 13, 18)]


def test_all_are_dark_after_opening_and_follow_their_polarity(factory: MockFactory) -> None:
    """On is the active level of each, off the other; closing ends dark, as outputs."""
    lights = GpioIndicators(factory, SPECS)
    assert levels(factory) == [0, 1, 0]
    for name in SPECS:
        lights.show(name, lit=True)
    assert levels(factory) == [1, 0, 1]
    lights.dark()
    assert levels(factory) == [0, 1, 0]
    lights.show(STATUS, lit=True)
    lights.close()
    assert levels(factory) == [0, 1, 0]
    assert [factory.pin(pin).function for pin in (12, 13, 18)] == ["output"] * 3
    assert (lights.failures, lights.news()) == (0, [])


def test_no_light_blinks_while_its_line_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The off level is part of the claim, as with relays."""
    monkeypatch.setenv("HIL_RIG_PINS", str(tmp_path / "pins"))
    with RigFactory() as factory:
        GpioIndicators(factory, SPECS).close()
    assert [line.split()[1:] for line in (tmp_path / "pins").read_text().splitlines()] == [
        ["12", "0"],
        ["13", "1"],
        ["18", "0"],
    ]


def test_the_same_again_writes_nothing(factory: MockFactory) -> None:
    """Twenty looks a second are not twenty writes."""
    lights = GpioIndicators(factory, SPECS)
    pin = factory.pin(12)
    before = pin.driven
    for _ in range(5):
        lights.show(STATUS, lit=True)
    assert pin.driven == before + 1


def test_a_line_that_cannot_be_claimed_is_left_out_and_told(factory: MockFactory) -> None:
    """A light on a relay's line takes nothing from the relay, and the other lights work."""
    relays = GpioRelays(factory, {1: OutputSpec(12, active_high=True)}, None, None)
    lights = GpioIndicators(factory, SPECS)
    assert lights.names() == {FAULT, BUZZER}
    assert lights.failures == 1
    (told,) = lights.news()
    assert told.startswith("GPIO 12 (status of port 1) cannot be an output")
    lights.show(STATUS, lit=True)
    lights.show(BUZZER, lit=True)
    assert levels(factory) == [0, 1, 1]
    relays.switch(1, closed=True)
    assert levels(factory)[0] == 1
    relays.close()


def test_a_line_that_breaks_is_counted_told_once_and_tried_again(factory: MockFactory) -> None:
    """Nothing is raised; the other lights go on; a repaired line shows again and may be told again."""
    lights = GpioIndicators(factory, SPECS)
    factory.pin(12).broken = True
    for lit in (True, False, True):
        lights.show(STATUS, lit=lit)
        lights.show(FAULT, lit=lit)
    assert lights.failures == 3
    assert lights.news() == ["status of port 1 cannot be driven: line is gone"]
    assert lights.news() == []
    assert levels(factory)[1] == 0
    factory.pin(12).broken = False
    lights.show(STATUS, lit=False)
    lights.show(STATUS, lit=True)
    assert levels(factory)[0] == 1
    factory.pin(12).broken = True
    lights.show(STATUS, lit=False)
    assert len(lights.news()) == 1
    lights.dark()


def test_the_end_is_dark_whatever_is_thought_to_be(factory: MockFactory) -> None:
    """A line that could not be driven to off and works again is driven once more."""
    lights = GpioIndicators(factory, SPECS)
    lights.show(STATUS, lit=True)
    factory.pin(12).broken = True
    lights.show(STATUS, lit=False)
    factory.pin(12).broken = False
    lights.dark()
    assert levels(factory) == [0, 1, 0]


def test_it_is_what_the_contract_promises(factory: MockFactory) -> None:
    """What the thread of the lights calls exists under the contract's names (the type checker compares)."""
    lights: Indicators = GpioIndicators(factory, SPECS)
    assert lights.names() == SPECS.keys()
