"""The example is complete and right: it is what a technician starts from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import NODEFAULT, inspect

from config import load
from config.schema import Config
from config.walk import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = Path(load.__file__).with_name("example.toml")
_TEXT = _PATH.read_text(encoding="utf-8")
#: The same with every commented-out key put in force.
_FULL = re.sub(r"^#(?=[a-z_]+ = )", "", _TEXT, flags=re.MULTILINE)


def _keys(kind: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every key of the schema with its default."""
    bare = plain(kind)[0]
    assert isinstance(bare, inspect.StructType)
    for field in bare.fields:
        here = (*path, field.encode_name)
        inner = plain(field.type)[0]
        if isinstance(inner, inspect.ListType):
            inner = plain(inner.item_type)[0]
        if isinstance(inner, inspect.StructType):
            yield from _keys(inner, here)
        else:
            yield here, field.default


def _values(data: object, path: tuple[str, ...]) -> list[object]:
    """Return the values that stand at ``path``, in any element of a list."""
    if isinstance(data, list):
        return [value for item in data for value in _values(item, path)]
    if not path:
        return [data]
    return _values(data[path[0]], path[1:]) if isinstance(data, dict) and path[0] in data else []


def test_the_example_is_a_good_configuration() -> None:
    """It passes the check as it is, has four ports, and loads with every commented key put in force as well."""
    assert load.check(_PATH) == []
    assert [port.number for port in load.load(_PATH).port] == [1, 2, 3, 4]
    assert [one.key for one in load.check_text(_FULL)] == ["upstream.password_file"] * _FULL.count('password_file = "/')
    assert load.check_text(_FULL) == []


#: A probe has exactly one source, and the cabinet is one place only: the others are shown at ports.
_SHOWN_AT_A_PORT = {("cabinet", "probe", key) for key in ("module", "adc", "channel")}


@pytest.mark.parametrize(
    ("path", "default"), [one for one in _keys(inspect.type_info(Config)) if one[0] not in _SHOWN_AT_A_PORT], ids=str
)
def test_every_key_of_the_schema_stands_in_the_example(path: tuple[str, ...], default: object) -> None:
    """A key that is missing here is a key nobody finds; one that is commented out shows its default."""
    in_force, everything = tomllib.loads(_TEXT), tomllib.loads(_FULL)
    assert _values(everything, path), f"{'.'.join(path)} is missing in config/example.toml"
    if not _values(in_force, path) and default is not NODEFAULT and default is not None:
        assert set(map(str, _values(everything, path))) == {str(default)}


_LINES = _TEXT.splitlines()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_damage_never_crashes_the_loader(choices: st.DataObject) -> None:
    """Whatever happens to the text of a file, it loads or its problems are listed; ``check`` and ``load`` agree."""
    text = _TEXT
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(text)))
        length = choices.draw(st.sampled_from([0, 1, 2, 10, 200]))
        junk = choices.draw(
            st.text(max_size=6)
            | st.sampled_from(['"', "[", "]]", "{", "= ", "\n", "\r", "nan", "-1", "1e999", "''", '"""', "\0", *_LINES])
        )
        text = text[:at] + junk + text[at + length :]
    problems = load.check_text(text, "f.toml")
    for one in problems:
        assert one.code
        assert one.line is None or 1 <= one.line <= text.count("\n") + 1
    if not problems:
        load.load_text(text)
