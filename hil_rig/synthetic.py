"""Charging sessions made up from simple physics with random parameters, to try rules on what they were not made for.

Coarser than the stored curves and independent of them: a cell, a charger with an efficiency curve, a meter. Labels
have the keys and windows of the stored curves, so the same program scores both.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hil_rig.curves import Curve
from hil_rig.score_perturb import METERS, metered
from hil_rig.synthetic_cells import GAS_PER_K, GAS_PER_V, GAS_REFERENCE_V, LFP, NMC, WARM_K, Cell, LeadAcid, Lithium
from hil_rig.synthetic_events import ANOMALY_KINDS, NORMAL_KINDS, STEP_S, WORN_KINDS, happen

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR_S = 3600.0
_MINUTE_S = 60.0
_LONGEST_S = 20 * _HOUR_S
_LEAD_KINDS = WORN_KINDS | {"two_step", "pulse"}
_LITHIUM_KINDS = {"precharge", "derate", "hold", "top_off", "small"}
_LEAD_LIMIT_V = 2.45
_WORN_FULL_SOC = 0.995


@dataclass(slots=True)
class _Session:
    """What is decided before a session begins; powers in AC watts, rates in C, voltages per cell."""

    kind: str
    rng: random.Random
    cell: Cell
    cc_rate: float
    end_rate: float
    limit_v: float
    full_w: float
    standby_w: float
    bms_ends: bool = False  # the battery's electronics cut at the voltage limit: no taper
    float_v: float | None = None  # lead-acid: the charger turns to this; None: it ends
    second_rate: float | None = None  # two-step charger: constant current of the second stage
    derate: tuple[float, float, float] = (0.0, 0.0, 1.0)  # from s, to s, share
    pauses: list[tuple[float, float]] = field(default_factory=list)
    top_off: tuple[float, float] = (math.inf, 0.0)  # every s, for s
    truth: dict[str, float] = field(default_factory=dict)


def _draw(rng: random.Random, kind: str) -> _Session:
    lead = kind in _LEAD_KINDS or (kind not in _LITHIUM_KINDS and rng.random() < 0.45)  # noqa: PLR2004 - a share
    full_w = rng.uniform(28, 60) if kind == "small" else math.exp(rng.uniform(math.log(70), math.log(850)))
    soc = rng.uniform(0.90, 0.99) if kind == "near_full" else rng.uniform(0.02, 0.6)
    session = _draw_lead(rng, kind, soc, full_w) if lead else _draw_lithium(rng, kind, soc, full_w)
    if kind == "derate":
        from_s = rng.uniform(0.3, 2) * _HOUR_S
        session.derate = (from_s, from_s + rng.uniform(20, 60) * _MINUTE_S, rng.uniform(0.45, 0.75))
    if kind == "pause":
        starts = sorted(rng.uniform(0.3, 4) * _HOUR_S for _ in range(rng.randint(1, 3)))
        session.pauses = [(start, start + rng.uniform(5, 30) * _MINUTE_S) for start in starts]
    if kind == "top_off":
        session.top_off = (rng.uniform(20, 90) * _MINUTE_S, rng.uniform(1, 6) * _MINUTE_S)
    return session


def _draw_lithium(rng: random.Random, kind: str, soc: float, full_w: float) -> _Session:
    iron = rng.random() < 0.35  # noqa: PLR2004 - a share
    cc_rate = rng.uniform(0.12, 0.5)
    worn = 3 if rng.random() < 0.15 else 1  # noqa: PLR2004 - a share
    cell = Lithium(LFP if iron else NMC, soc, worn * rng.uniform(0.08, 0.25), rng.uniform(0.05, 0.25))
    end_rate = rng.uniform(0.02, 0.05) if kind == "hold" else cc_rate * rng.uniform(0.07, 0.2)
    session = _Session(kind, rng, cell, cc_rate, end_rate, 3.65 if iron else 4.2, full_w, rng.uniform(0.9, 3.0))
    session.bms_ends = kind != "hold" and iron and rng.random() < 0.5  # noqa: PLR2004 - a share
    return session


def _draw_lead(rng: random.Random, kind: str, soc: float, full_w: float) -> _Session:
    cc_rate = rng.uniform(0.1, 0.2)
    end_rate = cc_rate * rng.uniform(0.15, 0.3)
    cell = LeadAcid(soc, 0.0002 * rng.uniform(1, 3), rng.uniform(0.25, 0.5), rng.uniform(0.25, 0.8))
    session = _Session(kind, rng, cell, cc_rate, end_rate, _LEAD_LIMIT_V, full_w, rng.uniform(0.9, 3.0))
    session.float_v = rng.uniform(2.25, 2.3)
    if kind == "two_step":
        session.second_rate = rng.uniform(0.25, 0.4) * cc_rate
    if kind == "no_taper":
        session.limit_v = 3.1
    at_limit = math.exp(GAS_PER_V * (_LEAD_LIMIT_V - GAS_REFERENCE_V) + GAS_PER_K * WARM_K)
    if kind in {"aged_plateau", "runaway"}:  # gassing at the limit stays above the turn-over
        cell.gassing = rng.uniform(1.15, 1.9) * end_rate / at_limit
    if kind == "runaway":  # the heat of gassing warms by so much that gassing grows further
        cell.heating = rng.uniform(0.5, 1.0) / (GAS_PER_K * cell.gassing * at_limit * _LEAD_LIMIT_V)
    return session


def _charge(s: _Session) -> Iterator[tuple[float, float, bool]]:
    """Yield (rate, cell voltage, at constant voltage) every step; the truth goes into the session on the way."""
    t, after_s = 0.0, (5 if s.kind in WORN_KINDS else 2) * _HOUR_S
    stage_rate, ended = s.cc_rate, False
    while t < min(_LONGEST_S, s.truth.get("full_s", _LONGEST_S) + after_s):
        from_s, to_s, share = s.derate
        cc = stage_rate * (share if from_s <= t < to_s else 1.0)
        limit_v = s.float_v if ended and s.float_v is not None else s.limit_v
        on = not any(start <= t < end for start, end in s.pauses)
        if ended and s.float_v is None:
            every_s, for_s = s.top_off
            on = (t - s.truth["full_s"]) % every_s > every_s - for_s
        rate = min(cc, s.cell.rate_at(limit_v)) if on else 0.0
        if ended and s.float_v is None and rate < s.end_rate:
            rate = 0.0
        cell_v = s.cell.charge(rate, STEP_S)
        at_limit = on and rate < _WORN_FULL_SOC * cc
        if at_limit and s.second_rate is not None:
            stage_rate, s.second_rate = s.second_rate, None
            at_limit = False
        if "full_s" not in s.truth and on and _is_full(s, rate, cell_v, at_limit=at_limit):
            s.truth["full_s"] = t
            ended = s.kind != "hold" and s.kind not in WORN_KINDS
        _note_runaway(s, t, rate, at_limit=at_limit)
        yield rate, cell_v, at_limit and not ended
        t += STEP_S


def _is_full(s: _Session, rate: float, cell_v: float, *, at_limit: bool) -> bool:
    if s.kind in WORN_KINDS:
        return s.cell.soc >= _WORN_FULL_SOC
    if s.bms_ends:
        return cell_v >= s.limit_v - 0.01
    return at_limit and rate <= s.end_rate


def _note_runaway(s: _Session, t: float, rate: float, *, at_limit: bool) -> None:
    """Keep the least rate of a tail and when it was passed by 12 %, for the window of a runaway."""
    if s.kind != "runaway" or not at_limit:
        return
    if rate < s.truth.get("least", math.inf):
        s.truth.update(least=rate, least_s=t)
    elif "rise12_s" not in s.truth and rate > 1.12 * s.truth["least"]:
        s.truth["rise12_s"] = t


def _watts(s: _Session) -> list[float]:
    """Return the AC power every step."""
    rng, watts = s.rng, list[float]()
    if s.kind == "precharge":
        low_w = rng.uniform(10, min(22.0, 0.3 * s.full_w))
        watts += [low_w * (1 + 0.15 * i / 1200) for i in range(int(rng.uniform(5, 40) * _MINUTE_S / STEP_S))]
    before_s = len(watts) * STEP_S
    reference = s.cc_rate * (2.6 if s.kind == "no_taper" else s.limit_v)
    period = rng.randint(5, 20)
    for i, (rate, cell_v, at_limit) in enumerate(_charge(s)):
        share = rate * cell_v / reference
        # efficiency falls at light load, and a charger droops a little while it warms up
        drawn = s.full_w * share * (1.03 - 0.03 * share) * (1 + 0.01 * math.exp(-i * STEP_S / 900))
        if s.kind == "pulse" and at_limit:
            drawn = s.full_w if i % period < share * period else 0.0
        watts.append(drawn + s.standby_w)
    for key in {"full_s", "rise12_s", "least_s"} & s.truth.keys():
        s.truth[key] += before_s
    return watts


def generate(seed: int, kind: str) -> tuple[str, Curve, dict[str, Any]]:
    """Return name, curve and label of one session; the same seed and kind give the same session."""
    rng = random.Random(f"{kind} {seed}")
    session = _draw(rng, kind)
    watts = _watts(session)
    full_factor = rng.choice([rng.uniform(0.5, 0.68), 0.97])
    base_v, sway_v, phase = rng.uniform(208, 232), rng.uniform(0, 10), rng.uniform(0, 7)
    volts = [base_v + sway_v * math.sin(phase + i * STEP_S / 2400) + rng.gauss(0, 0.15) for i in range(len(watts))]
    label = happen(kind, rng, watts, volts, session.truth, session.standby_w)
    factors = [full_factor * (0.6 + 0.4 * min(1.0, w / session.full_w) ** 0.3) for w in watts]
    return f"{kind}-{seed}", _measured(rng, watts, volts[: len(watts)], factors), label


def _measured(rng: random.Random, watts: list[float], volts: list[float], factors: list[float]) -> Curve:
    """Return what one of the meters shows."""
    share = rng.uniform(0.0002, 0.002)
    seen = [max(0.0, w * rng.gauss(1, share) + rng.gauss(0, 0.05)) if w else 0.0 for w in watts]
    amps = [w / (v * f) if v > 1 else 0.0 for w, v, f in zip(seen, volts, factors, strict=True)]
    wh, counted = [], 0.0
    for w in seen:
        counted += w * STEP_S / _HOUR_S
        wh.append(counted)
    times = tuple(i * STEP_S for i in range(len(seen)))
    warm = (27.0,) * len(seen)
    curve = Curve(times, tuple(volts), tuple(amps), tuple(seen), tuple(wh), tuple(factors), warm)
    return metered(curve, METERS[rng.choice(sorted(METERS))])


def sessions(count: int, seed: int = 1) -> Iterator[tuple[str, Curve, dict[str, Any]]]:
    """Yield ``count`` sessions, all kinds in turn."""
    kinds = NORMAL_KINDS + ANOMALY_KINDS
    for i in range(count):
        yield generate(seed * 100_000 + i, kinds[i % len(kinds)])
