"""The score on the stored curves, held as a ratchet: it may become better, not worse."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import pytest

from hil_rig.curves import Curve, FullDetector, full_detector, labels, load, names
from hil_rig.score_metrics import judge, run, score, summary
from hil_rig.score_perturb import perturbed
from hil_rig.synthetic import sessions
from safety.completion import CompletionLimits, CompletionState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Readings between two restarts: some thirty before the end of a curve of the usual length.
RESTARTED_EVERY = 500


class Restarting(FullDetector):
    """The shipped rules, whose state goes through JSON every now and then and must come back the same."""

    restarts = 0

    def __init__(self) -> None:
        super().__init__()
        self._readings = 0

    def update(self, t_s: float, volts: float, amps: float, watts: float, celsius: float) -> str | None:
        """Judge one reading and restart sometimes."""
        answer = super().update(t_s, volts, amps, watts, celsius)
        self._readings += 1
        if self._readings % RESTARTED_EVERY == 0 and self.state is not None:
            restored = CompletionState.from_plain(json.loads(json.dumps(self.state.to_plain())))
            assert restored == self.state, t_s
            self.state = restored
            Restarting.restarts += 1
        return answer


def cases(beginning: int = 0, every: int = 1) -> Iterator[tuple[str, Curve, Mapping[str, Any]]]:
    """Yield every stored curve with its label, or each third of them, say."""
    truth = labels()
    for name in names()[beginning::every]:
        yield name, load(name), truth[name]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_all_curves_end_right_and_restarts_change_nothing() -> None:
    """30 of 30 normal ones: none early, late or never, no alarm where there is nothing, not long after full.

    10 of 10 anomalies inside their window, under a reason that names them. The rules restart on the way and must go on
    with the same state; one curve in ten is judged without restarts as well, with the same outcome.
    """
    outcomes = score(cases(), Restarting)
    figures = summary(outcomes.values())
    assert (figures["ok"], figures["normal_curves"], figures["wrong_alarm"]) == (30, 30, 0)
    assert figures["delay_median_min"] <= 11
    assert figures["delay_p95_min"] <= 40
    assert figures["over_wh_mean"] <= 2.5
    assert (figures["caught"], figures["reason_ok"], figures["anomaly_curves"]) == (10, 10, 10)
    assert figures["anomaly_over_wh_mean"] <= 55
    assert Restarting.restarts > 20 * len(outcomes)
    straight = score(cases(3, 10), full_detector)
    assert len(straight) == 4
    assert {name: outcomes[name] for name in straight} == straight


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("what", "third"), [("slower20", 0), ("noise", 1), ("gaps", 2), ("crosstalk1", 0)])
def test_worse_curves_are_still_right(what: str, third: int) -> None:
    """Stretched, noisy, with gaps, with one per cent of a neighbour's power, each on a third of the curves: all right.

    Every disturbance on every curve: ``make score`` with ``--perturb all``.
    """
    figures = summary(score(perturbed(what, cases(third, 3)), full_detector).values())
    assert figures["normal_curves"] + figures["anomaly_curves"] >= 13
    assert figures["ok"] == figures["normal_curves"]
    assert figures["caught"] == figures["anomaly_curves"]
    assert figures["wrong_alarm"] == 0


def replayed(curve: Curve, label: Mapping[str, Any], scale: float, every_s: float) -> tuple[Curve, dict[str, Any]]:
    """Return the curve as a rig reads it that replays it ``scale`` times as fast as life, every ``every_s``."""
    picked, index = [], 0
    while index * every_s * scale < curve.t_s[-1]:
        picked.append(bisect_right(curve.t_s, index * every_s * scale) - 1)
        index += 1
    columns = (curve.volts, curve.amps, curve.watts, curve.wh, curve.pf, curve.celsius)
    fast = Curve(tuple(i * every_s for i in range(index)), *(tuple(c[i] for i in picked) for c in columns))
    moments = ("full_s", "event_s", "cut_from_s", "cut_by_s")
    return fast, {**label, **{key: label[key] and label[key] / scale for key in moments}}


@pytest.mark.parametrize(("scale", "every_s"), [(100, 0.1), (100, 0.15), (200, 0.1), (200, 0.15), (300, 0.1)])
@pytest.mark.parametrize("name", ["o002-normal", "o016-normal", "o024-pause", "o033-runaway"])
def test_a_rig_may_replay_faster_than_life(name: str, scale: float, every_s: float) -> None:
    """With two to six readings a block each curve ends for its reason inside its window."""
    curve, label = replayed(load(name), labels()[name], scale, every_s)
    limits = CompletionLimits().scaled(scale)
    outcome = judge(curve, label, *run(curve, FullDetector(limits)))
    assert outcome.result in {"ok", "caught"}
    assert not outcome.wrong_alarm


@pytest.mark.long
@pytest.mark.timeout(400)
def test_made_up_sessions_end_right_too() -> None:
    """Other physics, other chargers, six meters: no alarm where nothing is wrong, and few mistakes.

    The mistakes that remain are pauses on meters that cannot see a charger's standby: for them a pause and a pulled
    plug look the same. Two of every kind here; more of them: ``make score`` with ``--synthetic``.
    """
    outcomes = score(sessions(36, seed=3), full_detector)
    figures = summary(outcomes.values())
    assert figures["wrong_alarm"] == 0
    wrong = [o for o in outcomes.values() if o.result not in {"ok", "caught"}]
    assert len(wrong) <= 1
    assert all(o.kind in {"pause", "runaway", "near_full"} for o in wrong)
