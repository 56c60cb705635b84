"""From codes of a converter to °C: every boundary on its own side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.thermistor import MAX_CODE, MAX_SPREAD, RAIL_CODES, Divider, decode
from hil_rig.converter import thermistor_code
from safety.reading import MissingReason

GROUND = Divider(10_000.0, 3950.0, 10_000.0, to_ground=True)
SUPPLY = Divider(10_000.0, 3950.0, 10_000.0, to_ground=False)
OPEN, SHORT, FAULT = MissingReason.PROBE_OPEN, MissingReason.PROBE_SHORT, MissingReason.PROBE_FAULT


@pytest.mark.parametrize(
    ("resistance_ohm", "celsius"),
    [(10_000.0, 25.0), (33_621.0, 0.0), (3588.0, 50.0), (1270.5, 80.0), (697.2, 100.0)],
)
def test_resistances_of_a_common_thermistor(resistance_ohm: float, celsius: float) -> None:
    """10 kΩ, B 3950: the values of the beta equation, worked out by hand, within half a step of the converter."""
    share = resistance_ohm / (resistance_ohm + 10_000.0)
    assert GROUND.temperature_c(1024 * share - 0.5) == pytest.approx(celsius, abs=0.02)
    assert SUPPLY.temperature_c(1024 * (1 - share) - 0.5) == pytest.approx(celsius, abs=0.02)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, SHORT),
        (RAIL_CODES, SHORT),
        (RAIL_CODES + 1, FAULT),  # 232 °C: a hot short, or no thermistor of this kind
        (34, FAULT),  # 126.2 °C
        (35, pytest.approx(124.97, abs=0.01)),
        (512, pytest.approx(25.0, abs=0.1)),
        (998, pytest.approx(-39.64, abs=0.01)),
        (999, OPEN),  # -40.2 °C: damp or corroded, not a winter
        (MAX_CODE - RAIL_CODES, OPEN),
        (MAX_CODE, OPEN),
    ],
)
def test_the_whole_range_in_both_orientations(code: int, outcome: object) -> None:
    """Rails are wiring, beyond the range there is no temperature, and turning the divider over mirrors everything."""
    assert decode([code], GROUND) == outcome
    assert decode([MAX_CODE - code], SUPPLY) == outcome


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        ([500, 500 + MAX_SPREAD], pytest.approx(25.4, abs=0.1)),
        ([500, 500 + MAX_SPREAD + 1], FAULT),
        ([500] * 7 + [MAX_CODE], FAULT),  # a touched contact
        ([0, MAX_CODE], FAULT),
        ([MAX_CODE, MAX_CODE - 10], OPEN),
        ([], FAULT),
        ([-1], FAULT),
        ([MAX_CODE + 1], FAULT),
    ],
)
def test_samples_that_disagree_are_no_temperature(codes: list[int], outcome: object) -> None:
    """The mean counts only where all samples lie together."""
    assert decode(codes, GROUND) == outcome


@given(
    r25_ohm=st.floats(1000, 200_000),
    beta_k=st.floats(2500, 5000),
    ratio=st.floats(0.2, 4.0),
    to_ground=st.booleans(),
    celsius=st.floats(-20.0, 110.0),
)
def test_every_divider_that_may_be_configured_tells_a_temperature_from_a_broken_wire(
    r25_ohm: float, beta_k: float, ratio: float, *, to_ground: bool, celsius: float
) -> None:
    """From -20 to 110 °C within 5 K, whatever thermistor and resistor: what ``config.cross_probe`` lets pass."""
    divider = Divider(r25_ohm, beta_k, r25_ohm * ratio, to_ground)
    code = thermistor_code(celsius, r25_ohm=r25_ohm, beta_k=beta_k, series_ohm=r25_ohm * ratio, to_ground=to_ground)
    assert decode([code], divider) == pytest.approx(celsius, abs=5.0)


@given(st.lists(st.integers(-5, 1030), max_size=9), st.booleans())
def test_no_codes_ever_raise(codes: list[int], to_ground: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """Whatever a broken converter says is a temperature in range, or a reason."""
    outcome = decode(codes, GROUND if to_ground else SUPPLY)
    assert isinstance(outcome, MissingReason) or -40.0 <= outcome <= 125.0
