"""Where the rules of low power begin."""

from __future__ import annotations

from safety.low import Low, NeverGoing


def test_a_state_begins_empty() -> None:
    """No low block, no burst, no wait."""
    assert Low() == Low(0, 0, 0, 0.0, 0.0, 0, ())
    assert NeverGoing() == NeverGoing(0)
