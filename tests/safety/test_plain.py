"""State comes back from plain data exactly, or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import pytest

from safety.plain import restore


@dataclass(frozen=True)
class Inner:
    """One number that may be missing."""

    value: float | None = None


@dataclass(frozen=True)
class Outer:
    """Every kind of field that state has."""

    count: int = 0
    flag: bool = False
    share: float = 0.0
    rows: tuple[float, ...] = ()
    inner: Inner = field(default_factory=Inner)


GOOD = {"count": 3, "flag": True, "share": 0.1, "rows": [1.0, 2.5], "inner": {"value": None}}


def test_a_trip_through_json_is_exact() -> None:
    """Lists become tuples again, floats keep every bit."""
    outer = Outer(3, flag=True, share=0.1 + 0.2, rows=(1 / 3, 2.0), inner=Inner(1e-300))
    assert restore(Outer, json.loads(json.dumps(asdict(outer)))) == outer
    assert restore(Outer, asdict(outer)) == outer
    assert restore(Outer, GOOD) == Outer(3, flag=True, share=0.1, rows=(1.0, 2.5), inner=Inner(None))


def test_an_integer_stands_for_a_float() -> None:
    """JSON writers drop the point; what comes back is a float."""
    restored = restore(Outer, {**GOOD, "share": 2})
    assert isinstance(restored.share, float)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 1.5},
        {"count": True},
        {"count": "1"},
        {"flag": 1},
        {"share": "x"},
        {"share": None},
        {"share": True},
        {"share": float("nan")},
        {"share": float("inf")},
        {"rows": 5},
        {"rows": ["x"]},
        {"rows": None},
        {"inner": 5},
        {"inner": {"value": "x"}},
        {"inner": {}},
        {"inner": {"value": 1.0, "more": 1}},
        {"more": 1},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    """Wrong types, missing and unknown keys, numbers that are not finite."""
    with pytest.raises(ValueError, match=r"Outer|Inner"):
        restore(Outer, {**GOOD, **change})


@pytest.mark.parametrize("plain", [None, 5, [], "x"])
def test_only_a_table_is_a_state(plain: object) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ValueError, match="Outer"):
        restore(Outer, plain)
