"""How fast one temperature rises: a slope that several samples agree on, so that no single one decides.

One reading is kept per sixth of the window. The slope is the median of the slopes between all pairs of them
(Theil-Sen), which one spike or one dip does not move, and all steps but one must rise as well: a temperature that
steps up once and stays is a probe that was moved or has a bad wire. Whatever it shows then is judged by the warning,
inhibit and trip temperatures; it is not something that heats.

Two stages, as for the current: the rate over the whole window, or three times the rate over half of it. At 40 °C
outside, a contact that heats six times as much as a sound one would reach the trip temperature within the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

#: Readings kept per window.
_PARTS = 6
#: Fewer say nothing: with three, one bad reading would be a third of the evidence.
_FEWEST = 4
#: The fast stage: so many times the rate, over this share of the window.
_FAST_RATE = 3.0
_FAST_SHARE = 0.5
#: A step agrees when it rises by at least this share of what the rate asks for.
_AGREES = 0.25
#: A rise is over when its slope has fallen to this share of the rate: noise cannot switch it to and fro.
_OVER = 0.5
#: Sums of tick times and slopes must not miss a limit by a rounding.
_ROUNDING = 1e-6
_S_PER_MIN = 60.0


@dataclass(frozen=True, slots=True)
class Rise:
    """Memory: the kept samples (seconds, °C), oldest first, and whether the temperature rises fast."""

    samples: tuple[tuple[float, float], ...] = ()
    rising: bool = False

    @property
    def began_s(self) -> float | None:
        """Return the time of the oldest kept sample."""
        return self.samples[0][0] if self.samples else None


def follow(memory: Rise, taken_s: float, celsius: float, k_per_min: float, window_s: float) -> Rise:
    """Return the memory with one more temperature; rising is at least ``k_per_min`` over ``window_s``."""
    if memory.samples and taken_s - memory.samples[-1][0] < window_s / _PARTS - _ROUNDING:
        return memory
    samples = _shortest((*memory.samples, (taken_s, celsius)), window_s)
    if len(samples) < _FEWEST:
        return Rise(samples)
    latest = _shortest(samples, window_s * _FAST_SHARE)
    if _climbs(samples, k_per_min, window_s) or _climbs(latest, _FAST_RATE * k_per_min, window_s * _FAST_SHARE):
        return Rise(samples, rising=True)
    return Rise(samples, memory.rising and _slope(samples) > _OVER * k_per_min)


def _shortest(samples: tuple[tuple[float, float], ...], window_s: float) -> tuple[tuple[float, float], ...]:
    """Return the newest samples that just cover ``window_s``, but never fewer than can be judged."""
    while len(samples) > _FEWEST and samples[-1][0] - samples[1][0] >= window_s - _ROUNDING:
        samples = samples[1:]
    return samples


def _climbs(samples: tuple[tuple[float, float], ...], k_per_min: float, window_s: float) -> bool:
    if samples[-1][0] - samples[0][0] < window_s - _ROUNDING:
        return False
    steps = [_k_per_min(*pair) for pair in pairwise(samples)]
    agreeing = sum(step >= _AGREES * k_per_min for step in steps)
    return agreeing >= len(steps) - len(steps) // _FEWEST and _slope(samples) >= k_per_min - _ROUNDING


def _slope(samples: tuple[tuple[float, float], ...]) -> float:
    slopes = sorted(_k_per_min(*pair) for pair in combinations(samples, 2))
    half = len(slopes) // 2
    return slopes[half] if len(slopes) % 2 else (slopes[half - 1] + slopes[half]) / 2


def _k_per_min(earlier: tuple[float, float], later: tuple[float, float]) -> float:
    return (later[1] - earlier[1]) / (later[0] - earlier[0]) * _S_PER_MIN
