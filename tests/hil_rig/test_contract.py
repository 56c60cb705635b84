"""Promises of the contract: one source, no value without a bound, schemas and decoders that refuse the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator

from hil_rig.contract.__main__ import DOCS, FILES
from hil_rig.contract.check import Checker, validator
from hil_rig.contract.document import document, plain
from hil_rig.contract.sample_bodies import BODIES
from hil_rig.contract.samples import LOG_ID, SAMPLES, facts
from hil_rig.contract.schemas import REF, closed, components
from hil_rig.contract.walk import unbounded
from hil_rig.contract.words import WORDS
from pilenode.upstream.channels import CHANNELS, DOWN, MAX_UP_BYTES, channel
from pilenode.upstream.contract import MAX_BATCH_BYTES, Ack, FactBatch, Hello, down, up
from pilenode.upstream.facts import BODY_TYPES, GENESIS, FactKind, link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil_rig.contract.schemas import Schema

SCHEMAS: dict[str, Schema] = document()["components"]["schemas"]
MESSAGES = [(one.leaf, name) for one in CHANNELS for name in SAMPLES[one.leaf]]
LEAVES = {one.leaf: one for one in CHANNELS}


@pytest.mark.parametrize("name", FILES)
def test_files_and_code_are_one(name: str) -> None:
    """The document, the page and the access list are what ``python -m hil_rig.contract`` writes."""
    assert (DOCS / name).read_text(encoding="utf-8") == FILES[name](), "run: python -m hil_rig.contract"


def test_no_value_is_without_a_bound() -> None:
    """Every text, list and integer that is ever said has an upper end."""
    assert list(unbounded(SCHEMAS)) == ["Fact.body: any object"]  # bounded by its kind, see the next test


def test_every_kind_of_fact_has_one_body_with_a_schema() -> None:
    """The schema of a fact names the body of each kind, and no kind is left to chance."""
    told = {kind: rule for rule in SCHEMAS["Fact"]["allOf"] for kind in rule["if"]["properties"]["kind"]["enum"]}
    assert sorted(told) == sorted(FactKind) == sorted(SCHEMAS["Fact"]["properties"]["kind"]["enum"])
    for kind, rule in told.items():
        name = BODY_TYPES[FactKind(kind)].__name__
        assert rule["then"]["properties"]["body"] == {"$ref": REF + name}
        assert name in SCHEMAS


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"type": "string"}, ["X: string without maxLength"]),
        ({"type": ["string", "null"]}, ["X: string without maxLength"]),
        ({"type": "string", "maxLength": 1}, []),
        ({"type": "string", "enum": ["a"]}, []),
        ({"type": "integer", "minimum": 0}, ["X: integer without maximum"]),
        ({"type": "number", "maximum": 0}, ["X: number without minimum"]),
        ({"type": "array", "items": {"type": "boolean"}}, ["X: array without maxItems"]),
        ({"type": "array", "maxItems": 1, "items": {"type": "string"}}, ["X[]: string without maxLength"]),
        ({"type": "array", "maxItems": 1, "items": [{"type": "integer"}]}, ["X[0]: integer without minimum, maximum"]),
        ({"type": "array", "maxItems": 1}, ["X[]: anything"]),
        ({"type": "object"}, ["X: any object"]),
        ({"type": "object", "properties": {"a": {}}}, ["X.a: anything"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ["X: string without maxLength"]),
    ],
)
def test_what_has_no_bound_is_found(schema: Schema, found: list[str]) -> None:
    """The walk sees every way to leave something open."""
    assert list(unbounded({"X": schema})) == found


def test_schemas_are_draft_07_and_refer_to_each_other_only() -> None:
    """Nothing of a newer draft, no name that leads nowhere."""
    for name, schema in SCHEMAS.items():
        Draft7Validator.check_schema(schema)
        for key, value in _keys(schema):
            assert key not in ("prefixItems", "$defs", "discriminator", "unevaluatedProperties"), name
            assert key != "$ref" or value.removeprefix(REF) in SCHEMAS, name


def _keys(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def test_document_as_published_judges_its_own_samples() -> None:
    """The file read anew: each of its examples keeps to the schema that the file gives for it."""
    published = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    seen = set()
    for leaf, message in published["components"]["messages"].items():
        judge = Draft7Validator({**message["payload"], "components": closed(published["components"])})
        for example in message["examples"]:
            judge.validate(example["payload"])
            seen.add((leaf, example["name"]))
    assert seen == {*MESSAGES, *(("ev", kind) for kind in FactKind)}
    assert published["channels"].keys() == LEAVES.keys()


def test_samples_are_whole() -> None:
    """Each message, each act and each kind of fact has a sample and words; those of facts are one log, well chained."""
    assert set(BODIES) == set(WORDS) == set(FactKind)
    assert {kind: type(body) for kind, body in BODIES.items()} == BODY_TYPES
    tags = {schema["properties"]["act"]["enum"][0] for schema in SCHEMAS.values() if _is_act(schema)}
    assert tags == SAMPLES["cmd"].keys() - {"start", "stop", "modify"}
    previous = GENESIS
    for fact in facts():
        if fact.kind != FactKind.REMOVED:
            assert fact.hash == link(previous, LOG_ID, fact).hex()
        previous = bytes.fromhex(fact.hash)


def _is_act(schema: Schema) -> bool:
    return "enum" in schema.get("properties", {}).get("act", {})


@pytest.mark.parametrize(("leaf", "name"), MESSAGES)
def test_samples_are_read_as_they_were_written(leaf: str, name: str) -> None:
    """What the document shows is what the code takes."""
    sample = SAMPLES[leaf][name]
    assert msgspec.json.decode(msgspec.json.encode(plain(sample)), type=LEAVES[leaf].type) == sample


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(pytest.param(type(SAMPLES[leaf][name]), SAMPLES[leaf][name], id=f"{leaf} {name}") for leaf, name in MESSAGES),
        *(pytest.param(type(body), body, id=kind) for kind, body in BODIES.items()),
    ],
)
def test_schema_and_decoder_refuse_the_same(name: type[msgspec.Struct], value: msgspec.Struct) -> None:
    """One step over any bound of any field, and neither takes it."""
    judge = Draft7Validator({"$ref": REF + name.__name__, "components": {"schemas": SCHEMAS}})
    whole = plain(value)
    judge.validate(whole)
    tried = 0
    for path, wrong in _one_step_over({"$ref": REF + name.__name__}, whole):
        if name is FactBatch and path.startswith((".facts[0].body", ".facts[0].kind")):
            continue  # a reader keeps bodies as they are, and kinds that it does not know
        assert not judge.is_valid(wrong), path
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(wrong), type=name)
        tried += 1
    assert tried > 0


def _one_step_over(schema: Schema, value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield ``value`` with one bound broken, once for every bound of every field that it has."""
    schema = _meant(schema, value)
    yield from ((path, wrong) for wrong in _wrong(schema, value))
    if isinstance(value, dict):
        for key in schema.get("required", ()):
            yield f"{path}.{key}", {name: one for name, one in value.items() if name != key}
        for key, inner in value.items():
            if key in schema.get("properties", {}):
                for where, wrong in _one_step_over(schema["properties"][key], inner, f"{path}.{key}"):
                    yield where, {**value, key: wrong}
    elif isinstance(value, list) and value:
        items = schema["items"]
        for index, inner in enumerate(value if isinstance(items, list) else value[:1]):
            one = items[index] if isinstance(items, list) else items
            for where, wrong in _one_step_over(one, inner, f"{path}[{index}]"):
                yield where, [*value[:index], wrong, *value[index + 1 :]]


