"""The stored curves load as they are described."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hil_rig.curves import FullDetector, full_detector, labels, load, names
from safety.completion import CompletionLimits
from safety.hazards import HazardMemory, PortInputs, judge, suspicious
from safety.limits import PortLimits
from safety.reading import MeterReading, ProbeReading

if TYPE_CHECKING:
    from pathlib import Path


def test_every_label_has_its_curve_and_every_curve_its_label() -> None:
    """Forty of each; 30 of them normal."""
    truth = labels()
    assert names() == tuple(sorted(truth))
    assert len(truth) == 40
    assert sum(label["expect"] == "full" for label in truth.values()) == 30


def test_a_curve_is_seven_columns_of_one_length() -> None:
    """Times rise, units are those of the README."""
    curve = load("o014-normal")
    lengths = {len(getattr(curve, name)) for name in ("t_s", "volts", "amps", "watts", "wh", "pf", "celsius")}
    assert len(lengths) == 1
    assert all(before < after for before, after in zip(curve.t_s, curve.t_s[1:], strict=False))
    assert curve.volts[100] == 227.0
    assert 80 < curve.watts[100] < 100
    assert load("o014-normal") is curve


def test_an_unknown_curve_is_an_error() -> None:
    """A wrong name does not give an empty curve."""
    with pytest.raises(FileNotFoundError):
        load("o999-normal")


def test_other_columns_are_an_error(tmp_path: Path) -> None:
    """A file of another kind is not read as numbers in the wrong places."""
    with gzip.open(tmp_path / "x.csv.gz", "wt") as file:
        file.write("t_s,watts\n0,1\n")
    with pytest.raises(ValueError, match="x: unknown columns"):
        load("x", tmp_path)


def feed(watts: float, celsius: float, seconds: int) -> str | None:
    """Return the first answer to readings a second apart."""
    detector = full_detector()
    answers = (detector.update(float(t), 230.0, watts / 138, watts, celsius) for t in range(seconds))
    return next((answer for answer in answers if answer is not None), None)


@pytest.mark.parametrize(
    ("watts", "celsius", "seconds", "word"),
    [
        (1501.0, 30.0, 2, "overload"),
        (1501.0, 30.0, 1, None),
        (1500.0, 30.0, 1, None),
        (1500.0, 30.0, 2, "overload"),
        (1250.0, 30.0, 2, None),
        (1250.0, 30.0, 3, "overload"),
        (1101.0, 30.0, 6, "overload"),
        (1101.0, 30.0, 5, None),
        (1100.0, 30.0, 600, None),
        (100.0, 80.0, 11, "over_temperature"),
        (100.0, 80.0, 10, None),
        (100.0, 79.9, 600, None),
        (0.0, 30.0, 601, "no_load"),
    ],
)
def test_protective_rules_stand_in_with_their_defaults(
    watts: float, celsius: float, seconds: int, word: str | None
) -> None:
    """A kettle and a hot socket are judged as the product would; words are those of the labels."""
    answer = feed(watts, celsius, seconds)
    assert (answer.split(":")[0] if answer else None) == word


def test_an_excess_that_ends_is_forgotten_after_a_while() -> None:
    """What was borne fades in 5 s; a single sample over the fast stage is noise."""
    detector = full_detector()
    watts = [1200.0] * 2 + [100.0] * 6 + [1200.0] * 2 + [100.0] * 6 + [1600.0, 100.0, 100.0, 100.0, 1600.0, 100.0]
    assert all(detector.update(float(t), 230.0, 5.0, w, 30.0) is None for t, w in enumerate(watts))


def test_the_detector_takes_other_limits() -> None:
    """For rigs that run faster than life."""
    detector = FullDetector(CompletionLimits().scaled(100))
    answers = [detector.update(t / 10, 230.0, 0.0, 0.0, 30.0) for t in range(70)]
    assert answers.index(next(a for a in answers if a)) == 60


CUTS = {"over_current": "overload", "over_power": "overload", "over_temperature": "over_temperature"}


def by_every_rule(rows: list[tuple[float, float, float, float, float]]) -> tuple[float, str] | None:
    """Return when and for what the whole of the protective rules cuts first, in the words of the labels."""
    limits, memory = PortLimits(current_limit_a=10.0, power_limit_w=1000.0), HazardMemory()
    doubted: MeterReading | None = None
    for t_s, volts, amps, watts, celsius in rows:
        newest = MeterReading(t_s, volts, amps, watts)
        inputs = PortInputs(newest, probe=ProbeReading(t_s, celsius))
        if suspicious(newest, limits) and doubted is None:
            doubted = newest
            continue
        if doubted is not None and suspicious(newest, limits):
            inputs = replace(inputs, earlier=(doubted,))
        doubted = None
        memory, found = judge(memory, inputs, limits, t_s)
        code = next((code for code in found if code in CUTS), None)
        if code is not None:
            return t_s, CUTS[code]
    return None


def test_the_rules_that_are_left_out_would_change_nothing() -> None:
    """Rough random sessions are cut at the same reading for the same reason as by all protective rules together."""
    words: dict[str | None, int] = {}
    for seed in range(60):
        dice = random.Random(seed)  # noqa: S311 - noise, not a secret
        warm, load_a = dice.choice([25.0, 60.0, 77.0]), dice.choice([2.0, 9.0, 9.5])
        rows = []
        for second in range(200):
            warm = min(99.0, max(-40.0, warm + dice.gauss(0.1, dice.choice([0.3, 0.3, 9.0]))))
            amps = abs(dice.gauss(load_a, 1.0)) + dice.choice([0.0] * 30 + [2.0, 8.0, 30.0])
            volts = dice.choice([220.0] * 20 + [0.0, 150.0, 275.0])
            rows.append((float(second), volts, amps, 100 * amps, warm))
        detector = full_detector()
        answers = ((row[0], detector.update(*row)) for row in rows)
        cut = next(((t_s, answer.split(":")[0]) for t_s, answer in answers if answer is not None), None)
        assert cut == by_every_rule(rows), seed
        words[cut and cut[1]] = words.get(cut and cut[1], 0) + 1
    assert words.keys() == {None, "overload", "over_temperature"}
    assert min(words.values()) >= 3
