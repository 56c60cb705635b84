"""A sample body of every kind of fact. A kind without one fails the tests of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from config.tariff import flat_schedule
from pilenode.ipc.wish import Wish
from pilenode.station.bill import settlement
from pilenode.upstream.facts import (
    ActRefused,
    Body,
    Boot,
    Checkpoint,
    CommandResult,
    EnergyCount,
    EnergyFlag,
    FactKind,
    Fault,
    FaultReset,
    LegEnded,
    LegStarted,
    PeriodicResult,
    SessionEnded,
    SessionModified,
    SessionStarted,
    StartRefused,
)
from pilenode.upstream.facts_cards import CardAllowed, CardDenied, CardForgotten, CardLearned, CardsSet
from pilenode.upstream.facts_config import ConfigApplied, ConfigProblem, ConfigRefused
from pilenode.upstream.facts_journal import FactsRemoved, LogSalvaged, Removed
from pilenode.upstream.facts_ledger import Inspected, LedgerUpdated, LockLifted, LockSet
from pilenode.upstream.facts_load import BudgetSet, QueueLeft, StartQueued
from pilenode.upstream.facts_money import Payment, TariffSet, Usage, UsageMark, UsagePiece
from pilenode.upstream.facts_time import Anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSION: Final = "01KT0E8V5ZQ3M7C2R9XW4B6NDA"
LOCK: Final = "xf-2026-0617"
TARIFF: Final = flat_schedule("2026-06", 520, 300)
_GUARD: Final = "g-5f2a91c0"
_CARD: Final = "9f86d081884c7d659a2feaa0c55ad015"
_WALL_MS: Final = 1_780_272_120_000
_HOUR_MS: Final = 3_600_000
_PIECE: Final = UsagePiece(from_wall_ms=_WALL_MS, to_wall_ms=_WALL_MS + _HOUR_MS, on_ms=_HOUR_MS, energy_mwh=212_000)
_PAID: Final = Payment(mode="prepaid", paid_fen=300)
_BILL: Final = settlement([_PIECE], [0, 0, 0, _HOUR_MS], _PAID, TARIFF)
_MARK: Final = UsageMark(wall_ms=_WALL_MS, boottime_ms=210_000, trusted=True, register_mwh=5_001_200)
_OVER: Final = Fault(guard_boot=_GUARD, event=17, age_ms=140, port=2, code="over_temperature", detail="81.2 °C")

BODIES: Final[Mapping[FactKind, Body]] = {
    FactKind.BOOT: Boot(version="0.1.0"),
    FactKind.SESSION_STARTED: SessionStarted(
        order="o-1",
        port=1,
        source="upstream",
        by="c-1",
        plan=Wish(energy_wh=1500, duration_s=28_800),
        tariff=TARIFF,
        tariff_version="2026-06",
        payment=_PAID,
        guard_boot=_GUARD,
    ),
    FactKind.CHECKPOINT: Checkpoint(
        port=1,
        start_register_mwh=5_000_000,
        register_mwh=5_001_200,
        on_ms=20_000,
        power_w=212,
        count=EnergyCount(energy_mwh=1200, register_mwh=5_001_200, at_ms=20_000, on_ms=20_000, read=True),
        usage=Usage(last=_MARK),
        power_ms=[0, 0, 0, 20_000],
    ),
    FactKind.LEG_ENDED: LegEnded(
        port=1,
        leg=1,
        cause="load",
        reason="load_shed",
        age_ms=90,
        start_register_mwh=5_000_000,
        end_register_mwh=5_212_000,
        energy_mwh=212_000,
        on_ms=_HOUR_MS,
        usage=Usage(pieces=[_PIECE]),
        power_ms=[0, 0, 0, _HOUR_MS],
    ),
    FactKind.LEG_STARTED: LegStarted(port=1, leg=2, cause="load", pause_ms=600_000, guard_boot=_GUARD),
    FactKind.SESSION_MODIFIED: SessionModified(port=1, plan=Wish(amount_fen=300), source="upstream", by="c-4"),
    FactKind.SESSION_ENDED: SessionEnded(
        order="o-1",
        port=1,
        reason="completed",
        age_ms=120,
        start_register_mwh=5_000_000,
        end_register_mwh=5_212_000,
        energy_wh=212,
        energy_flag=EnergyFlag.LAST_READING,
        energy_flags=[EnergyFlag.LAST_READING],
        duration_s=3600,
        electricity_fen=_BILL.bill.electricity_fen,
        service_fen=_BILL.bill.service_fen,
        tariff_version="2026-06",
        money=_BILL,
    ),
    FactKind.START_REFUSED: StartRefused(order="o-2", port=2, source="card", code="port_faulty", card=_CARD),
    FactKind.FAULT_LATCHED: _OVER,
    FactKind.FAULT_FOUND: Fault(guard_boot=_GUARD, event=18, age_ms=20, port=3, code="meter_silent"),
    FactKind.FAULT_CLEARED: Fault(guard_boot=_GUARD, event=19, age_ms=20, port=3, code="meter_silent"),
    FactKind.FAULT_RESET: FaultReset(port=2, by="张工", repair="更换插座"),
    FactKind.COMMAND_RESULT: CommandResult(id="c-1", op="start", ok=True, port=1, session=SESSION),
    FactKind.TESTED: PeriodicResult(test="relays", ok=True, guard_boot=_GUARD, event=21),
    FactKind.ACT_REFUSED: ActRefused(act="SetBudget", source="upstream", by="c-9", code="malformed", detail="above"),
    FactKind.TARIFF_SET: TariffSet(tariff=TARIFF, source="upstream", by="c-5"),
    FactKind.LOCK_SET: LockSet(
        lock=LOCK, port=4, lock_kind="lockout", authority="消防大队", reason="排查线路", source="upstream", by="c-6"
    ),
    FactKind.LOCK_LIFTED: LockLifted(lock=LOCK, authority="消防大队", reason="整改完成", source="upstream", by="c-7"),
    FactKind.LEDGER_UPDATED: LedgerUpdated(entry=12, measure="更换温度探头", state="closed", source="cli", by="张工"),
    FactKind.INSPECTED: Inspected(what="monthly", ok=True, inspector="张工", source="cli"),
    FactKind.START_QUEUED: StartQueued(order="o-3", port=3, source="upstream", position=1, expected_ma=2400),
    FactKind.QUEUE_LEFT: QueueLeft(order="o-3", port=3, why="started", waited_ms=840_000),
    FactKind.BUDGET_SET: BudgetSet(
        limit_ma=20_000, until_ms=_WALL_MS + _HOUR_MS, authority="供电所", reason="迎峰度夏", source="upstream"
    ),
    FactKind.ANCHOR: Anchor(boottime_ms=90_000, wall_ms=_WALL_MS, quality="ntp", step_ms=0, uncertainty_ms=1000),
    FactKind.CARDS_SET: CardsSet(version=12, sha256="5e" * 32, cards=840, denied=3, source="upstream", by="c-8"),
    FactKind.CARD_DENIED: CardDenied(card=_CARD, reason="挂失", source="upstream"),
    FactKind.CARD_ALLOWED: CardAllowed(card=_CARD, reason="找回", source="upstream"),
    FactKind.CARD_LEARNED: CardLearned(card=_CARD, reader="front", name="值班卡", source="cli", by="张工"),
    FactKind.CARD_FORGOTTEN: CardForgotten(card=_CARD, source="cli", by="张工"),
    FactKind.LOG_SALVAGED: LogSalvaged(
        cause="corrupt",
        detail="database disk image is malformed",
        file="journal.db.damaged-1",
        old_log_id="91c0de5f2a7b3468",
        old_last_seq=5120,
        recovered=5118,
        carried=6,
        missing=2,
    ),
    FactKind.FACTS_REMOVED: FactsRemoved(cause="age", count=900, upto=940),
    FactKind.CONFIG_APPLIED: ConfigApplied(version=7, sha256="7b" * 32),
    FactKind.CONFIG_REFUSED: ConfigRefused(
        version=8,
        sha256="8c" * 32,
        code="config_error",
        detail="1: cards.day_cap_fen",
        problems=[
            ConfigProblem(code="above_ceiling", key="cards.day_cap_fen", line=2, detail="900, here 500: only lower.")
        ],
    ),
    FactKind.REMOVED: Removed(since=41),
}
