"""The story that the demo tells: what is plugged in where, what happens when, and how each session must end.

Times are seconds after every process runs. The curve and the fast loads run ``SPEED`` times faster than life; the
``demo`` profile scales the durations of the full-charge rules by the same factor, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig.curves import labels, load
from hil_rig.loads import Replay, Step, Steps, constant
from pilenode.ipc.wish import Wish

if TYPE_CHECKING:
    from hil_rig.loads import Load

SPEED = 200.0
CURVE = "o013-normal"
BROKER_GONE_S = 10.0
BROKER_BACK_S = 36.0
#: When the charger of port 4 is pulled.
PULLED_S = 20.0
#: Powered seconds after which the load of port 2 steps over its limit of 6 A.
OVERLOAD_AFTER_S = 14.0
PLANNED_WH = 200
ALWAYS_ON = Wish()


@dataclass(frozen=True, slots=True)
class Part:
    """What one port plays. ``order`` is placed at ``start_s``; the session must end with ``reason``."""

    port: int
    title: str
    reason: str
    start_s: float
    load: Load
    plan: Wish = ALWAYS_ON

    @property
    def order(self) -> str:
        """Return the order id of this part."""
        return f"demo-{self.port}"


def parts() -> tuple[Part, ...]:
    """Return the four parts."""
    return (
        Part(1, f"charges curve {CURVE} until full", "full", 0.0, Replay(load(CURVE), SPEED)),
        Part(
            2,
            "a second load is added: 12 A on a 6 A port",
            "over_current",
            0.5,
            Steps((Step(0.0, 250.0), Step(OVERLOAD_AFTER_S, 2600.0)), SPEED),
        ),
        Part(
            3,
            f"planned for {PLANNED_WH} Wh",
            "planned_energy",
            1.0,
            constant(180.0, speed=SPEED),
            Wish(energy_wh=PLANNED_WH),
        ),
        Part(4, "the charger is pulled out", "unplugged", 1.5, constant(220.0, speed=SPEED)),
    )


def true_full_s() -> float:
    """Return the moment in the curve at which the battery was truly full, seconds."""
    return float(labels()[CURVE]["full_s"])
