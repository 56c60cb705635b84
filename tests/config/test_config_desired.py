"""Promises of what may be desired from afar: the station's convenience, tighter than the own file, or nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from config.desired import AGE, ALLOWED, END, LOWER, OFF, RAISE, WITHIN
from config.desired_load import LONGEST_TEXT, check_desired, with_desired
from config.errors import ConfigError
from config.load import (
    budget,
    cabinet_limits,
    completion_limits,
    load,
    max_duration_s,
    merge,
    merge_text,
    port_limits,
)
from config.schema import Config
from config.walk import plain
from pilenode.cli import guard as guard_command
from pilenode.upstream.desired import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from config.load import Merged
    from config.schema import Port

#: Tables that guard reads, or that say who and where the cabinet is: nothing of them may ever be desired from afar.
NEVER = {
    "schema",
    "profile",
    "node",
    "site",
    "guard",
    "gpio",
    "meters",
    "bus",
    "port",
    "input",
    "reader",
    "probe_module",
    "adc",
    "onewire",
    "cabinet",
    "limits",
    "promise",
    "completion",
    "tariff",
}
#: Keys of the tables that may be desired which may not: paths, names, what belongs to the wiring or to the disk.
KEPT = {
    "station": {"data_dir", "control_socket", "control_group", "lease_s", "poll_s"},
    "journal": {"budget_mb", "ballast_mb", "reserve_mb"},
    "ledger": set[str](),
    "tests": set[str](),
    "session": set[str](),
    "load": {"feeder"},
    "cards": {"key_file"},
    "upstream": {
        "url",
        "username",
        "password_file",
        "ca_file",
        "certificate_file",
        "key_file",
        "identity_dir",
        "operations_key_file",
    },
}


def problems(local: Merged, text: str) -> list[tuple[str, str, int | None]]:
    """Return code, key and line of everything that is wrong with ``text``."""
    return [(one.code, one.key, one.line) for one in check_desired(local, text, "desired v1")[1]]


@pytest.fixture
def local(good: str) -> Merged:
    """Return a cabinet whose own file says little."""
    return merge_text(good)


def _tables() -> dict[str, inspect.Field]:
    kind = inspect.type_info(Config)
    assert isinstance(kind, inspect.StructType)
    return {field.encode_name: field for field in kind.fields}


def _keys(table: str) -> dict[str, inspect.Type]:
    bare = plain(_tables()[table].type)[0]
    assert isinstance(bare, inspect.StructType)
    return {field.encode_name: plain(field.type)[0] for field in bare.fields}


def test_every_key_of_the_schema_is_decided_about() -> None:
    """A new table or key is refused, and this test says that somebody has to decide."""
    assert {*_tables()} == NEVER | {*ALLOWED}
    assert {table: {*_keys(table)} - {*ALLOWED[table]} for table in ALLOWED} == KEPT
    assert all({*allowed} <= {*_keys(table)} for table, allowed in ALLOWED.items())


def test_rules_fit_the_types() -> None:
    """A number is bounded as a number, a switch as a switch."""
    for table, allowed in ALLOWED.items():
        kinds = _keys(table)
        for key, rule in allowed.items():
            number = isinstance(kinds[key], inspect.IntType | inspect.FloatType)
            assert number or rule not in (LOWER, RAISE, AGE), key
            assert isinstance(kinds[key], inspect.BoolType) == (rule is OFF), key
    assert ALLOWED["session"]["at_end"] is END
    assert ALLOWED["session"]["allowed"] is WITHIN


@pytest.mark.parametrize(
    ("table", "key", "own", "fits", "bad"),
    [
        ("cards", "day_cap_fen", 500, 500, 501),
        ("cards", "session_cap_fen", 300, 299, 301),
        ("cards", "debt_cap_fen", 20_000, 0, 20_001),
        ("cards", "list_max_age_days", 90, 89, 91),
        ("cards", "list_max_age_days", 90, 1, 0),
        ("cards", "list_max_age_days", 0, 0, None),
        ("cards", "list_max_age_days", 0, 3650, None),
        ("cards", "offline_starts", "true", "false", None),
        ("cards", "offline_starts", "false", "false", "true"),
        ("cards", "enabled", "false", "false", "true"),
        ("session", "resume_max_outage_s", 1800, 1800, 1801),
        ("session", "resume_stagger_s", 2.0, 2.5, 1.9),
        ("session", "at_end", '"finish"', '"end"', None),
        ("session", "at_end", '"end"', '"end"', '"finish"'),
        ("load", "budget_a", 8.0, 8.0, 8.1),
        ("load", "queue_wait_s", 600, 600, 601),
        ("load", "close_stagger_s", 5.0, 60, 4.9),
        ("journal", "record_days", 1100, 1101, 1099),
        ("tests", "rcd_days", 30, 30, 31),
        ("station", "checkpoint_s", 60, 1, 61),
        ("ledger", "serious_days", 3, 1, 4),
        (
            "session",
            "allowed",
            '[{ from = "22:00", to = "06:00" }]',
            '[{ from = "23:00", to = "24:00" }, { from = "00:00", to = "06:00" }]',
            '[{ from = "22:00", to = "06:01" }]',
        ),
        ("session", "allowed", '[{ from = "06:00", to = "23:00" }]', '[{ from = "06:00", to = "23:00" }]', "[]"),
        ("session", "allowed", "[]", '[{ from = "06:00", to = "23:00" }]', None),
    ],
)
def test_own_file_is_the_ceiling(good: str, table: str, key: str, own: object, fits: object, bad: object) -> None:
    """As tight as the own file or tighter counts; the next step beyond does not."""
    local = merge_text(f"{good}\n[{table}]\n{key} = {own}\n")
    assert problems(local, f"[{table}]\n{key} = {fits}\n") == []
    if bad is not None:
        assert problems(local, f"[{table}]\n{key} = {bad}\n") == [("above_ceiling", f"{table}.{key}", 2)]


def test_default_of_a_silent_file_is_a_ceiling_too(local: Merged) -> None:
    """What the cabinet's own file leaves to the product may not be loosened either."""
    assert problems(local, "[cards]\nday_cap_fen = 501\n") == [("above_ceiling", "cards.day_cap_fen", 2)]
    assert problems(local, "[load]\nbudget_a = 10.1\n") == [("above_cabinet_limit", "load.budget_a", 2)]


