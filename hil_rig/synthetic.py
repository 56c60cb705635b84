"""Charging sessions made up from simple physics with random parameters, to try rules on what they were not made for.

Coarser than the stored curves and independent of them: an equivalent circuit per cell, a charger with an efficiency
curve, a meter. Labels have the keys and windows of the stored curves, so the same program scores both.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hil_rig.curves import Curve
from hil_rig.score_perturb import METERS, metered

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP_S = 2.0
_HOUR_S = 3600.0
_AFTER_FULL_S = 2 * _HOUR_S
_LONGEST_S = 20 * _HOUR_S

#: Open-circuit voltage of a cell over its state of charge.
_NMC = ((0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 1.0), (3.0, 3.45, 3.58, 3.68, 3.87, 4.03, 4.19))
_LFP = ((0.0, 0.05, 0.1, 0.35, 0.45, 0.9, 0.97, 0.99, 1.0), (2.6, 3.1, 3.22, 3.29, 3.32, 3.335, 3.36, 3.42, 3.60))

NORMAL_KINDS = (
    "normal", "small", "near_full", "precharge", "pause", "dips", "pulse", "derate", "two_step", "top_off", "hold",
)  # fmt: skip
ANOMALY_KINDS = (
    "aged_plateau", "runaway", "no_taper", "unplugged_mains", "unplugged_battery", "swapped", "splitter",
)  # fmt: skip
_REASONS = {
    "aged_plateau": ["no_taper", "plateau", "rising", "full", "time", "energy"],
    "runaway": ["rising", "no_taper", "plateau", "time", "energy"],
    "no_taper": ["no_taper", "plateau", "rising", "time", "energy"],
    "unplugged_mains": ["unplugged", "no_load", "full"],
    "unplugged_battery": ["unplugged", "no_load", "full"],
    "swapped": ["swapped", "unplugged", "no_load", "added_load"],
    "splitter": ["added_load", "overload", "swapped"],
}


def _interpolate(table: tuple[tuple[float, ...], tuple[float, ...]], x: float) -> float:
    xs, ys = table
    i = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    return ys[i - 1] + (ys[i] - ys[i - 1]) * (x - xs[i - 1]) / (xs[i] - xs[i - 1])


@dataclass(slots=True)
class _Lithium:
    """One cell; rates are in multiples of capacity per hour."""

    ocv: tuple[tuple[float, ...], tuple[float, ...]]
    soc: float
    resistance: float  # V at 1 C, at once
    slow_resistance: float  # V at 1 C, builds up over minutes
    slow_v: float = 0.0

    def rate_at(self, limit_v: float) -> float:
        return max(0.0, (limit_v - _interpolate(self.ocv, self.soc) - self.slow_v) / self.resistance)

    def charge(self, rate: float, seconds: float) -> float:
        self.soc += rate * seconds / _HOUR_S
        self.slow_v += (rate * self.slow_resistance - self.slow_v) * seconds / 400.0
        return _interpolate(self.ocv, self.soc) + self.slow_v + rate * self.resistance


@dataclass(slots=True)
class _LeadAcid:
    """One cell with gassing and one thermal node. ``gassing`` is the rate at 2.23 V and 20 °C."""

    soc: float
    gassing: float
    heating: float  # K per V*C of gassing, settled
    resistance: float
    fullness: float  # how early the pack accepts less; taper time constant is about resistance * fullness / 0.3 h
    kelvin: float = 5.0
    cell_v: float = 2.1

    def _gas(self, cell_v: float) -> float:
        return self.gassing * math.exp(min(11 * (cell_v - 2.23), 6.0) + 0.06 * self.kelvin)

    def _series(self) -> float:
        return self.resistance * (1 + self.fullness / (1.0001 - min(self.soc, 1.0)))

    def rate_at(self, limit_v: float) -> float:
        return max(0.0, (limit_v - 2.02 - 0.12 * self.soc) / self._series()) + self._gas(limit_v)

    def charge(self, rate: float, seconds: float) -> float:
        low, high = 1.9, 3.2
        for _ in range(12):  # the voltage at which storing and gassing together take the current
            middle = (low + high) / 2
            low, high = (middle, high) if self.rate_at(middle) < rate else (low, middle)
        self.cell_v = (low + high) / 2
        gas = self._gas(self.cell_v)
        self.soc = min(1.0, self.soc + max(0.0, rate - gas) * seconds / _HOUR_S)
        self.kelvin += (5.0 + self.heating * gas * self.cell_v - self.kelvin) * seconds / 9000.0
        return self.cell_v


@dataclass(slots=True)
class _Session:
    """What is decided before a session begins."""

    kind: str
    rng: random.Random
    lithium: bool
    cell: _Lithium | _LeadAcid
    cc_rate: float
    end_rate: float
    limit_v: float
    float_v: float
    full_w: float  # AC power in constant current, about
    standby_w: float
    efficiency: float
    factor: float
    hold: bool = False
    bms_ends: bool = False
    timer_s: float = math.inf
    pauses: list[tuple[float, float]] = field(default_factory=list)
    label: dict[str, Any] = field(default_factory=dict)


def _draw_session(rng: random.Random, kind: str) -> _Session:
    lead = kind in {"aged_plateau", "runaway", "no_taper", "two_step", "pulse"} or (
        kind not in {"precharge", "derate", "hold", "top_off", "small"} and rng.random() < 0.45
    )
    full_w = rng.uniform(28, 60) if kind == "small" else math.exp(rng.uniform(math.log(70), math.log(850)))
    soc = rng.uniform(0.90, 0.99) if kind == "near_full" else rng.uniform(0.02, 0.6)
    share = {"full_w": full_w, "efficiency": rng.uniform(0.82, 0.9), "factor": rng.choice([rng.uniform(0.5, 0.68), 0.97])}
    standby_w = rng.uniform(0.9, 3.0)
    if lead:
        cc = rng.uniform(0.1, 0.2)
        gassing = 0.0002 * rng.uniform(1, 3)
        cell = _LeadAcid(soc, gassing, 0.0, rng.uniform(0.25, 0.5), rng.uniform(0.25, 0.8))
        return _Session(
            kind, rng, False, cell, cc, cc * rng.uniform(0.15, 0.3), 2.45, rng.uniform(2.25, 2.3),
            standby_w=standby_w, **share,
        )  # fmt: skip
    ocv, limit_v = (_LFP, 3.65) if rng.random() < 0.35 else (_NMC, 4.2)
    cc = rng.uniform(0.12, 0.5)
    worn = rng.uniform(0.08, 0.25) * (3 if rng.random() < 0.15 else 1)
    made = _Lithium(ocv, soc, worn, rng.uniform(0.05, 0.25))
    session = _Session(
        kind, rng, True, made, cc, cc * rng.uniform(0.07, 0.2), limit_v, limit_v, standby_w=standby_w, **share
    )
    session.hold = kind == "hold"
    if session.hold:
        session.end_rate = rng.uniform(0.02, 0.05)
    session.bms_ends = not session.hold and (ocv is _LFP and rng.random() < 0.5)
    return session


def _worsen(s: _Session) -> None:
    """Make an aged pack or a failed charger."""
    rng, cell = s.rng, s.cell
    if not isinstance(cell, _LeadAcid):
        return
    if s.kind == "no_taper":
        s.limit_v = 3.1
    if s.kind in {"aged_plateau", "runaway"}:
        # gassing at the limit that stays above the turn-over
        share = rng.uniform(1.15, 1.7) if s.kind == "aged_plateau" else rng.uniform(1.3, 2.0)
        cell.gassing = share * s.end_rate / math.exp(11 * (2.45 - 2.23) + 0.3)
    if s.kind == "runaway":
        # loop gain above 1: heat of gassing warms more than it needs to sustain itself
        cell.heating = rng.uniform(0.5, 1.0) / (0.06 * cell.gassing * math.exp(11 * 0.22 + 0.3) * 2.45)


def _rates(s: _Session) -> Iterator[tuple[float, float, bool]]:
    """Yield (rate, cell voltage, at constant voltage) every step; the truth goes into the label on the way."""
    t, cv_s, full, stage_cc, ended = 0.0, 0.0, False, s.cc_rate, False
    rng = s.rng
    second = rng.uniform(0.25, 0.4) * s.cc_rate if s.kind == "two_step" else None
    derate = (rng.uniform(0.3, 2) * _HOUR_S, rng.uniform(20, 60) * 60, rng.uniform(0.45, 0.75)) if s.kind == "derate" else None
    top_s, top_for_s = rng.uniform(20, 90) * 60, rng.uniform(1, 6) * 60
    for a, b in _pauses(s):
        s.pauses.append((a, b))
    while t < _LONGEST_S:
        cell = s.cell
        limit_v = s.float_v if ended and not s.lithium else s.limit_v
        cc = stage_cc * (derate[2] if derate and derate[0] <= t < derate[0] + derate[1] else 1.0)
        on = not any(a <= t < b for a, b in s.pauses)
        if ended and s.lithium:
            since = t - s.label["full_s"]
            on = s.kind == "top_off" and since % top_s > top_s - top_for_s
            cc = s.cc_rate if s.kind == "top_off" else 0.0
        rate = min(cc, cell.rate_at(limit_v)) if on else 0.0
        if ended and s.lithium and rate < s.end_rate:
            rate = 0.0
        cell_v = cell.charge(rate, _STEP_S)
        at_limit = on and rate < 0.995 * cc
        if at_limit and not ended:
            cv_s += _STEP_S
            if second and stage_cc > second:
                stage_cc, second = second, None
        if not full and not ended and on and _is_full(s, rate, cell_v, at_limit=at_limit, cv_s=cv_s):
            s.label["full_s"] = t
            full, ended = True, not s.hold and s.kind not in {"aged_plateau", "runaway", "no_taper"}
        _note(s, t, rate, at_limit=at_limit)
        yield (rate, cell_v, at_limit)
        t += _STEP_S
        if full and t > s.label["full_s"] + s.label.get("tail_s", _AFTER_FULL_S):
            return


def _pauses(s: _Session) -> list[tuple[float, float]]:
    if s.kind != "pause":
        return []
    starts = sorted(s.rng.uniform(0.3, 4) * _HOUR_S for _ in range(s.rng.randint(1, 3)))
    return [(a, a + s.rng.uniform(5, 30) * 60) for a in starts]


def _is_full(s: _Session, rate: float, cell_v: float, *, at_limit: bool, cv_s: float) -> bool:
    if s.kind in {"aged_plateau", "runaway", "no_taper"}:
        return s.cell.soc >= 0.995
    if s.bms_ends:
        return cell_v >= s.limit_v - 0.01
    return at_limit and (rate <= s.end_rate or cv_s >= s.timer_s)


def _note(s: _Session, t: float, rate: float, *, at_limit: bool) -> None:
    """Keep the least rate of a tail and when it was passed by 12 %, for the window of a runaway."""
    label = s.label
    if s.kind != "runaway" or not at_limit:
        return
    if rate < label.get("least", math.inf):
        label.update(least=rate, least_s=t)
    elif "rise12_s" not in label and rate > 1.12 * label["least"]:
        label["rise12_s"] = t


def generate(seed: int, kind: str) -> tuple[str, Curve, dict[str, Any]]:
    """Return name, curve and label of one session; the same seed and kind give the same session."""
    rng = random.Random(f"{kind}{seed}")
    s = _draw_session(rng, kind)
    _worsen(s)
    if kind in {"aged_plateau", "runaway", "no_taper"}:
        s.label["tail_s"] = 5 * _HOUR_S
    watts = _watts(s)
    label = {"kind": kind, "event_s": None, "full_s": s.label.get("full_s"), "peak_w": max(watts)}
    watts, volts, factors = _circumstances(s, watts, label)
    curve = _measured(rng, watts, volts, factors)
    return f"{kind}-{seed}", curve, label


def _watts(s: _Session) -> list[float]:
    """Return the AC power every step."""
    rng = s.rng
    watts: list[float] = []
    reference = s.cc_rate * (s.limit_v if s.kind != "no_taper" else 2.6)
    if s.kind == "precharge":
        low_w = rng.uniform(10, min(25.0, 0.3 * s.full_w))
        watts += [low_w * (1 + 0.15 * i / 600) for i in range(int(rng.uniform(5, 40) * 60 / _STEP_S))]
    shift_s = len(watts) * _STEP_S
    period = rng.randint(5, 20)
    for i, (rate, cell_v, at_limit) in enumerate(_rates(s)):
        share = rate * cell_v / reference
        # efficiency falls at light load, and a charger droops a little while it warms up
        drawn = s.full_w * share * (1.03 - 0.03 * share) * (1 + 0.01 * math.exp(-i * _STEP_S / 900))
        if s.kind == "pulse" and at_limit and "full_s" not in s.label:
            drawn = s.full_w if (i % period) < share * period else 0.0
        watts.append(drawn + s.standby_w)
    for key in ("full_s", "rise12_s", "least_s"):
        if key in s.label:
            s.label[key] += shift_s
    return watts


def _circumstances(
    s: _Session, watts: list[float], label: dict[str, Any]
) -> tuple[list[float], list[float], list[float]]:
    """Put the events of a kind into the power, fill in the windows, and add the mains."""
    rng, kind = s.rng, s.kind
    full_s = label["full_s"] if label["full_s"] is not None else len(watts) * _STEP_S
    label.update(expect="anomaly" if kind in ANOMALY_KINDS else "full", reasons=_REASONS.get(kind, ["full"]))
    factors = [s.factor * (0.6 + 0.4 * min(1.0, w / s.full_w) ** 0.3) for w in watts]
    if kind in {"unplugged_mains", "unplugged_battery", "swapped", "splitter"}:
        _pulled(s, watts, factors, label, full_s)
    elif kind in ANOMALY_KINDS:
        _worn_window(s, label, full_s)
    else:
        label.update(cut_from_s=full_s, cut_by_s=full_s + _HOUR_S)
    base_v, sway_v, phase = rng.uniform(208, 232), rng.uniform(0, 10), rng.uniform(0, 7)
    volts = [base_v + sway_v * math.sin(phase + i * _STEP_S / 2400) + rng.gauss(0, 0.15) for i in range(len(watts))]
    if kind == "dips":
        for _ in range(rng.randint(2, 6)):
            start = rng.randrange(60, len(watts) - 60)
            for i in range(start, min(len(watts), start + rng.randint(3, 45))):
                watts[i], volts[i] = 0.0, 0.0
    return watts, volts, factors


def _worn_window(s: _Session, label: dict[str, Any], full_s: float) -> None:
    label.update(cut_from_s=full_s, cut_by_s=full_s + 2 * _HOUR_S, event_s=full_s)
    if s.kind == "runaway":
        start_s = min(full_s, s.label.get("least_s", full_s) + 600)
        rise_s = s.label.get("rise12_s", full_s + 3 * _HOUR_S)
        label.update(cut_from_s=start_s, cut_by_s=max(rise_s + 1200, start_s + 1800), event_s=start_s)


def _pulled(s: _Session, watts: list[float], factors: list[float], label: dict[str, Any], full_s: float) -> None:
    rng, kind = s.rng, s.kind
    at = max(900, int(rng.uniform(0.2, 0.5) * full_s / _STEP_S))
    event_s = at * _STEP_S
    label.update(event_s=event_s, full_s=None, cut_from_s=event_s + 10)
    end = min(len(watts), at + int(3 * _HOUR_S / _STEP_S))
    del watts[end:], factors[end:]
    if kind == "unplugged_mains":
        watts[at:] = [0.0] * (end - at)
        label["cut_by_s"] = event_s + 900
    elif kind == "unplugged_battery":
        watts[at:] = [s.standby_w] * (end - at)
        label["cut_by_s"] = event_s + _HOUR_S
    elif kind == "splitter":
        more_w = watts[at] * rng.uniform(0.3, 1.6)
        watts[at:] = [w + max(25.0, more_w) for w in watts[at:]]
        label.update(cut_from_s=event_s, cut_by_s=event_s + 600)
    else:
        back = at + int(rng.uniform(10, 200) / _STEP_S)
        other_w = watts[at] * rng.choice([rng.uniform(0.3, 0.8), rng.uniform(1.2, 2.5)])
        watts[at:back] = [0.0] * (back - at)
        watts[back:] = [other_w * (1 + 0.00001 * i) for i in range(end - back)]
        label.update(cut_from_s=event_s + 5, cut_by_s=back * _STEP_S + 300)


def _measured(rng: random.Random, watts: list[float], volts: list[float], factors: list[float]) -> Curve:
    """Return what the meter shows."""
    share = rng.uniform(0.0002, 0.002)
    seen = [max(0.0, w * rng.gauss(1, share) + (rng.gauss(0, 0.05) if w else 0.0)) for w in watts]
    amps = [w / (v * f) if v > 1 else 0.0 for w, v, f in zip(seen, volts, factors, strict=True)]
    count, wh, counted = len(seen), [], 0.0
    for w in seen:
        counted += w * _STEP_S / _HOUR_S
        wh.append(counted)
    curve = Curve(
        tuple(i * _STEP_S for i in range(count)),
        tuple(volts),
        tuple(amps),
        tuple(seen),
        tuple(wh),
        tuple(factors),
        (27.0,) * count,
    )
    return metered(curve, METERS[rng.choice(sorted(METERS))])


def sessions(count: int, seed: int = 1) -> Iterator[tuple[str, Curve, dict[str, Any]]]:
    """Yield ``count`` sessions, all kinds in turn."""
    kinds = NORMAL_KINDS + ANOMALY_KINDS
    for i in range(count):
        yield generate(seed * 100_000 + i, kinds[i % len(kinds)])