def _meant(schema: Schema, value: Any) -> Schema:  # noqa: ANN401 - JSON
    """Return the schema that holds for ``value``: references and unions resolved."""
    if "$ref" in schema:
        return _meant(SCHEMAS[schema["$ref"].removeprefix(REF)], value)
    if "anyOf" in schema:
        whole = {"components": {"schemas": SCHEMAS}}
        return _meant(next(one for one in schema["anyOf"] if Draft7Validator(one | whole).is_valid(value)), value)
    if "allOf" in schema and "properties" not in schema:
        return _meant(schema["allOf"][0], value)
    return schema


def _wrong(schema: Schema, value: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    if "enum" in schema:
        yield "no such word"
    elif isinstance(value, str):
        yield "a" * (schema["maxLength"] + 1)
        if schema.get("minLength"):
            yield "a" * (schema["minLength"] - 1)
        if "pattern" in schema:
            yield value[:-1] + "\n"
    elif isinstance(value, int) and not isinstance(value, bool):
        yield schema["minimum"] - 1
        yield schema["maximum"] + 1
    elif isinstance(value, list) and value:
        yield copy.deepcopy(value[:1]) * (schema["maxItems"] + 1)
    yield {"neither": "here"} if not isinstance(value, dict) else "text"


@pytest.mark.parametrize(("leaf", "name"), MESSAGES)
def test_readers_ignore_what_they_do_not_know_and_we_do_not_say_it(leaf: str, name: str) -> None:
    """A field of a later minor version is ignored by schema and decoder; a sender of ours may not say one."""
    more = plain(SAMPLES[leaf][name]) | {"of_a_later_version": {"a": [1]}}
    assert validator(leaf, strict=False).is_valid(more)
    assert msgspec.json.decode(msgspec.json.encode(more), type=LEAVES[leaf].type) == SAMPLES[leaf][name]
    one = LEAVES[leaf]
    assert Checker().problems(one.topic("n"), msgspec.json.encode(more))
    assert not Checker().problems(one.topic("n"), msgspec.json.encode(SAMPLES[leaf][name]))


@pytest.mark.parametrize(
    ("name", "part"), [("start", "plan"), ("modify", "change"), ("lock", "act"), ("set_tariff", "act")]
)
def test_what_narrows_an_order_is_never_ignored(name: str, part: str) -> None:
    """An unknown field inside plan, change or act refuses the command, by the document and by the decoder."""
    command = plain(SAMPLES["cmd"][name])
    command[part]["of_a_later_version"] = 1
    assert not validator("cmd", strict=False).is_valid(command)
    with pytest.raises(msgspec.ValidationError, match="of_a_later_version"):
        msgspec.json.decode(msgspec.json.encode(command), type=LEAVES["cmd"].type)


@pytest.mark.parametrize(
    ("topic", "payload", "problem"),
    [
        (up("n", "hello"), b"{", "no JSON"),
        (up("n", "hello"), b" " * 1025, "1025 bytes, at most 1024"),
        (up("n", "ev"), b" " * (MAX_UP_BYTES + 1), "bytes, at most"),
        (down("n", "ack"), b'{"log_id":"0123456789abcdef","upto":-1}', "upto"),
        (down("n", "ack"), b'{"log_id":"0123456789abcdef\\n","upto":1}', "log_id"),
        ("pn/v2/n/up/hello", b"{}", "no topic of the contract"),
        ("pn/v1/n/up/other", b"{}", "no topic of the contract"),
        ("pn/v1/n/m/up/hello", b"{}", "no topic of the contract"),
        ("pn/v1/n/dn/hello", b"{}", "no topic of the contract"),
        (
            up("n", "ev"),
            msgspec.json.encode(
                FactBatch(
                    log_id=LOG_ID, facts=[msgspec.structs.replace(facts()[0], body=msgspec.Raw(b'{"version":1}'))]
                )
            ),
            "facts.0.body.version",
        ),
        (
            up("n", "ev"),
            msgspec.json.encode(FactBatch(log_id=LOG_ID, facts=[msgspec.structs.replace(facts()[0], kind="hearsay")])),
            "facts.0.kind",
        ),
    ],
)
def test_what_breaks_the_contract_is_found(topic: str, payload: bytes, problem: str) -> None:
    """Topic, size, bound, body, kind: the checker names what is wrong, and where."""
    assert any(problem in told for told in Checker().problems(topic, payload))


def test_topics_have_channels() -> None:
    """Every topic that the code can name is one channel, with the way and the type that the code gives it."""
    for one in CHANNELS:
        assert channel(one.topic("some-node")) is one
    assert channel(down("n", "ack")) is LEAVES["ack"]
    assert (LEAVES["ack"].way, LEAVES["ack"].type, LEAVES["hello"].type) == (DOWN, Ack, Hello)
    assert MAX_BATCH_BYTES <= MAX_UP_BYTES


def test_a_type_without_a_bound_would_show() -> None:
    """Seen fail: a struct with a bare text is found through the same way as the real ones."""

    class Loose(msgspec.Struct):
        note: str

    assert "Loose.note: string without maxLength" in list(unbounded(components([Loose])))


def test_documents_are_where_they_belong() -> None:
    """The command writes below docs/ of this repository."""
    assert Path(__file__).parents[2] / "docs" == DOCS
