"""Every code that a person may meet: what it means in Chinese and English, and what to do about it.

Codes are stable: they are stored in journals and sent upstream. A code is never reused for something else.
The latch class of a fault is written here, beside its words, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Latch(StrEnum):
    """How a fault is released."""

    NONE = "none"  # ends a session or refuses a request; nothing stays behind
    SELF_CLEARING = "self_clearing"  # gone when its cause is gone (with hysteresis); the port needs a new start
    LOCAL_RESET = "local_reset"  # stays until a technician resets it on the spot


class Kind(StrEnum):
    """What sort of code it is."""

    FAULT = "fault"  # protective: found by safety.hazards or by guard about itself
    ENDING = "ending"  # a session ended normally or was ended on purpose
    REFUSAL = "refusal"  # a request was not carried out


@dataclass(frozen=True, slots=True)
class Entry:
    """One code with its words. ``remedy`` says what a person can do."""

    code: str
    kind: Kind
    latch: Latch
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


def _fault(code: str, latch: Latch, zh: str, en: str, remedy_zh: str, remedy_en: str) -> Entry:
    return Entry(code, Kind.FAULT, latch, zh, en, remedy_zh, remedy_en)


def _ending(code: str, zh: str, en: str, remedy_zh: str = "无需处理。", remedy_en: str = "Nothing to do.") -> Entry:
    return Entry(code, Kind.ENDING, Latch.NONE, zh, en, remedy_zh, remedy_en)


def _refusal(code: str, zh: str, en: str, remedy_zh: str, remedy_en: str) -> Entry:
    return Entry(code, Kind.REFUSAL, Latch.NONE, zh, en, remedy_zh, remedy_en)


_ENTRIES = (
    # -- faults ------------------------------------------------------------------------------------------
    _fault(
        "over_current",
        Latch.LOCAL_RESET,
        "端口电流超过限值，已断电并锁定。",
        "The port drew more current than its limit; it was cut and latched.",
        "检查插座、接线和充电器，排除后执行 pilenode reset。",
        "Check socket, wiring and charger, then run pilenode reset.",
    ),
    _fault(
        "over_power",
        Latch.LOCAL_RESET,
        "端口功率超过限值，已断电并锁定。",
        "The port drew more power than its limit; it was cut and latched.",
        "检查是否接入了不合适的负载，排除后执行 pilenode reset。",
        "Look for a load that does not belong here, then run pilenode reset.",
    ),
    _fault(
        "over_temperature",
        Latch.LOCAL_RESET,
        "温度超过断电值，已断电并锁定。",
        "The temperature passed its trip value; the port was cut and latched.",
        "检查插座触点和通风，冷却后执行 pilenode reset。",
        "Inspect contacts and ventilation; after cooling run pilenode reset.",
    ),
    _fault(
        "temperature_high",
        Latch.SELF_CLEARING,
        "温度偏高，暂不允许新的充电。",
        "The temperature is high; no new session starts here for now.",
        "等待冷却；反复出现时检查触点。",
        "Wait until it has cooled; if it comes back, inspect the contacts.",
    ),
    _fault(
        "temperature_warning",
        Latch.SELF_CLEARING,
        "温度达到预警值。",
        "The temperature has reached its warning value.",
        "关注该端口，检查触点和通风。",
        "Watch this port; inspect contacts and ventilation.",
    ),
    _fault(
        "probe_fault",
        Latch.SELF_CLEARING,
        "温度探头无有效读数，暂不允许新的充电。",
        "The temperature probe gives no valid reading; no new session starts here.",
        "检查探头接线和编号。",
        "Check the probe's wiring and id.",
    ),
    _fault(
        "meter_lost",
        Latch.SELF_CLEARING,
        "电表没有新的有效读数，端口已断电。",
        "The meter gives no fresh valid reading; the port is off.",
        "检查 RS-485 接线、地址和波特率。",
        "Check RS-485 wiring, address and baud rate.",
    ),
    _fault(
        "smoke",
        Latch.LOCAL_RESET,
        "烟感或消防输入报警，整柜已断电并锁定。",
        "The smoke or fire input is in alarm; the whole cabinet was cut and latched.",
        "现场确认安全，报警解除后执行 pilenode reset --cabinet。",
        "Make sure the site is safe; once the alarm is gone run pilenode reset --cabinet.",
    ),
    _fault(
        "estop",
        Latch.LOCAL_RESET,
        "急停按钮按下，整柜已断电并锁定。",
        "The emergency stop was pressed; the whole cabinet was cut and latched.",
        "释放急停按钮后执行 pilenode reset --cabinet。",
        "Release the button, then run pilenode reset --cabinet.",
    ),
    _fault(
        "latch_store_failed",
        Latch.SELF_CLEARING,
        "故障锁定无法写入存储，不允许新的充电。",
        "A latch could not be written to disk; no new session starts.",
        "检查存储卡空间和状态。",
        "Check space and health of the storage.",
    ),
    _fault(
        "latch_store_damaged",
        Latch.LOCAL_RESET,
        "故障锁定文件损坏，所有端口按锁定处理。",
        "The file of latched faults is damaged; every port is treated as latched.",
        "检查每个端口后逐个执行 pilenode reset，并检查存储卡。",
        "Inspect each port, then run pilenode reset for each; check the storage.",
    ),
    # -- endings -----------------------------------------------------------------------------------------
    _ending("full", "电池已充满，自动断电。", "The battery is full; power was cut."),
    _ending("planned_energy", "已达到计划电量。", "The planned energy was reached."),
    _ending("planned_duration", "已达到计划时长。", "The planned duration was reached."),
    _ending("max_duration", "已达到最长充电时间。", "The longest allowed duration was reached."),
    _ending("unplugged", "充电器已拔出。", "The charger was unplugged."),
    _ending(
        "no_charger",
        "启动后没有检测到充电器。",
        "No charger was seen after the start.",
        "检查插头后重新启动。",
        "Check the plug and start again.",
    ),
    _ending(
        "low_power",
        "充电器始终没有正常工作。",
        "The charger never got going.",
        "检查充电器和电池。",
        "Check charger and battery.",
    ),
    _ending(
        "plateau",
        "充电末期功率不再下降，为保护电池已断电。",
        "The power stopped falling near the end of charge; cut to protect the battery.",
        "电池可能老化，建议检修。",
        "The battery may be aged; have it checked.",
    ),
    _ending(
        "rising",
        "充电末期功率回升，可能热失控，已断电。",
        "The power rose again near the end of charge, a sign of thermal runaway; cut.",
        "请立即检查电池，勿继续充电。",
        "Have the battery checked at once; do not charge it again.",
    ),
    _ending(
        "no_taper",
        "充电功率始终不下降，充电器可能失控，已断电。",
        "The power never fell; the charger may have lost its limit; cut.",
        "更换充电器。",
        "Replace the charger.",
    ),
    _ending(
        "added_load",
        "充电中途接入了其他负载，已断电。",
        "Another load was added during the charge; cut.",
        "每个插座只接一个充电器。",
        "One charger per socket.",
    ),
    _ending(
        "swapped",
        "充电中途更换了充电器，已断电。",
        "The charger was exchanged for another one during the session; cut.",
        "请重新启动一次充电。",
        "Start a session of your own.",
    ),
    _ending(
        "lease_expired",
        "会话进程失去响应，端口已断电。",
        "The session process fell silent; the port was opened.",
        "查看 pilenode-station 服务状态。",
        "Look at the pilenode-station service.",
    ),
    _ending("user", "用户停止。", "Stopped by the user."),
    _ending("remote", "远程停止。", "Stopped from remote."),
    _ending("technician", "技术人员停止。", "Stopped by a technician."),
    _ending(
        "guard_restarted",
        "保护进程重启，会话中断。",
        "The cutoff process restarted; the session was interrupted.",
        "查看 pilenode-guard 服务日志。",
        "Look at the log of pilenode-guard.",
    ),
    _ending(
        "interrupted",
        "会话中断，原因不明。",
        "The session was interrupted; nobody knows how it ended.",
        "查看两个进程的日志。",
        "Look at the logs of both processes.",
    ),
    _ending(
        "never_energised",
        "会话未通电即结束。",
        "The session ended before the port had power.",
        "可以重新启动。",
        "Start again.",
    ),
    # -- refusals ----------------------------------------------------------------------------------------
    _refusal(
        "unknown_port",
        "没有这个端口。",
        "There is no such port.",
        "用 pilenode status 查看端口。",
        "See pilenode status.",
    ),
    _refusal(
        "port_busy",
        "端口正在使用。",
        "The port is in use.",
        "等待或先停止当前会话。",
        "Wait, or stop the running session.",
    ),
    _refusal(
        "port_faulty",
        "端口有故障锁定或当前故障。",
        "The port has a fault, latched or standing.",
        "用 pilenode status 查看故障。",
        "See pilenode status for the fault.",
    ),
    _refusal(
        "cabinet_faulty",
        "整柜有故障锁定或当前故障。",
        "The cabinet has a fault, latched or standing.",
        "用 pilenode status 查看故障。",
        "See pilenode status for the fault.",
    ),
    _refusal(
        "port_locked",
        "端口已被管理锁定。",
        "The port is locked by an authority.",
        "联系管理单位。",
        "Ask the authority that locked it.",
    ),
    _refusal(
        "session_ended",
        "该会话已结束，不能再次通电。",
        "That session has ended and cannot be given power again.",
        "新建一次会话。",
        "Start a new session.",
    ),
    _refusal(
        "wrong_session",
        "端口上不是这个会话。",
        "Another session, or none, is on that port.",
        "用 pilenode status 查看会话。",
        "See pilenode status.",
    ),
    _refusal(
        "order_conflict",
        "订单号已用于其他内容。",
        "That order id was used with other content.",
        "使用新的订单号。",
        "Use a new order id.",
    ),
    _refusal(
        "bad_plan",
        "计划超出允许范围。",
        "The plan is outside what is allowed.",
        "修改计划。",
        "Change the plan.",
    ),
    _refusal(
        "expired",
        "命令已过期。",
        "The command has expired.",
        "重新下发。",
        "Send it again.",
    ),
    _refusal(
        "retained_command",
        "拒绝保留消息中的命令。",
        "A command in a retained message is not carried out.",
        "以非保留方式发送。",
        "Send it without the retain flag.",
    ),
    _refusal(
        "malformed",
        "消息格式不正确。",
        "The message is malformed.",
        "按接口文档修改。",
        "See the interface description.",
    ),
    _refusal(
        "oversized",
        "消息过长。",
        "The message is too long.",
        "按接口文档缩短。",
        "Shorten it; see the interface description.",
    ),
    _refusal(
        "not_allowed",
        "没有权限。",
        "You have no right to do that.",
        "使用授权用户或用户组。",
        "Use an authorised user or group.",
    ),
    _refusal(
        "protocol_mismatch",
        "协议版本不一致。",
        "The protocol versions differ.",
        "升级到同一版本。",
        "Install the same version of both.",
    ),
    _refusal(
        "guard_absent",
        "保护进程没有应答。",
        "The cutoff process does not answer.",
        "查看 pilenode-guard 服务。",
        "Look at the pilenode-guard service.",
    ),
    _refusal(
        "station_absent",
        "会话进程没有应答。",
        "The session process does not answer.",
        "查看 pilenode-station 服务。",
        "Look at the pilenode-station service.",
    ),
    _refusal(
        "journal_failed",
        "记录无法写入，不能开始新的会话。",
        "The record cannot be kept, so no session starts.",
        "检查存储空间和状态。",
        "Check space and health of the storage.",
    ),
    _refusal(
        "nothing_latched",
        "没有可复位的锁定。",
        "There is nothing to reset.",
        "用 pilenode status 查看。",
        "See pilenode status.",
    ),
    _refusal(
        "cause_present",
        "故障原因仍然存在，不能复位。",
        "The cause of the fault is still there; it cannot be reset.",
        "先排除原因。",
        "Remove the cause first.",
    ),
    _refusal(
        "starting_up",
        "启动自检尚未完成。",
        "Start-up is not complete.",
        "稍候再试。",
        "Try again in a moment.",
    ),
)

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in _ENTRIES}

if len(CATALOGUE) != len(_ENTRIES):
    raise ValueError("a code stands twice in the catalogue")
