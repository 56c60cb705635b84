"""Simulated charging sessions with their true answers, and the shipped completion rules as a detector for them."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safety import heat, overload
from safety.completion import CompletionLimits, CompletionState, Sample, advance, begin
from safety.limits import PortLimits
from safety.reading import MeterReading, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = Path(__file__).parent
#: A code of the catalogue whose word in the vocabulary of the labels is another one.
_LABEL_WORDS = {"no_charger": "no_load"}
#: Hazards that cut, in the vocabulary of the labels.
_HAZARD_WORDS = {"over_current": "overload", "over_power": "overload", "over_temperature": "over_temperature"}


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
        # equal readings share one float object: forty curves would take 180 MB, this way a fifth of that
        shared: dict[str, float] = {}
        rows = ([shared.setdefault(text, float(text)) for text in row] for row in reader)
        return Curve(*zip(*rows, strict=True))


class FullDetector:
    """The shipped rules for one session, in the form that scoring programs call.

    Protective rules come first, as in the engine: ``port`` are the limits of the socket. The labels were made for a
    port of 1000 W and give no limit of the current, so it is that of the socket itself, 10 A. ``state``: go on with
    the memory of an earlier detector.

    Of the protective rules only those run whose cuts the labels know, overload and heat; each rule has a memory of its
    own, so what they say does not depend on the others (a test holds them against ``safety.hazards.judge``). That
    halves the time of a score.
    """

    def __init__(
        self,
        limits: CompletionLimits | None = None,
        port: PortLimits | None = None,
        state: CompletionState | None = None,
    ) -> None:
        self._limits = limits or CompletionLimits()
        self._port = port or PortLimits(current_limit_a=10.0, power_limit_w=1000.0)
        self._load = overload.Overload()
        self._warmth = heat.Heat()
        self._doubted: MeterReading | None = None
        self.state = state

    def update(self, t_s: float, volts: float, amps: float, watts: float, celsius: float) -> str | None:
        """Judge one reading; return ``reason: detail`` when the port would be cut, else None."""
        hazard = self._hazard(t_s, volts, amps, watts, celsius)
        if hazard is not None:
            return hazard
        state = begin(t_s) if self.state is None else self.state
        self.state, verdict = advance(state, Sample(t_s, volts, amps, watts, None, celsius), self._limits)
        if verdict is None:
            return None
        return f"{_LABEL_WORDS.get(verdict.reason, verdict.reason)}: {verdict.detail}"

    def _hazard(self, t_s: float, volts: float, amps: float, watts: float, celsius: float) -> str | None:
        try:
            newest, probe = MeterReading(t_s, volts, amps, watts), ProbeReading(t_s, celsius)
        except ValueError:
            return None  # outside the range gates: guard would see no reading here
        # Guard reads a port again at once when a sample is over the fast stage. A stored curve has only its next sample
        # to say whether that one was a glitch of the meter.
        doubted, self._doubted = self._doubted, None
        if overload.suspicious(newest, self._port):
            if doubted is None:
                self._doubted = newest
                return None
            self._load = overload.observe(self._load, doubted, self._port)
        self._load = overload.observe(self._load, newest, self._port)
        self._warmth = heat.feel(self._warmth, probe, newest, self._port)
        found = (
            *heat.standing(self._warmth, probe, self._port, t_s),
            *overload.standing(self._load, self._port, t_s),
        )
        code = next((code for code in found if code in _HAZARD_WORDS), None)
        return None if code is None else f"{_HAZARD_WORDS[code]}: {amps:.1f} A, {watts:.0f} W, {celsius:.0f} °C"


def full_detector() -> FullDetector:
    """Return a detector with the shipped defaults, for one session."""
    return FullDetector()
