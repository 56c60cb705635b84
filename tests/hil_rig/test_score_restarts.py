"""Restarts in the middle of a curve."""

from __future__ import annotations

import pytest

from hil_rig import curves
from hil_rig.score_restarts import judged


@pytest.mark.parametrize("name", ["o014-normal", "o028-pulse", "o033-runaway"])
def test_a_verdict_is_the_same_after_many_restarts(name: str) -> None:
    """The state on disk is all that the rules need; cut anywhere, the end is the same to the second."""
    curve = curves.load(name)
    cut_s, reason, length = judged(curve)
    assert cut_s is not None
    places = set(range(17, length, length // 24))
    assert len(places) >= 20
    assert judged(curve, places)[:2] == (cut_s, reason)
