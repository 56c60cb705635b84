"""The pages of the meter models say what the profiles say."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import describe_meters, load

_DOCS = Path(__file__).parents[2] / "docs"
_FILES = {"en": "meters.md", "zh": "meters.zh-CN.md"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_fresh(language: str) -> None:
    """docs/meters*.md is what ``python -m config.describe_meters`` prints."""
    page = (_DOCS / _FILES[language]).read_text(encoding="utf-8")
    command = f"python -m config.describe_meters {language} > docs/{_FILES[language]}"
    assert page == describe_meters.page(language), f"run: {command}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_model_has_its_row_and_its_notes(language: str) -> None:
    """No shipped model is left out, and each note of its file is there in the language of the page."""
    page = describe_meters.page(language)
    for model in load.meters():
        profile = load.load_meter(model)
        assert page.count(f"\n| `{model}` |") == 1
        assert page.count(f"\n### `{model}`\n") == 1
        assert all(f"- {one}" in page for one in (profile.quirks if language == "en" else profile.quirks_zh))


def test_the_time_of_a_poll_is_that_of_the_budget() -> None:
    """The published figures: PZEM at 9600 with 25 bytes, 100 ms of turnaround and 40 ms of lateness."""
    (row,) = [line for line in describe_meters.page("en").splitlines() if line.startswith("| `pzem004t-v3`")]
    assert row.split(" | ")[4] == f"{1000 * (40 / 960 + 0.14):.0f} ms"
