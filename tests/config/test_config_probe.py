"""Probes, and the modules and converters that they hang on: every rule at its limit, and what it costs the promise."""

from __future__ import annotations

import pytest

from config import load

MODULE = '[[probe_module]]\nname = "m"\nbus = "main"\nunit = 9\n'
ADC = '[[adc]]\nname = "a"\n'
ID = '{ id = "28-0316a2794b01" }'
M3, A0 = '{ module = "m", channel = 3 }', '{ adc = "a", channel = 0 }'


def with_probe(good: str, probe: str, more: str = MODULE + ADC) -> str:
    """Return a good configuration whose first port has this probe."""
    assert ID in good
    return good.replace(ID, probe).replace("[upstream]", more + "[upstream]")


def found(text: str) -> list[tuple[str, str]]:
    """Return key and code of every problem."""
    return [(one.key, one.code) for one in load.check_text(text)]


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (ID, []),
        (M3, []),
        (A0, []),
        ('{ module = "m", channel = 1 }', []),
        ('{ module = "m", channel = 8 }', []),
        ('{ module = "m", channel = 0 }', [("port[1].probe.channel", "out_of_range")]),
        ('{ module = "m", channel = 9 }', [("port[1].probe.channel", "out_of_range")]),
        ('{ adc = "a", channel = 7 }', []),
        ('{ adc = "a", channel = 8 }', [("port[1].probe.channel", "out_of_range")]),
        ('{ adc = "a", channel = -1 }', [("port[1].probe.channel", "out_of_range")]),
        ("{}", [("port[1].probe", "incomplete")]),
        ("{ channel = 3 }", [("port[1].probe", "incomplete")]),
        ('{ module = "m" }', [("port[1].probe", "incomplete")]),
        ('{ adc = "a" }', [("port[1].probe", "incomplete")]),
        ('{ id = "28-0316a2794b01", channel = 3 }', [("port[1].probe.channel", "without_effect")]),
        ('{ id = "28-0316a2794b01", module = "m", channel = 3 }', [("port[1].probe", "without_effect")]),
        ('{ module = "m", adc = "a", channel = 3 }', [("port[1].probe", "without_effect")]),
        ('{ module = "a", channel = 3 }', [("port[1].probe.module", "unknown_reference")]),
        ('{ adc = "m", channel = 3 }', [("port[1].probe.adc", "unknown_reference")]),
        ('{ id = "28" }', [("port[1].probe.id", "wrong_format")]),
        ('{ module = "m m", channel = 3 }', [("port[1].probe.module", "wrong_format")]),
    ],
)
def test_a_probe_has_exactly_one_source(good: str, probe: str, expected: list[tuple[str, str]]) -> None:
    """Id, module or converter, with a channel that exists there; a refused value makes no second problem."""
    assert found(with_probe(good, probe)) == expected


def test_everything_wrong_is_listed_at_once_in_both_languages(good: str) -> None:
    """Two ports and the cabinet, one run, Chinese and English each."""
    text = with_probe(good, "{}").replace('{ id = "28-0316a2794b02" }', '{ module = "x", channel = 1 }')
    problems = load.check_text(text + '[cabinet.probe]\nadc = "a"\n')
    assert [(one.key, one.code) for one in problems] == [
        ("port[1].probe", "incomplete"),
        ("port[2].probe.module", "unknown_reference"),
        ("cabinet.probe", "incomplete"),
    ]
    assert all(one.zh and one.en and one.zh != one.en for one in problems)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ('{ module = "m", channel = 4 }', []),
        (M3, [("port[2].probe.channel", "duplicate")]),
        ('{ adc = "a", channel = 3 }', []),
    ],
)
def test_an_input_serves_one_port(good: str, second: str, expected: list[tuple[str, str]]) -> None:
    """The same channel twice is one of two probes that watches the wrong socket."""
    assert found(with_probe(good, M3).replace('{ id = "28-0316a2794b02" }', second)) == expected


def test_the_cabinets_probe_may_hang_anywhere(good: str) -> None:
    """It takes an input as the ports do."""
    assert found(with_probe(good, M3) + '[cabinet.probe]\nmodule = "m"\nchannel = 4\n') == []
    twice = with_probe(good, M3) + '[cabinet.probe]\nmodule = "m"\nchannel = 3\n'
    assert found(twice) == [("cabinet.probe.channel", "duplicate")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (MODULE.replace("unit = 9", "unit = 2"), [("probe_module[1].unit", "duplicate")]),
        (MODULE.replace('"main"', '"mian"'), [("probe_module[1].bus", "unknown_reference")]),
        (MODULE + MODULE.replace("unit = 9", "unit = 10"), [("probe_module[2].name", "duplicate")]),
        (MODULE + MODULE.replace('"m"', '"n"'), [("probe_module[2].unit", "duplicate")]),
        (ADC + ADC.replace('"a"', '"b"') + "select_pin = 7\n", []),
        (ADC + ADC.replace('"a"', '"b"'), [("adc[2].select_pin", "duplicate")]),
        (ADC + ADC + "select_pin = 7\n", [("adc[2].name", "duplicate")]),
        (ADC + "clock_pin = 23\n", [("adc[1].clock_pin", "duplicate")]),
        (ADC + "select_pin = 5\n", [("adc[1].select_pin", "duplicate")]),
        (ADC + "miso_pin = 10\n", [("adc[1].miso_pin", "duplicate")]),
        (ADC + "[gpio]\ncontactor_pin = 11\n", [("adc[1].clock_pin", "duplicate")]),
    ],
)
def test_addresses_names_and_lines_are_taken_once(good: str, more: str, expected: list[tuple[str, str]]) -> None:
    """A module is a slave among the meters; converters share clock and data with each other and with nobody else."""
    assert found(with_probe(good, ID, more)) == expected


