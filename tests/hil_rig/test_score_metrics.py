"""The definitions of the score, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hil_rig.curves import Curve
from hil_rig.score_metrics import Outcome, as_plain, energies_wh, judge, quantile, run, score, summary, word

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMAL = {
    "kind": "normal",
    "expect": "full",
    "full_s": 3600.0,
    "cut_by_s": 7200.0,
    "event_s": None,
    "reasons": ["full"],
}
WORN = {
    "kind": "runaway",
    "expect": "anomaly",
    "event_s": 1800.0,
    "cut_from_s": 3600.0,
    "cut_by_s": 5400.0,
    "reasons": ["rising"],
}
PULLED = {**WORN, "kind": "unplugged_mains", "event_s": 3000.0, "reasons": ["unplugged"]}


def curve(watts: Sequence[float], step_s: float = 60.0) -> Curve:
    """Return a curve with these watts."""
    rest = (0.0,) * len(watts)
    return Curve(tuple(i * step_s for i in range(len(watts))), rest, rest, tuple(watts), rest, rest, rest)


STEADY = curve([60.0] * 181)  # 60 W, a reading a minute, three hours: a watt-hour a minute


class CutsAt:
    """Cuts at one moment."""

    def __init__(self, t_s: float, reason: str) -> None:
        self.t_s, self.reason = t_s, reason

    def update(self, t_s: float, volts: float, amps: float, watts: float, celsius: float) -> str | None:
        """Answer from the moment on."""
        del volts, amps, watts, celsius
        return self.reason if t_s >= self.t_s else None


def test_energy_is_summed_at_the_power_of_each_intervals_end() -> None:
    """Wild readings are capped at 2,600 W and gaps at 300 s."""
    assert energies_wh(curve([0.0, 60.0, 120.0])) == pytest.approx((0.0, 1.0, 3.0))
    assert energies_wh(curve([0.0, 9000.0], 3600.0)) == pytest.approx((0.0, 2600 * 300 / 3600))


def test_the_first_answer_is_the_cut() -> None:
    """Later ones do not count, none is none."""
    assert run(STEADY, CutsAt(4000.0, "full: x")) == (4020.0, "full: x")
    assert run(STEADY, CutsAt(1e9, "full")) == (None, None)


@pytest.mark.parametrize(
    ("reason", "counted"), [(None, ""), ("full", "full"), ("full: 2 W", "full"), ("plateau 30 W", "plateau")]
)
def test_only_the_first_word_counts(reason: str | None, counted: str) -> None:
    """Up to the first colon or blank."""
    assert word(reason) == counted


@pytest.mark.parametrize(
    ("cut_s", "result", "delay_min", "missed", "over_wh"),
    [
        (None, "never", 120.0, 0.0, 120.0),
        (3540.0, "ok", -1.0, 1 / 60, 0.0),
        (3480.0, "early", -2.0, 2 / 60, 0.0),
        (3600.0, "ok", 0.0, 0.0, 0.0),
        (7200.0, "ok", 60.0, 0.0, 60.0),
        (7260.0, "late", 61.0, 0.0, 61.0),
    ],
)
def test_normal_curves(cut_s: float | None, result: str, delay_min: float, missed: float, over_wh: float) -> None:
    """Early from 2 % of energy missed, late after the window, never without a cut."""
    outcome = judge(STEADY, NORMAL, cut_s, None if cut_s is None else "full")
    assert outcome.result == result
    assert outcome.delay_min == pytest.approx(delay_min)
    assert outcome.missed == pytest.approx(missed)
    assert outcome.over_wh == pytest.approx(over_wh)


@pytest.mark.parametrize(("reason", "wrong"), [("full", False), ("plateau", False), ("rising: 8 %", True)])
def test_an_accusation_on_a_normal_curve_is_a_wrong_alarm(reason: str, wrong: bool) -> None:  # noqa: FBT001
    """Naming a plateau or nothing plugged in accuses nobody."""
    assert judge(STEADY, NORMAL, 3600.0, reason).wrong_alarm is wrong


@pytest.mark.parametrize(
    ("label", "cut_s", "result"),
    [
        (WORN, None, "missed"),
        (WORN, 3540.0, "caught"),
        (WORN, 3480.0, "early"),
        (WORN, 5400.0, "caught"),
        (WORN, 5460.0, "late"),
        (PULLED, 3540.0, "early"),
        (PULLED, 3600.0, "caught"),
    ],
)
def test_anomalies(label: dict[str, Any], cut_s: float | None, result: str) -> None:
    """Inside the window; a harmless early cut is forgiven to what creeps in, not to what happens in a moment."""
    assert judge(STEADY, label, cut_s, None if cut_s is None else "rising").result == result


def test_a_late_cut_may_have_to_be_named() -> None:
    """Labels that say so count a late cut under a wrong name as missed."""
    label = {**WORN, "must_name": True}
    assert judge(STEADY, label, 6000.0, "full").result == "missed"
    assert judge(STEADY, label, 6000.0, "rising: 9 %").result == "late"


def test_catches_are_timed_from_when_they_can_be_known() -> None:
    """A creeping anomaly from its window, a sudden one from its event; energy counts from the window."""
    slow, sudden = judge(STEADY, WORN, 4200.0, "rising"), judge(STEADY, PULLED, 4200.0, "full")
    assert (slow.catch_min, sudden.catch_min) == (10.0, 20.0)
    assert (slow.reason_ok, sudden.reason_ok) == (True, False)
    assert slow.over_wh == pytest.approx(10.0)
    assert judge(STEADY, {**PULLED, "event_s": None}, 4200.0, "full").catch_min == 10.0


@pytest.mark.parametrize(
    ("values", "share", "expected"), [([], 0.5, None), ([3.0], 0.95, 3.0), ([4, 1, 2, 3], 0.5, 2.5)]
)
def test_quantiles_are_interpolated(values: list[float], share: float, expected: float | None) -> None:
    """Between neighbours in order."""
    assert quantile(values, share) == expected


def test_the_summary_counts_everything_once() -> None:
    """Each outcome is in one count of its group."""
    made = {
        "a": judge(STEADY, NORMAL, 4200.0, "full"),
        "b": judge(STEADY, NORMAL, 1800.0, "swapped"),
        "c": judge(STEADY, NORMAL, None, None),
        "d": judge(STEADY, WORN, 4200.0, "rising"),
        "e": judge(STEADY, PULLED, 4200.0, "full"),
    }
    figures = summary(made.values())
    assert figures["ok"] + figures["late"] + figures["never"] + figures["false_early"] == figures["normal_curves"] == 3
    assert figures["false_early_missed_pct_mean"] == figures["false_early_missed_pct_max"] == 50.0
    assert (figures["delay_median_min"], figures["wrong_alarm"]) == (65.0, 1)
    assert (figures["caught"], figures["reason_ok"], figures["anomaly_over_wh_mean"]) == (2, 1, 10.0)
    assert figures["by_kind"] == {"normal": "1/3", "runaway": "1/1", "unplugged_mains": "1/1"}
    plain = as_plain(made)
    assert plain["summary"] == figures
    assert plain["curves"]["a"]["delay_min"] == 10.0


def test_no_curves_give_no_figures() -> None:
    """An empty set divides by nothing."""
    figures = summary([])
    assert figures["delay_median_min"] is None
    assert figures["over_wh_mean"] == 0


def test_every_curve_gets_a_detector_of_its_own() -> None:
    """State does not leak from one session into the next."""
    made: list[CutsAt] = []

    def factory() -> CutsAt:
        made.append(CutsAt(3600.0, "full"))
        return made[-1]

    outcomes = score([("a", STEADY, NORMAL), ("b", STEADY, NORMAL)], factory)
    assert len(made) == 2
    assert all(isinstance(outcome, Outcome) and outcome.result == "ok" for outcome in outcomes.values())
