"""The table [cards]: what stands where the file is silent, and how far each figure may go."""

from __future__ import annotations

import pytest

from config import load, schema_cards


def found(good: str, line: str) -> list[tuple[str, str]]:
    """Return key and code of every problem of a good file with one line in [cards]."""
    return [(one.key, one.code) for one in load.check_text(f"{good}\n[cards]\n{line}\n")]


def test_a_silent_file_lends_five_yuan_a_day(good: str) -> None:
    """Requirements BIL-6 and SES-6: 5 yuan a day, one session at a time, 5 s."""
    cards = load.load_text(good).cards
    assert cards == schema_cards.Cards()
    assert (cards.day_cap_fen, cards.per_card_sessions, cards.debounce_s) == (500, 1, 5.0)


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("day_cap_fen", 0, 1_000_000),
        ("session_cap_fen", 10, 1_000_000),
        ("debt_cap_fen", 0, 100_000_000),
        ("per_card_sessions", 1, 40),
        ("debounce_s", 1, 60),
        ("list_max_age_days", 0, 3650),
    ],
)
def test_every_figure_has_its_ends(good: str, key: str, least: int, most: int) -> None:
    """Both ends are good, one beyond is not."""
    for value, codes in (
        (least, []),
        (most, []),
        (least - 1, [(f"cards.{key}", "out_of_range")]),
        (most + 1, [(f"cards.{key}", "out_of_range")]),
    ):
        assert found(good, f"{key} = {value}") == codes


def test_money_is_whole_fen(good: str) -> None:
    """Half a fen is a mistake in the file."""
    assert found(good, "day_cap_fen = 500.5") == [("cards.day_cap_fen", "wrong_type")]
