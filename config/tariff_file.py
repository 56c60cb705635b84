"""A file of prices for ``pilenode tariff``: the same tables as in a configuration, with a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import inspect

from config.cross_tariff import tariff_findings
from config.errors import ConfigError
from config.read import parse, place, read
from config.schema_tariff import TariffFile, compact
from config.walk import Walker

if TYPE_CHECKING:
    from pathlib import Path

    from config.errors import Problem
    from config.tariff import TariffSchedule


def load_schedule(path: Path) -> tuple[TariffSchedule | None, list[Problem]]:
    """Return the schedule in the file ``path``, None when it has mistakes, and those in order of lines."""
    try:
        source = parse(read(path), str(path))
    except ConfigError as error:
        return None, [*error.problems]
    walker = Walker()
    clean = walker.visit(inspect.type_info(TariffFile), source.data)
    problems = place([*walker.findings, *tariff_findings(clean, ("timezone",))], source)
    if problems:
        return None, sorted(problems, key=lambda one: one.line or 0)
    file = msgspec.convert(source.data, TariffFile)
    return compact(file.tariff, file.timezone, file.schedule), []
