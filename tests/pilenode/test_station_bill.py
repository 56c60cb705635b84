"""Promises of bills: integers, one rounding a component, lines that add up, what was paid comes back or is charged."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import config.tariff
from config.schema_tariff import moment_ms
from config.tariff import Period, TariffSchedule, TariffVersion, Tier
from hil_rig.bench_money import broken, run
from hil_rig.money_sessions import draw
from pilenode.station import bill as bill_module
from pilenode.station import prices, reprice, tariff_desk, usage
from pilenode.station.bill import amount_limit, settle_money, settlement, tier_of
from pilenode.upstream import facts_money
from pilenode.upstream.facts import SessionEnded, canonical
from pilenode.upstream.facts_money import Bill, Payment, UsagePiece

POSTPAID = Payment(mode="postpaid")
NOON = moment_ms("2026-05-01 12:00", "Asia/Shanghai")
HOUR_MS = 3_600_000


def one(version: TariffVersion) -> TariffSchedule:
    """Return a schedule of this version alone."""
    return TariffSchedule(schedule=1, timezone="Asia/Shanghai", versions=[version])


def flat(electricity: int, service: int = 0) -> TariffSchedule:
    """Return flat prices."""
    return one(TariffVersion(version="flat", periods=[Period(0, 48, electricity, service)]))


def piece(energy_mwh: int, on_ms: int = HOUR_MS, start: int = NOON) -> UsagePiece:
    """Return a piece from noon on."""
    return UsagePiece(from_wall_ms=start, to_wall_ms=start + on_ms, on_ms=on_ms, energy_mwh=energy_mwh)


def cost(energy_mwh: int, schedule: TariffSchedule, payment: Payment = POSTPAID, on_ms: int = HOUR_MS) -> Bill:
    """Return the bill of one piece."""
    return settle_money([piece(energy_mwh, on_ms)], [], payment, schedule)


@pytest.mark.parametrize(
    ("energy_mwh", "price", "fen"),
    [
        (1_000_000, 520, 52),
        (0, 520, 0),
        (1_000_000, 0, 0),
        (1_000_000, 1, 0),  # 0.1 fen
        (4_999_999, 1, 0),  # just below half a fen
        (5_000_000, 1, 1),  # half up
        (14_999_999, 1, 1),
        (15_000_000, 1, 2),
    ],
)
def test_a_component_is_rounded_half_up_once(energy_mwh: int, price: int, fen: int) -> None:
    """The same for electricity and for service, each for itself."""
    assert cost(energy_mwh, flat(price)).electricity_fen == fen
    assert cost(energy_mwh, flat(0, price)).service_fen == fen
    assert cost(energy_mwh, flat(0, price)).electricity_fen == 0


def test_lines_get_their_fen_by_the_largest_remainder() -> None:
    """Three prices of 0.4, 0.4 and 0.3 fen are 1 fen together, and it stands on the first of the largest."""
    third = TariffVersion(version="v", periods=[Period(0, 24, 4), Period(24, 26, 3), Period(26, 48, 4000)])
    pieces = [piece(1_000_000, start=NOON - HOUR_MS), piece(1_000_000), piece(1_000, start=NOON + HOUR_MS)]
    bill = settle_money(pieces, [], POSTPAID, one(third))
    lines = [item for item in bill.items if item.kind == "electricity"]
    assert [(item.milli_yuan, item.fen) for item in lines] == [(4, 1), (3, 0), (4000, 0)]
    assert bill.electricity_fen == 1


@pytest.mark.parametrize(
    ("energy_mwh", "on_ms", "free"),
    [(10_000, 120_000, True), (10_001, 120_000, False), (10_000, 120_001, False), (0, 0, True), (0, 120_001, False)],
)
def test_nothing_is_charged_when_nothing_was_charged(energy_mwh: int, on_ms: int, free: bool) -> None:  # noqa: FBT001 - a table
    """At most 10 Wh in at most 2 minutes: everything that was paid goes back."""
    bill = cost(energy_mwh, flat(100_000, 100_000), Payment(mode="prepaid", paid_fen=500), on_ms)
    assert ("no_charge" in bill.reasons) is free
    assert (bill.charged_fen, bill.refund_fen) == (
        (0, 500) if free else (min(bill.total_fen, 500), 500 - bill.charged_fen)
    )
    assert bill.waived_fen == bill.total_fen - bill.charged_fen


@pytest.mark.parametrize(
    ("payment", "charged", "refund", "waived", "reasons"),
    [
        (Payment(mode="prepaid", paid_fen=100), 82, 18, 0, ["refund"]),
        (Payment(mode="prepaid", paid_fen=82), 82, 0, 0, []),
        (Payment(mode="prepaid", paid_fen=81), 81, 0, 1, ["capped"]),
        (Payment(mode="prepaid", paid_fen=0), 0, 0, 82, ["capped"]),
        (POSTPAID, 82, 0, 0, []),
        (Payment(mode="postpaid", limit_fen=82), 82, 0, 0, []),
        (Payment(mode="postpaid", limit_fen=80), 80, 0, 2, ["capped"]),
    ],
)
def test_what_was_paid_is_the_most_that_is_charged(
    payment: Payment, charged: int, refund: int, waived: int, reasons: list[str]
) -> None:
    """0.82 yuan were used; the rest of what was paid goes back, what lacks is waived."""
    bill = cost(1_000_000, flat(520, 300), payment)
    assert (bill.electricity_fen, bill.service_fen, bill.total_fen) == (52, 30, 82)
    assert (bill.charged_fen, bill.refund_fen, bill.waived_fen, bill.reasons) == (charged, refund, waived, reasons)


def test_service_by_the_hour_and_by_tier() -> None:
    """The time with power counts; the tier is that of the sustained power, beyond the last one the last."""
    hourly = one(TariffVersion(version="h", periods=[Period(0, 48, 500)], service_milli_yuan_per_hour=150))
    assert cost(1_000_000, hourly).service_fen == 15
    tiers = [Tier(200, 100), Tier(400, 200)]
    assert [tier_of(tiers, watts).up_to_w for watts in (0, 200, 201, 400, 500)] == [200, 200, 400, 400, 400]
    tiered = one(TariffVersion(version="t", periods=[Period(0, 48, 500)], service_tier=tiers))
    for power_ms, fen in (([0, HOUR_MS], 10), ([0, 0, 0, HOUR_MS], 20), ([0, HOUR_MS, 0, 0, 0, 479_999], 10)):
        bill = settle_money([piece(1_000_000)], power_ms, POSTPAID, tiered)
        assert (bill.electricity_fen, bill.service_fen) == (50, fen)
        assert [item.kind for item in bill.items] == ["electricity", "service_tier"]


def test_a_record_without_a_time_of_day_says_so() -> None:
    """The fallback's lines are marked, beside those whose time was known."""
    unknown = UsagePiece(on_ms=HOUR_MS, energy_mwh=1_000_000, flags=["no_clock"])
    bill = settle_money([piece(1_000_000), unknown], [], POSTPAID, flat(520))
    assert [(item.fallback, item.fen) for item in bill.items if item.kind == "electricity"] == [(False, 52), (True, 52)]
    assert bill.reasons == ["fallback"]


