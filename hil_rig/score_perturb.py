"""Curves made worse on purpose, to see how a score degrades: other speeds, sizes, meters, gaps and neighbours.

A perturbation takes a curve with its label and returns both; None when the result would not be a fair question.
Everything random comes from the generator that is passed in, so a table can be made again.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from hil_rig.curves import load, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hil_rig.curves import Curve

Label = dict[str, Any]


class Perturbation(Protocol):
    """Makes one curve worse."""

    def __call__(self, rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label] | None:
        """Return curve and label, None when that would not be a fair question."""


_PORT_LIMIT_W = 1000.0
_HOUR_S = 3600.0


def _map(curve: Curve, change: Callable[[float, float], tuple[float, float]]) -> Curve:
    """Return the curve with (watts, amps) of every reading that has supply changed."""
    changed = [
        change(w, a) if v > 1.0 else (w, a) for v, w, a in zip(curve.volts, curve.watts, curve.amps, strict=True)
    ]
    watts, amps = zip(*changed, strict=True)
    return replace(curve, watts=watts, amps=amps)


def stretch(times: float) -> Perturbation:
    """Slower (above 1) or faster. Windows keep their length, except that of a runaway, which is part of its physics."""

    def apply(rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label]:
        del rng
        new = dict(label)
        anchor_s = label["full_s"] if label["expect"] == "full" else label["event_s"]
        if label["kind"] in {"aged_plateau", "no_taper", "runaway"}:
            anchor_s = label["cut_from_s"]
        shift_s = anchor_s * (times - 1)
        for key in ("cut_from_s", "cut_by_s"):
            new[key] = label[key] * times if label["kind"] == "runaway" else label[key] + shift_s
        for key in ("full_s", "event_s"):
            new[key] = None if label[key] is None else label[key] * times
        return replace(curve, t_s=tuple(t * times for t in curve.t_s)), new

    return apply


def resize(times: float) -> Perturbation:
    """Bigger or smaller charger. Left out: what then exceeds the port, and the overload, which then may not."""

    def apply(rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label] | None:
        del rng
        if label["kind"] == "overload" or label["peak_w"] * times > _PORT_LIMIT_W:
            return None
        return _map(curve, lambda w, a: (w * times, a * times)), dict(label)

    return apply


def noise(share: float, watts: float, wild_in: int) -> Perturbation:
    """Add normal noise, and one wild or zero reading in about ``wild_in``, never two in a row."""

    def apply(rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label]:
        wild = False

        def change(w: float, a: float) -> tuple[float, float]:
            nonlocal wild
            wild = not wild and rng.randrange(wild_in) == 0
            if wild:
                return rng.choice([(9000.0, a), (0.0, 0.0)])
            if w == 0.0:
                return w, a
            return max(0.0, w * rng.gauss(1, share) + rng.gauss(0, watts)), max(0.0, a * rng.gauss(1, share))

        return _map(curve, change), dict(label)

    return apply


@dataclass(frozen=True, slots=True)
class Meter:
    """Steps of a meter and what it cannot see."""

    step_v: float
    step_a: float
    step_w: float
    floor_a: float
    floor_w: float


METERS = {
    "im1281b": Meter(0.01, 0.001, 0.01, 0.004, 0.4),
    "pzem004t-100a": Meter(0.1, 0.001, 0.1, 0.020, 0.8),
    "ddsu666": Meter(0.1, 0.001, 0.1, 0.020, 2.5),
    "board": Meter(1.0, 0.01, 1.0, 0.030, 3.5),
    "board-fine": Meter(0.1, 0.01, 0.1, 0.020, 5.0),
}


def metered(curve: Curve, meter: Meter) -> Curve:
    """Return what another meter would have shown."""

    def change(w: float, a: float) -> tuple[float, float]:
        if w < meter.floor_w or a < meter.floor_a:
            return 0.0, 0.0
        return round(w / meter.step_w) * meter.step_w, round(a / meter.step_a) * meter.step_a

    volts = tuple(round(v / meter.step_v) * meter.step_v for v in curve.volts)
    return replace(_map(curve, change), volts=volts)


def other_meter(model: str) -> Perturbation:
    """Read the curve through another meter's steps and dead band."""

    def apply(rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label]:
        del rng
        return metered(curve, METERS[model]), dict(label)

    return apply


