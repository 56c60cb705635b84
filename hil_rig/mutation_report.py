"""The report of a mutation run: a table of modules, every survivor by name, and the protective checks."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hil_rig.mutation_forks import Outcome
    from hil_rig.mutation_operators import Mutant

#: Mutants that are the same program in other words, each with the reason.
EQUIVALENTS = Path(__file__).with_name("mutation_equivalents.toml")
#: The figure to show (issue 3).
WANTED_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A change that no test can see: the line it is in, what it changes to what, and why nobody sees it."""

    module: str
    line: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Mutants of one module by what became of them. A mutant that hangs is caught."""

    mutants: int
    killed: int
    late: int
    survived: int
    equivalent: int

    @property
    def share(self) -> float:
        """Return the share of the mutants that were caught, equivalent ones left out."""
        real = self.mutants - self.equivalent
        return (self.killed + self.late) / real if real else 1.0


def equivalents(path: Path = EQUIVALENTS) -> tuple[Equivalent, ...]:
    """Return the list of equivalent mutants. Raises TypeError when an entry lacks something."""
    with path.open("rb") as file:
        return tuple(Equivalent(**entry) for entry in tomllib.load(file).get("equivalent", []))


def known(mutant: Mutant, known_ones: Iterable[Equivalent]) -> bool:
    """Return whether the mutant is on the list."""
    key = (mutant.module, mutant.line, mutant.before, mutant.after)
    return any(key == (one.module, one.line, one.before, one.after) for one in known_ones)


def count(outcomes: Sequence[Outcome], known_ones: Sequence[Equivalent]) -> Counts:
    """Return the counts of some mutants."""
    survived = [outcome for outcome in outcomes if outcome.result == "survived"]
    same = sum(known(outcome.mutant, known_ones) for outcome in survived)
    late = sum(outcome.result == "timed out" for outcome in outcomes)
    killed = len(outcomes) - late - len(survived)
    return Counts(len(outcomes), killed, late, len(survived) - same, same)


def survivors(outcomes: Iterable[Outcome], known_ones: Sequence[Equivalent]) -> list[Outcome]:
    """Return the mutants that no test noticed and that are not known to be the same program."""
    return [o for o in outcomes if o.result == "survived" and not known(o.mutant, known_ones)]


def good(outcomes: Sequence[Outcome], checks: Sequence[Outcome], known_ones: Sequence[Equivalent]) -> bool:
    """Return whether the figure of the issue is reached."""
    return count(outcomes, known_ones).share >= WANTED_SHARE and not survivors(checks, known_ones)


def report(outcomes: Sequence[Outcome], checks: Sequence[Outcome], known_ones: Sequence[Equivalent], words: str) -> str:
    """Return the whole report in Markdown. ``words``: one line on how it was made."""
    return "\n".join(
        [
            "# Mutation testing of `safety/`",
            "",
            words,
            "",
            *_checks(checks, known_ones),
            "",
            *_table(outcomes, known_ones),
            "",
            *_survivors(outcomes, known_ones),
            *_stale([*outcomes, *checks], known_ones),
        ]
    )


def _checks(checks: Sequence[Outcome], known_ones: Sequence[Equivalent]) -> Iterator[str]:
    alive = survivors(checks, known_ones)
    same = count(checks, known_ones).equivalent
    noticed = len(checks) - len(alive) - same
    yield "## Protective checks removed one by one"
    yield ""
    yield f"{len(checks)} checks removed: {noticed} noticed, {same} equivalent, {len(alive)} not noticed."
    yield from (f"- **not noticed**: {o.mutant.name} `{o.mutant.before}` → `{o.mutant.after}`" for o in alive)


def _table(outcomes: Sequence[Outcome], known_ones: Sequence[Equivalent]) -> Iterator[str]:
    modules = sorted({outcome.mutant.module for outcome in outcomes})
    rows = [(module, count([o for o in outcomes if o.mutant.module == module], known_ones)) for module in modules]
    yield "## Modules"
    yield ""
    yield "| module | mutants | killed | timed out | survived | equivalent | share |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, counts in (*rows, ("**all**", count(outcomes, known_ones))):
        numbers = (counts.mutants, counts.killed, counts.late, counts.survived, counts.equivalent)
        yield f"| {name} | {' | '.join(map(str, numbers))} | {100 * counts.share:.1f} % |"


def _survivors(outcomes: Sequence[Outcome], known_ones: Sequence[Equivalent]) -> Iterator[str]:
    yield "## Survivors"
    yield ""
    for outcome in survivors(outcomes, known_ones):
        mutant = outcome.mutant
        yield f"- {mutant.name} ({mutant.operator}, {outcome.tests} tests)"
        yield ""
        yield "  ```diff"
        yield f"  - {mutant.before}"
        yield f"  + {mutant.after}"
        yield "  ```"
        yield ""


def _stale(outcomes: Sequence[Outcome], known_ones: Sequence[Equivalent]) -> Iterator[str]:
    modules = {outcome.mutant.module for outcome in outcomes}
    lived = [outcome.mutant for outcome in outcomes if outcome.result == "survived"]
    alive = {(mutant.module, mutant.line, mutant.before, mutant.after) for mutant in lived}
    for one in known_ones:
        key = (one.module, one.line, one.before, one.after)
        if one.module in modules and key not in alive:
            yield f"- listed as equivalent, but no such survivor: {one.module} `{one.before}` → `{one.after}`"
