"""Walks schemas: what in them is without a bound, and how many fields and bounds there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil_rig.contract.schemas import Schema

#: What bounds a value of a type.
_BOUNDS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("maxLength",),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("maxItems",),
}
_FREE: Final = frozenset({"boolean", "null"})
_SAYS: Final = ("$ref", "anyOf", "allOf", "oneOf", "enum", "const")


def unbounded(schemas: Mapping[str, Schema]) -> Iterator[str]:
    """Yield the path of everything that has no upper end: texts, lists, integers, and values of any kind at all."""
    for name, schema in schemas.items():
        for path, one in nodes(schema, name):
            if "enum" in one or "const" in one:
                continue
            types = one.get("type", [])
            types = [types] if isinstance(types, str) else types
            if not types and not any(key in one for key in _SAYS):
                yield f"{path}: anything"
            for kind in types:
                if kind == "object" and "properties" not in one and "allOf" not in one:
                    yield f"{path}: any object"
                if kind == "array" and "items" not in one:
                    yield f"{path}[]: anything"
                lacking = [key for key in _BOUNDS.get(kind, ()) if key not in one]
                if lacking:
                    yield f"{path}: {kind} without {', '.join(lacking)}"


def nodes(schema: Any, path: str) -> Iterator[tuple[str, Schema]]:  # noqa: ANN401 - JSON
    """Yield every schema inside ``schema`` with its path, itself first. Conditions (``if``) are none."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name, one in schema.get("properties", {}).items():
        yield from nodes(one, f"{path}.{name}")
    items = schema.get("items")
    for index, one in enumerate(items if isinstance(items, list) else [items]):
        yield from nodes(one, f"{path}[{index if isinstance(items, list) else ''}]")
    for key in ("anyOf", "oneOf"):
        for one in schema.get(key, ()):
            yield from nodes(one, path)


def count(schemas: Mapping[str, Schema]) -> Counter[str]:
    """Return how many fields, bounds and schemas there are."""
    found: Counter[str] = Counter(schemas=len(schemas))
    for name, schema in schemas.items():
        for _, one in nodes(schema, name):
            found["fields"] += len(one.get("properties", ()))
            found["bounds"] += sum(
                key in one for key in ("maxLength", "minLength", "pattern", "minimum", "maximum", "maxItems", "enum")
            )
    return found
