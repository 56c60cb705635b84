"""Coverage-guided fuzzing of every way in: ``python -m hil_rig.fuzz [--inputs 1000000] [--seed 1] [--target NAME]``.

Every input is a good message, changed: bits, pieces, values beyond every limit, keys said twice, nesting, other
versions, bytes that are no text. What reaches code that none before has reached is kept and changed further
(``hil_rig.fuzz.coverage``). Behind the doors stand the shipped parts: a station with sessions and journal, guard's
server and loop with simulated pins, the reader of configuration files.

Promises: no exception that is not the documented one; no relay closes that nobody with authority has asked for, by
another way of reckoning (``hil_rig.fuzz.strict``); what is malformed is refused or counted; at most one log line a
second and source; a good message is still answered after each 1,000; no input takes longer than the bound of its door;
memory does not grow. An input that breaks one is made as short as it can be and written to ``--crashes``;
``--replay FILE --target NAME`` hands it in again. Exit status 0 when every promise was kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hil_rig.fuzz.engine import Fuzzer, replay
from hil_rig.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil_rig.fuzz.engine import Outcome

#: What a process may grow by while a target is fuzzed, the corpus included, MB.
MOST_GROWN_MB: Final = 64.0


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m hil_rig.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together")
    made.add_argument("--seconds", type=float, default=None, help="end after so long, shared alike")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--target", choices=list(TARGETS), action="append", help="one or more; default: all")
    made.add_argument("--json", type=Path, help="write the table here, too")
    made.add_argument("--corpus", type=Path, help="begin with the inputs kept here, and keep new ones here")
    made.add_argument("--crashes", type=Path, default=Path("build/fuzz"), help="inputs that broke a promise")
    made.add_argument("--replay", type=Path, help="hand in this file, to the one --target")
    return made


def fuzz(arguments: argparse.Namespace) -> list[Outcome]:
    """Fuzz what was asked for and return a row for each target."""
    chosen = [TARGETS[name] for name in arguments.target or TARGETS]
    whole = sum(one.share for one in chosen)
    outcomes = []
    for target in chosen:
        until_s = time.monotonic() + (arguments.seconds * target.share / whole if arguments.seconds else 1e9)
        folder = arguments.corpus / target.name if arguments.corpus else None
        fuzzer = Fuzzer(target, arguments.seed, arguments.crashes, folder)
        inputs = max(2 * len(target.seeds()), round(arguments.inputs * target.share / whole))
        outcome = fuzzer.run(inputs, until_s, lambda line: print(line, flush=True))
        print(line(outcome), flush=True)
        outcomes.append(outcome)
    return outcomes


def line(outcome: Outcome) -> str:
    """Return the row of a target."""
    return (
        f"{outcome.target:<13}{outcome.inputs:>8} inputs {outcome.seconds:>6.0f} s  "
        f"branches {outcome.seed_steps:>5} -> {outcome.steps:>5}  lines {outcome.seed_lines:>4} -> {outcome.lines:>4}  "
        f"closings {outcome.closings:>5}  slowest {outcome.slowest_ms:>6.1f} ms  "
        f"log lines {sum(outcome.log_lines.values()):>4}  {outcome.grown_mb:>+5.1f} MB  "
        f"{'ok' if good(outcome) else 'BROKEN'}"
    )


def good(outcome: Outcome) -> bool:
    """Return whether every promise was kept."""
    return not outcome.findings and outcome.grown_mb <= MOST_GROWN_MB


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz and report."""
    options = parser()
    arguments = options.parse_args(argv)
    if arguments.replay is not None:
        if not arguments.target or len(arguments.target) != 1:
            options.error("--replay needs one --target")
        broken, said = replay(TARGETS[arguments.target[0]], arguments.replay.read_bytes())
        print(said if broken is None else f"{broken}\n{said}")
        return 1 if broken else 0
    outcomes = fuzz(arguments)
    for outcome in outcomes:
        for finding in outcome.findings:
            print(
                f"BROKEN {outcome.target}: {finding.what} (input {finding.number}, {arguments.crashes}/{finding.name})"
            )
    if arguments.json is not None:
        rows = [one.summary() | {"good": good(one)} for one in outcomes]
        arguments.json.write_text(json.dumps({"seed": arguments.seed, "targets": rows}, indent=1), encoding="utf-8")
    print(
        f"{sum(one.inputs for one in outcomes)} inputs, seed {arguments.seed}: "
        f"{sum(len(one.findings) for one in outcomes)} promises broken, "
        f"{sum(one.closings for one in outcomes)} relays closed, every one with authority"
        if all(map(good, outcomes))
        else "promises were broken"
    )
    return 0 if all(map(good, outcomes)) else 1


if __name__ == "__main__":
    sys.exit(main())
