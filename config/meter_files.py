"""Meter profiles as files: those that are shipped, and those of the user's own.

A user's profile stands beside the shipped ones and never in the place of one: who wants a shipped model to be read
differently copies its file under another name, so that a name means the same on every cabinet.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import inspect

from config.cross import unknown
from config.cross_meter import meter_findings
from config.errors import ConfigError, problem
from config.read import Source, parse, place, read
from config.schema import Meters
from config.schema_meter import MeterProfile
from config.walk import Walker

if TYPE_CHECKING:
    from config.errors import Problem

#: The shipped profiles.
METERS: Final = Path(__file__).parent / "meters"
#: The user's own, where the configuration names no other directory.
USER_METERS: Final = Path(Meters().directory)


def _models(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by model; a folder that is not there or may not be read has none."""
    try:
        return {path.stem: path for path in folder.iterdir() if path.suffix == ".toml"}
    except OSError:
        return {}


def meters(own: Path | None = None) -> list[str]:
    """Return the names of the known meters in alphabetical order; ``own`` is the user's folder (None: the usual)."""
    return sorted(_models(METERS).keys() | _models(own or USER_METERS).keys())


def load_meter(model: str, own: Path | None = None) -> MeterProfile:
    """Return the profile of the meter ``model``; raises ConfigError when it is unknown or wrong."""
    shipped, users = _models(METERS), _models(own or USER_METERS)
    path = users.get(model) or shipped.get(model)
    if path is None:
        finding = unknown(("model",), model, meters(own))
        raise ConfigError(place([finding], Source(str(METERS), {}, {})))
    profile, problems = check_meter(path)
    if profile is None:
        raise ConfigError(problems)
    return profile


def load_meter_text(text: str, model: str, file: str = "<text>") -> MeterProfile:
    """Return the profile of the meter ``model`` in ``text``; raises ConfigError with every problem."""
    profile, problems = _judge(text, model, file)
    if profile is None:
        raise ConfigError(problems)
    return profile


def check_meter(path: Path) -> tuple[MeterProfile | None, list[Problem]]:
    """Return the profile in the file ``path``, None when it is wrong, and everything that is wrong with it."""
    try:
        text = read(path)
    except ConfigError as error:
        return None, [*error.problems]
    profile, problems = _known(text, path.stem, str(path))
    shadowed = _shadowed(path)
    return (None if shadowed else profile), [*shadowed, *problems]


@lru_cache(maxsize=64)
def _known(text: str, model: str, file: str) -> tuple[MeterProfile | None, tuple[Problem, ...]]:
    """Do the same work once: twenty ports name the same model."""
    try:
        profile, problems = _judge(text, model, file)
    except ConfigError as error:
        return None, error.problems
    return profile, tuple(problems)


def _judge(text: str, model: str, file: str) -> tuple[MeterProfile | None, list[Problem]]:
    source = parse(text, file)
    walker = Walker()
    clean = walker.visit(inspect.type_info(MeterProfile), source.data)
    findings = [*walker.findings, *meter_findings(clean, model)]
    problems = sorted(place(findings, source), key=lambda one: one.line or 0)
    return (None if problems else msgspec.convert(source.data, MeterProfile)), problems


def _shadowed(path: Path) -> list[Problem]:
    """Return the problem of a user's file that has the name of a shipped one."""
    if path.stem not in _models(METERS) or path.resolve().parent == METERS.resolve():
        return []
    zh = f"{path.stem} 是随软件提供的型号；请把文件和 model 改为另一个名称，例如 {path.stem}-site。"
    en = f"{path.stem} is a shipped model; give the file and its model another name, {path.stem}-site for instance."
    return [problem(file=str(path), key="model", line=None, code="duplicate", zh=zh, en=en)]
