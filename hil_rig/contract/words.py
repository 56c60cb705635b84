"""What every kind of fact means, in Chinese and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pilenode.upstream.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Final[Mapping[FactKind, tuple[str, str]]] = {
    FactKind.BOOT: ("会话进程启动", "the station process started"),
    FactKind.SESSION_STARTED: ("充电会话开始", "a session started"),
    FactKind.CHECKPOINT: ("会话中的电量与用量存盘", "the reading of a running session made durable"),
    FactKind.LEG_ENDED: ("会话中断，待续", "the power of a session was interrupted"),
    FactKind.LEG_STARTED: ("会话恢复供电", "a session goes on"),
    FactKind.SESSION_MODIFIED: ("会话计划变更", "the plan of a session was changed"),
    FactKind.SESSION_ENDED: ("充电会话结束及账单", "a session ended, with its bill"),
    FactKind.START_REFUSED: ("拒绝启动", "a start was refused"),
    FactKind.FAULT_LATCHED: ("故障锁定", "a fault latched"),
    FactKind.FAULT_FOUND: ("发现异常，未锁定", "a fault stands without latching"),
    FactKind.FAULT_CLEARED: ("异常消失", "a fault went away"),
    FactKind.FAULT_RESET: ("人工解除故障锁定", "a person released a latch"),
    FactKind.COMMAND_RESULT: ("后台命令的结果", "what became of a command"),
    FactKind.TESTED: ("定期检测", "a periodic test was done"),
    FactKind.ACT_REFUSED: ("拒绝管理操作", "an administrative act was refused"),
    FactKind.TARIFF_SET: ("电价表生效", "a schedule of prices was put in force"),
    FactKind.LOCK_SET: ("端口或机柜锁定", "a port or the cabinet was locked"),
    FactKind.LOCK_LIFTED: ("解除锁定", "a lock was lifted"),
    FactKind.LEDGER_UPDATED: ("台账更新", "an entry of the ledger was written into"),
    FactKind.INSPECTED: ("巡检", "somebody inspected something"),
    FactKind.START_QUEUED: ("启动排队", "a start waits for its turn"),
    FactKind.QUEUE_LEFT: ("离开队列", "a start waits no longer"),
    FactKind.BUDGET_SET: ("机柜总电流限额", "the budget of the cabinet was set"),
    FactKind.ANCHOR: ("时钟锚点", "what ties the clock of a boot to the calendar"),
    FactKind.CARDS_SET: ("新卡片名单生效", "a new list of cards counts"),
    FactKind.CARD_DENIED: ("卡片停用", "a card is refused from now on"),
    FactKind.CARD_ALLOWED: ("卡片恢复", "the refusal of a card was taken back"),
    FactKind.CARD_LEARNED: ("就地登记卡片", "a card was learned at the cabinet"),
    FactKind.CARD_FORGOTTEN: ("就地删除卡片", "a learned card was struck out"),
    FactKind.LOG_SALVAGED: ("日志重建", "the log had to begin anew"),
    FactKind.FACTS_REMOVED: ("删除旧事实", "facts were taken out of this log"),
    FactKind.CONFIG_APPLIED: ("配置生效", "another configuration is in force"),
    FactKind.CONFIG_REFUSED: ("拒绝远程配置", "a desired configuration does not count"),
    FactKind.REMOVED: ("占位：已删除的事实", "stands in the place of facts that were removed"),
}
