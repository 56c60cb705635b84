"""Rules between keys: a contradiction is found beside every other mistake, and only where it is one."""

from __future__ import annotations

import pytest

from config import load

INLET = '[cabinet.inlet]\nmodel = "sdm120"\nbus = "main"'
#: What is replaced in the good file, by what, and the exact list of (key, code).
CONTRADICTIONS = [
    ("number = 2", "number = 1", [("port[2].number", "duplicate")]),
    (
        "[[port]]",
        '[[bus]]\nname = "main"\ndevice = "/dev/serial/by-id/b"\n[[port]]',
        [("bus[2].name", "duplicate")],
    ),
    (
        "[[port]]",
        '[[bus]]\nname = "b"\ndevice = "/dev/ttyUSB1"\n[[bus]]\nname = "c"\ndevice = "/dev/serial/by-id/c"\n[[port]]',
        [("bus[1].device", "unstable_name"), ("bus[2].device", "unstable_name")],
    ),
    (
        "[[port]]",
        '[[bus]]\nname = "b"\ndevice = "/dev/ttyUSB0"\n[[port]]',
        [("bus[2].device", "duplicate")],
    ),
    (
        "[upstream]",
        '[[input]]\nname = "smoke"\nkind = "estop"\npin = 24\n[upstream]',
        [("input[2].name", "duplicate")],
    ),
    ("relay = { pin = 6 }", "relay = { pin = 5 }", [("port[2].relay.pin", "duplicate")]),
    ("pin = 23", "pin = 5", [("input[1].pin", "duplicate")]),
    ("[[port]]", "[gpio]\ncontactor_pin = 6\n[[port]]", [("port[2].relay.pin", "duplicate")]),
    ("[[port]]", "[gpio]\nheartbeat_pin = 23\n[[port]]", [("input[1].pin", "duplicate")]),
    ("[[port]]", "[gpio]\ncontactor_pin = 1\nheartbeat_pin = 1\n[[port]]", [("gpio.heartbeat_pin", "duplicate")]),
    (
        "[[port]]",
        "[gpio]\ncontactor_pin = 1\ncontactor_feedback_pin = 1\n[[port]]",
        [("gpio.contactor_feedback_pin", "duplicate")],
    ),
    (
        "[[port]]",
        "[gpio]\ncontactor_pin = 1\ncontactor_feedback_pin = 5\n[[port]]",
        [("port[1].relay.pin", "duplicate")],
    ),
    ("[[port]]", "[gpio]\ncontactor_pin = 1\ncontactor_feedback_pin = 2\n[[port]]", []),
    (
        "[[port]]",
        "[gpio]\ncontactor_feedback_pin = 2\n[[port]]",
        [("gpio.contactor_feedback_pin", "incomplete")],
    ),
    ("[[port]]", '[cabinet.probe]\nid = "28-0316a2794b03"\n[[port]]', []),
    ("[[port]]", '[cabinet.probe]\nid = "28-0316a2794b02"\n[[port]]', [("cabinet.probe.id", "duplicate")]),
    ("[[port]]", f"{INLET}\nunit = 3\n[[port]]", []),
    ("[[port]]", f"{INLET}\nunit = 2\n[[port]]", [("cabinet.inlet.unit", "duplicate")]),
    (
        "[[port]]",
        f"{INLET.replace('main', 'mian')}\nunit = 2\n[[port]]",
        [("cabinet.inlet.bus", "unknown_reference")],
    ),
    (
        "[[port]]",
        f"{INLET.replace('sdm120', 'sdm12')}\nunit = 3\n[[port]]",
        [("cabinet.inlet.model", "unknown_reference")],
    ),
    ('kind = "smoke"', 'kind = "rcd"\nports = [1, 2]', []),
    ('kind = "smoke"', 'kind = "rcd"\nports = []', []),
    ('kind = "smoke"', 'kind = "rcd"\nports = [1, 3]', [("input[1].ports[2]", "unknown_reference")]),
    ('kind = "smoke"', 'kind = "rcd"\nports = [1, 1]', [("input[1].ports[2]", "duplicate")]),
    ('kind = "smoke"', 'kind = "smoke"\nports = []', []),
    ('kind = "smoke"', 'kind = "smoke"\nports = [1]', [("input[1].ports", "without_effect")]),
    ('kind = "smoke"', 'kind = "door"\npolicy = "cut"', []),
    ('kind = "smoke"', 'kind = "smoke"\npolicy = "tell"', []),
    ('kind = "smoke"', 'kind = "smoke"\npolicy = "cut"', [("input[1].policy", "without_effect")]),
    ('kind = "smoke"', 'kind = "flood"\npolicy = "inhibit"', [("input[1].policy", "without_effect")]),
    ("[upstream]", "[limits]\nvoltage_low_v = 210\nvoltage_high_v = 240\n[upstream]", []),
    ("[upstream]", "[limits]\nmeter_stuck_s = 299\nmeter_frozen_s = 300\n[upstream]", []),
    (
        "[upstream]",
        "[limits]\nmeter_stuck_s = 300\nmeter_frozen_s = 300\n[upstream]",
        [("limits.meter_frozen_s", "wrong_order")],
    ),
    (
        "[upstream]",
        "[limits]\nmeter_stuck_s = 61\nmeter_frozen_s = 60\n[upstream]",
        [("limits.meter_frozen_s", "wrong_order")],
    ),
    ("28-0316a2794b02", "28-0316a2794b01", [("port[2].probe.id", "duplicate")]),
    ("unit = 2", "unit = 1", [("port[2].meter.unit", "duplicate")]),
    ('unit = 2, bus = "main"', 'unit = 2, bus = "mian"', [("port[2].meter.bus", "unknown_reference")]),
    ('model = "pzem004t-v3", unit = 2', 'model = "x", unit = 2', [("port[2].meter.model", "unknown_reference")]),
    ("number = 2", "number = 2\ncurrent_limit_a = 6.1", [("port[2].current_limit_a", "above_cabinet_limit")]),
    ("number = 2", "number = 2\npower_limit_w = 1001", [("port[2].power_limit_w", "above_cabinet_limit")]),
    ("number = 2", "number = 2\npower_limit_w = 1000", []),
    ("[upstream]", "[limits]\ncurrent_limit_a = 5\n[upstream]", []),
    (
        "[[port]]",
        '[guard]\nsocket = "/run/a"\n[station]\ncontrol_socket = "/run/a"\n[[port]]',
        [("station.control_socket", "duplicate")],
    ),
    ("[[port]]", f'[guard]\nsocket = "/{"a" * 106}"\n[[port]]', []),
    ("[[port]]", f'[guard]\nsocket = "/{"a" * 107}"\n[[port]]', [("guard.socket", "wrong_length")]),
    ("[[port]]", f'[guard]\nsocket = "/{"柜" * 36}"\n[[port]]', [("guard.socket", "wrong_length")]),
    ("[upstream]", "[upstream]\nretry_base_s = 10\nretry_cap_s = 10", []),
    ("[upstream]", "[upstream]\nretry_base_s = 10\nretry_cap_s = 9", [("upstream.retry_cap_s", "wrong_order")]),
    ("[[port]]", "[station]\nlease_s = 3\npoll_s = 1\n[[port]]", []),
    ("[[port]]", "[station]\nlease_s = 2.9\npoll_s = 1\n[[port]]", [("station.lease_s", "wrong_order")]),
    ("[upstream]", '[upstream]\npassword_file = "/p"', [("upstream.password_file", "incomplete")]),
    ("[upstream]", '[upstream]\nusername = "u"\npassword_file = "/p"', []),
    ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1", []),
    ("mqtt://127.0.0.1:1883", "mqtts://[::1]:8883", []),
    ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:65535", []),
    ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:65536", [("upstream.url", "wrong_format")]),
    ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:0", [("upstream.url", "wrong_format")]),
    ("mqtt://127.0.0.1:1883", "mqtt://:1883", [("upstream.url", "wrong_format")]),
    ("mqtt://127.0.0.1:1883", "mqtt://[::1:1883", [("upstream.url", "wrong_format")]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CONTRADICTIONS)
def test_a_contradiction_gives_exactly_its_own_problem(
    good: str, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    """Each rule fires at its limit and not before, and blames the key that a person would change."""
    assert old in good
    problems = load.check_text(good.replace(old, new, 1))
    assert sorted((one.key, one.code) for one in problems) == sorted(expected)


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
@pytest.mark.parametrize("keys", [["certificate_file"], ["key_file"], ["certificate_file", "key_file"], ["ca_file"]])
def test_tls_files_are_complete_and_need_tls(good: str, scheme: str, keys: list[str]) -> None:
    """A certificate without its key (and the other way round) and TLS files without TLS are refused."""
    lines = "".join(f'{key} = "/etc/x"\n' for key in keys)
    text = good.replace('url = "mqtt://', f'{lines}url = "{scheme}://')
    expected = ["incomplete"] * len(keys) if scheme == "mqtt" else []
    expected += ["incomplete"] if keys in (["certificate_file"], ["key_file"]) else []
    assert [one.code for one in load.check_text(text)] == expected


@pytest.mark.parametrize("table", ["limits", "cabinet"])
@pytest.mark.parametrize(
    ("temperatures", "wrong"),
    [
        ((57, 58, 59, 60), []),
        ((58, 58, 59, 60), ["temperature_warn_c"]),
        ((59, 58, 60, 61), ["temperature_warn_c"]),
        ((57, 59, 59, 60), ["temperature_inhibit_c"]),
        ((57, 58, 60, 60), ["temperature_trip_c"]),
        ((60, 60, 60, 60), ["temperature_warn_c", "temperature_inhibit_c", "temperature_trip_c"]),
    ],
)
def test_temperatures_rise(good: str, table: str, temperatures: tuple[int, ...], wrong: list[str]) -> None:
    """Clear, warn, inhibit and trip rise strictly; every pair that does not is told."""
    keys = ("temperature_clear_c", "temperature_warn_c", "temperature_inhibit_c", "temperature_trip_c")
    text = good + f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in zip(keys, temperatures, strict=True))
    found = [(one.key, one.code) for one in load.check_text(text)]
    assert found == [(f"{table}.{key}", "wrong_order") for key in wrong]


def test_over_current_stages_rise(good: str) -> None:
    """The fast stage lies above the slow one."""
    text = good + "[limits]\nover_current_slow_ratio = 1.3\nover_current_fast_ratio = 1.3\n"
    assert [(one.key, one.code) for one in load.check_text(text)] == [("limits.over_current_fast_ratio", "wrong_order")]


def test_a_contradiction_with_a_default_is_told_at_the_key_of_the_file(good: str) -> None:
    """The file sets clear only; the profile's warn contradicts it, but the person can only change the file."""
    (problem,) = load.check_text(good + "[limits]\ntemperature_clear_c = 66\n", "cabinet.toml")
    assert (problem.file, problem.key, problem.code) == ("cabinet.toml", "limits.temperature_clear_c", "wrong_order")
    assert problem.line == good.count("\n") + 2


def test_a_refused_value_does_not_make_a_second_problem(good: str) -> None:
    """A rule stays silent about a value that is wrong already."""
    text = good.replace('name = "main"', 'name = "ma in"')
    assert [(one.key, one.code) for one in load.check_text(text)] == [("bus[1].name", "wrong_format")]
    text = good + "[limits]\ntemperature_warn_c = 200\ntemperature_clear_c = 69\n"
    assert [(one.key, one.code) for one in load.check_text(text)] == [("limits.temperature_warn_c", "out_of_range")]


def test_the_same_unit_on_two_buses_is_allowed(good: str) -> None:
    """An address is only taken on its own line."""
    text = good.replace("[[port]]", '[[bus]]\nname = "b"\ndevice = "/dev/serial/by-id/b"\n[[port]]', 1)
    text = text.replace('unit = 2, bus = "main"', 'unit = 1, bus = "b"')
    assert load.check_text(text) == []
