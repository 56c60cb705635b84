"""Rules between a cabinet's configuration and the profiles of its meters: who reads which channel of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.cross import pick
from config.locate import spell
from config.walk import Finding, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from config.locate import Path
    from config.schema_meter import MeterProfile

_INLET: Path = ("cabinet", "inlet")


def _meters(tree: object) -> Iterator[Path]:
    """Yield the place of every meter: those of the ports in their order, then that of the inlet."""
    ports = pick(tree, "port")
    for index in range(len(ports) if isinstance(ports, list) else 0):
        yield ("port", index, "meter")
    if pick(tree, *_INLET) is not None:
        yield _INLET


def channel_findings(tree: object, profiles: Mapping[str, MeterProfile]) -> Iterator[Finding]:
    """Yield every use of a meter that its profile does not allow.

    ``profiles``: the models that the configuration names, as far as they are known and good.
    """
    first: dict[tuple[object, object], tuple[Path, str]] = {}
    taken: set[tuple[object, object, object]] = set()
    for path in _meters(tree):
        bus, unit, channel, model = (pick(tree, *path, key) for key in ("bus", "unit", "channel", "model"))
        if not isinstance(model, str):
            continue
        if bus is not None and unit is not None:
            other, other_model = first.setdefault((bus, unit), (path, model))
            # The same channel twice is told as what it is (``config.cross``), whatever the models are.
            if model != other_model and (bus, unit, channel) not in taken:
                yield _two_models((*path, "model"), model, other_model, other)
            taken.add((bus, unit, channel))
        if model in profiles:
            yield from _fits(tree, path, profiles[model])


def _two_models(path: Path, model: str, other_model: str, other: Path) -> Finding:
    where = spell(other)
    return Finding(
        path,
        "wrong_meter",
        f"{show(model)}：同一总线上同一地址的电表已在 {where} 中写为 {show(other_model)}。",
        f"{show(model)}: the meter with this address on this bus is a {show(other_model)} in {where}.",
    )


def _fits(tree: object, path: Path, profile: MeterProfile) -> Iterator[Finding]:
    channel, channels = pick(tree, *path, "channel"), 1 + len(profile.channel)
    if isinstance(channel, int) and channel > channels:
        yield Finding(
            (*path, "channel"),
            "out_of_range",
            f"{channel}：{profile.model} 有 {channels} 个通道。",
            f"{channel}: {profile.model} has {channels} channel{'s' if channels > 1 else ''}.",
        )
    if profile.inlet_only and path != _INLET:
        yield Finding(
            (*path, "model"),
            "wrong_meter",
            f"{profile.model} 是三相电表，只能用作 [cabinet.inlet]。",
            f"{profile.model} measures three phases: it is for [cabinet.inlet] only.",
        )
