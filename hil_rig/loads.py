"""What hangs on a socket, as the meter of that socket sees it. Pure: a load is asked what it draws at a time.

The time of a load is ``powered_s``: seconds during which the socket had power since the load was plugged in. It
stands still while there is no power, so a load goes on where it was, as a battery does. ``speed`` lets the inside of
a load run faster than life: at 60 a minute of charging, and its energy, passes in a second.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Draw:
    """What one socket takes. ``voltage_v`` and ``celsius`` are None where the load does not decide them."""

    power_w: float = 0.0
    current_a: float = 0.0
    power_factor: float = 0.0
    voltage_v: float | None = None
    celsius: float | None = None


NOTHING = Draw()


class Load(Protocol):
    """Something that can be plugged in."""

    def draw(self, powered_s: float, supply_v: float) -> Draw:
        """Return what is drawn at ``powered_s`` from a supply of ``supply_v`` volts (above 0)."""

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Return the energy taken between two values of ``powered_s``, Wh."""

    def next_change_s(self, powered_s: float) -> float:
        """Return the next ``powered_s`` at which the draw jumps, infinite when it never does."""


class Curve(Protocol):
    """A recorded session: columns of one length, ``t_s`` rising. Units are in the names."""

    @property
    def t_s(self) -> Sequence[float]:
        """Seconds since the start."""

    @property
    def volts(self) -> Sequence[float]:
        """Volts."""

    @property
    def amps(self) -> Sequence[float]:
        """Amperes."""

    @property
    def watts(self) -> Sequence[float]:
        """Watts."""

    @property
    def wh(self) -> Sequence[float]:
        """The meter's counter, Wh."""

    @property
    def pf(self) -> Sequence[float]:
        """Power factor."""

    @property
    def celsius(self) -> Sequence[float]:
        """Temperature at the socket, °C."""


@dataclass(frozen=True, slots=True)
class Step:
    """From ``at_s`` (powered seconds) on: ``power_w`` at ``power_factor`` (above 0, up to 1)."""

    at_s: float
    power_w: float
    power_factor: float = 0.98


@dataclass(frozen=True, slots=True)
class Steps:
    """A script: constant powers, one after the other; nothing before the first step.

    Raises ValueError when there is no step or their times do not rise.
    """

    steps: tuple[Step, ...]
    speed: float = 1.0

    def __post_init__(self) -> None:
        times = [step.at_s for step in self.steps]
        if not times or times != sorted(set(times)):
            raise ValueError(f"steps must exist and their times must rise: {times}")

    def draw(self, powered_s: float, supply_v: float) -> Draw:
        """Return the draw of the step that holds at ``powered_s``."""
        step = self._step(powered_s)
        if step is None or step.power_w == 0:
            return NOTHING
        return Draw(step.power_w, step.power_w / (supply_v * step.power_factor), step.power_factor)

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Return the energy between two times, which must lie within one step."""
        step = self._step(from_s)
        return step.power_w * (to_s - from_s) * self.speed / _SECONDS_PER_HOUR if step else 0.0

    def next_change_s(self, powered_s: float) -> float:
        """Return when the next step begins."""
        return min((step.at_s for step in self.steps if step.at_s > powered_s), default=math.inf)

    def _step(self, powered_s: float) -> Step | None:
        return max((step for step in self.steps if step.at_s <= powered_s), key=lambda step: step.at_s, default=None)


def constant(power_w: float, power_factor: float = 0.98, *, speed: float = 1.0) -> Steps:
    """Return a load that always draws ``power_w``."""
    return Steps((Step(0.0, power_w, power_factor),), speed)


@dataclass(frozen=True, slots=True)
class Replay:
    """A curve, replayed at ``speed`` from ``start_s`` of the curve; after its end its last sample stands.

    Between samples values are interpolated. The curve brings its own mains voltage, of the cabinet's supply only
    presence counts; a gap of the curve's mains therefore shows at the meter. Energy is that of the curve's counter.
    """

    curve: Curve
    speed: float = 1.0
    start_s: float = 0.0

    def draw(self, powered_s: float, supply_v: float) -> Draw:  # noqa: ARG002 - the curve has its own mains
        """Return the curve's values."""
        position = self.position_s(powered_s)
        volts, amps, watts, factor, celsius = (
            self._at(position, column)
            for column in (self.curve.volts, self.curve.amps, self.curve.watts, self.curve.pf, self.curve.celsius)
        )
        return Draw(watts, amps, factor, volts, celsius)

    def energy_wh(self, from_s: float, to_s: float) -> float:
        """Return what the curve's counter gains, and past its end what the last power makes."""
        first, last = self.position_s(from_s), self.position_s(to_s)
        end = self.curve.t_s[-1]
        beyond_s = max(last, end) - max(first, end)
        gained = self._at(last, self.curve.wh) - self._at(first, self.curve.wh)
        return max(0.0, gained) + self.curve.watts[-1] * beyond_s / _SECONDS_PER_HOUR

    def next_change_s(self, powered_s: float) -> float:  # noqa: ARG002 - a curve is interpolated, it does not jump
        """Return infinity."""
        return math.inf

    def position_s(self, powered_s: float) -> float:
        """Return the place in the curve, in its own seconds."""
        return self.start_s + powered_s * self.speed

    def _at(self, position_s: float, column: Sequence[float]) -> float:
        times = self.curve.t_s
        after = bisect_right(times, position_s)
        if after == 0:
            return column[0]
        if after == len(times):
            return column[-1]
        share = (position_s - times[after - 1]) / (times[after] - times[after - 1])
        return column[after - 1] + share * (column[after] - column[after - 1])
