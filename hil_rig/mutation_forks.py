"""One forked process per mutant: what it may use, how it says what became of the mutant, and pytest inside it."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil_rig.mutation_operators import Mutant

PACKAGE = "safety"
#: Exit statuses of a child.
SURVIVED, KILLED, BROKEN = 0, 1, 3
#: Examples of each property; a mutant that needs more than these is named as a survivor.
_EXAMPLES = 30
#: A test that takes this much longer than it did before hangs: factor, and seconds of processor time on top.
_SLOWER, _SLOWER_S = 6.0, 3.0
_MEMORY_BYTES = 3 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """``result``: ``killed``, ``timed out`` or ``survived``; ``tests``: run at most; ``killer``: which failed."""

    mutant: Mutant
    result: str
    tests: int
    killer: str = ""


def root() -> Path:
    """Return the directory of the package under test, wherever it is installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{PACKAGE} is not installed")
    return Path(spec.origin).parent


def run_pytest(files: Sequence[str], plugins: list[object]) -> int:
    """Run pytest in this process, properties with few and always the same examples."""
    settings.register_profile(
        "mutation",
        max_examples=_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutation")
    arguments = ["-q", "-p", "no:cacheprovider", "--capture=sys", "--no-header", "--tb=no", "--timeout=0"]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported before the fork, on purpose
    return int(pytest.main([*arguments, *files], plugins=plugins))


def pool(
    mutants: Sequence[Mutant], child: Callable[[Mutant, int], int], jobs: int, done: Callable[[Outcome], None]
) -> None:
    """Run ``child(mutant, pipe)`` for each mutant in a fork, ``jobs`` at a time; its exit status is the result.

    The child writes the number of its tests, then the test that killed the mutant, to the pipe.
    """
    running: dict[int, tuple[Mutant, int]] = {}
    waiting = list(reversed(mutants))
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                _exit(child, mutant, writer)
            os.close(writer)
            running[pid] = (mutant, reader)
        pid, status = os.wait()
        if pid in running:
            mutant, reader = running.pop(pid)
            with os.fdopen(reader) as pipe:
                tests, _, killer = pipe.read().partition("\n")
            done(_outcome(mutant, status, int(tests or 0), killer))


def _exit(child: Callable[[Mutant, int], int], mutant: Mutant, writer: int) -> None:
    """Run the child of a fork, quietly; never returns."""
    status = BROKEN
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        status = child(mutant, writer)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        os.write(writer, f"\n{error!r}".encode())
    finally:
        os._exit(status)


def _outcome(mutant: Mutant, status: int, tests: int, killer: str) -> Outcome:
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGKILL)
        return Outcome(mutant, "timed out" if late else "killed", tests, killer)
    code = os.WEXITSTATUS(status)
    if code == BROKEN:
        print(f"{mutant.name}: {mutant.before} -> {mutant.after}: {killer}", file=sys.__stderr__)
        raise RuntimeError(f"{mutant.name}: {killer}")
    return Outcome(mutant, "survived" if code == SURVIVED else "killed", tests, killer)


class Stop:
    """A pytest plugin: ends the process with the first failing test and says which; a test that hangs ends it too."""

    def __init__(self, writer: int, seconds: Mapping[str, float]) -> None:
        self.writer, self.seconds = writer, seconds

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Give the test its processor time."""
        signal.setitimer(signal.ITIMER_PROF, _SLOWER * self.seconds.get(nodeid, 1.0) + _SLOWER_S)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Stop at a failure."""
        if report.failed:
            self._stop(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Stop at a file that cannot be imported."""
        if report.failed:
            self._stop(f"import of {report.nodeid}")

    def _stop(self, killer: str) -> None:
        os.write(self.writer, killer.encode())
        os._exit(KILLED)
