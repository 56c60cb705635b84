"""Rules between the keys of card readers, and between readers and the rest of the cabinet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.cross import each, pick, unique, unknown
from config.walk import Finding, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.locate import Path

_SERIAL = ("rdm6300", "em18", "pn532")
#: Which kinds need a key, and may have it.
_KINDS = {
    "device": (*_SERIAL, "keyboard"),
    "data0_pin": ("wiegand26", "wiegand34"),
    "data1_pin": ("wiegand26", "wiegand34"),
}
#: Which kinds may have a key that has a default: the key, its default, the kinds.
_OPTIONS = (
    ("baud", None, _SERIAL),
    ("spi_select", 0, ("mfrc522",)),
    ("digits", "decimal", ("keyboard",)),
)
#: BCM numbers of SPI bus 0: clock, data out and in, and its two chip selects.
_SPI = (11, 10, 9)
_SPI_SELECT = (8, 7)


def _pins(tree: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every GPIO line that any table names; the name of such a key ends with "pin"."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if isinstance(value, int) and (key == "pin" or key.endswith("_pin")):
                yield (*path, key), value
            else:
                yield from _pins(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _pins(value, (*path, index))


def _spi_pins(tree: object) -> Iterator[tuple[Path, object]]:
    """Yield the lines of SPI bus 0, which its readers share, and the chip select of each."""
    bus: tuple[int, ...] = _SPI
    for path, kind in each(tree, "reader", "kind"):
        if kind == "mfrc522":
            here = (*path[:-1], "spi_select")
            select = pick(tree, *here)
            for pin in bus + ((_SPI_SELECT[select],) if isinstance(select, int) else ()):
                yield here, pin
            bus = ()


def _shares_spi(path: Path, pin: object) -> bool:
    """Return whether a converter uses this line of SPI bus 0 as readers do; the kernel lets each have its turn."""
    return path[0] == "adc" and path[-1] in ("clock_pin", "mosi_pin", "miso_pin") and pin in _SPI


def _used_twice(tree: object) -> Iterator[Finding]:
    yield from unique([*each(tree, "reader", "name")])
    devices = unique([*each(tree, "bus", "device"), *each(tree, "reader", "device")])
    yield from (one for one in devices if one.path[0] == "reader")
    pins = [*_pins(tree)]
    others = [(path, pin) for path, pin in pins if path[0] != "reader" and not _shares_spi(path, pin)]
    readers = [(path, pin) for path, pin in pins if path[0] == "reader"]
    found = unique([*others, *readers, *_spi_pins(tree)])
    yield from (one for one in found if one.path[0] == "reader")


def _keys(tree: object) -> Iterator[Finding]:
    for path, kind in each(tree, "reader", "kind"):
        reader = path[:-1]
        for key, kinds in _KINDS.items():
            given = pick(tree, *reader, key) is not None
            if kind in kinds and _silent(tree, (*reader, key)):
                yield Finding((*reader, key), "missing_key", f"{kind} 需要 {key}。", f"A {kind} needs {key}.")
            elif given and kind not in kinds:
                yield _without_effect((*reader, key), kinds)
        for key, default, kinds in _OPTIONS:
            value = pick(tree, *reader, key)
            if value is not None and value != default and kind not in kinds:
                yield _without_effect((*reader, key), kinds)


def _ports(tree: object) -> Iterator[Finding]:
    """Ports that a reader serves exist and are named once."""
    numbers = [number for _, number in each(tree, "port", "number")]
    ports = pick(tree, "port")
    complete = isinstance(ports, list) and len(numbers) == len(ports)
    for path, named in each(tree, "reader", "ports"):
        if not isinstance(named, list):
            continue
        entries: list[tuple[Path, object]] = [
            ((*path, index), number) for index, number in enumerate(named) if isinstance(number, int)
        ]
        yield from unique(entries)
        # With a port of unknown number in the file nobody can tell which one is meant.
        yield from (
            unknown(where, number, [*map(str, numbers)])
            for where, number in entries
            if complete and number not in numbers
        )


def _silent(tree: object, path: Path) -> bool:
    """Return whether the file leaves the key out: the walk puts its default there, and takes away what is wrong."""
    reader = pick(tree, *path[:-1])
    return isinstance(reader, dict) and path[-1] in reader and reader[path[-1]] is None


def _without_effect(path: Path, kinds: tuple[str, ...]) -> Finding:
    listed = [show(kind) for kind in kinds]
    return Finding(
        path, "without_effect", f"仅用于 {'、'.join(listed)}。", f"Only readers of kind {', '.join(listed)} have it."
    )


def reader_findings(tree: object) -> Iterator[Finding]:
    """Yield every contradiction in the card readers of a cabinet's configuration."""
    yield from _used_twice(tree)
    yield from _keys(tree)
    yield from _ports(tree)
