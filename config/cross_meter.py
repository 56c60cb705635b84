"""Rules between keys of a meter profile (``config/meters/*.toml``, ``/etc/pilenode/meters.d/*.toml``).

What gets past the types and these rules is a register map that a driver can be built from (``drivers.registers``);
a test holds the two against each other.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from config.cross import each, pick, unique, unknown
from config.locate import spell
from config.walk import Finding
from safety.read_plan import MAX_DATA_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.locate import Path

#: Size of each type on the wire.
_BYTES = {"u16": 2, "s16": 2, "u32": 4, "s32": 4, "f32": 4}
#: What every sweep must bring.
_FAST = ("voltage_v", "current_a", "power_w")
#: Address space of a meter.
_ADDRESSES = 0x1_0000
#: Two scales that differ by less cannot be told apart (``drivers.scales``, which takes 25 % for a fit).
_APART = 2.0


class _Block(NamedTuple):
    """A block as far as it is known: registers ``first`` to ``last``."""

    position: int
    name: str
    first: int
    last: int
    fast: bool


class _Value(NamedTuple):
    """Bytes that a quantity of the channel ``table`` takes: ``begin`` to before ``end``, counted from register 0."""

    path: Path
    table: Path
    key: str
    form: tuple[object, ...]
    begin: int
    end: int


def _blocks(tree: object) -> dict[str, _Block] | None:
    """Return the blocks by name, or None when part of a block was refused."""
    entries = pick(tree, "block")
    if not isinstance(entries, list):
        return None
    blocks: dict[str, _Block] = {}
    for index, entry in enumerate(entries):
        name, start, count, rate = (pick(entry, key) for key in ("name", "start", "count", "rate"))
        if not (isinstance(name, str) and isinstance(start, int) and isinstance(count, int) and isinstance(rate, str)):
            return None
        blocks.setdefault(name, _Block(index, name, start, start + count - 1, rate == "fast"))
    return blocks


def _extents(blocks: dict[str, _Block], width: int) -> Iterator[Finding]:
    """Blocks stay within the address space, within one reply, and out of each other's way."""
    for block in blocks.values():
        path = ("block", block.position, "count")
        count, most = block.last - block.first + 1, MAX_DATA_BYTES // width
        if block.last >= _ADDRESSES:
            yield Finding(
                path,
                "out_of_range",
                f"{count}：从 {block.first} 起超过最后一个寄存器 65535。",
                f"{count}: from {block.first} on that is past the last register, 65535.",
            )
        if count > most:
            yield Finding(
                path,
                "out_of_range",
                f"{count}：每个寄存器 {width} 字节时，一次应答最多 {most} 个。",
                f"{count}: with {width} bytes for each register one reply holds {most} at most.",
            )
    for one, other in pairwise(sorted(blocks.values(), key=lambda block: block.first)):
        if one.last >= other.first:
            yield Finding(
                ("block", other.position, "start"),
                "overlap",
                f"{other.name}（{other.first} 至 {other.last}）与 {one.name}（{one.first} 至 {one.last}）重叠。",
                f"Block {other.name} ({other.first} to {other.last}) overlaps {one.name} ({one.first} to {one.last}).",
                ("block", one.position, "start"),
            )


def _tables(tree: object) -> Iterator[Path]:
    """Yield the paths of the values of every channel."""
    yield ("values",)
    for path, _ in each(tree, "channel"):
        yield path


def _block_of(tree: object, path: Path, blocks: dict[str, _Block]) -> Iterator[Finding]:
    """Yield what is wrong with the block of one value."""
    name = pick(tree, *path, "block")
    if not isinstance(name, str):
        return
    if name not in blocks:
        yield unknown((*path, "block"), name, [*blocks])
    elif path[-1] in _FAST and not blocks[name].fast:
        yield Finding(
            (*path, "block"),
            "not_one_of",
            f"{name} 是慢速块；{path[-1]} 每次轮询都要读。",
            f"{name} is a slow block; {path[-1]} is needed in every sweep.",
        )


def _place(tree: object, path: Path, blocks: dict[str, _Block], width: int) -> Iterator[Finding | _Value]:
    """Yield what is wrong with the place of one value, and every place that is right as far as can be told."""
    name, kind = pick(tree, *path, "block"), pick(tree, *path, "type")
    if not isinstance(kind, str):
        return
    if _BYTES[kind] < width:
        yield Finding(
            (*path, "type"),
            "not_one_of",
            f"{kind} 不足一个寄存器的 {width} 字节。",
            f"{kind} does not fill a register of {width} bytes.",
        )
        return
    block = blocks.get(name) if isinstance(name, str) else None
    plus = pick(tree, *path, "plus")
    addresses: list[tuple[Path, object]] = [((*path, "address"), pick(tree, *path, "address"))]
    addresses += [((*path, "plus", n), one) for n, one in enumerate(plus if isinstance(plus, list) else ())]
    form = (kind, pick(tree, *path, "word_order"))
    for where, address in addresses:
        if not isinstance(address, int):
            continue
        if block is not None and not block.first <= address <= block.last + 1 - _BYTES[kind] // width:
            yield Finding(
                where,
                "out_of_range",
                f"{address}：{kind} 不在寄存器块 {name}（{block.first} 至 {block.last}）内。",
                f"{address}: a {kind} there is not inside block {name} ({block.first} to {block.last}).",
            )
            continue
        yield _Value(where, path[:-1], str(path[-1]), form, address * width, address * width + _BYTES[kind])


