"""Writes a configuration as TOML again, with the source of every value beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config.load import Merged
    from config.locate import Path

_ESCAPES = {"\\": "\\\\", '"': '\\"'}


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # The loader refuses control characters, so these two are all that TOML wants escaped.
        return '"' + "".join(_ESCAPES.get(char, char) for char in value) + '"'
    return repr(value)


def _tables(value: object) -> bool:
    """Return whether ``value`` is a list of tables; an empty list is not written at all."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _keys(table: dict[str, object], path: Path, name: str, note: Callable[[Path], str]) -> Iterator[str]:
    for key, value in table.items():
        if not isinstance(value, dict | None) and not _tables(value):
            yield f"{key} = {_value(value)}  # {note((*path, key))}"
    for key, value in table.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            yield f"\n[{inner}]"
            yield from _keys(value, (*path, key), inner, note)
        elif isinstance(value, list) and _tables(value):
            for index, item in enumerate(value):
                yield f"\n[[{inner}]]"
                yield from _keys(item, (*path, key, index), inner, note)


def as_toml(merged: Merged, *, line: str, profile: str, default: str, desired: str = "desired") -> str:
    """Return the values in force as TOML. What is not set is left out.

    A comment tells where each value comes from: ``line`` with the line put in for ``{}``, or ``profile`` with the
    name of the profile put in, or ``default``, or ``desired``.
    """

    def note(path: Path) -> str:
        if merged.desired is not None and path in merged.desired.lines:
            return desired
        if path in merged.file.lines:
            return line.format(merged.file.lines[path])
        return profile.format(merged.config.profile) if path in merged.profile.lines else default

    return "\n".join(_keys(msgspec.to_builtins(merged.config), (), "", note)) + "\n"
