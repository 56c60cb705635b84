"""Where each key of a TOML text stands. The standard parser gives values without line numbers."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Path of a key: names of tables and keys, and positions in lists counted from 0.
Path = tuple[str | int, ...]

#: No key of the schema lies deeper; what does is an unknown key, and its outer part is place enough.
_DEEPEST = 8

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<newline>\n)|(?P<blank>[ \t\r]+)|.",
    re.DOTALL,
)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield every header and every key with its value, with the number of its first line."""
    start, start_line = None, 0
    line, depth = 1, 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "newline" and depth == 0 and start is not None:
            yield start_line, text[start : token.start()]
            start = None
        if start is None and kind not in {"newline", "blank", "comment"}:
            start, start_line = token.start(), line
        line += token.group().count("\n")
    if start is not None:
        yield start_line, text[start:]


def _paths(value: object, path: Path) -> Iterator[Path]:
    yield path
    if len(path) >= _DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*path, index))


def lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) of every key, table and list element of ``text``, which must be valid TOML.

    What stands inside one value, such as the keys of an inline table, gets the first line of that value.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for line, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if not statement.startswith("["):
            for path in _paths(parsed, table):
                found.setdefault(path, line)
            continue
        table = ()
        node: object = parsed
        while isinstance(node, dict) and node and len(table) < _DEEPEST:
            ((key, node),) = node.items()
            table = (*table, key)
            if isinstance(node, list):
                counts[table] = counts.get(table, 0) + 1
                found.setdefault(table, line)
            if table in counts:
                table = (*table, counts[table] - 1)
        found.setdefault(table, line)
    return found


def nearest(found: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of ``path``, or of the innermost table around it, or None."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return None


def spell(path: Path) -> str:
    """Return ``path`` as a person reads it: ``("port", 1, "meter")`` is ``port[2].meter``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text
