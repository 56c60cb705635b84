"""The process that has collected the tests: which lines each of them runs, and mutants inside functions.

A mutant inside a function takes the place of that function in a fork of this process; only the tests that run the
changed lines are run, those of the module's own test file first, then the quickest.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from hil_rig.mutation_forks import PACKAGE, SURVIVED, Outcome, Stop, pool, root
from hil_rig.mutation_operators import Mutant, applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import FrameType

    import pytest

#: So much processor time is spent on one mutant at most, s; what only longer runs notice is named as a survivor.
#: Measured while every line is watched, which takes two to three times as long.
_ENOUGH_S = 10.0
_QUICK_S, _FEW_MODULES = 0.3, 8
#: Calls of one function by one test that are watched line by line, and calls of anything that are watched at all.
_WATCHED_CALLS, _WATCHED_ALL = 200, 200_000
#: Stands for all lines of a module: the test was not watched to its end.
_ANY_LINE = 0


@dataclass
class Baseline:
    """The tests on the unchanged program: lines of each by module, seconds of each, those that fail."""

    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that may notice, in the order in which to run them."""
        found = []
        modules = {edit.module for edit in mutant.edits}
        for test, lines in self.lines.items():
            if test in self.failed:
                continue
            run = lines.get(mutant.module, [])
            if not {_ANY_LINE, *mutant.lines}.isdisjoint(run) if mutant.function else modules & lines.keys():
                found.append(test)
        return self._chosen(found or [test for test in self.lines if test not in self.failed], mutant)

    def _chosen(self, tests: Iterable[str], mutant: Mutant) -> list[str]:
        """Return tests with those of the mutant's own module first, then the quickest, as many as fit in the time.

        A test that runs few modules comes before one that runs the whole engine, a long one after all others.
        """
        chosen: list[str] = []
        left_s = _ENOUGH_S

        def order(test: str) -> tuple[bool, bool, bool, float]:
            seconds = self.seconds[test]
            return seconds > _QUICK_S, not about(mutant, test), len(self.lines[test]) > _FEW_MODULES, seconds

        for test in sorted(tests, key=order):
            left_s -= self.seconds[test]
            if chosen and left_s < 0:
                break
            chosen.append(test)
        return chosen


def about(mutant: Mutant, test: str) -> bool:
    """Return whether the test is in a file of a module that the mutant changes, or that names the fault it silences.

    A file may be about a family of modules (``catalogue``).
    """
    file = Path(test.partition("::")[0])
    subject = file.stem.removeprefix("test_")
    if mutant.code:
        return f'"{mutant.code}"' in _text(file)
    return any(subject.startswith(edit.module) or edit.module.startswith(f"{subject}_") for edit in mutant.edits)


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def swap(mutant: Mutant, text: bytes, path: Path) -> None:
    """Put the mutant's function in the place of the imported one. Raises LookupError when that cannot be done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler, about what the mutant does
        compiled = compile(applied(text, mutant.edits), str(path), "exec", dont_inherit=True)
    code = next((code for code in _codes(compiled) if code.co_qualname == mutant.function), None)
    function = _imported(mutant)
    if code is None or not isinstance(function, FunctionType) or code.co_freevars:
        raise LookupError(mutant.function)
    function.__code__ = code


def _imported(mutant: Mutant) -> object:
    """Return the function that the mutant is in, or what stands in its place when it is wrapped."""
    function: Any = importlib.import_module(f"{PACKAGE}.{mutant.module}")
    for name in mutant.function.split("."):
        function = vars(function)[name]
    if isinstance(function, property):
        return function.fget
    return function.__func__ if isinstance(function, (classmethod, staticmethod)) else function


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _forget() -> None:
    """Empty what the rules and the tests have cached, except what is read from files."""
    for found in gc.get_objects():
        if hasattr(type(found), "cache_clear"):
            module = str(getattr(found, "__module__", "")).split(".")[0]
            if module in {PACKAGE, "tests"}:
                found.cache_clear()


class Desk:
    """A pytest plugin: takes the place of the loop over the tests, notes what each runs, then runs mutants."""

    def __init__(
        self, mutants: Sequence[Mutant], jobs: int, done: Callable[[Outcome], None], *, despite_failures: bool
    ) -> None:
        self.mutants, self.jobs, self.despite_failures = mutants, jobs, despite_failures
        self.done = done
        self.baseline = Baseline()
        self.rest: list[Mutant] = []
        self.complete = False
        self.directory = str(root()) + os.sep
        self._seen: dict[CodeType, _Seen] = {}
        self._watched = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, then the mutants."""
        items = {item.nodeid: item for item in session.items}
        for item in session.items:
            self._note(item)
        if self.baseline.failed and not self.despite_failures:
            return True
        gc.collect()
        gc.freeze()
        texts = {mutant.module: (root() / f"{mutant.module}.py").read_bytes() for mutant in self.mutants}
        inside: list[Mutant] = []
        for mutant in self.mutants:
            swappable = mutant.function and isinstance(_imported(mutant), FunctionType)
            (inside if swappable else self.rest).append(mutant)

        def child(mutant: Mutant, writer: int) -> int:
            tests = self.baseline.tests(mutant)
            os.write(writer, f"{len(tests)}\n".encode())
            swap(mutant, texts[mutant.module], root() / f"{mutant.module}.py")
            _forget()
            session.config.pluginmanager.register(Stop(writer, self.baseline.seconds))
            for test in tests:
                items[test].ihook.pytest_runtest_protocol(item=items[test], nextitem=None)
            return SURVIVED

        pool(inside, child, self.jobs, self.done)
        self.complete = True
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what fails without a mutant."""
        if report.failed and report.nodeid not in self.baseline.failed:
            self.baseline.failed.append(report.nodeid)

    def _note(self, item: pytest.Item) -> None:
        self._seen, self._watched = {}, 0
        began = time.process_time()
        sys.settrace(self._call)
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        finally:
            sys.settrace(None)
        self.baseline.seconds[item.nodeid] = time.process_time() - began
        lines: dict[str, set[int]] = {}
        for code, seen in self._seen.items():
            lines.setdefault(Path(code.co_filename).stem, set()).update(seen.lines)
        if self._watched > _WATCHED_ALL:
            lines = {module: {_ANY_LINE} for module in lines}
        self.baseline.lines[item.nodeid] = {module: sorted(found) for module, found in lines.items()}

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., Any] | None:
        self._watched += 1
        if self._watched > _WATCHED_ALL:
            sys.settrace(None)
            return None
        code = frame.f_code
        if not code.co_filename.startswith(self.directory):
            return None
        seen = self._seen.get(code)
        if seen is None:
            seen = self._seen[code] = _Seen({line for _, _, line in code.co_lines() if line is not None})
        return seen.call(frame)


class _Seen:
    """Lines of a function that one test has run. After many calls all its lines count as run: watching takes time."""

    def __init__(self, all_lines: set[int]) -> None:
        self.all_lines = all_lines
        self.lines: set[int] = set()
        self._calls = 0

    def call(self, frame: FrameType) -> Callable[..., Any] | None:
        """Return what watches this call, None when there is nothing left to see."""
        self._calls += 1
        if len(self.lines) >= len(self.all_lines):
            return None
        if self._calls > _WATCHED_CALLS:
            self.lines = self.all_lines
            return None
        self.lines.add(frame.f_lineno)
        return self._line

    def _line(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., Any]:
        self.lines.add(frame.f_lineno)
        return self._line
