"""Facts about configuration that was desired from afar, and how the state tells it. Every body in ``facts`` joins them.

``version`` 0 is the cabinet's own file alone.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pilenode.ipc.messages import Words

#: The largest integer that every JSON reader keeps exactly (``facts.MAX_INTEGER``).
_MAX: int = 2**53
#: Problems of one text that are told; a text with more is not told to its end.
MAX_PROBLEMS = 20
_Code = Annotated[str, Meta(max_length=64)]
#: SHA-256 in hex, "" where there is none.
_Hash = Annotated[str, Meta(max_length=64)]
ConfigVersion = Annotated[int, Meta(ge=0, le=_MAX)]


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a desired text: ``code`` of the configuration, ``key`` and ``line`` in the text."""

    code: _Code
    key: Annotated[str, Meta(max_length=100)] = ""
    line: Annotated[int, Meta(ge=1, le=_MAX)] | None = None
    detail: Words = ""


class ConfigApplied(msgspec.Struct, frozen=True, kw_only=True):
    """Another configuration is in force for good: it has passed its trial, or it is the cabinet's own file.

    ``by``: who went back to the cabinet's own file, "" where nobody did.
    """

    version: ConfigVersion
    sha256: _Hash = ""
    by: Words = ""


class ConfigRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A desired configuration does not count; what was in force before is. ``version`` None: it could not be read.

    ``code`` "config_rolled_back": it was tried, and ``detail`` says what failed. "config_error": ``problems`` tells
    what is wrong with its text.
    """

    version: ConfigVersion | None = None
    sha256: _Hash = ""
    code: _Code
    detail: Words = ""
    problems: Annotated[list[ConfigProblem], Meta(max_length=MAX_PROBLEMS)] = []


class ConfigReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where desired configuration stands. ``staged``: checked, and waits for idle ports or is on trial.

    ``refused``: the newest that does not count, with its ``code``; both go when a newer one is in force.
    """

    applied: ConfigVersion = 0
    staged: ConfigVersion | None = None
    refused: ConfigVersion | None = None
    code: _Code = ""
