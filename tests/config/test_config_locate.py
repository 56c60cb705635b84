"""Lines of keys: a message that names the wrong line is worse than one that names none."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.locate import lines, nearest, spell

_TEXT = '''\
# comment with [brackets] and "quotes"
top = 1
"quoted key" = 2
a.b.c = 3

[table] # comment
x = [
  1, # ]
  "]",
]
y = """
[not.a.table]
z = 1
"""
z = \'\'\'
[nor.this]\'\'\'
inline = { p = 1, q = { r = 2 } }

[[list]]
n = 1
[list.inner]
m = 1
[[list]]
n = 2
[[list.deep]]
k = 1
[[list.deep]]
k = 2
[list.inner]
m = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key",), 3),
        (("a", "b", "c"), 4),
        (("table",), 6),
        (("table", "x"), 7),
        (("table", "y"), 11),
        (("table", "z"), 15),
        (("table", "inline", "q", "r"), 17),
        (("list", 0), 19),
        (("list", 0, "n"), 20),
        (("list", 0, "inner", "m"), 22),
        (("list", 1, "n"), 24),
        (("list", 1, "deep", 0, "k"), 26),
        (("list", 1, "deep", 1, "k"), 28),
        (("list", 1, "inner", "m"), 30),
    ],
)
def test_every_key_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    """Comments, strings and lists over several lines do not shift the count."""
    assert lines(_TEXT)[path] == line


def test_what_has_no_line_gets_that_of_its_table() -> None:
    """A missing key is told at the head of the table where it should stand."""
    found = lines(_TEXT)
    assert nearest(found, ("list", 1, "missing")) == 23
    assert nearest(found, ("table", "inline", "x")) == 17
    assert nearest(found, ("nowhere",)) is None


def test_paths_are_spelled_for_people() -> None:
    """Tables are counted from 1."""
    assert spell(("port", 1, "meter", "unit")) == "port[2].meter.unit"
    assert spell(()) == ""


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*_TEXT.splitlines(), "'''", '"""', "[[x]]", "x.y = {}", "[", "]", "= 1", ""]), max_size=12
    )
)
def test_whatever_is_toml_can_be_indexed(parts: list[str]) -> None:
    """Shuffled lines that happen to be TOML never break the index, and every top key has a line."""
    text = "\n".join(parts)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines(text)
    for key in data:
        assert (key,) in found or any(path[:1] == (key,) for path in found)


def test_deep_keys_are_indexed_to_the_depth_of_the_schema_only() -> None:
    """A key with thousands of parts, in a header or dotted, makes neither deep recursion nor a huge index."""
    deep = ".".join("a" * 2000)
    assert max(len(path) for path in lines(f"{deep} = 1\n")) <= 8
    assert max(len(path) for path in lines(f"[{deep}]\nx = 1\n")) <= 9