def _overlaps(values: list[_Value]) -> Iterator[Finding]:
    """Bytes mean one thing: only another channel may have the same quantity in exactly the same place."""
    for index, value in enumerate(values):
        for earlier in values[:index]:
            shared = value.table != earlier.table and value[2:] == earlier[2:]
            if value.begin < earlier.end and earlier.begin < value.end and not shared:
                where = spell(earlier.path)
                yield Finding(
                    value.path,
                    "overlap",
                    f"与 {where} 占用相同的字节。",
                    f"It takes bytes that {where} takes already.",
                )
                break


def _scales(tree: object, path: Path, blocks: dict[str, _Block]) -> Iterator[Finding]:
    """Scales to choose from are for power alone, can be told apart, and have a power factor to be told by."""
    scales = pick(tree, *path, "scales")
    if not (isinstance(scales, list) and scales):
        return
    where = (*path, "scales")
    if path[-1] != "power_w":
        yield Finding(where, "without_effect", "仅用于 power_w。", "Only power_w is told by V·I·PF.")
        return
    if pick(tree, *path, "scale") != 1:
        yield Finding(
            (*path, "scale"), "without_effect", "已有 scales，不用 scale。", "scales stand in the place of scale."
        )
    known = sorted(one for one in scales if isinstance(one, int | float))
    if len(known) < len(scales):
        return
    if len(known) == 1 or any(high < _APART * low for low, high in pairwise(known)):
        yield Finding(
            where,
            "out_of_range",
            f"至少两个，且相邻的相差 {_APART:g} 倍以上。",
            f"There must be at least two, each {_APART:g} times the next smaller one or more.",
        )
    name = pick(tree, *path[:-1], "power_factor", "block")
    if pick(tree, *path[:-1], "power_factor") is None or (name in blocks and not blocks[str(name)].fast):
        key = spell((*path[:-1], "power_factor"))
        yield Finding(where, "incomplete", f"还需要快速块中的 {key}。", f"{key} in a fast block is needed too.")


def _quirks(tree: object) -> Iterator[Finding]:
    zh, en = pick(tree, "quirks_zh"), pick(tree, "quirks")
    if isinstance(zh, list) and isinstance(en, list) and zh and len(zh) != len(en):
        yield Finding(
            ("quirks_zh",),
            "wrong_length",
            f"{len(zh)}：应与 quirks 一样有 {len(en)} 条。",
            f"{len(zh)}: there must be {len(en)}, as in quirks.",
        )


def _unused(tree: object, blocks: dict[str, _Block], values: list[Path]) -> Iterator[Finding]:
    names = [pick(tree, *path, "block") for path in values]
    if any(not isinstance(name, str) for name in names):
        return  # nobody can tell which block that value is in
    for block in blocks.values():
        if block.name not in names:
            yield Finding(
                ("block", block.position, "name"),
                "without_effect",
                f"没有任何值来自 {block.name}。",
                f"No value is in {block.name}.",
            )


def meter_findings(tree: object, model: str) -> Iterator[Finding]:
    """Yield every contradiction inside the profile of the meter ``model``."""
    if pick(tree, "model") not in {None, model}:
        yield Finding(("model",), "not_one_of", f"应与文件名相同：{model}。", f"Must be the name of the file: {model}.")
    yield from unique([*each(tree, "block", "name")])
    yield from _quirks(tree)
    width = pick(tree, "bytes_per_register")
    if not isinstance(width, int):
        return
    blocks = _blocks(tree)
    values = [(*table, str(key)) for table in _tables(tree) for key in _keys(pick(tree, *table))]
    places: list[_Value] = []
    for path in values:
        for one in _place(tree, path, blocks or {}, width):
            if isinstance(one, Finding):
                yield one
            else:
                places.append(one)
    yield from _overlaps(places)
    if blocks is None:
        return  # part of a block was refused: what depends on blocks cannot be told
    yield from _extents(blocks, width)
    for path in values:
        yield from _block_of(tree, path, blocks)
        yield from _scales(tree, path, blocks)
    yield from _unused(tree, blocks, values)


def _keys(table: object) -> list[object]:
    return [key for key, value in table.items() if value is not None] if isinstance(table, dict) else []
