"""Runs mutants against the tests and says what became of each.

A first run of all tests, in a process of its own, notes which lines each of them runs; that process then tries the
mutants inside functions (``mutation_desk``), this one, which has imported no tests, the other ones.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import TYPE_CHECKING

from hil_rig.mutation_anew import imported_anew
from hil_rig.mutation_desk import Baseline, Desk
from hil_rig.mutation_forks import BROKEN, Outcome, pool, run_pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil_rig.mutation_operators import Mutant

_TOLD_EVERY = 200


def _telling(outcomes: list[Outcome]) -> Callable[[Outcome], None]:
    """Return what keeps outcomes in the list and says on standard error how far it is."""
    told = dict.fromkeys(("killed", "timed out", "survived"), 0)

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        told[outcome.result] += 1
        mutant = outcome.mutant
        if outcome.result != "killed":
            words = f"{outcome.result}: {mutant.name}: {mutant.before} -> {mutant.after}"
            print(words, file=sys.__stderr__, flush=True)
        elif told["killed"] % _TOLD_EVERY == 0:
            print(told, file=sys.__stderr__, flush=True)

    return tell


def run(
    mutants: Sequence[Mutant], files: Sequence[str], jobs: int, *, despite_failures: bool = False
) -> tuple[Baseline, list[Outcome]]:
    """Return what the tests of ``files`` say about every mutant. Raises RuntimeError when a test fails before."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _at_the_desk(mutants, files, jobs, writer, despite_failures=despite_failures)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        raise RuntimeError("the tests or a mutant could not be run")
    plain = json.loads(text)
    baseline = Baseline(*plain["baseline"])
    if baseline.failed and not despite_failures:
        raise RuntimeError("these tests fail on the unchanged program: " + ", ".join(baseline.failed))
    outcomes = [Outcome(mutants[place], *rest) for place, *rest in plain["outcomes"]]
    pool([mutants[place] for place in plain["rest"]], imported_anew(baseline), jobs, _telling(outcomes))
    return baseline, outcomes


def _at_the_desk(
    mutants: Sequence[Mutant], files: Sequence[str], jobs: int, writer: int, *, despite_failures: bool
) -> None:
    """Be the process that has collected the tests; never returns."""
    status = BROKEN
    try:
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        found: list[Outcome] = []
        desk = Desk(mutants, jobs, _telling(found), despite_failures=despite_failures)
        ended = run_pytest(files, [desk])
        complete = desk.complete or desk.baseline.failed
        number = {id(mutant): place for place, mutant in enumerate(mutants)}
        plain = {
            "baseline": [desk.baseline.lines, desk.baseline.seconds, desk.baseline.failed],
            "outcomes": [[number[id(o.mutant)], o.result, o.tests, o.killer] for o in found],
            "rest": [number[id(mutant)] for mutant in desk.rest],
        }
        # Nothing at all is told when something went wrong halfway: a part of the mutants is no result.
        with os.fdopen(writer, "w") as pipe:
            pipe.write(json.dumps(plain) if complete else "")
        status = ended
    except BaseException:  # noqa: BLE001 - told here, nobody else can
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)
