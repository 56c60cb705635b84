"""Words of the ledger: kinds of entries, states, columns, and what an entry is about. Nothing heavy is imported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from pilenode.cli.terminal import Terminal

#: The last moment that a calendar can tell in every zone: 9999-12-31. What is later is told as that.
_LAST_MS: Final = 253_402_214_400_000
#: What has opened an entry (``pilenode.station.ledger_entry.EntryKind``).
KINDS: Final = {
    "fault": ("故障", "fault"),
    "test": ("周期试验", "periodic test"),
    "inspection": ("巡检", "inspection"),
    "energy": ("电量存疑", "doubtful energy"),
    "lockout": ("断电措施", "lock-out"),
}
STATES: Final = {
    "open": ("未处理", "open"),
    "in_progress": ("处理中", "in progress"),
    "closed": ("已销号", "closed"),
}
LATE: Final = {"no": ("否", "no"), "yes": ("逾期", "overdue"), "unknown": ("无法判断", "unknown")}
#: Periodic tests and energy flags, which are no codes of the catalogue.
SUBJECTS: Final = {
    "dead_man": ("心跳停止时接触器释放", "contactor drops without heartbeat"),
    "relays": ("全部断开时插座无电", "no socket is live while all are open"),
    "probes": ("静置后探头互相一致", "probes agree at rest"),
    "meters": ("各端口之和与进线一致", "ports add up to the inlet"),
    "rcd": ("漏电保护器试验按钮", "test button of the RCD"),
    "no_baseline": ("缺少起始读数", "no register at the start"),
    "no_reading": ("没有电表读数", "no register at all"),
    "last_reading": ("缺少结束读数，取最后读数", "no register at the end, the last one was taken"),
    "register_backward": ("电表读数回退", "the register ran backward"),
    "lifetime_value": ("起始读数为零，随后为累计值", "0 at the start, then the lifetime of the meter"),
    "register_wrapped": ("电表计数溢出归零", "the register began again at 0"),
    "register_jumped": ("读数跳变，疑似换表", "the register jumped, as after a change of meter"),
    "over_possible": ("电量超过端口可能值", "more energy than the port can give"),
}
#: Steps in the history of an entry (``Step.what``).
STEPS: Final = {
    "found": ("发现", "found"),
    "reset": ("复位（无维修记录）", "reset without a record of repair"),
    "repaired": ("维修并复位", "repaired and reset"),
    "good": ("复检合格", "good again"),
    "lifted": ("解除", "lifted"),
    "updated": ("更新", "updated"),
}
SITE_CLASSES: Final = {
    "outdoor": ("室外独立", "outdoor, free-standing"),
    "shed": ("独立车棚", "shed"),
    "ground_floor": ("架空层", "open ground floor"),
    "garage": ("车库", "garage"),
    "other": ("其他", "other"),
}


def subject(terminal: Terminal, kind: str, code: str) -> str:
    """Return what an entry is about, in words; what has none stands for itself."""
    if kind in {"inspection", "lockout"}:
        return code
    if kind in {"test", "energy"}:  # "rcd" is a test, and a fault of the catalogue too
        return terminal.pick(*SUBJECTS.get(code, (code, code)))
    from safety.catalogue import CATALOGUE  # noqa: PLC0415 - brings all of safety

    known = CATALOGUE.get(code)
    return code if known is None else terminal.pick(known.zh, known.en)


def place_of(terminal: Terminal, port: int | None) -> str:
    """Return the place of an entry."""
    return terminal.pick("整柜", "cabinet") if port is None else terminal.pick(f"端口 {port}", f"port {port}")


def local(wall_ms: int | None, zone: ZoneInfo, unknown: str) -> str:
    """Return a moment as local date and time to the second, or ``unknown``."""
    if wall_ms is None:
        return unknown
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=max(0, min(wall_ms, _LAST_MS)))
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def yuan(fen: int) -> str:
    """Return an amount in fen as yuan with two decimals."""
    sign, whole = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{whole // 100}.{whole % 100:02}"


def kwh(energy_wh: int) -> str:
    """Return an energy in Wh as kWh with three decimals."""
    return f"{energy_wh // 1000}.{energy_wh % 1000:03}"
