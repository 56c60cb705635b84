"""A cabinet's configuration with what is desired from afar above it. The station's alone: guard reads its own file.

The desired text is held against the list of what may be desired (``config.desired``), against the cabinet's own values,
and then the whole is checked as if it stood in one file. Either all of it counts or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from config.desired import ceilings, permitted
from config.errors import ConfigError
from config.load import judge_sources
from config.read import parse, place

if TYPE_CHECKING:
    from config.errors import Problem
    from config.load import Merged

#: Longest text, bytes of UTF-8: what a message of 64 KiB holds. Every allowed key written out takes about 2 KiB.
LONGEST_TEXT: Final = 60 * 1024


def check_desired(local: Merged, text: str, name: str) -> tuple[Merged | None, list[Problem]]:
    """Return ``local`` with ``text`` above it, None when it cannot be built, and everything that is wrong with it.

    ``name`` is what problems call the text. ``local`` is the cabinet's own file alone.
    """
    try:
        desired = parse(text, name)
    except ConfigError as error:
        return None, [*error.problems]
    kept, findings = permitted(desired.data)
    findings += ceilings(kept, msgspec.to_builtins(local.config))
    merged, problems = judge_sources(local.file, local.profile, desired=desired._replace(data=kept))
    problems = [*place(findings, desired), *problems]
    return merged, sorted(problems, key=lambda one: (one.file, one.line or 0))


def with_desired(local: Merged, text: str, name: str) -> Merged:
    """Return ``local`` with ``text`` above it; raises ConfigError with every problem."""
    merged, problems = check_desired(local, text, name)
    if merged is None or problems:
        raise ConfigError(problems)
    return merged
