"""Perturbations change what they say and nothing else."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hil_rig.curves import labels, load
from hil_rig.score_perturb import (
    METERS,
    PERTURBATIONS,
    crosstalk,
    gaps,
    metered,
    noise,
    perturbed,
    resize,
    stretch,
)

NAME = "o026-dips"
CURVE, LABEL = load(NAME), labels()[NAME]
RUNAWAY = labels()["o033-runaway"]


def seeded(seed: int) -> random.Random:
    """Return a generator of its own for one perturbation."""
    return random.Random(seed)  # noqa: S311 - noise, not a secret


def test_stretching_moves_the_truth_along() -> None:
    """Times and moments are multiplied; the window keeps its hour, except that of a runaway."""
    result = stretch(1.2)(seeded(1), CURVE, LABEL)
    assert result is not None
    curve, label = result
    assert curve.t_s[-1] == pytest.approx(CURVE.t_s[-1] * 1.2)
    assert curve.watts == CURVE.watts
    assert label["full_s"] == pytest.approx(LABEL["full_s"] * 1.2)
    assert label["cut_by_s"] - label["full_s"] == pytest.approx(3600)
    result = stretch(0.8)(seeded(1), CURVE, RUNAWAY)
    assert result is not None
    assert result[1]["cut_by_s"] == pytest.approx(RUNAWAY["cut_by_s"] * 0.8)


def test_resizing_leaves_out_what_the_port_forbids() -> None:
    """A charger that would exceed the port is no fair question, an overload that would not is none either."""
    result = resize(0.7)(seeded(1), CURVE, LABEL)
    assert result is not None
    assert result[0].watts[100] == pytest.approx(CURVE.watts[100] * 0.7)
    assert result[0].amps[100] == pytest.approx(CURVE.amps[100] * 0.7)
    assert resize(1.4)(seeded(1), CURVE, labels()["o013-normal"]) is None
    assert resize(0.7)(seeded(1), CURVE, labels()["o038-overload"]) is None


def test_noise_is_seeded_and_wild_values_stand_alone() -> None:
    """The same generator makes the same curve; outages stay outages."""
    once, again = (noise(0.01, 0.3, 50)(seeded(7), CURVE, LABEL) for _ in range(2))
    assert once is not None
    assert again is not None
    assert once[0].watts == again[0].watts
    wild = [w > 5000 for w in once[0].watts]
    assert any(wild)
    assert not any(a and b for a, b in pairwise(wild))
    assert all(w == 0 for v, w in zip(CURVE.volts, once[0].watts, strict=True) if v < 1)


def test_a_coarse_meter_shows_less() -> None:
    """Steps of its own, and nothing below what it can see."""
    curve = metered(CURVE, METERS["board"])
    assert all(w == round(w) for w in curve.watts)
    assert all(w == 0 or w >= 3.5 for w in curve.watts)
    assert any(0 < w < 3.5 for w in CURVE.watts)
    assert all(v == round(v) for v in curve.volts)


def test_gaps_lose_readings_of_every_column() -> None:
    """Columns stay of one length; some silences last longer than a gap of the rules."""
    result = gaps(0.05, 20)(seeded(2), CURVE, LABEL)
    assert result is not None
    curve = result[0]
    assert len(curve.t_s) == len(curve.watts) == len(curve.celsius) < 0.96 * len(CURVE.t_s)
    assert max(after - before for before, after in pairwise(curve.t_s)) > 20


@pytest.mark.parametrize("current", [False, True])
def test_crosstalk_adds_a_share_of_others(current: bool) -> None:  # noqa: FBT001 - a table of facts
    """At most the share of a port's limit per neighbour, and into the current only on request."""
    result = crosstalk(0.01, 3, current=current)(seeded(3), CURVE, LABEL)
    assert result is not None
    leaked = [after - before for before, after in zip(CURVE.watts, result[0].watts, strict=True)]
    assert min(leaked) >= 0
    assert 0.5 < max(leaked) <= 30
    assert (result[0].amps == CURVE.amps) is not current


def test_every_perturbation_works_on_every_kind_of_curve() -> None:
    """The table of the command can be made; names that do not exist are an error."""
    cases = [(name, load(name), labels()[name]) for name in (NAME, "o033-runaway", "o036-unplugged-mains")]
    for what in PERTURBATIONS:
        made = list(perturbed(what, cases))
        assert [name for name, _, _ in made] == [name for name, _, _ in cases]
    with pytest.raises(KeyError):
        list(perturbed("earthquake", cases))
