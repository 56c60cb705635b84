"""The rules of voltage, on memories made by hand: what was seen since the closing, and whose loss it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.circuit import Circuit
from safety.limits import PortLimits
from safety.reading import MeterReading
from safety.voltage import Excursion, Voltage, observe, standing

LIMITS = PortLimits()
ON = Circuit(closed_s=100.0, opened_s=None, fed_s=90.0, neighbours_v=220.0, neighbours_a=0.0)
STOOD = Excursion(stood=True)


def read(volts: float, memory: Voltage = Voltage(), taken_s: float = 110.0, circuit: Circuit = ON) -> Voltage:
    """Return the memory with one more reading."""
    return observe(memory, MeterReading(taken_s, volts, 0.0, 0.0), LIMITS, circuit)


@pytest.mark.parametrize(
    ("taken_s", "volts", "lived"),
    [(100.0, 220.0, False), (100.1, 220.0, True), (110.0, 30.0, True), (110.0, 29.9, False)],
)
def test_voltage_is_seen_after_the_closing(taken_s: float, volts: float, *, lived: bool) -> None:
    """A reading of that moment was begun before it; 30 V are voltage."""
    assert read(volts, taken_s=taken_s).lived is lived


def test_a_new_closing_forgets_that_voltage_was_seen() -> None:
    """Every closing proves itself."""
    before = Voltage(closed_s=50.0, lived=True, seen_s=109.0)
    assert not read(0.0, before).lived
    assert not read(0.0, replace(before, lost=STOOD)).lived
    assert read(0.0, replace(before, closed_s=100.0)).lived


def test_an_opening_forgets_that_voltage_was_seen_unless_a_loss_stood() -> None:
    """Switching off proves nothing sound: what failed stays known until readings clear it."""
    before = Voltage(closed_s=50.0, lived=True, seen_s=109.0)
    opened = Circuit(neighbours_v=220.0)
    reading = MeterReading(110.0, 0.0, 0.0, 0.0)
    behind = PortLimits(meter_behind_relay=True)
    assert not observe(before, reading, behind, opened).lived
    assert observe(replace(before, lost=STOOD), reading, behind, opened).lived


def test_a_loss_is_the_ports_own_while_neighbours_have_voltage() -> None:
    """Since the first such reading; neighbours without it, or voltage again, end that."""
    alone = read(0.0)
    assert (alone.alone_s, alone.everywhere) == (110.0, False)
    assert read(0.0, alone, 111.0).alone_s == 110.0
    dark = read(0.0, alone, 111.0, replace(ON, neighbours_v=0.0))
    assert (dark.alone_s, dark.everywhere) == (None, True)
    assert read(0.0, alone, 111.0, replace(ON, neighbours_v=None)).alone_s is None
    back = read(220.0, alone, 111.0)
    assert (back.alone_s, back.everywhere) == (None, False)
    assert read(220.0, replace(dark, lost=STOOD), 112.0).everywhere


def test_a_loss_of_which_nobody_knows_whose_it_is_is_not_the_fuses() -> None:
    """It stands, but neither the supply nor this port alone was seen without voltage."""
    assert standing(Voltage(lost=STOOD, lived=True), LIMITS, ON, 200.0) == ()
    assert standing(Voltage(lost=STOOD, lived=True, everywhere=True), LIMITS, ON, 200.0) == ("supply_lost",)
    assert standing(Voltage(lost=STOOD, lived=True, alone_s=100.0), LIMITS, ON, 200.0) == ("fuse_open",)
