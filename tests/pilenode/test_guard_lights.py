"""The thread of the lights: shows the tick's state, and keeps its trouble to itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import safety
from pilenode.guard.indicators import Heard
from pilenode.guard.lights import Lights
from safety.limits import PortLimits
from safety.state import Settings, State

if TYPE_CHECKING:
    from collections.abc import Callable

STATE = safety.initial(Settings({1: PortLimits(), 2: PortLimits()}), {2: "over_current"})
ALL = frozenset({("status", 1), ("fault", 1), ("status", 2), ("cabinet", 0), ("buzzer", 0)})


class Panel:
    """Lights that remember what they were told."""

    def __init__(self) -> None:
        self.lit: dict[tuple[str, int], bool] = {}
        self.seen: list[tuple[str, int]] = []
        self.failed: list[str] = []
        self.darks = 0

    def names(self) -> frozenset[tuple[str, int]]:
        """Return all lights."""
        return ALL

    def show(self, name: tuple[str, int], *, lit: bool) -> None:
        """Remember."""
        self.seen.append(name)
        self.lit[name] = lit

    def dark(self) -> None:
        """Remember."""
        self.darks += 1
        self.lit = dict.fromkeys(self.lit, False)

    def news(self) -> list[str]:
        """Hand out."""
        told, self.failed = self.failed, []
        return told


def broken() -> State:
    """Fail as a bug would."""
    raise RuntimeError("bug")


def lights(
    panel: Panel, told: list[object], state: Callable[[], State] = lambda: STATE, *, silent: bool = False
) -> Lights:
    """Return the thread, not started."""
    return Lights(panel, state, lambda event, **fields: told.append((event, fields)), silent=silent)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (
            30.00,
            {("status", 1): True, ("fault", 1): False, ("status", 2): True, ("cabinet", 0): True, ("buzzer", 0): False},
        ),
        (
            32.95,
            {
                ("status", 1): False,
                ("fault", 1): False,
                ("status", 2): False,
                ("cabinet", 0): True,
                ("buzzer", 0): False,
            },
        ),
    ],
)
def test_one_look_brings_every_light_to_the_present(now: float, expected: dict[tuple[str, int], bool]) -> None:
    """Port 1 is ready and winks; port 2 is latched and has one light alone, which blinks; somebody should look."""
    panel = Panel()
    lights(panel, []).show(Heard(), now)
    assert panel.lit == expected


def test_a_silent_buzzer_is_never_touched() -> None:
    """Silenced by the configuration, whatever happens."""
    panel = Panel()
    lights(panel, [], silent=True).show(Heard(frozenset()), 100.0)
    assert set(panel.seen) == ALL - {("buzzer", 0)}


def test_a_light_that_fails_is_told_once() -> None:
    """The sentence of the driver goes to the log."""
    panel, told = Panel(), list[object]()
    panel.failed = ["status of port 1 cannot be driven: line is gone"]
    shower = lights(panel, told)
    shower.show(Heard(), 0.0)
    shower.show(Heard(), 0.05)
    assert told == [("light failed", {"error": "status of port 1 cannot be driven: line is gone"})]


def test_a_bug_in_what_only_shows_ends_in_the_dark_and_nowhere_else() -> None:
    """The thread says so and ends; no exception leaves it."""
    panel, told = Panel(), list[object]()
    thread = lights(panel, told, broken)
    thread.start()
    thread.join(5.0)
    assert not thread.is_alive()
    assert told == [("lights out", {"error": "RuntimeError: bug"})]
    assert panel.darks == 1


def test_it_runs_until_it_is_told_to_stop_and_ends_dark() -> None:
    """Dark means: not in service."""
    panel = Panel()
    thread = lights(panel, [])
    thread.start()
    end_s = time.monotonic() + 5.0
    while panel.seen.count(("status", 1)) < 3 and time.monotonic() < end_s:
        time.sleep(0.01)
    thread.stop()
    thread.join(5.0)
    assert panel.seen.count(("status", 1)) >= 3
    assert not any(panel.lit.values())
