"""One TOML file as text and as data, and the place of every problem in it."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final, NamedTuple

from config import locate
from config.errors import ConfigError, Problem, problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from config.walk import Finding

#: Far above any honest file (40 ports take about 8 KiB), far below what could hurt.
LONGEST_FILE = 64 * 1024
#: The densest honest file has some 3,300 keys and tables, and none of them lies deeper than 8. A parser takes seconds
#: for what is far beyond, and the time grows with the square.
MOST_KEYS: Final = 4000
DEEPEST_KEY: Final = 16
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DEEP_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{{DEEPEST_KEY},}}")


class Source(NamedTuple):
    """A file that has been read: its name for messages, its data, and the line of every key."""

    name: str
    data: dict[str, object]
    lines: Mapping[locate.Path, int]


def read(path: Path) -> str:
    """Return the text of ``path``; raises ConfigError when it cannot be had."""
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST_FILE + 1)
        if len(raw) <= LONGEST_FILE:
            return raw.decode()
        zh, en = f"大于 {LONGEST_FILE} 字节。", f"It is longer than {LONGEST_FILE} bytes."
    except OSError as error:
        zh, en = f"{error.strerror}。", f"{error.strerror}."
    except ValueError as error:  # not UTF-8, or a path with a zero byte
        zh, en = f"{error}。", f"{error}."
    raise ConfigError([problem(file=str(path), key="", line=None, code="unreadable", zh=zh, en=en)])


def parse(text: str, name: str) -> Source:
    """Return ``text`` as data; raises ConfigError with the line when it is not TOML."""
    text = text.replace("\r\n", "\n")
    if (words := _too_much(text)) is not None:
        zh, en = words
        raise ConfigError([problem(file=name, key="", line=None, code="syntax", zh=zh, en=en)])
    try:
        data = tomllib.loads(text)
        return Source(name, data, locate.lines(text))
    except RecursionError:
        what = "Nested too deeply"
        line = None
    except ValueError as error:
        what = str(error)
        # The standard library tells the place in words only (attributes come with Python 3.14).
        where = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", what)
        line = text.count("\n") + 1 if where else None
        if where and where[1]:
            line, what = int(where[1]), what[: where.start()]
    raise ConfigError([problem(file=name, key="", line=line, code="syntax", zh=f"{what}。", en=f"{what}.")])


def _too_much(text: str) -> tuple[str, str] | None:
    """Return what makes ``text`` more than a file of ours can be, found before it is parsed."""
    if sum(map(text.count, "=[{")) > MOST_KEYS:
        return f"超过 {MOST_KEYS} 个键和表。", f"It has more than {MOST_KEYS} keys and tables."
    if _DEEP_KEY.search(text) is not None:
        return f"键的层数超过 {DEEPEST_KEY}。", f"A key has more than {DEEPEST_KEY} parts."
    return None


def place(findings: Iterable[Finding], *sources: Source) -> list[Problem]:
    """Give every finding its file, key and line: the first source that has one of its keys, else the first source."""
    result = []
    for path, code, zh, en, other in findings:
        candidates = [(source, key) for source in sources for key in (path, other or path) if key in source.lines]
        source, key = candidates[0] if candidates else (sources[0], path)
        line = locate.nearest(source.lines, key)
        result.append(problem(file=source.name, key=locate.spell(key), line=line, code=code, zh=zh, en=en))
    return result
