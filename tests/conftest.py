"""Rules for every test run: tests that need a program which is not installed are left out, and that is said.

``needs("root")`` is for tests that mount a file system.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Holds everything that tests put on a broker against docs/asyncapi.yaml.
pytest_plugins = ["hil_rig.contract.watch"]

# How long one example takes says more about what else the machine does than about the product.
settings.register_profile("shared_machine", deadline=None)
settings.load_profile("shared_machine")

_NOT_RUN = pytest.StashKey[dict[str, list[str]]]()


def _missing_programs(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if os.geteuid() != 0 if program == "root" else shutil.which(program, path=_path()) is None:
                yield program


def _path() -> str:
    """Return where programs are looked for: Debian keeps those of PostgreSQL away from PATH."""
    return os.pathsep.join([os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs under test: a background job is started with SIGINT ignored, and hands that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)  # after -k and -m: what nobody asked for is not missing
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out exactly the tests marked ``needs(program)`` whose program is missing; long ones come first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    not_run: dict[str, list[str]] = {}
    kept, left_out = [], []
    for item in items:
        program = next(_missing_programs(item), None)
        if program is None:
            kept.append(item)
        else:
            left_out.append(item)
            not_run.setdefault(program, []).append(item.nodeid)
    config.stash[_NOT_RUN] = not_run
    if (output := getattr(config, "workeroutput", None)) is not None:
        output["not_run"] = not_run  # in a parallel run only the workers collect; this goes to the one that reports
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - the plugin has no types
    """Take over what a worker of a parallel run has left out; all of them leave out the same."""
    node.config.stash.setdefault(_NOT_RUN, {}).update(getattr(node, "workeroutput", {}).get("not_run", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line per missing program which tests did not run."""
    for program, tests in config.stash.get(_NOT_RUN, {}).items():
        terminalreporter.write_line(f"NOT RUN, {program} is missing: {', '.join(tests)}", yellow=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI=true a run that left something out has failed."""
    complete = not session.config.stash.get(_NOT_RUN, {})
    if not complete and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
