"""The reference page and the merged view say what the loader does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config import describe, load, show

_ROOT = Path(__file__).parents[2]


def test_the_reference_page_is_fresh() -> None:
    """docs/config.md is what ``python -m config.describe`` prints."""
    page = (_ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert page == describe.page(), "run: python -m config.describe > docs/config.md"


def test_every_key_has_a_meaning_and_its_range() -> None:
    """No row of the reference page leaves the reader alone with a name."""
    rows = [line.split(" | ") for line in describe.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 70
    assert [row[0] for row in rows if not row[-1].strip(" |")] == []
    (trip,) = (row for row in rows if row[0] == "| `limits.temperature_trip_c`")
    assert trip[1:4] == ["number", "`80.0`", "50 to 90 °C"]


@pytest.mark.parametrize("profile", ["default", "demo"])
def test_the_merged_view_is_the_same_configuration(good: str, profile: str) -> None:
    """What ``config show`` prints loads again, to the same values."""
    good = good.replace('id = "n1"', 'id = "n1"\nsite = "Tür \\"3\\" \\\\ 北门"')
    merged = load.merge_text(f'profile = "{profile}"\n{good}')
    text = show.as_toml(merged, line="line {}", profile="profile {}", default="default")
    assert load.load_text(text) == merged.config


def test_the_merged_view_of_the_example_is_the_same_configuration() -> None:
    """Every table and every list of the complete example comes back, numbers of ports included."""
    path = _ROOT / "config" / "example.toml"
    merged = load.merge(path)
    text = show.as_toml(merged, line="line {}", profile="profile {}", default="default")
    assert load.load_text(text) == merged.config
    assert re.search(r"^ports = \[3, 4\]  # line \d+$", text, re.MULTILINE)


def test_the_merged_view_tells_the_source_of_each_value(good: str) -> None:
    """A technician sees which line, profile or default a value comes from."""
    merged = load.merge_text(f'profile = "demo"\n{good}\nretry_cap_s = 7\n')
    lines = show.as_toml(merged, line="line {}", profile="profile {}", default="default").splitlines()
    assert 'profile = "demo"  # line 1' in lines
    assert "retry_cap_s = 7.0  # line 29" in lines
    assert "retry_base_s = 0.3  # profile demo" in lines
    assert "time_scale = 200.0  # profile demo" in lines
    assert "baud = 9600  # default" in lines
    assert "unit = 2  # line 17" in lines