@pytest.mark.parametrize(
    ("select", "more", "expected"),
    [
        (1, "", []),
        (0, "", [("reader[1].spi_select", "duplicate")]),
        (0, "select_pin = 7\n", []),
        (1, "clock_pin = 12\n", []),
        (1, "clock_pin = 9\n", [("adc[1].miso_pin", "duplicate")]),
    ],
)
def test_a_converter_and_a_card_reader_share_the_kernels_spi(
    good: str, select: int, more: str, expected: list[tuple[str, str]]
) -> None:
    """Clock and data are everybody's, a select line is not."""
    reader = f'[[reader]]\nname = "r"\nkind = "mfrc522"\nspi_select = {select}\n'
    assert found(with_probe(good, ID, ADC + more + reader)) == expected


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("nominal_ohm = 10_000\nseries_ohm = 2_000", False),
        ("nominal_ohm = 10_000\nseries_ohm = 1_999", True),
        ("nominal_ohm = 10_000\nseries_ohm = 40_000", False),
        ("nominal_ohm = 10_000\nseries_ohm = 40_001", True),
        ("nominal_ohm = 100_000\nseries_ohm = 100_000", False),
        ("nominal_ohm = 100_000", True),
    ],
)
def test_the_divider_can_tell_heat_from_a_short(good: str, keys: str, *, wrong: bool) -> None:
    """A series resistor far from the thermistor's own leaves too few codes at one end."""
    problems = found(with_probe(good, ID, f"{ADC}{keys}\n"))
    assert [code for _, code in problems] == ["out_of_range"] * wrong


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (MODULE + "interval_s = 53.5\n", False),
        (MODULE + "interval_s = 53.6\n", True),
        (ADC + "interval_s = 59.9\n", False),
        (ADC + "interval_s = 60\n", True),
    ],
)
def test_a_probe_that_works_is_never_taken_for_a_silent_one(good: str, more: str, *, wrong: bool) -> None:
    """Interval and age of the registers stay below probe_max_age_s, 60 s."""
    assert [code for _, code in found(with_probe(good, ID, more))] == ["wrong_order"] * wrong


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("status_led_pin = 12\nbuzzer_pin = 13", []),
        ("status_led_pin = 12\nbuzzer_pin = 12", [("gpio.buzzer_pin", "duplicate")]),
        ("status_led_pin = 5", [("gpio.status_led_pin", "duplicate")]),
        ("relay_life = 999", [("gpio.relay_life", "out_of_range")]),
        ("contactor_life = 1000", []),
    ],
)
def test_lights_and_buzzer_take_lines_of_their_own(good: str, keys: str, expected: list[tuple[str, str]]) -> None:
    """A light on a relay's line would close it."""
    assert found(good.replace("[upstream]", f"[gpio]\n{keys}\n[upstream]")) == expected


@pytest.mark.parametrize(
    ("led", "expected"),
    [
        ("{ pin = 12 }", []),
        ('{ pin = 12, fault_pin = 16, active = "low" }', []),
        ("{ pin = 12, fault_pin = 12 }", [("port[1].led.fault_pin", "duplicate")]),
        ("{ pin = 6 }", [("port[1].led.pin", "duplicate")]),
        ("{ fault_pin = 6 }", [("port[1].led.fault_pin", "duplicate"), ("port[1].led.pin", "missing_key")]),
    ],
)
def test_the_lights_of_a_port(good: str, led: str, expected: list[tuple[str, str]]) -> None:
    """One line or two, and nobody else's."""
    assert sorted(found(good.replace("number = 1\n", f"number = 1\nled = {led}\n"))) == expected


# -- what they cost ----------------------------------------------------------------------------------------------


def heat_s(text: str) -> list[float]:
    """Return for each port how long it takes until a temperature at its probe has been read."""
    paths = [{path.name: path for path in port.dwelling} for port in load.budget(load.load_text(text)).ports]
    return [path["heat"].terms[0].seconds for path in paths if "heat" in path]


def test_each_kind_of_probe_has_its_own_time_until_it_is_read(good: str) -> None:
    """One 1-wire probe: two conversions and the pause. A thermistor: 0.2 s and the pause. A module: see the arithmetic.

    The other port's probe is on 1-wire and alone there.
    """
    assert heat_s(with_probe(good, ID)) == pytest.approx([1.0 + 3 * 0.8 + 2.0] * 2)
    assert heat_s(with_probe(good, A0)) == pytest.approx([1.2, 3.6])
    module, alone = heat_s(with_probe(good, M3))
    assert alone == pytest.approx(3.6)
    assert 6.4 + 2.0 < module < 6.4 + 2.0 + 2.0


def test_a_module_among_meters_takes_its_turn_from_them(good: str) -> None:
    """On their bus it makes every reading older; on a bus of its own it costs them nothing, and is read sooner."""
    own = MODULE.replace('"main"', '"own"') + '[[bus]]\nname = "own"\ndevice = "/dev/y"\n'
    texts = [with_probe(good, M3), with_probe(good, M3, own), good]
    among, apart, without = (load.budget(load.load_text(text)).ports[0].oldest_s for text in texts)
    assert among > apart == without
    assert heat_s(texts[1])[0] < heat_s(texts[0])[0]
