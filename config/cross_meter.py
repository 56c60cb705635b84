"""Rules between keys of a meter profile (``config/meters/*.toml``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.cross import each, pick, unique, unknown
from config.walk import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Size of each type on the wire.
_BYTES = {"u16": 2, "s16": 2, "u32": 4, "s32": 4, "f32": 4}


def _blocks(tree: object) -> dict[str, tuple[int, int]] | None:
    """Return first and last address of every block by its name, or None when part of a block was refused."""
    entries = pick(tree, "block")
    blocks: dict[str, tuple[int, int]] = {}
    for entry in entries if isinstance(entries, list) else ():
        name, start, count = pick(entry, "name"), pick(entry, "start"), pick(entry, "count")
        if not (isinstance(name, str) and isinstance(start, int) and isinstance(count, int)):
            return None
        blocks[name] = (start, start + count - 1)
    return blocks


def _value(tree: object, key: str, blocks: dict[str, tuple[int, int]]) -> Iterator[Finding]:
    name, address = pick(tree, "values", key, "block"), pick(tree, "values", key, "address")
    if not isinstance(name, str):
        return
    if name not in blocks:
        yield unknown(("values", key, "block"), name, [*blocks])
        return
    kind, width = pick(tree, "values", key, "type"), pick(tree, "bytes_per_register")
    if not (isinstance(address, int) and isinstance(kind, str) and isinstance(width, int)):
        return
    first, last = blocks[name]
    if not first <= address <= last + 1 - max(1, _BYTES[kind] // width):
        yield Finding(
            ("values", key, "address"),
            "out_of_range",
            f"{address}：{kind} 不在寄存器块 {name}（{first} 至 {last}）内。",
            f"{address}: a {kind} there is not inside block {name} ({first} to {last}).",
        )


def meter_findings(tree: object, model: str) -> Iterator[Finding]:
    """Yield every contradiction inside the profile of the meter ``model``."""
    if pick(tree, "model") not in {None, model}:
        yield Finding(("model",), "not_one_of", f"应与文件名相同：{model}。", f"Must be the name of the file: {model}.")
    yield from unique([*each(tree, "block", "name")])
    blocks = _blocks(tree)
    values = pick(tree, "values")
    if blocks is not None and isinstance(values, dict):
        for key in values:
            yield from _value(tree, key, blocks)
