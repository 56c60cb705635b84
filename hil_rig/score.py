"""``python -m hil_rig.score``: how well does a detector of full charge and of anomalies do on curves with known truth.

Without options: the shipped rules on the stored curves. ``--perturb`` makes the curves worse first, ``--synthetic``
takes made-up sessions instead, ``--svg`` draws what happened. Exit status 0 when it ran, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil_rig import curves
from hil_rig.score_metrics import as_plain, score, summary
from hil_rig.score_perturb import PERTURBATIONS, perturbed
from hil_rig.score_pictures import write_pictures
from hil_rig.synthetic import sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hil_rig.curves import Curve
    from hil_rig.score_metrics import Detector, Outcome

    Case = tuple[str, Curve, Mapping[str, Any]]

_EXPLAINED = {
    "normal_curves": "curves on which full is the right reason",
    "ok": "cut after full (or at most 2 % of energy before) and within 60 min",
    "late": "cut later than that",
    "never": "not cut before the curve ends",
    "false_early": "cut with more than 2 % of energy missing",
    "false_early_missed_pct_mean": "share missed by those, mean, %",
    "false_early_missed_pct_max": "share missed by those, worst, %",
    "delay_median_min": "minutes from full to the cut, median",
    "delay_p95_min": "minutes from full to the cut, 95 % of curves",
    "over_wh_mean": "Wh taken after full, mean",
    "over_wh_p95": "Wh taken after full, 95 % of curves",
    "wrong_alarm": "an anomaly named where there is none",
    "anomaly_curves": "curves on which something is wrong",
    "caught": "cut inside the window of the label",
    "caught_late": "cut after it",
    "missed": "not cut, or late under a wrong name",
    "cut_before_event": "cut before anything was wrong",
    "reason_ok": "caught and rightly named",
    "catch_median_min": "minutes from the event to the cut, median of the caught",
    "anomaly_over_wh_mean": "Wh put into worn packs after they should have been cut, mean",
}
_COLUMNS = (
    ("ok", "ok"),
    ("late", "late"),
    ("never", "never"),
    ("false_early", "early"),
    ("wrong_alarm", "alarm"),
    ("delay_median_min", "median"),
    ("delay_p95_min", "p95"),
    ("caught", "caught"),
    ("caught_late", "late"),
    ("missed", "missed"),
    ("cut_before_event", "before"),
    ("reason_ok", "named"),
)


def load_factory(name: str) -> Callable[[], Detector]:
    """Return the callable that ``module:factory`` names, looking in the current directory too.

    Raises ValueError, with the cause in its words, when there is none.
    """
    module, _, factory = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Callable[[], Detector] = getattr(importlib.import_module(module), factory or "Detector")
    except (ImportError, AttributeError) as error:
        raise ValueError(f"no detector {name!r}: {error}") from error
    return found


def cases(directory: Path, only: str = "") -> Iterable[Case]:
    """Yield name, curve and label of every curve in ``directory`` whose name contains ``only``."""
    truth = curves.labels(directory)
    for name in curves.names(directory):
        if only in name:
            yield name, curves.load(name, directory), truth[name]


def _line(name: str, outcome: Outcome) -> str:
    cut = "-" if outcome.cut_s is None else f"{outcome.cut_s:.0f}"
    minutes = outcome.delay_min if outcome.expect == "full" else outcome.catch_min
    figures = f"{'-' if minutes is None else f'{minutes:.1f}':>7} {outcome.over_wh:7.1f} {outcome.missed * 100:6.1f}"
    return f"{name:<26}{outcome.result:<8}{cut:>8} {figures}  {outcome.reason or '-'}"


def _print_outcomes(outcomes: Mapping[str, Outcome]) -> None:
    print(f"{'curve':<26}{'result':<8}{'cut s':>8} {'min':>7} {'Wh over':>7} {'% miss':>6}  reason")
    for name, outcome in outcomes.items():
        print(_line(name, outcome))
    print()


def _print_summary(figures: Mapping[str, Any]) -> None:
    for key, meaning in _EXPLAINED.items():
        print(f"{key:<28}{figures[key]!s:>8}  {meaning}")
    print("\nright, by kind: " + ", ".join(f"{kind} {share}" for kind, share in figures["by_kind"].items()))


def _print_table(rows: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"{'perturbation':<22}{'curves':>7}" + "".join(f"{title:>8}" for _, title in _COLUMNS))
    for name, row in rows.items():
        count = f"{row['normal_curves']}+{row['anomaly_curves']}"
        print(f"{name:<22}{count:>7}" + "".join(f"{row[key]!s:>8}" for key, _ in _COLUMNS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hil_rig.score", description=__doc__)
    parser.add_argument("--detector", default="hil_rig.curves:full_detector", help="module:factory")
    parser.add_argument("--only", default="", metavar="TEXT", help="only curves whose name contains this")
    parser.add_argument("--verbose", action="store_true", help="one line per curve")
    parser.add_argument("--json", metavar="FILE", help='write every result there; "-" prints it in place of the tables')
    parser.add_argument(
        "--perturb", action="append", default=[], choices=["all", *PERTURBATIONS], help="may be given more than once"
    )
    parser.add_argument("--synthetic", type=int, metavar="N", help="N made-up sessions in place of the curves")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--svg", type=Path, metavar="DIR", help="write a picture per curve and an index there")
    parser.add_argument("directory", nargs="?", type=Path, default=curves.DIRECTORY, help="of curves and labels.json")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        factory = load_factory(options.detector)
        if options.synthetic is not None:
            chosen: list[Case] = [case for case in sessions(options.synthetic, options.seed) if options.only in case[0]]
        else:
            chosen = list(cases(options.directory, options.only))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if not chosen:
        parser.error("there is no such curve")
    report = (_perturb if options.perturb else _score)(chosen, factory, options)
    if options.json == "-":
        print(json.dumps(report, indent=1))
    elif options.json:
        Path(options.json).write_text(json.dumps(report, indent=1))
    return 0


def _score(chosen: list[Case], factory: Callable[[], Detector], options: argparse.Namespace) -> dict[str, Any]:
    outcomes = score(chosen, factory)
    report = as_plain(outcomes)
    if options.json != "-":
        if options.verbose:
            _print_outcomes(outcomes)
        _print_summary(report["summary"])
    if options.svg is not None:
        write_pictures(options.svg, chosen, outcomes)
    return report


def _perturb(chosen: list[Case], factory: Callable[[], Detector], options: argparse.Namespace) -> dict[str, Any]:
    names = list(PERTURBATIONS) if "all" in options.perturb else options.perturb
    every = {"none": score(chosen, factory)}
    every |= {name: score(perturbed(name, chosen, options.seed), factory) for name in names}
    if options.json != "-":
        if options.verbose:
            for name, outcomes in every.items():
                print(f"{name}:")
                _print_outcomes(outcomes)
        _print_table({name: summary(outcomes.values()) for name, outcomes in every.items()})
    return {name: as_plain(outcomes) for name, outcomes in every.items()}


if __name__ == "__main__":
    sys.exit(main())
