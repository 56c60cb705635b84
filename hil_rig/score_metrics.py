"""How a detector did on curves whose truth is known: one outcome per curve, and the figures over all of them.

Definitions: a cut before full that leaves out more than 2 % of the energy up to full is *early*, one after the label's
window *late*, none before the end of the curve *never*. An anomaly is *caught* inside its window; a cut before
anything was wrong is *early*, which slow anomalies (worn packs) forgive below 2 % of energy.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hil_rig.curves import Curve

#: Share of the energy up to full that a cut may leave out.
EARLY_TOLERANCE = 0.02
#: Readings above this are faults of the meter and gaps longer than this are unknown: both are capped in energy sums.
_MOST_W = 2600.0
_LONGEST_S = 300.0
_SECONDS_PER_HOUR = 3600.0
#: Reasons that accuse somebody or something: wrong on a normal curve.
_ALARMS = frozenset({"rising", "no_taper", "added_load", "swapped", "overload", "over_temperature", "not_a_charger"})
#: Anomalies that creep in: their catch counts from when they can be known, and a harmless early cut is forgiven.
_SLOW_KINDS = frozenset({"runaway", "aged_plateau", "no_taper"})


class Detector(Protocol):
    """What is scored: one object per session."""

    def update(self, t_s: float, volts: float, amps: float, watts: float, celsius: float) -> str | None:
        """Judge one reading; the first answer that is not None is the cut, its first word the reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one curve. Times in the unit of their names; ``missed`` is a share of energy."""

    kind: str
    expect: str
    result: str
    cut_s: float | None
    reason: str | None
    delay_min: float | None = None
    catch_min: float | None = None
    missed: float = 0.0
    over_wh: float = 0.0
    wrong_alarm: bool = False
    reason_ok: bool = False


def run(curve: Curve, detector: Detector) -> tuple[float | None, str | None]:
    """Return when the detector cut and why, or (None, None)."""
    for reading in zip(curve.t_s, curve.volts, curve.amps, curve.watts, curve.celsius, strict=True):
        answer = detector.update(*reading)
        if answer is not None:
            return reading[0], answer
    return None, None


def energies_wh(curve: Curve) -> tuple[float, ...]:
    """Return the energy delivered up to each reading, Wh, each interval at the power of its end."""
    parts = (
        min(watts, _MOST_W) * min(after - before, _LONGEST_S) / _SECONDS_PER_HOUR
        for (before, after), watts in zip(pairwise(curve.t_s), curve.watts[1:], strict=True)
    )
    return tuple(accumulate(parts, initial=0.0))


def word(reason: str | None) -> str:
    """Return the part of a reason that counts."""
    return (reason or "").replace(" ", ":").split(":")[0]


def judge(curve: Curve, label: Mapping[str, Any], cut_s: float | None, reason: str | None) -> Outcome:
    """Return the outcome of one curve."""
    delivered_wh = energies_wh(curve)

    def upto_wh(t_s: float) -> float:
        return delivered_wh[max(0, bisect_right(curve.t_s, t_s) - 1)]

    normal = label["expect"] == "full"
    due_s: float = label["full_s"] if normal else label["cut_from_s"]
    due_wh = max(upto_wh(due_s), 1e-6)
    ended_s = curve.t_s[-1] if cut_s is None else cut_s
    missed = 1.0 - upto_wh(ended_s) / due_wh if ended_s < due_s else 0.0
    over_wh = max(0.0, upto_wh(ended_s) - due_wh) if ended_s > due_s or not normal else 0.0
    common = {"kind": label["kind"], "expect": label["expect"], "cut_s": cut_s, "reason": reason}
    if normal:
        return Outcome(
            **common,
            result=_normal_result(cut_s, missed, label),
            delay_min=(ended_s - due_s) / 60,
            missed=max(0.0, missed),
            over_wh=over_wh,
            wrong_alarm=cut_s is not None and word(reason) in _ALARMS,
        )
    return Outcome(
        **common,
        result=_anomaly_result(cut_s, missed, label, word(reason)),
        catch_min=None if cut_s is None else (cut_s - _known_from_s(label)) / 60,
        missed=max(0.0, missed),
        over_wh=over_wh,
        reason_ok=cut_s is not None and word(reason) in label["reasons"],
    )


def _normal_result(cut_s: float | None, missed: float, label: Mapping[str, Any]) -> str:
    if cut_s is None:
        return "never"
    if missed > EARLY_TOLERANCE:
        return "early"
    return "late" if cut_s > label["cut_by_s"] else "ok"


def _known_from_s(label: Mapping[str, Any]) -> float:
    event_s: float | None = label["event_s"]
    if event_s is None:
        return float(label["cut_from_s"])
    return float(max(event_s, label["cut_from_s"]) if label["kind"] in _SLOW_KINDS else event_s)


def _anomaly_result(cut_s: float | None, missed: float, label: Mapping[str, Any], named: str) -> str:
    if cut_s is None:
        return "missed"
    before = cut_s < label["cut_from_s"]
    if before and (missed > EARLY_TOLERANCE or label["kind"] not in _SLOW_KINDS):
        return "early"
    if cut_s <= label["cut_by_s"]:
        return "caught"
    return "missed" if label.get("must_name") and named not in label["reasons"] else "late"


def quantile(values: Iterable[float], share: float) -> float | None:
    """Return the value below which ``share`` of ``values`` lie, interpolated; None when there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    below, part = divmod((len(ordered) - 1) * share, 1)
    low = ordered[int(below)]
    high = ordered[min(int(below) + 1, len(ordered) - 1)]
    return low + (high - low) * part


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return the figures over all curves: counts, delays in minutes, energies in Wh, shares in per cent."""
    every = list(outcomes)
    normal = [o for o in every if o.expect == "full"]
    anomalies = [o for o in every if o.expect != "full"]
    early = [o.missed * 100 for o in normal if o.result == "early"]
    delays = [o.delay_min for o in normal if o.result != "early" and o.delay_min is not None]
    over = [o.over_wh for o in normal]
    of_normal, of_anomalies = Counter(o.result for o in normal), Counter(o.result for o in anomalies)
    caught = [o for o in anomalies if o.result == "caught"]
    worn = [o.over_wh for o in anomalies if o.kind in _SLOW_KINDS]
    return {
        "normal_curves": len(normal),
        "ok": of_normal["ok"],
        "late": of_normal["late"],
        "never": of_normal["never"],
        "false_early": of_normal["early"],
        "false_early_missed_pct_mean": round(_mean(early), 1),
        "false_early_missed_pct_max": round(max(early, default=0), 1),
        "delay_median_min": _rounded(quantile(delays, 0.5)),
        "delay_p95_min": _rounded(quantile(delays, 0.95)),
        "over_wh_mean": round(_mean(over), 2),
        "over_wh_p95": round(quantile(over, 0.95) or 0.0, 2),
        "wrong_alarm": sum(o.wrong_alarm for o in normal),
        "anomaly_curves": len(anomalies),
        "caught": len(caught),
        "caught_late": of_anomalies["late"],
        "missed": of_anomalies["missed"],
        "cut_before_event": of_anomalies["early"],
        "reason_ok": sum(o.reason_ok for o in caught),
        "catch_median_min": _rounded(quantile([o.catch_min for o in caught if o.catch_min is not None], 0.5) or 0.0),
        "anomaly_over_wh_mean": round(_mean(worn), 1),
        "by_kind": _by_kind(every),
    }


def _by_kind(outcomes: Sequence[Outcome]) -> dict[str, str]:
    good = Counter(o.kind for o in outcomes if o.result in {"ok", "caught"})
    return {kind: f"{good[kind]}/{count}" for kind, count in sorted(Counter(o.kind for o in outcomes).items())}


def score(
    curves: Iterable[tuple[str, Curve, Mapping[str, Any]]], factory: Callable[[], Detector]
) -> dict[str, Outcome]:
    """Return the outcome of every (name, curve, label), each with a detector of its own."""
    return {name: judge(curve, label, *run(curve, factory())) for name, curve, label in curves}


def as_plain(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Return summary and outcomes as data for JSON."""
    return {
        "summary": summary(outcomes.values()),
        "curves": {name: asdict(outcome) for name, outcome in outcomes.items()},
    }
