"""Loading: what is wrong with a file is told completely, in one run, with its place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from config import load, meter_files
from config.errors import WORDS, ConfigError
from config.read import DEEPEST_KEY, LONGEST_FILE, MOST_KEYS


def _found(text: str) -> list[tuple[str, str]]:
    return [(one.key, one.code) for one in load.check_text(text)]


def test_a_good_file_loads_and_has_no_problems(good: str) -> None:
    """What is right is accepted, and the values arrive."""
    assert load.check_text(good) == []
    config = load.load_text(good)
    assert config.node.id == "n1"
    assert [port.number for port in config.port] == [1, 2]
    assert config.limits.current_limit_a == 6.0


#: One spoiled place: what is replaced, by what, and the exact list of (key, code) that must come of it.
SPOILED = [
    # -- keys
    ('id = "n1"', 'id = "n1"\nnmae = "x"', [("node.nmae", "unknown_key")]),
    ('id = "n1"', 'site = "x"', [("node.id", "missing_key")]),
    ("[[input]]", "[extra]\na = 1\n[[input]]", [("extra", "unknown_key")]),
    ("relay = { pin = 5 }", "", [("port[1].relay", "missing_key")]),
    ("relay = { pin = 6 }", "relay = { }", [("port[2].relay.pin", "missing_key")]),
    ('url = "mqtt://127.0.0.1:1883"', "", [("upstream.url", "missing_key")]),
    # -- types
    ("number = 1", 'number = "1"', [("port[1].number", "wrong_type")]),
    ("number = 1", "number = 1.0", [("port[1].number", "wrong_type")]),
    ("number = 1", "number = true", [("port[1].number", "wrong_type")]),
    ("number = 1", "number = 2024-01-01", [("port[1].number", "wrong_type")]),
    ('id = "n1"', "id = 1", [("node.id", "wrong_type")]),
    ("relay = { pin = 5 }", "relay = 5", [("port[1].relay", "wrong_type")]),
    ("[[input]]", "[input]", [("input", "wrong_type")]),
    ("pin = 23", "pin = 23\ndebounce_s = false", [("input[1].debounce_s", "wrong_type")]),
    ('name = "smoke"', 'name = "smoke"\ndebounce_s = "0.1"', [("input[1].debounce_s", "wrong_type")]),
    # -- ranges
    ("number = 1", "number = 0", [("port[1].number", "out_of_range")]),
    ("number = 1", "number = 99", []),
    ("number = 1", "number = 100", [("port[1].number", "out_of_range")]),
    ("unit = 2", "unit = 247", []),
    ("unit = 2", "unit = 248", [("port[2].meter.unit", "out_of_range")]),
    ("number = 1", f"number = {10**40}", [("port[1].number", "out_of_range")]),
    ("number = 1", f"number = 0x{'f' * 8000}", [("port[1].number", "out_of_range")]),
    ("pin = 23", "pin = 23\ndebounce_s = nan", [("input[1].debounce_s", "out_of_range")]),
    ("pin = 23", "pin = 23\ndebounce_s = inf", [("input[1].debounce_s", "out_of_range")]),
    ("pin = 23", "pin = 23\ndebounce_s = 0", []),
    ("pin = 23", "pin = 23\ndebounce_s = 0.5", []),
    ("pin = 23", "pin = 23\ndebounce_s = 0.51", [("input[1].debounce_s", "out_of_range")]),
    ("number = 1", "number = 1\ncurrent_limit_a = 0", [("port[1].current_limit_a", "out_of_range")]),
    ("number = 1", "number = 1\ncurrent_limit_a = 6.0", []),
    # -- words
    ('kind = "smoke"', 'kind = "fire"', []),
    ('kind = "smoke"', 'kind = "gas"', [("input[1].kind", "not_one_of")]),
    ("pin = 23", "pin = 23\nports = [1]\nports = 2", [("", "syntax")]),
    ("pin = 23", "pin = 23\nports = 2", [("input[1].ports", "wrong_type")]),
    ('kind = "smoke"', 'kind = "rcd"\nports = [0]', [("input[1].ports[1]", "out_of_range")]),
    ("[[input]]", '[cabinet.probe]\nid = "28"\n[[input]]', [("cabinet.probe.id", "wrong_format")]),
    ("[[input]]", "[promise]\ncut_s = 5\n[[input]]", []),
    ("[[input]]", "[promise]\ncut_s = 5.1\n[[input]]", [("promise.cut_s", "out_of_range")]),
    ("[[input]]", "[promise]\ndead_meters = 9\n[[input]]", [("promise.dead_meters", "out_of_range")]),
    ("[[input]]", "[tests]\nrcd_days = 0\n[[input]]", [("tests.rcd_days", "out_of_range")]),
    ('name = "main"\ndev', 'name = "main"\nbaud = 9601\ndev', [("bus[1].baud", "not_one_of")]),
    ('name = "main"\ndev', 'name = "main"\nbaud = "9600"\ndev', [("bus[1].baud", "not_one_of")]),
    ("[node]", "schema = 2\n[node]", [("schema", "not_one_of")]),
    ("[node]", "schema = true\n[node]", [("schema", "not_one_of")]),
    ('id = "n1"', 'id = "n 1"', [("node.id", "wrong_format")]),
    ('id = "n1"', 'id = ""', [("node.id", "wrong_length")]),
    ('id = "n1"', f'id = "{"n" * 32}"', []),
    ('id = "n1"', f'id = "{"n" * 33}"', [("node.id", "wrong_length")]),
    ('device = "/dev/ttyUSB0"', 'device = "/dev/tty\\u0000"', [("bus[1].device", "wrong_format")]),
    ('id = "n1"', 'id = "n1\\n"', [("node.id", "wrong_format")]),
    ("28-0316a2794b01", "28-0316A2794B01", [("port[1].probe.id", "wrong_format")]),
    ("127.0.0.1:1883", "127.0.0.1/x", [("upstream.url", "wrong_format")]),
    # -- profile
    ("[node]", 'profile = "demo"\n[node]', []),
    ("[node]", 'profile = "dmeo"\n[node]', [("profile", "unknown_reference")]),
    ("[node]", 'profile = "../x"\n[node]', [("profile", "wrong_format")]),
    ("[node]", "profile = 1\n[node]", [("profile", "wrong_type")]),
]


@pytest.mark.parametrize(("old", "new", "expected"), SPOILED)
def test_one_mistake_gives_exactly_its_own_problem(
    good: str, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    """Each mistake is named by key and code, and nothing sound is blamed beside it."""
    assert old in good
    assert _found(good.replace(old, new, 1)) == expected


def test_no_bus_and_no_port_are_told_as_such() -> None:
    """An empty file lists every table that it must have."""
    assert _found("") == [("node", "missing_key"), ("bus", "missing_key"), ("port", "missing_key")]
    assert ("bus", "wrong_length") in _found("bus = []\nport = []")


MANY = """\
profile = "demo"
[node]
id = "demo 1"
[[bus]]
name = "main"
device = "/dev/ttyUSB0"
baud = 9601
[[port]]
number = 1
meter = { model = "pzem004t", unit = 300, bus = "mian" }
relay = { pin = 5 }
curent_limit_a = 3.0
[[port]]
number = 1
current_limit_a = 8
[port.meter]
model = "pzem004t-v3"
bus = "main"
[port.relay]
pin = 5
[limits]
temperature_warn_c = 50
"""


def test_all_mistakes_of_a_file_come_in_one_run_with_their_lines() -> None:
    """Type errors do not hide contradictions, and every problem names its line."""
    assert [(one.line, one.key, one.code) for one in load.check_text(MANY)] == [
        (3, "node.id", "wrong_format"),
        (7, "bus[1].baud", "not_one_of"),
        (10, "port[1].meter.unit", "out_of_range"),
        (10, "port[1].meter.bus", "unknown_reference"),
        (10, "port[1].meter.model", "unknown_reference"),
        (12, "port[1].curent_limit_a", "unknown_key"),
        (14, "port[2].number", "duplicate"),
        (15, "port[2].current_limit_a", "above_cabinet_limit"),
        (16, "port[2].meter.unit", "missing_key"),
        (20, "port[2].relay.pin", "duplicate"),
        (22, "limits.temperature_warn_c", "wrong_order"),
    ]


def test_the_words_name_value_range_unit_and_the_close_match() -> None:
    """A technician reads what is allowed, in which unit, and what was probably meant, in both languages."""
    problems = {one.key: one for one in load.check_text(MANY + "meter_max_age_s = 11\n")}
    assert "300" in problems["port[1].meter.unit"].en
    assert "1 to 247" in problems["port[1].meter.unit"].en
    assert "Modbus address" in problems["port[1].meter.unit"].en
    assert "0.5 to 10 seconds" in problems["limits.meter_max_age_s"].en
    assert "0.5 至 10 秒" in problems["limits.meter_max_age_s"].zh
    assert "Did you mean current_limit_a?" in problems["port[1].curent_limit_a"].en
    assert "是否想写 current_limit_a？" in problems["port[1].curent_limit_a"].zh
    assert "Did you mean pzem004t-v3?" in problems["port[1].meter.model"].en
    assert "sdm120" in problems["port[1].meter.model"].en
    for one in problems.values():
        assert one.code in WORDS
        assert one.zh.startswith(WORDS[one.code].zh)
        assert one.en.startswith(WORDS[one.code].en)
        assert one.remedy_zh
        assert one.remedy_en


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ("[node\n", 1),
        ('a = 1\nb = "x', 2),
        ("x = " + "[" * 5000, None),
        ("x = 1" + "0" * 5000, None),
    ],
)
def test_a_text_that_is_not_toml_is_one_problem_with_its_line(text: str, line: int | None) -> None:
    """A syntax error names its line where the parser tells one, and never ends in a traceback."""
    (problem,) = load.check_text(text, "f.toml")
    assert (problem.file, problem.key, problem.code, problem.line) == ("f.toml", "", "syntax", line)


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    """A missing file, a directory, bytes that are not UTF-8 and a huge file are told, not raised."""
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'[node]\nid = "\xe9"\n')
    huge = tmp_path / "huge.toml"
    huge.write_text("#" * (LONGEST_FILE + 1))
    for path in (tmp_path / "absent.toml", tmp_path, latin, huge, tmp_path / "a\0b"):
        (problem,) = load.check(path)
        assert (problem.file, problem.code) == (str(path), "unreadable")


def test_check_and_load_agree_on_a_file(good: str, tmp_path: Path) -> None:
    """What ``check`` lists is what ``load`` raises, under the name of the file."""
    path = tmp_path / "cabinet.toml"
    path.write_text(good)
    assert load.check(path) == []
    assert load.load(path) == load.load_text(good)
    path.write_text(good.replace("number = 1", "number = 0"))
    with pytest.raises(ConfigError) as caught:
        load.load(path)
    assert list(caught.value.problems) == load.check(path)
    assert caught.value.code == "config_error"
    assert caught.value.problems[0].file == str(path)
    assert "port[1].number" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_dos_line_ends_change_nothing(good: str) -> None:
    """A file written on Windows loads, and its errors have the same lines."""
    dos = good.replace("\n", "\r\n")
    assert load.load_text(dos) == load.load_text(good)
    assert [one.line for one in load.check_text(dos.replace("number = 2", "number = 0"))] == [
        one.line for one in load.check_text(good.replace("number = 2", "number = 0"))
    ]


def test_the_data_files_lie_beside_the_code() -> None:
    """Meters and profiles are found from the package itself, so an installed wheel has them too."""
    assert Path(load.__file__).parent / "meters" == meter_files.METERS
    assert "pzem004t-v3" in load.meters()
    assert load.profiles() == ["default", "demo", "strict"]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        pytest.param(".".join(["a"] * DEEPEST_KEY) + " = 1", False, id="a key as deep as allowed"),
        pytest.param(".".join(["a"] * (DEEPEST_KEY + 1)) + " = 1", True, id="one part more"),
        pytest.param("[" + " . ".join(['"a"', "'b'", "c"] * 6) + "]", True, id="a table, parts in quotes"),
        pytest.param("x = {" + ".".join(["a"] * (DEEPEST_KEY + 1)) + " = 1}", True, id="inside a table"),
        pytest.param("\n".join(f"k{number} = 1" for number in range(MOST_KEYS)), False, id="as many keys as allowed"),
        pytest.param("\n".join(f"k{number} = 1" for number in range(MOST_KEYS + 1)), True, id="one key more"),
        pytest.param("port = [" + "{}," * MOST_KEYS + "]", True, id="tables in a line"),
        pytest.param("# " + "x" * 60_000, False, id="one long word"),
    ],
)
def test_what_no_honest_file_is_is_refused_before_it_is_parsed(text: str, refused: bool) -> None:  # noqa: FBT001 - a table
    """A standard parser takes half a minute for a key of thirty thousand parts; nobody writes one."""
    begun_s = time.perf_counter()
    found = _found(text)
    assert (found == [("", "syntax")]) is refused
    assert time.perf_counter() - begun_s < (0.5 if refused else 5.0)


def test_similar_keys_are_looked_for_only_so_often() -> None:
    """Every unknown key is told; which one it may have been meant to be, of the first twenty in a table."""
    problems = load.check_text(
        "\n".join(f"currant_limit_{number} = 1" for number in range(40)).join(["[limits]\n", ""])
    )
    unknown = [one for one in problems if one.code == "unknown_key"]
    assert len(unknown) == 40
    assert sum("Did you mean" in one.en for one in unknown) == 20


def test_a_list_that_is_too_long_is_looked_at_up_to_its_length(good: str) -> None:
    """What is wrong with its ten-thousandth entry is not told; that it is too long is."""
    problems = load.check_text(good + "[[port]]\n" * 500)
    assert ("port", "wrong_length") in [(one.key, one.code) for one in problems]
    assert len(problems) < 400
