"""Holds parsed TOML against the types of ``config.schema`` and tells everything that is wrong.

msgspec's own conversion stops at the first error; a technician on a ladder wants all of them. The walker reads the
same annotations, so a range stands in one place only. What it accepts, ``msgspec.convert`` accepts.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import inspect

from config.errors import similar

if TYPE_CHECKING:
    from config.locate import Path


class Finding(NamedTuple):
    """One thing wrong at ``path``; ``zh`` and ``en`` are the details that follow the words of ``code``.

    ``other`` is the second key of a contradiction: the finding belongs to whichever the file itself sets.
    """

    path: Path
    code: str
    zh: str
    en: str
    other: Path | None = None


class _Nothing:
    """What remains of a value that was refused."""


NOTHING: Final = _Nothing()

#: Unknown keys of one table for which a similar one is looked for: it takes a while, and a person makes few mistakes.
_MOST_HINTS: Final = 20
#: Unit of a key by the end of its name; the longest fitting ending counts.
_UNITS: Final = {
    "_ms": ("毫秒", "ms"),
    "_s": ("秒", "seconds"),
    "_a": ("A", "A"),
    "_w": ("W", "W"),
    "_c": ("°C", "°C"),
    "_v": ("V", "V"),
    "_k_per_min": ("K/分钟", "K per minute"),
    "_days": ("天", "days"),
    "_ratio": ("倍", "times"),
}
_TYPE_NAMES: Final = {
    inspect.StrType: ("字符串", "a string"),
    inspect.IntType: ("整数", "a whole number"),
    inspect.FloatType: ("数字", "a number"),
    inspect.BoolType: ("true 或 false", "true or false"),
    inspect.ListType: ("列表", "a list"),
    inspect.StructType: ("表", "a table"),
}


def show(value: object) -> str:
    """Return ``value`` as TOML would write it, cut to 60 characters."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = '"' + "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) == "Cc" else c for c in value[:61]) + '"'
    elif isinstance(value, dict):
        text = "{…}"
    elif isinstance(value, list):
        text = "[…]"
    elif isinstance(value, int) and value.bit_length() > 128:  # noqa: PLR2004 - str() refuses really long integers
        text = f"{'-' if value < 0 else ''}2^{value.bit_length() - 1}…"
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - one line of a terminal


