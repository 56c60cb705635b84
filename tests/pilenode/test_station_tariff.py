"""Promises of the tariff: integers, half up once per item, both items separate."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.tariff import fee_fen, price
from pilenode.upstream.facts import TariffTerms

ENERGY_WH = st.integers(0, 10**9)
PRICE = st.integers(0, 100_000)


@pytest.mark.parametrize(
    ("energy_wh", "milli_yuan_per_kwh", "fen"),
    [
        (1000, 520, 52),  # 1 kWh at 0.52 yuan
        (0, 520, 0),
        (1000, 0, 0),
        (1, 4999, 0),  # 0.4999 fen
        (1, 5000, 1),  # 0.5 fen, half up
        (1, 14_999, 1),
        (1, 15_000, 2),
        (96, 520, 5),  # 4.992 fen
        (97, 520, 5),  # 5.044 fen
        (105, 520, 5),  # 5.46 fen
        (106, 520, 6),  # 5.512 fen
    ],
)
def test_rounding_is_half_up(energy_wh: int, milli_yuan_per_kwh: int, fen: int) -> None:
    """Half a fen and more is a fen, less is none."""
    assert fee_fen(energy_wh, milli_yuan_per_kwh) == fen


@given(ENERGY_WH, PRICE)
def test_fee_is_the_exact_amount_rounded_once(energy_wh: int, milli_yuan_per_kwh: int) -> None:
    """The fee is never more than half a fen away from the exact amount, and an exact half goes up."""
    exact = Fraction(energy_wh, 1000) * Fraction(milli_yuan_per_kwh, 1000) * 100
    assert -Fraction(1, 2) < fee_fen(energy_wh, milli_yuan_per_kwh) - exact <= Fraction(1, 2)


@given(ENERGY_WH, ENERGY_WH, PRICE)
def test_more_energy_never_costs_less(one_wh: int, other_wh: int, milli_yuan_per_kwh: int) -> None:
    """The fee does not fall when the energy rises."""
    low, high = sorted((one_wh, other_wh))
    assert fee_fen(low, milli_yuan_per_kwh) <= fee_fen(high, milli_yuan_per_kwh)


@given(ENERGY_WH, PRICE, PRICE)
def test_items_do_not_know_each_other(energy_wh: int, electricity: int, service: int) -> None:
    """Each item is priced on its own: changing one price leaves the other item alone."""
    terms = TariffTerms(version="t", electricity_milli_yuan_per_kwh=electricity, service_milli_yuan_per_kwh=service)
    fees = price(energy_wh, terms)
    assert fees.electricity_fen == fee_fen(energy_wh, electricity)
    assert fees.service_fen == fee_fen(energy_wh, service)


@pytest.mark.parametrize(("energy_wh", "milli_yuan_per_kwh"), [(-1, 1), (1, -1)])
def test_negative_amounts_are_refused(energy_wh: int, milli_yuan_per_kwh: int) -> None:
    """A negative energy or price is a bug and never becomes a bill."""
    with pytest.raises(ValueError, match="negative"):
        fee_fen(energy_wh, milli_yuan_per_kwh)
