"""Property test of money: ``python -m hil_rig.bench_money --sessions 100000``.

Random sessions are marked, billed, written, read and billed again. Every promise is checked on every one of them:
lines add up, electricity and service apart; a record costs the same fen again after its way through JSON; what is
charged and refunded is what was paid, what is charged and waived the total; nothing is negative; one more mWh, or many,
never cost less; merged pieces cost what single ones cost; an amount is never exceeded. An oracle of its own, in
fractions, says what electricity costs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from hil_rig.money_sessions import Story, draw
from pilenode.station.bill import settle_money, settlement
from pilenode.station.reprice import reprice
from pilenode.upstream.facts import SessionEnded, canonical
from pilenode.upstream.facts_money import BillReason, PieceFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.tariff import TariffSchedule
    from pilenode.upstream.facts_money import Bill, Settlement, UsagePiece

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_MS = 900_000
_TEN_MILLION = 10_000_000


def _electricity(schedule: TariffSchedule, wall_ms: int | None) -> int:
    """Return the price of electricity at a moment, looked up another way than the station does."""
    fallback = next((one for one in schedule.versions if one.version == schedule.fallback), schedule.versions[0])
    lowest = min(period.electricity for period in fallback.periods)
    if wall_ms is None:
        return lowest
    begun = [one for one in schedule.versions if (one.valid_from_ms or 0) <= wall_ms]
    version = begun[-1] if begun else schedule.versions[0]
    if version.valid_until_ms is not None and wall_ms >= version.valid_until_ms:
        return lowest
    local = (_EPOCH + timedelta(milliseconds=wall_ms)).astimezone(ZoneInfo(schedule.timezone))
    minute = local.hour * 60 + local.minute
    return next(one.electricity for one in version.periods if one.from_slot * 30 <= minute < one.to_slot * 30)


def oracle_fen(schedule: TariffSchedule, pieces: list[UsagePiece]) -> Fraction:
    """Return what electricity costs exactly, in fen, every piece spread evenly over its time."""
    total = Fraction(0)
    for piece in pieces:
        start, end = piece.from_wall_ms, piece.to_wall_ms
        if start is None or end is None or end == start:
            moment = None if start is None else start - 1  # what flowed in no time flowed before
            total += Fraction(piece.energy_mwh * _electricity(schedule, moment), _TEN_MILLION)
            continue
        at = start
        while at < end:  # prices change at whole quarters of an hour only, in every zone that is drawn
            until = min(end, (at // _QUARTER_MS + 1) * _QUARTER_MS)
            share = Fraction(piece.energy_mwh * (until - at), end - start)
            total += share * _electricity(schedule, at) / _TEN_MILLION
            at = until
    return total


def _ended(money: Settlement) -> SessionEnded:
    return SessionEnded(
        order="o",
        port=1,
        reason="full",
        age_ms=0,
        start_register_mwh=None,
        end_register_mwh=None,
        energy_wh=(sum(piece.energy_mwh for piece in money.pieces) + 500) // 1000,
        duration_s=sum(piece.on_ms for piece in money.pieces) // 1000,
        electricity_fen=money.bill.electricity_fen,
        service_fen=money.bill.service_fen,
        tariff_version=money.tariff.versions[0].version,
        money=money,
    )


def _adds_up(story: Story, bill: Bill) -> bool:
    electricity = [item for item in bill.items if item.kind == "electricity"]
    service = [item for item in bill.items if item.kind != "electricity"]
    used_mwh = sum(piece.energy_mwh for piece in story.usage.pieces)
    return (
        sum(item.fen for item in electricity) == bill.electricity_fen
        and sum(item.fen for item in service) == bill.service_fen
        and bill.electricity_fen + bill.service_fen == bill.total_fen
        and sum(item.energy_mwh or 0 for item in electricity) == used_mwh
    )


def _paid(story: Story, bill: Bill) -> bool:
    paid = story.payment.paid_fen if story.payment.mode == "prepaid" else bill.charged_fen
    amounts = [value for key, value in msgspec.structs.asdict(bill).items() if key.endswith("_fen")]
    return (
        bill.charged_fen + bill.refund_fen == paid
        and bill.charged_fen + bill.waived_fen == bill.total_fen
        and all(amount >= 0 for amount in (*amounts, *(item.fen for item in bill.items)))
    )


def _never_less(story: Story, bill: Bill, random: Random) -> bool:
    pieces = [*story.usage.pieces]
    if not pieces:
        return True
    at = random.randrange(len(pieces))
    more_mwh = random.choice((1, 1, 2, random.randrange(1, 1000), random.randrange(1, 10**6)))
    pieces[at] = msgspec.structs.replace(pieces[at], energy_mwh=pieces[at].energy_mwh + more_mwh)
    dearer = settle_money(pieces, story.power.power_ms, story.payment, story.schedule)
    return (
        dearer.electricity_fen >= bill.electricity_fen
        and dearer.service_fen >= bill.service_fen
        and dearer.charged_fen >= bill.charged_fen
    )


def _merging_is_free(story: Story, bill: Bill) -> bool:
    single = [piece for usage in story.plain for piece in usage.pieces]
    plain = settle_money(single, story.power.power_ms, story.payment, story.schedule)
    return (plain.total_fen, plain.charged_fen) == (bill.total_fen, bill.charged_fen)


def _in_amount(story: Story, bill: Bill) -> bool:
    if story.amount_fen is None:
        return True
    dearest = max(period.electricity + period.service for one in story.schedule.versions for period in one.periods)
    over = -(-story.overshoot_mwh * dearest // _TEN_MILLION) + 1 if story.overshoot_mwh else 0
    # Where the clock was set meanwhile the price was another one than was reckoned with; the excess is waived.
    return bill.charged_fen <= story.amount_fen and (not story.steady or bill.total_fen <= story.amount_fen + over)


def _near_oracle(story: Story, bill: Bill) -> bool:
    pieces = story.usage.pieces
    exact = oracle_fen(story.schedule, pieces)
    dearest = max(period.electricity for one in story.schedule.versions for period in one.periods)
    # Whole mWh: each of up to 96 parts of a piece is at most one off.
    slack = Fraction(len(pieces) * 96 * dearest, _TEN_MILLION)
    return abs(bill.electricity_fen - exact) <= Fraction(1, 2) + slack


def broken(story: Story, money: Settlement, random: Random) -> list[str]:
    """Return the promises that do not hold for one session."""
    whole = settle_money(story.usage.pieces, story.power.power_ms, story.payment, story.schedule)
    bill = money.bill
    again = reprice("s", canonical(_ended(money)))
    checks: dict[str, Callable[[], bool]] = {
        "lines add up": lambda: _adds_up(story, bill),
        "priced again from JSON": lambda: again.result == "same",
        "same with the whole schedule": lambda: bill == whole,
        "charged, refunded, waived": lambda: _paid(story, bill),
        "more energy never costs less": lambda: _never_less(story, bill, random),
        "merging changes nothing": lambda: _merging_is_free(story, bill),
        "amount kept": lambda: _in_amount(story, bill),
        "electricity as the oracle says": lambda: _near_oracle(story, bill),
        "few pieces": lambda: len(bill.items) < 200 and len(story.usage.pieces) < 300,  # noqa: PLR2004 - a bound
    }
    return [name for name, holds in checks.items() if not holds()]


def covered(story: Story, money: Settlement) -> list[str]:
    """Return what one session has met."""
    bill, pieces = money.bill, money.pieces
    electricity = [item for item in bill.items if item.kind == "electricity"]
    kinds = {item.kind for item in bill.items}
    flags = {flag for piece in pieces for flag in piece.flags}
    facts = {
        "several prices": len(electricity) > 1,
        "several versions": len({item.version for item in electricity}) > 1,
        "service by the kWh": "service_energy" in kinds,
        "service by the hour": "service_time" in kinds,
        "service by power tier": "service_tier" in kinds,
        "several legs": story.legs > 1,
        "prepaid": story.payment.mode == "prepaid",
        "postpaid": story.payment.mode == "postpaid",
        "amount planned": story.amount_fen is not None,
        "amount used up": story.amount_fen is not None and bill.total_fen >= story.amount_fen - 1,
        "clock not known": PieceFlag.NO_CLOCK in flags,
        "clock set meanwhile": PieceFlag.CLOCK_STEPPED in flags,
        "zone with summer time": story.schedule.timezone not in ("Asia/Shanghai", "Asia/Kathmandu"),
    }
    reasons = {f"reason {reason}": reason in bill.reasons for reason in BillReason}
    return [name for name, is_so in (facts | reasons).items() if is_so]


def run(sessions: int, seed: int) -> tuple[Counter[str], Counter[str], int]:
    """Return what was covered, what broke, and the most pieces of a session."""
    met: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    most = 0
    for number in range(sessions):
        random = Random(f"{seed}.{number}")
        story = draw(random)
        money = settlement(story.usage.pieces, story.power.power_ms, story.payment, story.schedule)
        met.update(covered(story, money))
        most = max(most, len(story.usage.pieces))
        for name in broken(story, money, random):
            failures[name] += 1
            if failures[name] == 1:
                print(f"session {number} of seed {seed}: {name} does not hold", file=sys.stderr)
    return met, failures, most


def main() -> int:
    """Run the test and print its report; status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    met, failures, most = run(options.sessions, options.seed)
    print(f"{options.sessions} sessions, seed {options.seed}, {time.monotonic() - begun:.0f} s")
    for name, count in sorted(met.items(), key=lambda item: -item[1]):
        print(f"  {count:7d}  {name}")
    print(f"  most pieces of one session: {most}")
    for name, count in failures.items():
        print(f"BROKEN {count:7d}  {name}")
    print("every promise held" if not failures else "promises were broken")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
