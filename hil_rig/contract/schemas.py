"""JSON schemas of the types that are said upstream, in the words of draft 07 that AsyncAPI 3.0 is made of.

msgspec writes draft 2020-12; what differs is rewritten here: tuples, siblings of ``$ref``, discriminators.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pilenode.upstream.facts import BODY_TYPES, Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Sequence

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"


def components(types: Sequence[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Return the schemas of ``types``, of every body of a fact, and of all that they are made of, by name."""
    _, found = msgspec.json.schema_components((*types, *BODY_TYPES.values()), ref_template=REF + "{name}")
    made = {name: _draft_07(schema) for name, schema in sorted(found.items())}
    if Fact.__name__ in made:
        _tell_bodies(made[Fact.__name__])
    return made


def _draft_07(schema: Schema) -> Schema:
    """Return ``schema`` in the words of draft 07."""
    schema = {key: _inner(key, value) for key, value in schema.items() if key != "discriminator"}
    if "description" in schema:
        schema["description"] = cleandoc(schema["description"])
    if "prefixItems" in schema:
        schema["items"] = schema.pop("prefixItems")
        schema["additionalItems"] = False
    if "$ref" in schema and len(schema) > 1:  # draft 07 ignores whatever stands beside a $ref
        schema = {"allOf": [{"$ref": schema.pop("$ref")}], **schema}
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema = {"type": "string", **schema}
    return _or_null(schema) if "anyOf" in schema else schema


def _inner(key: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if key in ("anyOf", "prefixItems"):
        return [_draft_07(one) for one in value]
    if key == "items" and isinstance(value, dict):
        return _draft_07(value)
    if key == "properties":
        return {name: _draft_07(one) for name, one in value.items()}
    return value


def _or_null(schema: Schema) -> Schema:
    """Return a union flat, and "a plain value or null" as one schema."""
    branches: list[Schema] = []
    for one in schema["anyOf"]:
        branches += one["anyOf"] if set(one) == {"anyOf"} else [one]
    plain = [one for one in branches if one != {"type": "null"}]
    if len(plain) == 1 and len(branches) > 1 and isinstance(plain[0].get("type"), str) and "enum" not in plain[0]:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**plain[0], "type": [plain[0]["type"], "null"], **rest}
    return {**schema, "anyOf": branches}


def _tell_bodies(fact: Schema) -> None:
    """Let the schema of a fact say which body goes with which kind."""
    kinds: dict[str, list[str]] = {}
    for kind in FactKind:
        kinds.setdefault(BODY_TYPES[kind].__name__, []).append(kind.value)
    fact["properties"]["kind"] |= {"enum": [kind.value for kind in FactKind]}
    fact["properties"]["body"] = {"type": "object", "description": "Its schema goes with ``kind``, see ``allOf``."}
    fact["allOf"] = [
        {"if": {"properties": {"kind": {"enum": of}}}, "then": {"properties": {"body": {"$ref": REF + name}}}}
        for name, of in kinds.items()
    ]


def closed(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a schema that takes no field which it does not name: what our own side must keep to when it speaks."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        inner["additionalProperties"] = False
    return inner
