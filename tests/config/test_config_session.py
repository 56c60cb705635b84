"""The table of allowed hours and of what goes on after an interruption."""

from __future__ import annotations

import pytest

from config import load
from config.schema_session import Session, Window


def found(good: str, table: str) -> list[tuple[str, str]]:
    """Return key and code of every problem of a good file with this table."""
    return [(one.key, one.code) for one in load.check_text(good + "\n[session]\n" + table)]


def test_a_cabinet_without_the_table_is_open_and_goes_on(good: str) -> None:
    """The defaults: always open, resumed after up to half an hour, at most three times, two seconds apart."""
    assert load.load_text(good).session == Session(
        allowed=[],
        at_end="finish",
        resume=True,
        resume_after_guard_restart=True,
        resume_max_outage_s=1800,
        resume_at_most=3,
        resume_stagger_s=2.0,
    )


def test_windows_arrive(good: str) -> None:
    """By day, past midnight, up to the end of the day."""
    times = (("06:00", "23:00"), ("22:30", "05:15"), ("00:00", "24:00"))
    table = "allowed = [" + ", ".join(f'{{ from = "{begin}", to = "{end}" }}' for begin, end in times) + "]"
    assert found(good, table) == []
    assert load.load_text(good + "\n[session]\n" + table).session.allowed == [
        Window(from_="06:00", to="23:00"),
        Window(from_="22:30", to="05:15"),
        Window(from_="00:00", to="24:00"),
    ]


@pytest.mark.parametrize(
    ("table", "key", "code"),
    [
        ('allowed = [{ from = "06:00", to = "06:00" }]', "session.allowed[1].to", "without_effect"),
        ('allowed = [{ from = "24:00", to = "06:00" }]', "session.allowed[1].from", "wrong_format"),
        ('allowed = [{ from = "6:00", to = "23:00" }]', "session.allowed[1].from", "wrong_format"),
        ('allowed = [{ from = "06:00", to = "24:01" }]', "session.allowed[1].to", "wrong_format"),
        ('allowed = [{ from = "06:60", to = "23:00" }]', "session.allowed[1].from", "wrong_format"),
        ('allowed = [{ from = "06:00" }]', "session.allowed[1].to", "missing_key"),
        ('at_end = "stop"', "session.at_end", "not_one_of"),
        ("resume_max_outage_s = -1", "session.resume_max_outage_s", "out_of_range"),
        ("resume_max_outage_s = 43201", "session.resume_max_outage_s", "out_of_range"),
        ("resume_at_most = 21", "session.resume_at_most", "out_of_range"),
        ("resume_stagger_s = 60.1", "session.resume_stagger_s", "out_of_range"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(good: str, table: str, key: str, code: str) -> None:
    """And nothing else with it."""
    assert found(good, table) == [(key, code)]