def test_everything_that_is_wrong_is_told_at_once(local: Merged) -> None:
    """Forbidden, looser, of a wrong type, out of range, contradictory: each with its line, in the words of the tree."""
    text = """\
node = { id = "n2" }
[limits]
current_limit_a = 16
[cards]
key_file = "/etc/shadow"
day_cap_fen = 501
debounce_s = "long"
[upstream]
retry_base_s = 60
retry_cap_s = 1
[load]
queue_length = 41
"""
    assert problems(local, text) == [
        ("not_from_afar", "node", 1),
        ("not_from_afar", "limits", 2),
        ("not_from_afar", "cards.key_file", 5),
        ("above_ceiling", "cards.day_cap_fen", 6),
        ("wrong_type", "cards.debounce_s", 7),
        ("wrong_order", "upstream.retry_cap_s", 10),
        ("out_of_range", "load.queue_length", 12),
    ]
    with pytest.raises(ConfigError) as caught:
        with_desired(local, text, "desired v1")
    assert all(one.file == "desired v1" and one.zh and one.remedy_zh and one.remedy_en for one in caught.value.problems)


@pytest.mark.parametrize(
    "text",
    ["[cards\n", "cards = 3\n", "[cards]\nday_cap_fen = 1\nday_cap_fen = 2\n", "a = " + "[" * 20_000, "\ud7ff\0"],
)
def test_what_is_not_a_configuration_is_refused(local: Merged, text: str) -> None:
    """Whatever the text is, it is problems and never an exception."""
    assert check_desired(local, text, "desired v1")[1]


_LINES = st.sampled_from(["[cards]", "[load]", "[[load.feeder]]", "[session]", "a.b.c = 1", "day_cap_fen = 400", "x"])


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.lists(_LINES | st.text(max_size=20), max_size=12).map("\n".join))
def test_no_text_is_an_exception(text: str) -> None:
    """Whatever is desired, it is a configuration or a list of problems."""
    merged, problems = check_desired(_example(), text, "desired v1")
    assert merged is not None or problems


def test_values_and_their_sources(local: Merged) -> None:
    """What is desired counts; everything else stays, and it is known where each value stands."""
    merged = with_desired(local, "[cards]\nday_cap_fen = 400\n[upstream]\nack_timeout_s = 20\n", "desired v7")
    assert merged.config.cards.day_cap_fen == 400
    assert merged.config.upstream is not None
    assert (merged.config.upstream.url, merged.config.upstream.ack_timeout_s) == ("mqtt://127.0.0.1:1883", 20)
    assert merged.desired is not None
    assert merged.desired.lines[("cards", "day_cap_fen")] == 2
    assert local.config.cards.day_cap_fen == 500


