"""Dataclasses back out of plain data, checked field by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def restore(cls: type[T], plain: object) -> T:
    """Return an instance of the dataclass ``cls`` from the nested dicts that ``dataclasses.asdict`` makes.

    Lists stand for tuples. Raises ValueError for missing or unknown keys, wrong types and numbers that are not finite.
    """
    if not isinstance(plain, Mapping):
        raise ValueError(f"{cls.__name__}: expected a table, got {type(plain).__name__}")  # noqa: TRY004 - bad data
    hints = get_type_hints(cls)
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if set(plain) != names:
        raise ValueError(f"{cls.__name__}: keys differ: {sorted(map(str, set(plain) ^ names))}")
    return cls(**{name: _value(hints[name], plain[name], f"{cls.__name__}.{name}") for name in names})


def _value(hint: object, plain: object, where: str) -> object:
    if type(None) in get_args(hint):
        if plain is None:
            return None
        (hint,) = (arg for arg in get_args(hint) if arg is not type(None))
    if isinstance(hint, type) and is_dataclass(hint):
        return restore(hint, plain)
    if get_origin(hint) is tuple:
        if not isinstance(plain, (list, tuple)):
            raise ValueError(f"{where}: expected a list")
        return tuple(_value(get_args(hint)[0], item, where) for item in plain)
    return _scalar(hint, plain, where)


def _scalar(hint: object, plain: object, where: str) -> object:
    if hint is bool and isinstance(plain, bool):
        return plain
    if hint is int and isinstance(plain, int) and not isinstance(plain, bool):
        return plain
    if hint is float and isinstance(plain, (int, float)) and not isinstance(plain, bool) and math.isfinite(plain):
        return float(plain)
    raise ValueError(f"{where}: {plain!r} does not fit")
