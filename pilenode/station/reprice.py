"""Prices a record again from its own content, and tells what differs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from config.tariff import mistakes
from pilenode.station.bill import settle_money

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.upstream.facts import SessionEnded
    from pilenode.upstream.facts_money import Bill


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of a record that its content does not give."""

    what: str
    recorded: str
    computed: str


def differences(ended: SessionEnded) -> list[Difference]:
    """Return everything in which the end of a session differs from what its own content costs."""
    money = ended.money
    if money is None:
        return [Difference("money", "-", "")]
    # Between the versions that a record keeps there may be others, which were not used.
    wrong = [one for one in mistakes(money.tariff) if (one.code, one.path[-1]) != ("tariff_gap", "valid_from_ms")]
    found = [Difference("tariff", one.code, "") for one in wrong]
    if found:
        return found
    bill = settle_money(money.pieces, money.power_ms, money.payment, money.tariff)
    energy_wh = (sum(piece.energy_mwh for piece in money.pieces) + 500) // 1000
    found += _compare("energy_wh", ended.energy_wh, energy_wh)
    found += _compare("electricity_fen", ended.electricity_fen, bill.electricity_fen)
    found += _compare("service_fen", ended.service_fen, bill.service_fen)
    return [*found, *_bills(money.bill, bill)]


def _bills(recorded: Bill, computed: Bill) -> Iterator[Difference]:
    for field in msgspec.structs.fields(computed):
        name = field.name
        yield from _compare(f"bill.{name}", getattr(recorded, name), getattr(computed, name))


def _compare(what: str, recorded: object, computed: object) -> list[Difference]:
    if recorded == computed:
        return []
    return [Difference(what, *(msgspec.json.encode(value).decode() for value in (recorded, computed)))]
