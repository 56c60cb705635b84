"""``python -m hil_rig.score_restarts``: the verdict must be the same when the rules restart in the middle of a curve.

Every curve is judged once straight and once with restarts at many places, spread evenly over what comes before the
verdict and shifted by a random amount. A restart writes the state as JSON, forgets everything else (the protective
rules' memory included) and reads it back; the state must be the very same, and so must verdict and moment at the end.
Exit status 1 when one differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from typing import TYPE_CHECKING

from hil_rig import curves
from hil_rig.curves import FullDetector
from safety.completion import CompletionState

if TYPE_CHECKING:
    from collections.abc import Collection

    from hil_rig.curves import Curve


class RestartError(AssertionError):
    """A state was another one after the restart."""


def judged(curve: Curve, restarts: Collection[int] = ()) -> tuple[float | None, str | None, int]:
    """Return when the curve is cut, why, and after how many readings; restarted after those in ``restarts``.

    Raises RestartError when a state does not come back as it was.
    """
    detector, index = FullDetector(), 0
    rows = zip(curve.t_s, curve.volts, curve.amps, curve.watts, curve.celsius, strict=True)
    for index, row in enumerate(rows):
        reason = detector.update(*row)
        if reason is not None:
            return row[0], reason, index
        if index in restarts and detector.state is not None:
            written = json.dumps(detector.state.to_plain())
            restored = CompletionState.from_plain(json.loads(written))
            if restored != detector.state:
                raise RestartError(f"the state differs after a restart at {row[0]:.0f} s")
            detector = FullDetector(state=restored)
    return None, None, index


def main() -> int:
    """Judge every curve twice and print what differs."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.score_restarts", description=__doc__.split("\n")[0])
    parser.add_argument("--places", type=int, default=25, help="restarts per curve (default: 25)")
    parser.add_argument("--seed", type=int, default=1, help="of their shift")
    parser.add_argument("--only", default="", metavar="TEXT", help="only curves whose name contains this")
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    different = total = 0
    for name in curves.names():
        if arguments.only not in name:
            continue
        curve = curves.load(name)
        cut_s, reason, length = judged(curve)
        step = length / arguments.places
        places = {int((number + dice.random()) * step) for number in range(arguments.places)}
        again_s, again, _ = judged(curve, places)
        total += len(places)
        if (again_s, again) != (cut_s, reason):
            different += 1
            print(f"{name}: {cut_s} s {reason} became {again_s} s {again}")
    print(f"{total} restarts in all: {different} verdicts changed")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
