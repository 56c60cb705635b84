"""Exact limits of swapped plugs and second loads, on memories that are put together by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from safety.completion_limits import CompletionLimits
from safety.load_change import Added, Plug, watch_added, watch_plug
from safety.past import Past
from safety.verdict import Sample, Verdict

LIMITS = CompletionLimits()
#: 20 min at constant current.
CHARGED = Past(means_w=(100.0,) * 20, plateau_w=100.0, count=20, quiet=19)


def test_before_a_plateau_every_step_that_holds_is_beyond_it() -> None:
    """A second charger may come before five blocks have agreed."""
    past = Past(means_w=(100.0,) * 10 + (150.0,) * 3, plateau_w=None, count=13)
    _, verdict = watch_added(Added(old_w=100.0, blocks=2, held=2, sum_w=300.0), past, LIMITS, tapered=False)
    assert verdict is not None
    assert verdict.reason == "added_load"


@dataclass
class Socket:
    """Readings of one socket at constant current, one a second."""

    plug: Plug = field(default_factory=Plug)
    verdict: Verdict | None = None

    def draw(self, power_w: float, count: int, factor: float = 0.6, known_s: float = 1.0) -> Socket:
        """Draw so much for ``count`` readings, or until there is a verdict."""
        for _ in range(count):
            if self.verdict is not None:
                break
            sample = Sample(0.0, 230.0, power_w / (230 * factor), power_w, factor)
            self.plug, self.verdict = watch_plug(self.plug, sample, known_s, CHARGED, 0.6, LIMITS, tapered=False)
        return self


def test_the_power_factor_of_the_soft_start_does_not_count() -> None:
    """What comes back is the same charger, whatever its first 40 s look like."""
    assert Socket().draw(100.0, 5).draw(0.0, 35).draw(100.0, 41, factor=0.99).draw(100.0, 90).verdict is None


def test_a_plug_that_goes_right_after_its_examination_was_there() -> None:
    """The next reading is nothing, and so is everything after it: unplugged, not missing since the start."""
    socket = Socket().draw(100.0, 5).draw(0.0, 35).draw(100.0, 2)
    while socket.plug.back_s is not None:
        socket.draw(100.0, 1)
    socket.draw(0.0, 841)
    assert socket.verdict is not None
    assert socket.verdict.reason == "unplugged"