def test_a_cabinet_without_upstream_is_not_receivedone(good: str) -> None:
    """An upstream is never made from afar."""
    alone = merge_text(good.partition("[upstream]")[0])
    assert ("missing_key", "upstream.url", 1) in problems(alone, "[upstream]\nretry_base_s = 3\n")


def test_caps_of_text_and_message_agree() -> None:
    """The loader and the contract say the same."""
    assert LONGEST_TEXT == MAX_BODY_BYTES


# -- guard ---------------------------------------------------------------------------------------------------------


@cache
def _example() -> Merged:
    return merge("config/example.toml")


def _of_guard(config: Config) -> list[object]:
    ports: list[Port] = config.port
    return [
        *(port_limits(config, port) for port in ports),
        cabinet_limits(config),
        completion_limits(config),
        max_duration_s(config),
        budget(config),
    ]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nothing_that_may_be_desired_changes_what_guard_is_given(data: st.DataObject) -> None:
    """Whatever a good desired text says, every protective value is the one of the cabinet's own file."""
    local = _example()
    text = ""
    for table, allowed in ALLOWED.items():
        lines = [f"{key} = {data.draw(_values(table, key))}" for key in allowed if data.draw(st.booleans())]
        text += "\n".join([f"[{table}]", *lines, ""])
    merged, wrong = check_desired(local, text, "desired v1")
    if merged is None or wrong:
        return
    assert _of_guard(merged.config) == _of_guard(local.config)
    untouched = msgspec.to_builtins(merged.config)
    own = msgspec.to_builtins(local.config)
    assert {name: untouched[name] for name in NEVER} == {name: own[name] for name in NEVER}
    for table, kept in KEPT.items():
        assert {key: untouched[table][key] for key in kept} == {key: own[table][key] for key in kept}


def _values(table: str, key: str) -> st.SearchStrategy[str]:
    """Return values near the own one, on the allowed side most of the time."""
    own = msgspec.to_builtins(_example().config)[table][key]
    rule = ALLOWED[table][key]
    if isinstance(own, bool):
        return st.sampled_from(["true", "false"])
    if isinstance(own, int | float):
        factor = {LOWER: (0.5, 1.0), RAISE: (1.0, 1.5), AGE: (0.5, 1.0)}.get(rule, (0.9, 1.1))
        spread = st.floats(*factor)
        return spread.map(lambda times: str(round(own * times) if isinstance(own, int) else own * times))
    if key == "budget_a":
        return st.floats(1, 16).map(str)
    choices = {"at_end": ['"finish"', '"end"'], "allowed": ["[]", '[{ from = "06:00", to = "23:00" }]']}
    return st.sampled_from(choices.get(key, ['"Li"']))


def test_guard_reads_its_own_file_and_nothing_of_the_station(
    good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way of ``pilenode guard`` to its configuration opens nothing below the station's directory."""
    data = tmp_path / "station"
    folder = data / "desired"
    folder.mkdir(parents=True)
    for name in ("book.json", "1-" + "0" * 64 + ".toml"):
        (folder / name).write_text("[limits]\ncurrent_limit_a = 16\n[cards]\nday_cap_fen = 1\n", encoding="utf-8")
    path = tmp_path / "cabinet.toml"
    path.write_text(f'{good}\n[station]\ndata_dir = "{data}"\n', encoding="utf-8")
    received: list[Config] = []

    def run(config: Config) -> int:
        received.append(config)
        return 0

    monkeypatch.setattr(guard_command, "run", run)
    command: Any = guard_command.command
    with _opens() as opened:
        assert command.callback(path=str(path)) == 0
    assert any(name == str(path) for name in opened)
    assert not [name for name in opened if name.startswith(str(data))]
    assert received == [load(path)]


_WATCHING: list[list[str]] = []  # the list that opened files go into; a hook can never be taken away again


@contextmanager
def _opens() -> Iterator[list[str]]:
    """Collect the name of every file that is opened meanwhile."""
    if not hasattr(_hook, "added"):
        sys.addaudithook(_hook)
        _hook.added = True  # type: ignore[attr-defined] # once in a process
    _WATCHING.append([])
    try:
        yield _WATCHING[0]
    finally:
        _WATCHING.clear()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHING:
        _WATCHING[0].append(str(arguments[0]))
