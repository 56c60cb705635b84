"""Simulated charging sessions with their true answers, and the shipped completion rules as a detector for them."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safety.completion import CompletionLimits, CompletionState, Sample, advance, begin
from safety.limits import PortLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = Path(__file__).parent
#: A code of the catalogue whose word in the vocabulary of the labels is another one.
_LABEL_WORDS = {"no_charger": "no_load"}


@dataclass(frozen=True, slots=True)
class Curve:
    """One session as a meter saw it, column by column; seconds, V, A, W, Wh, power factor, °C at the socket."""

    t_s: tuple[float, ...]
    volts: tuple[float, ...]
    amps: tuple[float, ...]
    watts: tuple[float, ...]
    wh: tuple[float, ...]
    pf: tuple[float, ...]
    celsius: tuple[float, ...]


def labels(directory: Path = DIRECTORY) -> Mapping[str, Mapping[str, Any]]:
    """Return the truth of every curve in ``directory`` by name; the keys are explained in this folder's README."""
    read: dict[str, dict[str, Any]] = json.loads((directory / "labels.json").read_text())
    return read


def names(directory: Path = DIRECTORY) -> tuple[str, ...]:
    """Return the names of all curves in ``directory``, sorted."""
    return tuple(sorted(labels(directory)))


@cache
def load(name: str, directory: Path = DIRECTORY) -> Curve:
    """Return a curve. Raises FileNotFoundError for an unknown name, ValueError for a file that is not one."""
    with gzip.open(directory / f"{name}.csv.gz", "rt", newline="") as file:
        reader = csv.reader(file)
        if next(reader) != ["t_s", "volts", "amps", "watts", "wh", "pf", "celsius"]:
            raise ValueError(f"{name}: unknown columns")
        return Curve(*(tuple(map(float, column)) for column in zip(*reader, strict=True)))


class FullDetector:
    """The shipped rules for one session, in the form that scoring programs call.

    Over-power and over-temperature belong to the protective rules; here they stand in with the same defaults, so
    that a curve with a kettle on the socket is judged as the product would.
    """

    def __init__(self, limits: CompletionLimits | None = None, port: PortLimits | None = None) -> None:
        self._limits = limits or CompletionLimits()
        self._port = port or PortLimits()
        self._state: CompletionState | None = None
        self._fast = 0
        self._over_since_s: float | None = None
        self._hot_since_s: float | None = None

    def update(self, t_s: float, volts: float, amps: float, watts: float, celsius: float) -> str | None:
        """Judge one reading; return ``reason: detail`` when the port would be cut, else None."""
        hazard = self._hazard(t_s, watts, celsius)
        if hazard is not None:
            return hazard
        state = begin(t_s) if self._state is None else self._state
        self._state, verdict = advance(state, Sample(t_s, volts, amps, watts, None, celsius), self._limits)
        if verdict is None:
            return None
        return f"{_LABEL_WORDS.get(verdict.reason, verdict.reason)}: {verdict.detail}"

    def _hazard(self, t_s: float, watts: float, celsius: float) -> str | None:
        port = self._port
        self._fast = self._fast + 1 if watts > port.over_current_fast_ratio * port.power_limit_w else 0
        self._over_since_s = _since(self._over_since_s, t_s, watts > port.over_current_slow_ratio * port.power_limit_w)
        self._hot_since_s = _since(self._hot_since_s, t_s, celsius >= port.temperature_trip_c)
        slow = self._over_since_s is not None and t_s - self._over_since_s >= port.over_current_slow_s
        if self._fast >= port.fast_samples or slow:
            return f"overload: {watts:.0f} W on a port for {port.power_limit_w:.0f} W"
        if self._hot_since_s is not None and t_s - self._hot_since_s >= port.temperature_trip_s:
            return f"over_temperature: {celsius:.0f} °C"
        return None


def _since(since_s: float | None, t_s: float, holds: bool) -> float | None:  # noqa: FBT001 - the fact itself
    if not holds:
        return None
    return t_s if since_s is None else since_s


def full_detector() -> FullDetector:
    """Return a detector with the shipped defaults, for one session."""
    return FullDetector()
