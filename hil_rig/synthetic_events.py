"""What happens to a made-up session beside charging, and the windows in which it should be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

#: Seconds between two readings of a made-up session.
STEP_S = 2.0
_HOUR_S = 3600.0

NORMAL_KINDS = (
    "normal",
    "small",
    "near_full",
    "precharge",
    "pause",
    "dips",
    "pulse",
    "derate",
    "two_step",
    "top_off",
    "hold",
)
#: Packs and chargers that fail by themselves; the charger never turns over.
WORN_KINDS = frozenset({"aged_plateau", "runaway", "no_taper"})
_REASONS = {
    "aged_plateau": ["no_taper", "plateau", "rising", "full", "time", "energy"],
    "runaway": ["rising", "no_taper", "plateau", "time", "energy"],
    "no_taper": ["no_taper", "plateau", "rising", "time", "energy"],
    "unplugged_mains": ["unplugged", "no_load", "full"],
    "unplugged_battery": ["unplugged", "no_load", "full"],
    "swapped": ["swapped", "unplugged", "no_load", "added_load"],
    "splitter": ["added_load", "overload", "swapped"],
}
ANOMALY_KINDS = tuple(_REASONS)


def happen(
    kind: str,
    rng: random.Random,
    watts: list[float],
    volts: list[float],
    truth: Mapping[str, float],
    standby_w: float,
) -> dict[str, Any]:
    """Put the events of ``kind`` into the power and the mains, and return the label.

    ``watts`` may become shorter: what follows an event is kept for three hours.
    """
    full_s = truth.get("full_s", len(watts) * STEP_S)
    expect = "full" if kind in NORMAL_KINDS else "anomaly"
    label: dict[str, Any] = {"kind": kind, "expect": expect, "event_s": None, "full_s": full_s, "peak_w": max(watts)}
    label |= {"reasons": _REASONS.get(kind, ["full"]), "cut_from_s": full_s, "cut_by_s": full_s + _HOUR_S}
    if kind == "dips":
        _dips(rng, watts, volts)
    elif kind in WORN_KINDS:
        _worn(kind, truth, label)
    elif kind in _REASONS:
        _plug(kind, rng, watts, label, standby_w)
    return label


def _dips(rng: random.Random, watts: list[float], volts: list[float]) -> None:
    """Let the supply go out a few times, for 6 to 90 s."""
    for _ in range(rng.randint(2, 6)):
        start = rng.randrange(60, len(watts) - 60)
        for i in range(start, start + rng.randint(3, 45)):
            watts[i], volts[i] = 0.0, 0.0


def _worn(kind: str, truth: Mapping[str, float], label: dict[str, Any]) -> None:
    full_s = label["full_s"]
    label.update(event_s=full_s, cut_by_s=full_s + 2 * _HOUR_S)
    if kind == "runaway":
        start_s = min(full_s, truth.get("least_s", full_s) + 600)
        rise_s = truth.get("rise12_s", full_s + 3 * _HOUR_S)
        label.update(event_s=start_s, cut_from_s=start_s, cut_by_s=max(rise_s + 1200, start_s + 1800))


def _plug(kind: str, rng: random.Random, watts: list[float], label: dict[str, Any], standby_w: float) -> None:
    """Pull, exchange or add something while the charge is at constant current."""
    at = max(900, int(rng.uniform(0.2, 0.5) * label["full_s"] / STEP_S))
    event_s, end = at * STEP_S, min(len(watts), at + int(3 * _HOUR_S / STEP_S))
    before_w = watts[at]
    del watts[end:]
    label.update(event_s=event_s, full_s=None, cut_from_s=event_s + 10)
    if kind == "unplugged_mains":
        watts[at:] = [0.0] * (end - at)
        label["cut_by_s"] = event_s + 900
    elif kind == "unplugged_battery":
        watts[at:] = [standby_w] * (end - at)
        label["cut_by_s"] = event_s + _HOUR_S
    elif kind == "splitter":
        more_w = max(25.0, before_w * rng.uniform(0.3, 1.6))
        watts[at:] = [w + more_w for w in watts[at:]]
        label.update(cut_from_s=event_s, cut_by_s=event_s + 600)
    else:
        back = at + int(rng.uniform(10, 200) / STEP_S)
        other_w = before_w * rng.choice([rng.uniform(0.3, 0.8), rng.uniform(1.2, 2.5)])
        watts[at:back] = [0.0] * (back - at)
        watts[back:] = [other_w * (1 + 0.00001 * i) for i in range(end - back)]
        label.update(cut_from_s=event_s + 5, cut_by_s=back * STEP_S + 300)
