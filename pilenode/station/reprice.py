"""Prices a record again from its own content, and tells what differs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from config.tariff import mistakes
from pilenode.station.bill import settle_money
from pilenode.upstream.facts import FactKind, SessionEnded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.upstream.facts_money import Bill, Settlement

#: The kind of fact that has a bill.
KIND: Final = FactKind.SESSION_ENDED


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a record that its content does not give. Both values are JSON."""

    what: str
    recorded: str
    computed: str


class Repriced(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one record."""

    session: str
    electricity_fen: int
    service_fen: int
    result: Literal["same", "differs"]
    differences: list[Difference] = []


def reprice(session: str, body: bytes) -> Repriced:
    """Return what comes of the end of a session, given as the JSON that was recorded."""
    try:
        ended = msgspec.json.decode(body, type=SessionEnded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        unread = Difference(what="body", recorded=str(error)[:200], computed="")
        return Repriced(session=session, electricity_fen=0, service_fen=0, result="differs", differences=[unread])
    found = [*_differences(ended, ended.money)]
    return Repriced(
        session=session,
        electricity_fen=ended.electricity_fen,
        service_fen=ended.service_fen,
        result="differs" if found else "same",
        differences=found,
    )


def _differences(ended: SessionEnded, money: Settlement) -> Iterator[Difference]:
    # Between the versions that a record keeps there may be others, which were not used.
    wrong = [one for one in mistakes(money.tariff) if (one.code, one.path[-1]) != ("tariff_gap", "valid_from_ms")]
    if wrong:
        yield from (Difference(what="tariff", recorded=one.code, computed="") for one in wrong)
        return
    bill = settle_money(money.pieces, money.power_ms, money.payment, money.tariff)
    energy_wh = (sum(piece.energy_mwh for piece in money.pieces) + 500) // 1000
    yield from _compare("energy_wh", ended.energy_wh, energy_wh)
    yield from _compare("electricity_fen", ended.electricity_fen, bill.electricity_fen)
    yield from _compare("service_fen", ended.service_fen, bill.service_fen)
    yield from _bills(money.bill, bill)


def _bills(recorded: Bill, computed: Bill) -> Iterator[Difference]:
    for field in msgspec.structs.fields(computed):
        yield from _compare(f"bill.{field.name}", getattr(recorded, field.name), getattr(computed, field.name))


def _compare(what: str, recorded: object, computed: object) -> Iterator[Difference]:
    if recorded != computed:
        one, other = (msgspec.json.encode(value).decode() for value in (recorded, computed))
        yield Difference(what=what, recorded=one, computed=other)
