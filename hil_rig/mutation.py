"""``python -m hil_rig.mutation``: the tests of ``safety/`` must notice when a line of it is wrong.

Changes the safety core in every small way and runs the tests that touch the changed lines; names the changes that no
test notices. Exit status 0 when at least 95 % are noticed and every removed protective check is, 1 otherwise.
The tree is never changed: a mutant lives in the memory of a forked process.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hil_rig import mutation_anew, mutation_report, mutation_runner
from hil_rig.mutation_forks import root
from hil_rig.mutation_operators import Mutant, Source, mutants
from hil_rig.mutation_protective import protective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil_rig.mutation_forks import Outcome

TESTS = "tests/safety"
REPORT = Path("build/mutation.md")
#: Protective checks that are removed in the short run.
_SHORT = 10


def sources() -> dict[str, Source]:
    """Return the modules of the safety core by name."""
    return {path.stem: Source(path.stem, path.read_text(encoding="utf-8")) for path in sorted(root().glob("*.py"))}


def short() -> list[Outcome]:
    """Remove a few protective checks, spread over all of them; only tests that mention what is removed are run."""
    checks = protective(sources())
    step = len(checks) / _SHORT
    chosen = [checks[int((place + 0.5) * step)] for place in range(_SHORT)]
    return mutation_anew.run_briefly(chosen, TESTS)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hil_rig.mutation", description=__doc__)
    parser.add_argument("--modules", help="only these, separated by commas")
    parser.add_argument("--checks", action="store_true", help="only the protective checks")
    parser.add_argument("--short", action="store_true", help=f"remove {_SHORT} protective checks and nothing else")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--despite-failures", action="store_true", help="leave out tests that fail without a mutant")
    parser.add_argument("--tests", default=TESTS, help="where the tests are")
    parser.add_argument("--report", type=Path, default=REPORT)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run what was asked for and write the report."""
    arguments = _arguments(given)
    known = mutation_report.equivalents()
    if arguments.short:
        alive = mutation_report.survivors(short(), known)
        for outcome in alive:
            print(f"not noticed: {outcome.mutant.name} {outcome.mutant.before} -> {outcome.mutant.after}")
        print(f"{_SHORT} protective checks removed, {_SHORT - len(alive)} noticed")
        return 1 if alive else 0
    began = time.monotonic()
    modules = sources()
    names = arguments.modules.split(",") if arguments.modules else list(modules)
    checks = [check for check in protective(modules) if check.module in names]
    others: list[Mutant] = [] if arguments.checks else [m for name in names for m in mutants(modules[name])]
    baseline, outcomes = mutation_runner.run(
        [*checks, *others], [arguments.tests], arguments.jobs, despite_failures=arguments.despite_failures
    )
    chosen = {id(check) for check in checks}
    of_checks = [outcome for outcome in outcomes if id(outcome.mutant) in chosen]
    of_others = [outcome for outcome in outcomes if id(outcome.mutant) not in chosen]
    words = (
        f"{len(outcomes)} mutants, {len(baseline.seconds)} tests ({len(baseline.failed)} left out because they fail "
        f"without a mutant), {(time.monotonic() - began) / 60:.0f} min with {arguments.jobs} at a time."
    )
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text(mutation_report.report(of_others, of_checks, known, words), encoding="utf-8")
    print(f"{words} Report: {arguments.report}")
    return 0 if mutation_report.good(of_others, of_checks, known) else 1


if __name__ == "__main__":
    sys.exit(main())
