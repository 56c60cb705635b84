"""What the types cannot say: rules between keys of a cabinet's file.

The rules read the tree that ``config.walk`` leaves over: every value in it has the right type and range, and a value
that was refused is simply absent. So a rule speaks up beside the other problems, and never because of them.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from config.errors import similar
from config.locate import spell
from config.walk import Finding, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from config.locate import Path

#: Longest path of a Unix socket in bytes (sun_path of unix(7) is 108 with its final zero).
_LONGEST_SOCKET_PATH = 107
#: The only kind of contact that may concern some ports alone, and the only one whose alarm may do less than cut.
_KIND_WITH_PORTS, _KIND_WITH_POLICY = "rcd", "door"
#: Names that the kernel gives to USB adapters in the order in which it finds them.
_NUMBERED = re.compile(r"/dev/tty(?:USB|ACM)\d+")
#: A lease must outlive this many polls, or one late answer ends every session.
_POLLS_PER_LEASE = 3


def pick(tree: object, *path: str | int) -> object:
    """Return the value at ``path``, or None where the tree has no such place."""
    for part in path:
        if isinstance(part, int) and isinstance(tree, list):
            tree = tree[part] if part < len(tree) else None
        elif isinstance(part, str) and isinstance(tree, dict):
            tree = tree.get(part)
        else:
            return None
    return tree


def each(tree: object, table: str, *rest: str) -> Iterator[tuple[Path, object]]:
    """Yield path and value of one key in every element of the list ``table``, where it is there."""
    entries = pick(tree, table)
    for index in range(len(entries) if isinstance(entries, list) else 0):
        value = pick(tree, table, index, *rest)
        if value is not None:
            yield (table, index, *rest), value


def one(tree: object, *path: str) -> Iterator[tuple[Path, object]]:
    """Yield path and value of one key, where it is there."""
    value = pick(tree, *path)
    if value is not None:
        yield path, value


def unique(values: Sequence[tuple[Path, object]]) -> Iterator[Finding]:
    """Yield a finding for every value that stands earlier in ``values`` already."""
    first: dict[object, Path] = {}
    for path, value in values:
        if value in first:
            other = spell(first[value])
            shown = "、".join(show(one) for one in value) if isinstance(value, tuple) else show(value)
            yield Finding(path, "duplicate", f"{shown} 已用于 {other}。", f"{shown} is used by {other} already.")
        else:
            first[value] = path


def _addresses(tree: object) -> Iterator[Finding]:
    """Each channel of a meter serves one port, and no temperature module has the address of a meter or another one."""
    meters = [*each(tree, "port", "meter", "unit"), *one(tree, "cabinet", "inlet", "unit")]
    yield from unique(
        [
            (path, (bus, unit, channel))
            for path, unit in meters
            if (bus := pick(tree, *path[:-1], "bus")) is not None
            and (channel := pick(tree, *path[:-1], "channel")) is not None
        ]
    )
    taken: dict[object, Path] = {}
    for path, unit in meters:
        taken.setdefault((pick(tree, *path[:-1], "bus"), unit), path)
    modules = [
        (path, (bus, unit))
        for path, unit in each(tree, "probe_module", "unit")
        if (bus := pick(tree, *path[:-1], "bus")) is not None
    ]
    yield from unique([*((path, address) for address, path in taken.items()), *modules])


def _duplicates(tree: object, more_pins: Iterable[tuple[Path, object]]) -> Iterator[Finding]:
    yield from unique([*each(tree, "port", "number")])
    yield from unique([*each(tree, "bus", "name")])
    yield from unique([*each(tree, "bus", "device")])
    yield from unique([*each(tree, "input", "name")])
    yield from unique(
        [
            *one(tree, "gpio", "contactor_pin"),
            *one(tree, "gpio", "contactor_feedback_pin"),
            *one(tree, "gpio", "heartbeat_pin"),
            *each(tree, "port", "relay", "pin"),
            *each(tree, "input", "pin"),
            *more_pins,
        ]
    )
    yield from unique([*each(tree, "port", "probe", "id"), *one(tree, "cabinet", "probe", "id")])
    yield from unique([*one(tree, "guard", "socket"), *one(tree, "station", "control_socket")])
    yield from _addresses(tree)


def _numbered(tree: object) -> Iterator[Finding]:
    """Yield every bus whose adapter is named by its number, where there are several: then they can change places."""
    found = [(path, name) for path, name in each(tree, "bus", "device") if _NUMBERED.fullmatch(str(name))]
    if len({name for _, name in found}) > 1:
        for path, name in found:
            yield Finding(path, "unstable_name", f"{name} 按编号命名。", f"{name} is a number, not an adapter.")


def unknown(path: Path, name: object, known: Sequence[str]) -> Finding:
    """Return the finding of a ``name`` that is none of ``known``."""
    zh, en = similar(str(name), known)
    listed = ", ".join(known) or "-"
    return Finding(
        path,
        "unknown_reference",
        f"{show(name)}：已知 {listed}。{zh}",
        f"{show(name)}: known are {listed}. {en}".rstrip(),
    )


def _references(tree: object, models: Sequence[str], profiles: Sequence[str]) -> Iterator[Finding]:
    entries = pick(tree, "bus")
    names = [name for _, name in each(tree, "bus", "name") if isinstance(name, str)]
    # With a nameless bus in the file nobody can tell which name a port means.
    if isinstance(entries, list) and len(names) == len(entries):
        for path, name in (
            *each(tree, "port", "meter", "bus"),
            *one(tree, "cabinet", "inlet", "bus"),
            *each(tree, "probe_module", "bus"),
        ):
            if name not in names:
                yield unknown(path, name, names)
    for path, name in (*each(tree, "port", "meter", "model"), *one(tree, "cabinet", "inlet", "model")):
        if name not in models:
            yield unknown(path, name, models)
    for path, name in one(tree, "profile"):
        if name not in profiles:
            yield unknown(path, name, profiles)


def _port_limits(tree: object) -> Iterator[Finding]:
    for key in ("current_limit_a", "power_limit_w"):
        cabinet = pick(tree, "limits", key)
        for path, value in each(tree, "port", key):
            if isinstance(value, int | float) and isinstance(cabinet, int | float) and value > cabinet:
                yield Finding(
                    path,
                    "above_cabinet_limit",
                    f"{value} 高于 limits.{key} = {cabinet}。",
                    f"{value} is above limits.{key} = {cabinet}.",
                )


def _inputs(tree: object) -> Iterator[Finding]:
    """Ports that a contact names exist and are named once, and only kinds that know them name any."""
    numbers = [number for _, number in each(tree, "port", "number")]
    ports = pick(tree, "port")
    complete = isinstance(ports, list) and len(numbers) == len(ports)
    for path, named in each(tree, "input", "ports"):
        if not isinstance(named, list):
            continue
        kind = pick(tree, *path[:-1], "kind")
        if named and isinstance(kind, str) and kind != _KIND_WITH_PORTS:
            yield Finding(
                path,
                "without_effect",
                "只有 rcd 可以指定端口。",
                f"Only an rcd may name ports; a {kind} concerns them all.",
            )
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
    for path, policy in each(tree, "input", "policy"):
        kind = pick(tree, *path[:-1], "kind")
        if policy != "tell" and isinstance(kind, str) and kind != _KIND_WITH_POLICY:
            yield Finding(
                path,
                "without_effect",
                f"只有 door 可以设置；{kind} 一律断电。",
                f"Only a door has a policy; a {kind} always cuts.",
            )


def _rising(tree: object, table: str, *keys: str, equal: bool = False, factor: float = 1) -> Iterator[Finding]:
    """Require the values of ``keys`` to rise; each must be above (``equal``: at least) ``factor`` times the last."""
    for low_key, high_key in pairwise(keys):
        low, high = pick(tree, table, low_key), pick(tree, table, high_key)
        if not (isinstance(low, int | float) and isinstance(high, int | float)):
            continue
        if high > low * factor or (equal and high == low * factor):
            continue
        zh_times, en_times = (f" {factor:g} 倍的", f" {factor:g} times") if factor != 1 else ("", "")
        zh_word, en_word = ("不得小于", "must not be below") if equal else ("必须大于", "must be above")
        yield Finding(
            (table, high_key),
            "wrong_order",
            f"{high_key} = {high} {zh_word}{zh_times} {low_key} = {low}。",
            f"{high_key} = {high} {en_word}{en_times} {low_key} = {low}.",
            (table, low_key),
        )


def _orders(tree: object) -> Iterator[Finding]:
    for table in ("limits", "cabinet"):
        yield from _rising(
            tree, table, "temperature_clear_c", "temperature_warn_c", "temperature_inhibit_c", "temperature_trip_c"
        )
    yield from _rising(tree, "limits", "voltage_low_v", "voltage_high_v")
    yield from _rising(tree, "limits", "meter_stuck_s", "meter_frozen_s")
    yield from _rising(tree, "limits", "over_current_slow_ratio", "over_current_fast_ratio")
    yield from _rising(tree, "upstream", "retry_base_s", "retry_cap_s", equal=True)
    yield from _rising(tree, "station", "poll_s", "lease_s", equal=True, factor=_POLLS_PER_LEASE)


def _upstream(tree: object) -> Iterator[Finding]:
    if not isinstance(pick(tree, "upstream"), dict):
        return
    for key, other in (
        ("certificate_file", "key_file"),
        ("key_file", "certificate_file"),
        ("password_file", "username"),
    ):
        if pick(tree, "upstream", key) and not pick(tree, "upstream", other):
            yield Finding(
                ("upstream", key), "incomplete", f"还需要 upstream.{other}。", f"upstream.{other} is needed too."
            )
    if pick(tree, "upstream", "identity_dir") and pick(tree, "upstream", "certificate_file"):
        yield Finding(
            ("upstream", "identity_dir"),
            "incomplete",
            "不能与 upstream.certificate_file 同时使用，二者取一。",
            "Either this or upstream.certificate_file, not both.",
        )
    url = pick(tree, "upstream", "url")
    if not isinstance(url, str):
        return
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        yield Finding(
            ("upstream", "url"),
            "wrong_format",
            f"{show(url)}：应为 mqtt://主机:端口（1 至 65535）。",
            f"{show(url)}: expected mqtt://host:port (1 to 65535).",
        )
    for key in ("ca_file", "certificate_file", "key_file", "identity_dir"):
        if pick(tree, "upstream", key) and url.startswith("mqtt://"):
            yield Finding(
                ("upstream", key),
                "incomplete",
                "upstream.url 应为 mqtts://。",
                "upstream.url must be mqtts:// for TLS.",
            )


def _contactor(tree: object) -> Iterator[Finding]:
    if pick(tree, "gpio", "contactor_feedback_pin") is not None and pick(tree, "gpio", "contactor_pin") is None:
        yield Finding(
            ("gpio", "contactor_feedback_pin"),
            "incomplete",
            "还需要 gpio.contactor_pin。",
            "gpio.contactor_pin is needed too.",
        )


def _socket_paths(tree: object) -> Iterator[Finding]:
    for path, value in (*one(tree, "guard", "socket"), *one(tree, "station", "control_socket")):
        length = len(os.fsencode(str(value)))
        if length > _LONGEST_SOCKET_PATH:
            allowed = _LONGEST_SOCKET_PATH
            yield Finding(
                path,
                "wrong_length",
                f"{length}：Unix 套接字路径最多 {allowed} 字节。",
                f"{length}: the path of a Unix socket has at most {allowed} bytes.",
            )


def config_findings(
    tree: object,
    models: Sequence[str],
    profiles: Sequence[str],
    more_pins: Iterable[tuple[Path, object]] = (),
) -> Iterator[Finding]:
    """Yield every contradiction between keys of a cabinet's configuration.

    ``models`` and ``profiles`` are the names of the known meters and product profiles; ``more_pins`` are lines with
    their places that other rules know of (``config.cross_probe.pins``).
    """
    yield from _duplicates(tree, more_pins)
    yield from _numbered(tree)
    yield from _references(tree, models, profiles)
    yield from _port_limits(tree)
    yield from _orders(tree)
    yield from _inputs(tree)
    yield from _contactor(tree)
    yield from _upstream(tree)
    yield from _socket_paths(tree)
