"""What is refused is named."""

from __future__ import annotations

import pytest

from safety.reading import MeterReading, MissingReason, ProbeReading

GOOD = {"voltage_v": 220.0, "current_a": 1.0, "power_w": 200.0, "power_factor": 0.9, "energy_wh": 5.0}


@pytest.mark.parametrize("name", GOOD)
def test_a_value_of_a_meter_that_cannot_be_is_refused_by_its_name(name: str) -> None:
    """The log must say which register to look at."""
    with pytest.raises(ValueError, match=rf"^{name} = -5\.0 is outside "):
        MeterReading(taken_s=1.0, energy_taken_s=1.0, **GOOD | {name: -5.0})


def test_a_temperature_that_cannot_be_is_refused_by_its_name() -> None:
    """Below absolute zero nothing is cold."""
    with pytest.raises(ValueError, match=r"^temperature_c = -300\.0 is outside -55\.0 to 125\.0$"):
        ProbeReading(1.0, -300.0)


@pytest.mark.parametrize(
    ("name", "most"),
    [("voltage_v", 300.0), ("current_a", 100.0), ("power_w", 30_000.0), ("power_factor", 1.05), ("energy_wh", 4.3e10)],
)
def test_the_range_gates_of_a_meter(name: str, most: float) -> None:
    """Up to its gate a value is one, right above it the meter or the line is at fault (requirements MET-4)."""
    whole = {"taken_s": 1.0, "energy_taken_s": 1.0}
    assert getattr(MeterReading(**whole | GOOD | {name: most}), name) == most
    with pytest.raises(ValueError, match=name):
        MeterReading(**whole | GOOD | {name: most * 1.001})


def test_the_range_gates_of_a_probe() -> None:
    """That of a DS18B20, both ends included."""
    for celsius, good in ((-55.0, True), (-55.1, False), (125.0, True), (125.1, False)):
        if good:
            assert ProbeReading(1.0, celsius).temperature_c == celsius
        else:
            with pytest.raises(ValueError, match="temperature_c"):
                ProbeReading(1.0, celsius)


def test_the_words_for_what_is_missing() -> None:
    """They stand in events, in logs and in the manual, and are never changed."""
    assert [reason.value for reason in MissingReason] == [
        "never_read",
        "timeout",
        "bad_crc",
        "bad_frame",
        "wrong_unit",
        "exception_reply",
        "out_of_range",
        "bus_lost",
        "probe_fault",
        "probe_open",
        "probe_short",
        "probe_reset",
    ]
