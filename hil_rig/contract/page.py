"""Writes ``docs/upstream.md``: the contract as tables, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from hil_rig.contract.access import access_list
from hil_rig.contract.document import document
from hil_rig.contract.schemas import REF
from hil_rig.contract.walk import count
from hil_rig.contract.words import WORDS
from pilenode.upstream.channels import CHANNELS, UP
from pilenode.upstream.facts import BODY_TYPES, FactKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil_rig.contract.schemas import Schema

_HEAD: Final = """# What a cabinet and a backend say to each other

<!-- Made by `python -m hil_rig.contract` from pilenode/upstream; do not edit. -->

[asyncapi.yaml](asyncapi.yaml) (AsyncAPI 3.0) says the same for machines, with a sample of every message and of every
kind of fact; [mosquitto-acl.conf](mosquitto-acl.conf) holds every cabinet to its own topics. Both and this page are
made from the types with which the cabinet encodes and decodes, by `python -m hil_rig.contract`; tests hold them
together, and every message that the tests put on a broker is held against the document.

Payloads are JSON; numbers are integers, with their unit at the end of the name (`_ms`, `_s`, `_wh`, `_mwh`, `_w`,
`_ma`, `_fen`; `_dc` is 0.1 °C). Everything is said with QoS 1. Versions of MQTT: 5, or 3.1.1 where the broker has no 5.

- **A fact is done when the backend says so** in `ack`, after its own commit. That a broker took it means nothing; what
  is not confirmed is sent again, from the first that is not. `(node, log_id, seq)` names a fact: keep it once.
- **Unknown fields are ignored**, and so is an unknown kind of fact: it is kept and confirmed like the others.
- **Except inside `plan`, `change` and `act` of a command**, whose unknown fields refuse it (`malformed`, the detail
  names the field): what a cabinet does not know may be a limit. A `stop` that names its `session` or `order` is carried
  out whatever else stands in it.
- **Another major version is refused**: it has other topics (`pn/v2/…`), and a message that names one in `protocol` is
  dropped and counted; a command is answered with `protocol_mismatch`.
- What does not keep to a bound is refused as a whole, and counted; no value is ever cut to fit.
"""


def page() -> str:
    """Return the page."""
    schemas: Mapping[str, Schema] = document()["components"]["schemas"]
    bodies = dict.fromkeys(BODY_TYPES[kind].__name__ for kind in FactKind)
    says = [one.type.__name__ for one in CHANNELS]
    rest = [name for name in schemas if name not in bodies and name not in says]
    figures = count(schemas)
    parts = [
        _HEAD,
        f"{len(CHANNELS)} messages, {len(FactKind)} kinds of fact, "
        + ", ".join(f"{figures[what]} {what}" for what in ("schemas", "fields", "bounds"))
        + ".\n",
        "## Topics 主题\n",
        *_topics(),
        "\n## Kinds of fact 事实种类\n",
        *_kinds(),
        "\n## Messages 消息\n",
        *_tables(schemas, says),
        "## Bodies of facts 事实内容\n",
        *_tables(schemas, [name for name in bodies if name not in says]),
        "## Parts 组成部分\n",
        *_tables(schemas, rest),
        "## Access list 访问控制\n",
        f"```\n{access_list()}```",
        "",
    ]
    return "\n".join(parts)


def _topics() -> Iterator[str]:
    yield "| topic | said by | message | bytes, at most | retained | meaning | 含义 |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in CHANNELS:
        who = "cabinet" if one.way == UP else "backend"
        kept = "yes" if one.retained else "no"
        topic, link = one.topic("<node>"), _link(one.type.__name__)
        yield f"| `{topic}` | {who} | {link} | {one.max_bytes:,} | {kept} | {one.en} | {one.zh} |"


def _kinds() -> Iterator[str]:
    yield "| kind | body | meaning | 含义 |"
    yield "| --- | --- | --- | --- |"
    for kind in FactKind:
        zh, en = WORDS[kind]
        yield f"| `{kind}` | {_link(BODY_TYPES[kind].__name__)} | {en} | {zh} |"


def _tables(schemas: Mapping[str, Schema], names: list[str]) -> Iterator[str]:
    for name in names:
        schema = schemas[name]
        yield f"### {name}\n"
        yield schema.get("description", "").replace("``", "`") + "\n"
        if isinstance(schema.get("items"), list):
            yield "A list: " + ", ".join(_say(one) for one in schema["items"]) + ".\n"
        elif "properties" in schema:
            yield "| field | value | default |"
            yield "| --- | --- | --- |"
            for field, one in schema["properties"].items():
                default = "required" if field in schema.get("required", ()) else f"`{_default(one)}`"
                yield f"| `{field}` | {_say(one)} | {default} |"
            yield ""
        else:
            yield _say(schema) + "\n"


def _default(one: Schema) -> str:
    return json.dumps(one.get("default"), ensure_ascii=False)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _say(one: Schema) -> str:
    """Return what values a schema takes."""
    if "$ref" in one:
        return _link(one["$ref"].removeprefix(REF))
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    for key in ("anyOf", "allOf"):
        if key in one and "properties" not in one:
            return " or ".join(_say(inner) for inner in one[key])
    types = [one["type"]] if isinstance(one["type"], str) else one["type"]
    return " or ".join(_say_type(kind, one) for kind in types)


def _say_type(kind: str, one: Schema) -> str:
    if kind == "array":
        least = one.get("minItems", 0)
        return f"list of {least} to {one['maxItems']}: {_say(one['items'])}"
    if kind == "string":
        pattern = f", `{one['pattern']}`" if "pattern" in one else ""
        return f"text of {one.get('minLength', 0)} to {one['maxLength']}{pattern}"
    if kind == "integer":
        return f"{_number(one['minimum'])} to {_number(one['maximum'])}"
    return kind


def _number(value: Any) -> str:  # noqa: ANN401 - JSON
    return {2**53: "2⁵³", -(2**53): "−2⁵³"}.get(value, f"{value:,}")
