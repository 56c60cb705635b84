"""Mutants outside functions (constants, tables, defaults) and of several modules: imported anew, with the tests."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil_rig.mutation_desk import about
from hil_rig.mutation_forks import KILLED, PACKAGE, SURVIVED, Outcome, Stop, pool, root, run_pytest
from hil_rig.mutation_operators import Mutant, applied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType, ModuleType

    from hil_rig.mutation_desk import Baseline

_PASSED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads the changed text of a module. Nothing is cached."""

    def __init__(self, name: str, path: str, edits: Mapping[str, tuple[Any, ...]]) -> None:
        super().__init__(name, path)
        self.edits = edits

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the changed text."""
        text = Path(self.path).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler, about what the mutant does
            changed: CodeType = compile(applied(text, self.edits[fullname]), self.path, "exec", dont_inherit=True)
        return changed


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that a mutant changes."""

    def __init__(self, mutant: Mutant) -> None:
        self.directory = root()
        self.edits: dict[str, tuple[Any, ...]] = {}
        for edit in mutant.edits:
            name = f"{PACKAGE}.{edit.module}"
            self.edits[name] = (*self.edits.get(name, ()), edit)

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how to load a changed module, None for any other one."""
        if fullname not in self.edits:
            return None
        path = str(self.directory / f"{fullname.partition('.')[2]}.py")
        return importlib.util.spec_from_file_location(fullname, path, loader=_Loader(fullname, path, self.edits))


class _Chosen:
    """A pytest plugin: runs these tests in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the others out."""
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda item: self.order[item.nodeid])


def _forget() -> None:
    """Let everything that may have seen the rules be imported again."""
    for module in [*sys.modules]:
        if module.split(".")[0] in {PACKAGE, "tests", "conftest", "hil_rig"}:
            del sys.modules[module]


def imported_anew(baseline: Baseline) -> Callable[[Mutant, int], int]:
    """Return the child that imports the changed modules and the tests: the module's own tests, then all others."""

    def child(mutant: Mutant, writer: int) -> int:
        tests = baseline.tests(mutant)
        os.write(writer, f"{len(tests)}\n".encode())
        sys.meta_path.insert(0, _Finder(mutant))
        own = [test for test in tests if about(mutant, test)]
        for chosen in (own, tests[len(own) :]):
            if not chosen:
                continue
            files = sorted({test.partition("::")[0] for test in chosen})
            _forget()
            if run_pytest(files, [_Chosen(chosen), Stop(writer, baseline.seconds)]) not in _PASSED:
                return KILLED
        return SURVIVED

    return child


def run_briefly(mutants: Sequence[Mutant], tests: str) -> list[Outcome]:
    """Return what those tests say that are about the module or the fault of a mutant, without a first run of all.

    What belongs to no single rule is seen from the engine, so its tests come after those of the module itself.
    """
    every = [str(path) for path in sorted(Path(tests).glob("test_*.py"))]

    def child(mutant: Mutant, writer: int) -> int:
        own = [path for path in every if about(mutant, path)]
        files = [*dict.fromkeys([*own, *(path for path in every if "engine" in path and not mutant.code)])]
        os.write(writer, f"{len(files)}\n".encode())
        sys.meta_path.insert(0, _Finder(mutant))
        _forget()
        return SURVIVED if not files or run_pytest(files, [Stop(writer, {})]) in _PASSED else KILLED

    outcomes: list[Outcome] = []
    pool(mutants, child, 1, outcomes.append)
    return outcomes