def unit(path: Path) -> tuple[str, str]:
    """Return the unit of the key at ``path`` in Chinese and English, empty when it has none."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    endings = [ending for ending in _UNITS if name.endswith(ending)]
    return _UNITS[max(endings, key=len)] if endings else ("", "")


def plain(kind: inspect.Type) -> tuple[inspect.Type, str, bool]:
    """Strip ``kind`` of its wrappers: the type itself, its description, and whether the value may be absent."""
    meaning, optional = "", False
    while True:
        if isinstance(kind, inspect.Metadata):
            meaning = meaning or str((kind.extra_json_schema or {}).get("description", ""))
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            optional = True
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        else:
            return kind, meaning, optional


def bounds(kind: inspect.IntType | inspect.FloatType) -> tuple[str, str]:
    """Return the allowed range in Chinese and English; empty when there is none."""
    if kind.ge is not None and kind.le is not None:
        return f"{kind.ge} 至 {kind.le}", f"{kind.ge} to {kind.le}"
    words = (
        (kind.ge, "不小于", "at least"),
        (kind.gt, "大于", "above"),
        (kind.le, "不大于", "at most"),
        (kind.lt, "小于", "below"),
    )
    given = [(limit, zh, en) for limit, zh, en in words if limit is not None]
    return (
        "、".join(f"{zh} {limit}" for limit, zh, _ in given),
        " and ".join(f"{en} {limit}" for limit, _, en in given),
    )


class Walker:
    """Collects ``findings`` over any number of ``visit`` calls. ``partial``: a missing key is no finding."""

    def __init__(self, *, partial: bool = False) -> None:
        self.findings: list[Finding] = []
        self._partial = partial

    def visit(self, kind: inspect.Type, value: object, path: Path = ()) -> object:
        """Check ``value`` and return it without its wrong parts (NOTHING when nothing is left), defaults filled in.

        A wrong element of a list stays as NOTHING, so that positions keep their meaning.
        """
        bare, meaning, _ = plain(kind)
        before = len(self.findings)
        if isinstance(bare, inspect.LiteralType):
            self._literal(bare, value, path, meaning)
        elif not _fits(bare, value):
            self._wrong_type(bare, value, path)
        elif isinstance(bare, inspect.StructType) and isinstance(value, dict):
            return self._table(bare, value, path)
        elif isinstance(bare, inspect.ListType) and isinstance(value, list):
            return self._list(bare, value, path)
        elif isinstance(bare, inspect.IntType | inspect.FloatType) and isinstance(value, int | float):
            self._number(bare, value, path, meaning)
        elif isinstance(bare, inspect.StrType) and isinstance(value, str):
            self._string(bare, value, path, meaning)
        return value if len(self.findings) == before else NOTHING

    def _add(self, path: Path, code: str, zh: str, en: str) -> None:
        self.findings.append(Finding(path, code, zh, en))

    def _wrong_type(self, kind: inspect.Type, value: object, path: Path) -> None:
        zh, en = _TYPE_NAMES[type(kind)]
        if isinstance(kind, inspect.ListType) and isinstance(value, dict):
            zh, en = f"{zh}，即 [[{path[-1]}]]", f"{en}, that is [[{path[-1]}]]"
        self._add(path, "wrong_type", f"{show(value)}：应为{zh}。", f"{show(value)}: expected {en}.")

    def _table(self, kind: inspect.StructType, value: dict[str, object], path: Path) -> dict[str, object]:
        fields = {field.encode_name: field for field in kind.fields}
        free = sorted(fields.keys() - value.keys()) or sorted(fields)
        for count, key in enumerate(key for key in value if key not in fields):
            zh, en = similar(key, free) if count < _MOST_HINTS else ("", "")
            self._add((*path, key), "unknown_key", zh, en)
        clean: dict[str, object] = {}
        for key, field in fields.items():
            if key in value:
                inner = self.visit(field.type, value[key], (*path, key))
                if inner is not NOTHING:
                    clean[key] = inner
            elif self._partial:
                continue
            elif field.required:
                bare, meaning, _ = plain(field.type)
                zh = f"应为{_TYPE_NAMES[type(bare)][0]}。" if type(bare) in _TYPE_NAMES else ""
                self._add((*path, key), "missing_key", zh, f"{meaning}." if meaning else "")
            else:
                clean[key] = msgspec.to_builtins(field.default if field.default is not msgspec.NODEFAULT else [])
        return clean

    def _list(self, kind: inspect.ListType, value: list[object], path: Path) -> object:
        # What is too long is wrong as a whole: nobody wants to read what is wrong with its ten-thousandth entry.
        items = enumerate(value[: kind.max_length])
        clean = [self.visit(kind.item_type, item, (*path, index)) for index, item in items]
        return clean if self._length(kind, len(value), path, ("个", "entries")) else NOTHING

    def _literal(self, kind: inspect.LiteralType, value: object, path: Path, meaning: str) -> None:
        if any(type(value) is type(one) and value == one for one in kind.values):
            return
        choices = [show(one) for one in kind.values]
        zh, en = similar(show(value), choices)
        self._add(
            path,
            "not_one_of",
            f"{show(value)}：允许 {'、'.join(choices)}。{zh}",
            f"{show(value)}: allowed {', '.join(choices)}{_aside(meaning)}. {en}".rstrip(),
        )

    def _number(self, kind: inspect.IntType | inspect.FloatType, value: float, path: Path, meaning: str) -> None:
        if _inside(kind, value):
            return
        (zh, en), (zh_unit, en_unit) = bounds(kind), unit(path)
        self._add(
            path,
            "out_of_range",
            f"{show(value)}：允许 {zh} {zh_unit}".rstrip() + "。",
            f"{show(value)}: allowed {en} {en_unit}".rstrip() + f"{_aside(meaning)}.",
        )

    def _string(self, kind: inspect.StrType, value: str, path: Path, meaning: str) -> None:
        if any(unicodedata.category(char) == "Cc" for char in value):
            self._add(path, "wrong_format", f"{show(value)}：含有控制字符。", f"{show(value)} has control characters.")
        elif not self._length(kind, len(value), path, ("个字符", "characters")):
            return
        elif kind.pattern is not None and re.search(kind.pattern, value) is None:
            self._add(
                path,
                "wrong_format",
                f"{show(value)}：应匹配 {kind.pattern} 。",
                f"{show(value)}: must match {kind.pattern}{_aside(meaning)}.",
            )

    def _length(
        self, kind: inspect.StrType | inspect.ListType, length: int, path: Path, counted: tuple[str, str]
    ) -> bool:
        low, high = kind.min_length or 0, kind.max_length
        if low <= length and (high is None or length <= high):
            return True
        zh, en = (f"{low} 至 {high}", f"{low} to {high}") if high is not None else (f"至少 {low}", f"at least {low}")
        self._add(path, "wrong_length", f"{length}：允许 {zh} {counted[0]}。", f"{length}: allowed {en} {counted[1]}.")
        return False


def _aside(meaning: str) -> str:
    return f" ({meaning})" if meaning else ""


def _fits(kind: inspect.Type, value: object) -> bool:
    if isinstance(kind, inspect.FloatType):
        return type(value) in {int, float}
    expected = {
        inspect.StrType: str,
        inspect.IntType: int,
        inspect.BoolType: bool,
        inspect.ListType: list,
        inspect.StructType: dict,
    }
    return type(value) is expected[type(kind)]


def _inside(kind: inspect.IntType | inspect.FloatType, value: float) -> bool:
    try:
        # A TOML file may say nan, inf, or an integer beyond every float; none of them is a measure of anything.
        if not math.isfinite(value):
            return False
    except OverflowError:
        return False
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )
