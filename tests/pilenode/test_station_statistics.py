"""Promises of the statistics: sums are exact, days are local, and what has no trusted time is counted apart."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.station.statistics import Row, Statistics, Sums, bounds
from pilenode.upstream.facts import Boot, FactKind, Fault, SessionEnded, StartRefused
from tests.pilenode.ledger_models import DAY_MS, MORNING_MS, PORTS, Log, ended, fault, refused

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: 2026-11-30 00:00 in Shanghai.
MIDNIGHT_MS = MORNING_MS - 8 * 3_600_000


def read(log: Log, zone: ZoneInfo = SHANGHAI) -> Statistics:
    """Return the sums of a log."""
    sums = Statistics(zone)
    for fact in log.facts:
        sums.take(fact)
    return sums


def days(log: Log, zone: ZoneInfo = SHANGHAI, now_ms: int | None = None) -> dict[str | None, Row]:
    """Return the rows by day."""
    return {row.period: row for row in read(log, zone).rows("day", PORTS, now_ms)}


def test_the_fields_are_those_of_the_facts() -> None:
    """What is counted has the same names in the bodies."""
    counted = {"port", "energy_wh", "duration_s", "electricity_fen", "service_fen", "age_ms"}
    assert counted <= set(SessionEnded.__struct_fields__)
    assert {"code", "age_ms"} <= set(Fault.__struct_fields__)
    assert "code" in StartRefused.__struct_fields__


@pytest.mark.parametrize(
    ("wall_ms", "age_ms", "day"),
    [
        (MIDNIGHT_MS - 1, 0, "2026-11-29"),
        (MIDNIGHT_MS, 0, "2026-11-30"),
        (MIDNIGHT_MS, 1, "2026-11-29"),
        (MIDNIGHT_MS + DAY_MS - 1, 0, "2026-11-30"),
        (MIDNIGHT_MS + DAY_MS, 0, "2026-12-01"),
    ],
)
def test_a_session_belongs_to_the_day_in_which_it_ended(wall_ms: int, age_ms: int, day: str) -> None:
    """To the millisecond of local midnight; energy and fees with it."""
    log = Log()
    log.add(FactKind.SESSION_ENDED, ended(2, energy_wh=7, duration_s=0, age_ms=age_ms), wall_ms, session="s")
    (row,) = days(log).values()
    assert (row.period, row.sessions, row.energy_wh, row.electricity_fen, row.service_fen) == (day, 1, 7, 26, 15)
    (month,) = read(log).rows("month", PORTS, None)
    assert month.period == day[:7]


def test_time_with_power_is_divided_at_midnight() -> None:
    """A night belongs to two days; the session to the second."""
    log = Log()
    log.add(FactKind.SESSION_ENDED, ended(1, duration_s=5 * 3600), MIDNIGHT_MS + 2 * 3_600_000, session="s")
    found = days(log)
    assert (found["2026-11-29"].on_s[1], found["2026-11-29"].sessions) == (3 * 3600, 0)
    assert (found["2026-11-30"].on_s[1], found["2026-11-30"].sessions) == (2 * 3600, 1)


@pytest.mark.parametrize(
    ("now_ms", "length_s", "permille"),
    [(MIDNIGHT_MS + 8 * 3_600_000, 7 * 3600, 3600_000 // 25_200), (None, 23 * 3600, 3600_000 // 82_800)],
)
def test_use_is_time_with_power_within_what_the_log_covers(now_ms: int | None, length_s: int, permille: int) -> None:
    """From the first fact to now; ports that were never used count."""
    log = Log()
    log.add(FactKind.BOOT, Boot(version="1"), MIDNIGHT_MS + 3_600_000)
    log.add(FactKind.SESSION_ENDED, ended(1, duration_s=3600), MIDNIGHT_MS + 3 * 3_600_000, session="s")
    row = days(log, now_ms=now_ms)["2026-11-30"]
    assert (row.length_s, row.use_permille_by_port) == (length_s, {1: permille, 2: 0, 3: 0, 4: 0})
    assert row.use_permille == permille // 4


def test_refusals_and_faults_by_code() -> None:
    """Both sorts of fault, each with its own time."""
    log = Log()
    for code in ("port_busy", "port_busy", "over_budget"):
        log.add(FactKind.START_REFUSED, refused(code))
    log.add(FactKind.FAULT_LATCHED, fault("smoke", None))
    log.add(FactKind.FAULT_FOUND, fault("meter_lost", age_ms=DAY_MS))
    log.add(FactKind.FAULT_CLEARED, fault("meter_lost"))
    found = days(log)
    assert found["2026-11-30"].refusals == {"over_budget": 1, "port_busy": 2}
    assert (found["2026-11-30"].faults, found["2026-11-29"].faults) == ({"smoke": 1}, {"meter_lost": 1})


def test_what_has_no_trusted_time_has_a_row_of_its_own() -> None:
    """Whatever its clock said, also one far beyond the calendar."""
    log = Log()
    log.add(FactKind.SESSION_ENDED, ended(1), clock="none", session="s1")
    log.add(FactKind.START_REFUSED, refused("port_busy"), clock="none")
    log.add(FactKind.SESSION_ENDED, ended(2), 2**53, session="s2")
    (row,) = read(log).rows("day", PORTS, MORNING_MS)
    assert (row.period, row.sessions, row.energy_wh, row.length_s, row.use_permille) == (None, 2, 1000, None, None)
    assert (row.on_s, row.refusals) == ({1: 3600, 2: 3600, 3: 0, 4: 0}, {"port_busy": 1})


def test_a_day_is_as_long_as_its_zone_says() -> None:
    """23 and 25 hours where the clock is changed, 24 in Shanghai."""
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        log = Log()
        wall_ms = Statistics(berlin)._midnight_ms(bounds(day)[0])
        log.add(FactKind.BOOT, Boot(version="1"), wall_ms - DAY_MS)
        log.add(FactKind.START_REFUSED, refused("port_busy"), wall_ms)
        assert days(log, berlin)[day].length_s == hours * 3600


def test_midnight_of_a_zone_that_is_no_whole_hour_away() -> None:
    """03:30 UTC in Newfoundland, to the millisecond, on both sides within one hour."""
    log, zone = Log(), ZoneInfo("America/St_Johns")
    midnight_ms = Statistics(zone)._midnight_ms(bounds("2026-11-30")[0])
    assert midnight_ms % 3_600_000 == 1_800_000
    for wall_ms in (midnight_ms - 1, midnight_ms, midnight_ms + 1):
        log.add(FactKind.START_REFUSED, refused("port_busy"), wall_ms)
    found = days(log, zone)
    assert {day: sum(row.refusals.values()) for day, row in found.items()} == {"2026-11-29": 1, "2026-11-30": 2}


def test_a_session_that_claims_an_endless_time_is_laid_out_for_a_week_at_most() -> None:
    """Nothing in a log can keep a reader busy for ever."""
    log = Log()
    log.add(FactKind.SESSION_ENDED, ended(1, duration_s=2**53), session="s")
    assert sum(row.on_s[1] for row in days(log).values()) == 7 * 86_400


@pytest.mark.parametrize(
    ("name", "first", "after"),
    [
        ("2026-11", "2026-11-01", "2026-12-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2028-02", "2028-02-01", "2028-03-01"),
        ("2026-11-30", "2026-11-30", "2026-12-01"),
    ],
)
def test_periods_by_name(name: str, first: str, after: str) -> None:
    """A month and a day, with the first day after them."""
    assert tuple(one.isoformat() for one in bounds(name)) == (first, after)


_SESSIONS = st.tuples(
    st.sampled_from(PORTS), st.integers(0, 5000), st.integers(0, 40_000), st.integers(0, 40 * DAY_MS), st.booleans()
)


@settings(deadline=None)
@given(st.lists(_SESSIONS, max_size=30), st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "UTC"]))
def test_nothing_is_lost_between_days_months_and_the_log(
    sessions: list[tuple[int, int, int, int, bool]], zone: str
) -> None:
    """Sums over days, over months and over the facts are equal, in every zone."""
    log = Log()
    for index, (port, energy_wh, duration_s, at_ms, known) in enumerate(sessions):
        body = ended(port, energy_wh=energy_wh, duration_s=duration_s, electricity_fen=energy_wh, service_fen=index)
        log.add(FactKind.SESSION_ENDED, body, MORNING_MS + at_ms, "ntp" if known else "none", session=f"s{index}")
    sums = read(log, ZoneInfo(zone))
    for span in ("day", "month"):
        rows = sums.rows(span, PORTS, None)
        assert sum(row.sessions for row in rows) == len(sessions)
        assert sum(row.energy_wh for row in rows) == sum(one[1] for one in sessions)
        assert sum(row.service_fen for row in rows) == sum(range(len(sessions)))
    on_ms = sum(sum(day.on_ms.values()) for day in [*sums.days.values(), sums.unknown])
    assert on_ms == 1000 * sum(one[2] for one in sessions)
    assert sums.unknown.sessions == sum(not one[4] for one in sessions)


def test_sums_add_up() -> None:
    """Adding nothing changes nothing."""
    one, nothing = Sums(sessions=1, energy_wh=2), Sums()
    one.add(nothing)
    assert one == Sums(sessions=1, energy_wh=2)
