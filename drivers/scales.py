"""Power whose scale the sources do not agree on: found from the meter's own volts, amperes and power factor.

Nothing is guessed. As long as no load has told the candidates apart, a power is either so small that all of them
agree, or it is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A load of so many watts by V·I·PF tells scales apart: far above the steps of the registers.
TELLING_W: Final = 10.0
#: Power and V·I·PF of one reading differ by less than this share: class 1 in each of three values, and their steps.
TOLERANCE: Final = 0.25
#: Where even the largest candidate says less than this, watts, all of them say "nothing".
NOTHING_W: Final = 1.0
#: Two candidates must differ by this factor at least, so that never both fit.
APART: Final = 2.0


def fitting(raw: float, candidates: Sequence[float], expected_w: float) -> float | None:
    """Return the only one of ``candidates`` that makes ``raw`` fit ``expected_w`` (V·I·PF), or None.

    A load below ``TELLING_W`` tells nothing; neither does one that several candidates fit, or none.
    """
    if not expected_w >= TELLING_W:
        return None
    fits = [scale for scale in candidates if abs(raw * scale - expected_w) <= TOLERANCE * expected_w]
    return fits[0] if len(fits) == 1 else None


def negligible_w(raw: float, candidates: Sequence[float]) -> float | None:
    """Return the power that ``raw`` means whatever the scale is, or None when the scale matters.

    The largest candidate is taken: at most ``NOTHING_W``, and never less than the truth.
    """
    most_w = raw * max(candidates)
    return most_w if abs(most_w) < NOTHING_W else None