def gaps(missing: float, silences: int) -> Perturbation:
    """Lose a share of the readings, and all of them ``silences`` times for 20 to 120 s."""

    def apply(rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label]:
        starts = sorted(rng.uniform(0, curve.t_s[-1]) for _ in range(silences))
        ends = [start + rng.uniform(20, 120) for start in starts]

        def silent(t: float) -> bool:
            index = bisect_right(starts, t) - 1
            return index >= 0 and t < ends[index]

        kept = [i for i, t in enumerate(curve.t_s) if rng.random() >= missing and not silent(t)]
        columns = (curve.t_s, curve.volts, curve.amps, curve.watts, curve.wh, curve.pf, curve.celsius)
        return type(curve)(*(tuple(column[i] for i in kept) for column in columns)), dict(label)

    return apply


def crosstalk(share: float, neighbours: int, *, current: bool = False) -> Perturbation:
    """Let ``share`` of the power of other sessions, which begin and end at random times, leak into this reading.

    ``current``: it leaks into the current as well. The victim's supply gates nothing: neighbours go on in an outage.
    """

    def apply(rng: random.Random, curve: Curve, label: Mapping[str, Any]) -> tuple[Curve, Label]:
        others = rng.sample([other for other in map(load, names()) if other is not curve], neighbours)
        starts = [rng.uniform(-3, 4) * _HOUR_S for _ in others]
        leak_w, leak_a = [0.0] * len(curve.t_s), [0.0] * len(curve.t_s)
        for other, start in zip(others, starts, strict=True):
            for i, t in enumerate(curve.t_s):
                at = bisect_right(other.t_s, t - start) - 1
                if 0 <= at < len(other.t_s) - 1 and other.watts[at] < _PORT_LIMIT_W:
                    leak_w[i] += share * other.watts[at]
                    leak_a[i] += share * other.amps[at]
        watts = tuple(w + leak for w, leak in zip(curve.watts, leak_w, strict=True))
        amps = tuple(a + leak for a, leak in zip(curve.amps, leak_a, strict=True)) if current else curve.amps
        return replace(curve, watts=watts, amps=amps), dict(label)

    return apply


#: Every perturbation by the name that the command takes.
PERTURBATIONS: Mapping[str, Perturbation] = {
    "slower20": stretch(1.2),
    "faster20": stretch(0.8),
    "power0.7": resize(0.7),
    "power1.4": resize(1.4),
    "noise": noise(0.01, 0.3, 500),
    "noise-rough": noise(0.03, 1.0, 100),
    "meter-im1281b": other_meter("im1281b"),
    "meter-pzem004t-100a": other_meter("pzem004t-100a"),
    "meter-ddsu666": other_meter("ddsu666"),
    "meter-board": other_meter("board"),
    "meter-board-fine": other_meter("board-fine"),
    "gaps": gaps(0.05, 20),
    "gaps-rough": gaps(0.3, 100),
    "crosstalk0.5": crosstalk(0.005, 1),
    "crosstalk1": crosstalk(0.01, 1),
    "crosstalk1x3": crosstalk(0.01, 3),
    "crosstalk1-current": crosstalk(0.01, 1, current=True),
}


def perturbed(
    what: str, curves: Iterable[tuple[str, Curve, Mapping[str, Any]]], seed: int = 1
) -> Iterator[tuple[str, Curve, Mapping[str, Any]]]:
    """Yield the (name, curve, label) of ``curves`` made worse; KeyError when there is no perturbation ``what``."""
    for name, curve, label in curves:
        result = PERTURBATIONS[what](random.Random(f"{seed} {name}"), curve, label)
        if result is not None:
            yield name, *result
