"""What a session costs: a pure function of what was used, how it is paid, and the tariff. Integers only.

Rules of this file:
- electricity and service are added up exactly and rounded half up once each (requirements BIL-1, BIL-3); the lines of
  a bill get their fen by the largest remainder, so that they add up to the total;
- at most 10 Wh in at most 2 minutes cost nothing (requirements BIL-5);
- what was paid in advance is the most that is charged; the rest of it goes back, what was used beyond it is waived.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from config.tariff import CLASS_W
from pilenode.station.prices import Prices, narrow
from pilenode.station.usage import SUSTAINED_MS, sustained_w
from pilenode.upstream.facts_money import POWER_CLASSES, Bill, BillItem, BillReason, Settlement, UsagePiece

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from config.tariff import TariffSchedule, Tier
    from pilenode.station.prices import Rate
    from pilenode.upstream.facts_money import Payment

#: Nothing is charged up to here (requirements BIL-5).
FREE_MWH: Final = 10_000
FREE_MS: Final = 2 * 60 * 1000
#: Amounts are added up in 1/180,000,000 fen: 0.001 yuan per kWh is 18 of them for a mWh (10,000,000 mWh x 0.001 yuan
#: per kWh make a fen), 0.001 yuan per hour is 5 of them for a ms (36,000,000).
ONE_FEN: Final = 180_000_000
_PER_MWH: Final = 18
_PER_MS: Final = 5
#: More energy than any session: what an amount without a price allows.
MOST_MWH: Final = 100_000_000
#: Where time costs something, an amount is reckoned for this long at most: little is reserved that is not used, and no
#: sustained power can come up out of nothing meanwhile.
_TIMED_AHEAD_MS: Final = SUSTAINED_MS - 60_000
_HALF_HOUR_MS: Final = 30 * 60 * 1000
#: An amount whose time alone runs out within this is used up.
_USED_UP_MS: Final = 60_000


class _Line(NamedTuple):
    """What a line of a bill is about."""

    kind: str
    version: str
    milli_yuan: int
    up_to_w: int | None
    fallback: bool


@dataclass(slots=True)
class _Amount:
    """What is on a line so far: mWh or ms."""

    energy_mwh: int = 0
    on_ms: int = 0


def tier_of(tiers: Sequence[Tier], power_w: int) -> Tier:
    """Return the tier of a sustained power: the first that reaches up to it, or the last."""
    return next((tier for tier in tiers if power_w <= tier.up_to_w), tiers[-1])


def _service_line(rate: Rate, sustained: int) -> _Line:
    if rate.service_kind == "service_tier":
        tier = tier_of(rate.tiers, sustained)
        return _Line(rate.service_kind, rate.version, tier.milli_yuan_per_hour, tier.up_to_w, rate.fallback)
    return _Line(rate.service_kind, rate.version, rate.service, None, rate.fallback)


@dataclass(frozen=True, slots=True)
class _Sums:
    """All lines of a session, and which rates it met."""

    lines: dict[_Line, _Amount]
    rates: frozenset[Rate]
    interpolated: bool


def _add_up(pieces: Iterable[UsagePiece], sustained: int, prices: Prices) -> _Sums:
    """Return the lines of ``pieces``; ``sustained`` is the power that decides about tiers, W."""
    lines: defaultdict[_Line, _Amount] = defaultdict(_Amount)
    rates: set[Rate] = set()
    interpolated = False
    for piece in pieces:
        for count, part in enumerate(prices.parts(piece)):
            rate = part.rate
            interpolated = interpolated or count > 0
            rates.add(rate)
            lines[
                _Line("electricity", rate.version, rate.electricity, None, rate.fallback)
            ].energy_mwh += part.energy_mwh
            service = _service_line(rate, sustained)
            if service.kind == "service_energy":
                lines[service].energy_mwh += part.energy_mwh
            else:
                lines[service].on_ms += part.on_ms
    return _Sums(lines, frozenset(rates), interpolated)


def _exact(line: _Line, amount: _Amount) -> int:
    """Return what a line costs in 1/``ONE_FEN`` fen."""
    return line.milli_yuan * (amount.energy_mwh * _PER_MWH + amount.on_ms * _PER_MS)


def _rounded(exact: int) -> int:
    return (exact + ONE_FEN // 2) // ONE_FEN


def _is_electricity(line: _Line) -> bool:
    return line.kind == "electricity"


def _component(lines: dict[_Line, _Amount], *, electricity: bool) -> tuple[int, list[BillItem]]:
    """Return one component of a bill in fen, and its lines, which add up to it."""
    chosen = {line: amount for line, amount in lines.items() if _is_electricity(line) is electricity}
    exact = {line: _exact(line, amount) for line, amount in chosen.items()}
    total = _rounded(sum(exact.values()))
    fen = {line: value // ONE_FEN for line, value in exact.items()}
    missing = total - sum(fen.values())
    for line in sorted(exact, key=lambda one: -(exact[one] % ONE_FEN))[:missing]:
        fen[line] += 1
    return total, [_item(line, amount, fen[line]) for line, amount in chosen.items() if amount != _Amount()]


def _item(line: _Line, amount: _Amount, fen: int) -> BillItem:
    by_energy = line.kind in ("electricity", "service_energy")
    return msgspec.convert(
        {
            "kind": line.kind,
            "version": line.version,
            "milli_yuan": line.milli_yuan,
            "energy_mwh": amount.energy_mwh if by_energy else None,
            "on_ms": None if by_energy else amount.on_ms,
            "up_to_w": line.up_to_w,
            "fallback": line.fallback,
            "fen": fen,
        },
        BillItem,
    )


def settle_money(
    pieces: Sequence[UsagePiece], power_ms: Sequence[int], payment: Payment, schedule: TariffSchedule
) -> Bill:
    """Return the bill of a session. ``power_ms`` is its ``PowerHistogram``; ``schedule`` has no mistake."""
    sums = _add_up(pieces, sustained_w(power_ms), Prices(schedule))
    electricity_fen, items = _component(sums.lines, electricity=True)
    service_fen, more = _component(sums.lines, electricity=False)
    total_fen = electricity_fen + service_fen
    free = _is_free(pieces)
    most_fen = payment.paid_fen if payment.mode == "prepaid" else payment.limit_fen
    charged_fen = 0 if free else total_fen if most_fen is None else min(total_fen, most_fen)
    refund_fen = payment.paid_fen - charged_fen if payment.mode == "prepaid" else 0
    told = {
        BillReason.NO_CHARGE: free,
        BillReason.REFUND: refund_fen > 0,
        BillReason.CAPPED: not free and charged_fen < total_fen,
        BillReason.FALLBACK: any(rate.fallback and not rate.expired for rate in sums.rates),
        BillReason.EXPIRED: any(rate.expired for rate in sums.rates),
        BillReason.INTERPOLATED: sums.interpolated,
    }
    return Bill(
        items=[*items, *more],
        electricity_fen=electricity_fen,
        service_fen=service_fen,
        total_fen=total_fen,
        charged_fen=charged_fen,
        refund_fen=refund_fen,
        waived_fen=total_fen - charged_fen,
        reasons=[reason for reason, is_so in told.items() if is_so],
    )


def _is_free(pieces: Iterable[UsagePiece]) -> bool:
    listed = [*pieces]
    return sum(one.energy_mwh for one in listed) <= FREE_MWH and sum(one.on_ms for one in listed) <= FREE_MS


def settlement(
    pieces: Sequence[UsagePiece], power_ms: Sequence[int], payment: Payment, schedule: TariffSchedule
) -> Settlement:
    """Return the bill with everything it is made of, for the record: of the tariff only what was used."""
    prices = Prices(schedule)
    used = {part.rate.version for piece in pieces for part in prices.parts(piece)}
    tariff = narrow(schedule, used)
    return Settlement(
        pieces=[*pieces],
        power_ms=[*power_ms],
        payment=payment,
        tariff=tariff,
        bill=settle_money(pieces, power_ms, payment, tariff),
    )


@dataclass(frozen=True, slots=True)
class AmountLimit:
    """What an amount still allows: ``energy_mwh``, but for no longer than ``for_ms``; then it is reckoned again.

    0 mWh or 0 ms: the amount is used up.
    """

    energy_mwh: int
    for_ms: int


def amount_limit(
    amount_fen: int,
    pieces: Sequence[UsagePiece],
    power_ms: Sequence[int],
    schedule: TariffSchedule,
    wall_ms: int | None,
) -> AmountLimit:
    """Return how much may still flow from now (``wall_ms``, None: not known) on, so that the total stays in the amount.

    ``pieces`` reach up to now. Time that costs something is reserved in full, and the highest power tier that can come
    up meanwhile; an amount that mostly buys time is given out in halves, so that none of it is lost early.
    """
    prices = Prices(schedule)
    rate = prices.rate_at(wall_ms)
    for_ms = _HALF_HOUR_MS if wall_ms is None else prices.next_boundary_ms(wall_ms) - wall_ms
    timed = any(one.service_tier is not None or one.service_milli_yuan_per_hour for one in schedule.versions)
    for_ms = min(for_ms, _TIMED_AHEAD_MS) if timed else for_ms
    spent = _components(pieces, sustained_w(power_ms), prices)
    left = amount_fen * ONE_FEN - sum(spent)
    while True:
        ahead = UsagePiece(
            from_wall_ms=wall_ms, to_wall_ms=None if wall_ms is None else wall_ms + for_ms, on_ms=for_ms, energy_mwh=0
        )
        reserved = max((_components([*pieces, ahead], watts, prices) for watts in _possible(power_ms, for_ms)), key=sum)
        if (sum(reserved) - sum(spent)) * 2 <= left:
            break
        for_ms //= 2
        if for_ms < _USED_UP_MS:
            return AmountLimit(0, 0)
    by_energy = rate.service if rate.service_kind == "service_energy" else 0
    energy_mwh = _most_energy(amount_fen, reserved, rate.electricity * _PER_MWH, by_energy * _PER_MWH)
    return AmountLimit(energy_mwh, for_ms if energy_mwh else 0)


def _components(pieces: Sequence[UsagePiece], sustained: int, prices: Prices) -> tuple[int, int]:
    """Return electricity and service in 1/``ONE_FEN`` fen."""
    lines = _add_up(pieces, sustained, prices).lines
    electricity = sum(_exact(line, amount) for line, amount in lines.items() if _is_electricity(line))
    return electricity, sum(_exact(line, amount) for line, amount in lines.items()) - electricity


def _possible(power_ms: Sequence[int], ms: int) -> range:
    """Return every sustained power that can be after ``ms`` more: nothing is known of tiers that get cheaper."""
    known = [*power_ms, *[0] * (POWER_CLASSES - len(power_ms))]
    lowest = sustained_w([known[0] + ms, *known[1:]])
    highest = sustained_w([*known[:-1], known[-1] + ms])
    return range(lowest, highest + CLASS_W, CLASS_W)


def _most_energy(amount_fen: int, reserved: tuple[int, int], electricity: int, service: int) -> int:
    """Return the most mWh with which both components, each rounded for itself, still stay within the amount."""
    low, high = 0, MOST_MWH

    def fits(energy_mwh: int) -> bool:
        total = _rounded(reserved[0] + energy_mwh * electricity) + _rounded(reserved[1] + energy_mwh * service)
        return total <= amount_fen

    if not fits(0):
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
