"""Who reads which channel of what: each channel once, one model for each address, and only channels that there are."""

from __future__ import annotations

import pytest

from config import load
from safety.budget import line_timing

ONE = 'model = "pzem004t-v3", unit = 1'
TWO = 'model = "pzem004t-v3", unit = 2'
JSY = 'model = "jsy-mk-194t", unit = 1, channel = {}'
INLET = '[cabinet.inlet]\nmodel = "{}"\nunit = {}\nchannel = {}\nbus = "main"\n'


def found(text: str) -> list[tuple[str, str]]:
    """Return key and code of every problem."""
    return sorted((one.key, one.code) for one in load.check_text(text))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (JSY.format(1), JSY.format(2), []),
        (JSY.format(2), JSY.format(1), []),
        (JSY.format(1), JSY.format(1), [("port[2].meter.unit", "duplicate")]),
        (JSY.format(1), JSY.format(3), [("port[2].meter.channel", "out_of_range")]),
        (ONE, ONE + ", channel = 2", [("port[2].meter.channel", "out_of_range")]),
        (JSY.format(1), 'model = "jsy-mk-193", unit = 1, channel = 2', [("port[2].meter.model", "wrong_meter")]),
        (JSY.format(1), 'model = "jsy-mk-193", unit = 2, channel = 2', []),
        (ONE, 'model = "sdm120", unit = 1', [("port[2].meter.unit", "duplicate")]),
        (ONE, 'model = "sdm630", unit = 2', [("port[2].meter.model", "wrong_meter")]),
        (ONE, TWO + ", channel = 9", [("port[2].meter.channel", "out_of_range")]),
        (ONE, ONE + ", channel = 9", [("port[2].meter.channel", "out_of_range")]),
    ],
)
def test_ports_on_a_meter(good: str, first: str, second: str, expected: list[tuple[str, str]]) -> None:
    """Every rule fires alone and blames the later port."""
    # at 9600 baud, which all of these are fast enough at
    assert found(good.replace(ONE, first).replace(TWO, second)) == expected


@pytest.mark.parametrize(
    ("inlet", "expected"),
    [
        (("sdm630", 10, 1), []),
        (("sdm120", 10, 1), []),
        (("sdm630", 10, 2), [("cabinet.inlet.channel", "out_of_range")]),
        (("pzem004t-v3", 2, 1), [("cabinet.inlet.unit", "duplicate")]),
        (("jsy-mk-194t", 1, 2), []),
        (("jsy-mk-194t", 1, 1), [("cabinet.inlet.unit", "duplicate")]),
        (("jsy-mk-193", 1, 2), [("cabinet.inlet.model", "wrong_meter")]),
    ],
)
def test_the_inlet_may_be_any_model(good: str, inlet: tuple[str, int, int], expected: list[tuple[str, str]]) -> None:
    """A three-phase meter, one like those of the ports, or the free channel of one of those."""
    text = good.replace(ONE, JSY.format(1)).replace("[upstream]", INLET.format(*inlet) + "[upstream]")
    assert found(text) == expected


def test_a_meter_with_two_ports_counts_once(good: str) -> None:
    """One read serves both: each waits for no other meter, and the same two ports on two meters take longer."""
    shared = load.load_text(good.replace(ONE, JSY.format(1)).replace(TWO, JSY.format(2)))
    apart = load.load_text(good.replace(ONE, JSY.format(1)).replace(TWO, JSY.format(1).replace("unit = 1", "unit = 2")))
    one_s = line_timing(9600, "N", 1, 0.1).transaction_s(56)
    assert [port.oldest_s for port in load.budget(shared).ports] == [pytest.approx(one_s)] * 2
    assert [port.port for port in load.budget(shared).ports] == [1, 2]
    assert load.budget(apart).ports[0].oldest_s > 2 * one_s