@pytest.mark.parametrize("service", ["energy", "hour", "tier"])
@pytest.mark.parametrize("amount_fen", [1, 2, 57])
def test_an_amount_is_kept_to_the_fen_and_used(service: str, amount_fen: int) -> None:
    """What flows up to the limit, reckoned again and again, stays in the amount and comes near it."""
    more = {
        "energy": TariffVersion(version="v", periods=[Period(0, 26, 310, 300), Period(26, 48, 580, 300)]),
        "hour": TariffVersion(version="v", periods=[Period(0, 48, 520)], service_milli_yuan_per_hour=600),
        "tier": TariffVersion(version="v", periods=[Period(0, 48, 520)], service_tier=[Tier(100, 600), Tier(300, 50)]),
    }
    schedule, pieces, power = one(more[service]), list[UsagePiece](), usage.PowerHistogram()
    now, watts = NOON, 400
    while (limit := amount_limit(amount_fen, pieces, power.power_ms, schedule, now)).energy_mwh:
        ms = min(limit.for_ms, limit.energy_mwh * 3600 // watts + 1)
        pieces.append(piece(min(limit.energy_mwh, watts * ms // 3600), ms, now))
        power, now = power.add(watts, ms), now + ms
        if ms < limit.for_ms:
            break
    total = settle_money(pieces, power.power_ms, POSTPAID, schedule).total_fen
    assert total <= amount_fen
    assert total >= amount_fen - (1 if service == "energy" else 8)  # time is reserved for up to 7 minutes


def test_an_amount_that_is_used_up_allows_nothing() -> None:
    """Nor does one whose time alone costs more."""
    assert amount_limit(52, [piece(1_000_000)], [], flat(520), NOON + HOUR_MS).energy_mwh == 9615  # to 52.49995 fen
    assert amount_limit(51, [piece(1_000_000)], [], flat(520), NOON + HOUR_MS).for_ms == 0
    hourly = one(TariffVersion(version="h", periods=[Period(0, 48, 0)], service_milli_yuan_per_hour=100_000))
    assert amount_limit(1, [], [], hourly, NOON).for_ms == 0
    assert amount_limit(100, [], [], flat(0), None).energy_mwh == bill_module.MOST_MWH


def test_time_takes_at_most_half_of_what_is_left() -> None:
    """Seven minutes at 0.6 yuan per hour are 7 fen: of 14 they may be reserved, of 13 only half of them."""
    hourly = one(TariffVersion(version="h", periods=[Period(0, 48, 500)], service_milli_yuan_per_hour=600))
    assert [amount_limit(fen, [], [], hourly, NOON).for_ms for fen in (14, 13)] == [420_000, 210_000]


def ended(**change: object) -> bytes:
    """Return the record of a session, changed."""
    money = settlement([piece(1_000_000)], [0, HOUR_MS], POSTPAID, flat(520, 300))
    body = SessionEnded(
        order="o",
        port=1,
        reason="full",
        age_ms=0,
        start_register_mwh=0,
        end_register_mwh=1_000_000,
        energy_wh=1000,
        duration_s=3600,
        electricity_fen=52,
        service_fen=30,
        tariff_version="flat",
        money=money,
    )
    return canonical(msgspec.structs.replace(body, **change))


def test_a_record_is_priced_again_to_the_same_fen_or_the_difference_is_told() -> None:
    """Every amount, every line; a record without a bill is none; what does not decode differs."""
    assert reprice.reprice("s", ended()).result == "same"
    assert reprice.reprice("s", b"{}").result == "differs"
    told = reprice.reprice("s", ended(service_fen=31, energy_wh=999))
    assert [(one.what, one.recorded, one.computed) for one in told.differences] == [
        ("energy_wh", "999", "1000"),
        ("service_fen", "31", "30"),
    ]
    forged = ended().replace(b'"fen":52', b'"fen":51')
    assert [one.what for one in reprice.reprice("s", forged).differences] == ["bill.items"]
    dearer = ended().replace(b"[0,48,520,300]", b"[0,48,521,300]")
    assert "bill.items" in [one.what for one in reprice.reprice("s", dearer).differences]
    broken_tariff = ended().replace(b"[0,48,520,300]", b"[0,47,520,300]")
    assert [one.recorded for one in reprice.reprice("s", broken_tariff).differences] == ["tariff_gap"]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_every_promise_holds_for_any_session(seed: int) -> None:
    """Those of ``hil_rig.bench_money``, on sessions that hypothesis chooses."""
    story = draw(Random(seed))  # noqa: S311 - sessions are simulated, not secret
    money = settlement(story.usage.pieces, story.power.power_ms, story.payment, story.schedule)
    assert broken(story, money, Random(seed)) == []  # noqa: S311 - as above


def test_the_bench_of_money_covers_what_it_claims() -> None:
    """A small run of it: nothing breaks, and every kind of session is among them."""
    met, failures, most = run(400, seed=7)
    assert not failures
    assert most < 60
    assert all(met[name] >= 8 for name in met), met
    assert len(met) == 19


def test_the_bench_sees_a_bill_that_is_wrong() -> None:
    """One fen too much on a line, in a total, in a refund: each breaks a promise."""
    story = draw(Random(3))  # noqa: S311 - simulated
    money = settlement(story.usage.pieces, story.power.power_ms, story.payment, story.schedule)
    assert broken(story, money, Random(3)) == []  # noqa: S311 - simulated
    for name in ("electricity_fen", "service_fen", "total_fen", "charged_fen", "refund_fen", "waived_fen"):
        wrong = msgspec.structs.replace(money.bill, **{name: getattr(money.bill, name) + 1})
        assert broken(story, msgspec.structs.replace(money, bill=wrong), Random(3))  # noqa: S311 - simulated


@pytest.mark.parametrize(
    "module",
    [config.tariff, bill_module, prices, reprice, tariff_desk, usage, facts_money],
    ids=lambda m: m.__name__,
)
def test_money_knows_no_floating_point(module: object) -> None:
    """No literal with a point, no true division, no float() and no round() in any module of money."""
    assert inexact(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))) == []  # type: ignore[attr-defined]


def inexact(tree: ast.AST) -> list[int]:
    """Return the lines of what is not exact."""
    found = []
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        named = isinstance(node, ast.Name) and node.id in {"float", "round", "math", "Decimal"}
        if literal or division or named:
            found.append(int(getattr(node, "lineno", 0)))
    return found


@pytest.mark.parametrize("text", ["a = 1.0", "a = 1 / 2", "a /= 2", "float(a)", "round(a)", "a = 1e3"])
def test_the_search_for_floating_point_finds_it(text: str) -> None:
    """Each of them, once."""
    assert inexact(ast.parse(text)) == [1]
