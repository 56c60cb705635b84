"""Holds messages against the published contract: what it says is wrong with them.

What our own side says is held against the closed schemas: a field that the contract does not name is wrong, although
every reader would ignore it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from jsonschema import Draft7Validator

from hil_rig.contract.document import document
from hil_rig.contract.schemas import REF, closed
from pilenode.upstream.channels import CHANNELS, channel
from pilenode.upstream.packing import PackingError, inflated

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN: Final = 3


class Checker:
    """Judges messages by topic and payload. ``seen`` counts those judged, by the last level of the topic."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {one.leaf: 0 for one in CHANNELS}
        self.kinds: dict[str, int] = {}
        self._good: set[tuple[str, bytes]] = set()  # many messages come twice; judging one takes milliseconds

    def problems(self, topic: str, payload: bytes) -> list[str]:
        """Return everything that is wrong with a message, nothing if it keeps to the contract."""
        one = channel(topic)
        if one is None:
            return [f"{topic}: no topic of the contract"]
        self.seen[one.leaf] += 1
        if (one.leaf, payload) in self._good:
            return []
        found = [f"{topic}: {problem}" for problem in self._wrong(one.leaf, one.max_bytes, payload)]
        if not found:
            self._good.add((one.leaf, payload))
        return found

    def _wrong(self, leaf: str, max_bytes: int, payload: bytes) -> Iterator[str]:
        if len(payload) > max_bytes:
            yield f"{len(payload)} bytes, at most {max_bytes}"
            return
        try:
            value = msgspec.json.decode(inflated(payload) if leaf == "ev" else payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PackingError) as error:
            yield f"no JSON: {error}"
            return
        wrong = list(validator(leaf).iter_errors(value))
        for one in wrong[:_SHOWN]:
            yield f"{'.'.join(str(part) for part in one.absolute_path)}: {one.message[:300]}"
        if not wrong and leaf == "ev":
            for fact in value["facts"]:
                self.kinds[fact["kind"]] = self.kinds.get(fact["kind"], 0) + 1


@cache
def _whole() -> tuple[dict[str, Any], dict[str, Any]]:
    made = document()
    return made, closed(made)


@cache
def validator(leaf: str, *, strict: bool = True) -> Draft7Validator:
    """Return what judges the payloads of a topic; not ``strict``: as a reader, who ignores unknown fields."""
    contract = _whole()[strict]
    name = next(one.type.__name__ for one in CHANNELS if one.leaf == leaf)
    return Draft7Validator({"$ref": REF + name, "components": contract["components"]})
