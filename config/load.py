"""From TOML text to ``config.schema.Config``, with every error of the file in one run.

A file names a product profile (``profile = "default"``); the profile's values stand where the file is silent, and
the schema's own defaults where both are. Nothing here reads anything but the files it is asked for.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from config import budget as promise
from config import cross_probe
from config.cross import config_findings, pick
from config.cross_channel import channel_findings
from config.cross_load import load_findings
from config.cross_reader import reader_findings
from config.cross_session import session_findings
from config.cross_tariff import tariff_findings
from config.errors import ConfigError
from config.meter_files import load_meter as load_meter  # noqa: PLC0414 - what this module offers, too
from config.meter_files import meters as meters  # noqa: PLC0414
from config.read import Source, parse, place, read
from config.schema import Config, Profile
from config.walk import Walker
from safety.completion_limits import CompletionLimits
from safety.limits import CabinetLimits, PortLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from config.budget import Budget
    from config.errors import Problem
    from config.schema import Port
    from config.schema_meter import MeterProfile

_HERE = Path(__file__).parent
PROFILES = _HERE / "profiles"

T = TypeVar("T")


class Merged(NamedTuple):
    """A configuration with the sources of its values: the file itself, its profile, and what was desired from afar."""

    config: Config
    file: Source
    profile: Source
    desired: Source | None = None


@cache
def _types(kind: type) -> inspect.Type:
    """Return the types behind a table, once: msgspec looks at every annotation, most of the time of a check."""
    return inspect.type_info(kind)


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def profiles() -> list[str]:
    """Return the names of the product profiles, in alphabetical order."""
    return _names(PROFILES)


# -- the cabinet -------------------------------------------------------------------------------------------


def _profile(name: object, folder: Path) -> tuple[Source, list[Problem]]:
    """Return the profile called ``name`` without its wrong parts (empty when there is none), and its problems."""
    if name not in _names(folder):
        return Source("", {}, {}), []
    path = folder / f"{name}.toml"
    profile = parse(read(path), str(path))
    walker = Walker(partial=True)
    clean = walker.visit(_types(Profile), profile.data)
    return profile._replace(data=clean if isinstance(clean, dict) else {}), place(walker.findings, profile)


def _merge(data: Mapping[str, object], profile: Mapping[str, object]) -> dict[str, object]:
    """Return ``data`` with the values of ``profile`` where it is silent.

    An upstream is never made by a profile, only completed: a cabinet without one stays without.
    """
    merged = dict(data)
    for table, values in profile.items():
        own = data.get(table, None if table == "upstream" else {})
        if isinstance(own, dict) and isinstance(values, dict):
            merged[table] = {**values, **own}
    return merged


def _judge(text: str, file: str, folder: Path) -> tuple[Merged | None, list[Problem]]:
    """Return the configuration, None when it cannot be built, and its problems."""
    source = parse(text, file)
    profile, problems = _profile(source.data.get("profile", "default"), folder)
    merged, found = judge_sources(source, profile, folder)
    return merged, problems + found


def judge_sources(
    source: Source, profile: Source, folder: Path = PROFILES, desired: Source | None = None
) -> tuple[Merged | None, list[Problem]]:
    """Return the configuration that ``source`` and its profile make, None when it cannot be built, and its problems.

    The values of ``desired`` stand above both (``config.desired_load``; guard never gives any).
    """
    merged = _merge(source.data, profile.data)
    sources: tuple[Source, ...] = (source, profile)
    if desired is not None:
        merged = {**merged, **_merge(desired.data, {name: merged.get(name) for name in desired.data})}
        sources = (desired, *sources)
    walker = Walker()
    clean = walker.visit(_types(Config), merged)
    directory = pick(clean, "meters", "directory")
    own_meters = Path(directory) if isinstance(directory, str) else None
    fitted, broken = _fitted(clean, own_meters)
    findings = [
        *walker.findings,
        *config_findings(clean, meters(own_meters), _names(folder), cross_probe.pins(clean)),
        *channel_findings(clean, fitted),
        *cross_probe.probe_findings(clean, merged),
        *reader_findings(clean),
        *tariff_findings(clean),
        *session_findings(clean),
        *load_findings(clean),
    ]
    problems = [*place(findings, *sources), *broken]
    if problems:
        return None, problems
    config = msgspec.convert(merged, Config)
    # Only a configuration without a mistake has a budget.
    return Merged(config, source, profile, desired), place(promise.findings(config, budget(config)), *sources)


def _fitted(tree: object, own_meters: Path | None) -> tuple[dict[str, MeterProfile], list[Problem]]:
    """Return the known models that the configuration names, and what is wrong with their own files."""
    ports = pick(tree, "port")
    places = [(port, "meter") for port in ports] if isinstance(ports, list) else []
    named = {pick(port, key, "model") for port, key in [*places, (pick(tree, "cabinet"), "inlet")]}
    found: dict[str, MeterProfile] = {}
    broken: list[Problem] = []
    for model in sorted(named.intersection(meters(own_meters)), key=str):
        try:
            found[str(model)] = load_meter(str(model), own_meters)
        except ConfigError as error:
            broken += error.problems
    return found, broken


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda one: (one.file, one.line or 0))


def check_text(text: str, file: str = "<text>", *, folder: Path = PROFILES) -> list[Problem]:
    """Return everything that is wrong with the configuration ``text``, in the order of its lines.

    ``file`` is the name that problems carry; ``folder`` is where profiles are looked up.
    """
    try:
        return _sorted(_judge(text, file, folder)[1])
    except ConfigError as error:
        return [*error.problems]


def check(path: str | Path) -> list[Problem]:
    """Return everything that is wrong with the configuration file ``path``; an empty list means: good."""
    try:
        text = read(Path(path))
    except ConfigError as error:
        return [*error.problems]
    return check_text(text, str(path))


def merge_text(text: str, file: str = "<text>", *, folder: Path = PROFILES) -> Merged:
    """Return the configuration in ``text`` with its sources; raises ConfigError with every problem."""
    merged, problems = _judge(text, file, folder)
    if merged is None or problems:
        raise ConfigError(_sorted(problems))
    return merged


def merge(path: str | Path) -> Merged:
    """Return the configuration in the file ``path`` with its sources; raises ConfigError with every problem."""
    return merge_text(read(Path(path)), str(path))


def load_text(text: str, file: str = "<text>") -> Config:
    """Return the configuration in ``text``; raises ConfigError with every problem."""
    return merge_text(text, file).config


def load(path: str | Path) -> Config:
    """Return the configuration in the file ``path``; raises ConfigError with every problem."""
    return merge(path).config


def load_unpromised(path: str | Path) -> tuple[Config, list[Problem]]:
    """Return the configuration in the file ``path`` and what breaks its promise; nothing may run with the latter.

    Raises ConfigError with every problem of another kind.
    """
    merged, problems = _judge(read(Path(path)), str(path), PROFILES)
    if merged is None:
        raise ConfigError(_sorted(problems))
    return merged.config, problems


# -- what safety is given ----------------------------------------------------------------------------------


def _named(kind: type[T], *tables: object, **more: object) -> T:
    """Return ``kind`` with every field that one of ``tables`` has under the same name, and ``more``."""
    values = {
        field.name: getattr(table, field.name)
        for field in dataclasses.fields(kind)  # type: ignore[arg-type] # both kinds are dataclasses
        for table in tables
        if hasattr(table, field.name)
    }
    return kind(**(values | more))


def port_limits(config: Config, port: Port) -> PortLimits:
    """Return the protective limits of ``port``: those of the cabinet, lowered by its own."""
    limits = config.limits
    return _named(
        PortLimits,
        limits,
        current_limit_a=limits.current_limit_a if port.current_limit_a is None else port.current_limit_a,
        power_limit_w=limits.power_limit_w if port.power_limit_w is None else port.power_limit_w,
        time_scale=config.completion.time_scale,
        meter_behind_relay=port.meter.position == "behind_relay",
        meter_refresh_s=load_meter(port.meter.model, Path(config.meters.directory)).refresh_ms / 1000,
    )


def cabinet_limits(config: Config) -> CabinetLimits:
    """Return the limits of the cabinet; guard holds no lease for longer than this file lets the station ask."""
    limits = config.limits
    return _named(
        CabinetLimits,
        config.cabinet,
        lease_max_s=config.station.lease_s,
        close_stagger_s=limits.close_stagger_s,
        contactor_settle_s=limits.contactor_settle_s,
        contactor_hold_s=limits.contactor_hold_s,
        temperature_trip_s=limits.temperature_trip_s,
        temperature_rise_k_per_min=limits.temperature_rise_k_per_min,
        temperature_rise_s=limits.temperature_rise_s,
        probe_max_age_s=limits.probe_max_age_s,
    )


def completion_limits(config: Config) -> CompletionLimits:
    """Return what ends a session normally, every duration divided by ``completion.time_scale``."""
    completion = config.completion
    return CompletionLimits(no_load_w=completion.no_load_w).scaled(completion.time_scale)


def max_duration_s(config: Config) -> float:
    """Return the hard end of a session in seconds, divided by ``completion.time_scale`` as every duration there."""
    return config.completion.max_duration_s / config.completion.time_scale


def budget(config: Config) -> Budget:
    """Return how long a hazard at each port may take at worst until its relay is open."""
    models = {port.meter.model for port in config.port}
    if config.cabinet.inlet is not None:
        models.add(config.cabinet.inlet.model)
    limits = {port.number: port_limits(config, port) for port in config.port}
    own_meters = Path(config.meters.directory)
    return promise.compute(config, {model: load_meter(model, own_meters) for model in models}, limits)
