"""The contract as an AsyncAPI 3.0 document, spoken from the cabinet's side: it sends what goes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from config.schema_base import Name
from hil_rig.contract.samples import LOG_ID, SAMPLES, facts
from hil_rig.contract.schemas import REF, components
from pilenode.upstream.channels import CHANNELS, UP

if TYPE_CHECKING:
    from pilenode.upstream.channels import Channel

#: Version of the document. The first number is that of the topics; the second rises with every field that is added.
VERSION: Final = "1.0.0"

_ABOUT: Final = """What a charging cabinet and a backend say to each other over MQTT 5 or 3.1.1. QoS is 1 everywhere.

A fact is done when the backend has committed it and said so in `ack`; that a broker took it means nothing. Whoever
reads ignores fields and kinds of fact that it does not know. Only inside `plan`, `change` and `act` of a command does
an unknown field refuse the command, because it may be a limit. A message that names another major version in
`protocol` is refused and counted. Every value has a bound; `x-max-bytes` bounds the message.
"""
_HEAD: Final = "# Made by `python -m hil_rig.contract` from pilenode/upstream; do not edit.\n"


def document() -> dict[str, Any]:
    """Return the whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "pilenode upstream", "version": VERSION, "description": _ABOUT},
        "defaultContentType": "application/json",
        "channels": {one.leaf: _channel(one) for one in CHANNELS},
        "operations": {f"{_verb(one)}_{one.leaf}": _operation(one) for one in CHANNELS},
        "components": {
            "schemas": components([one.type for one in CHANNELS]),
            "messages": {one.leaf: _message(one) for one in CHANNELS},
            "parameters": {"node": {"description": f"Name of the cabinet: {_pattern()}, at most 32 characters."}},
        },
    }


def text() -> str:
    """Return the document as YAML."""
    dumped: str = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return _HEAD + dumped


class _Dumper(yaml.SafeDumper):  # type: ignore[misc] # published without type information
    """Writes out what occurs twice, and long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - PyYAML's own signature
        """Never refer to an earlier place."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _verb(one: Channel) -> str:
    return "send" if one.way == UP else "receive"


def _pattern() -> str:
    pattern = msgspec.json.schema(Name)["pattern"]
    return f"`{pattern}`"


def _channel(one: Channel) -> dict[str, Any]:
    return {
        "address": one.topic("{node}"),
        "description": f"{one.en} / {one.zh}",
        "messages": {one.leaf: {"$ref": f"#/components/messages/{one.leaf}"}},
        "parameters": {"node": {"$ref": "#/components/parameters/node"}},
    }


def _operation(one: Channel) -> dict[str, Any]:
    return {
        "action": _verb(one),
        "channel": {"$ref": f"#/channels/{one.leaf}"},
        "messages": [{"$ref": f"#/channels/{one.leaf}/messages/{one.leaf}"}],
        "bindings": {"mqtt": {"qos": 1, "retain": one.retained, "bindingVersion": "0.2.0"}},
    }


def _message(one: Channel) -> dict[str, Any]:
    examples = [{"name": name, "payload": plain(value)} for name, value in SAMPLES[one.leaf].items()]
    if one.leaf == "ev":
        examples += [
            {"name": f"{fact.kind}", "payload": {"log_id": LOG_ID, "facts": [plain(fact)]}} for fact in facts()
        ]
    return {
        "name": one.type.__name__,
        "contentType": "application/json",
        "payload": {"$ref": REF + one.type.__name__},
        "examples": examples,
        "x-max-bytes": one.max_bytes,
    }


def plain(value: msgspec.Struct) -> Any:  # noqa: ANN401 - JSON
    """Return a struct as what its JSON reads as."""
    return msgspec.json.decode(msgspec.json.encode(value))
