"""Why a session ended when nothing was wrong with the cabinet."""

from __future__ import annotations

from safety.catalogue_entry import ending

ENDINGS = (
    ending("full", "电池已充满，自动断电。", "The battery is full; power was cut."),
    ending("planned_energy", "已达到计划电量。", "The planned energy was reached."),
    ending("planned_deadline", "已到计划时刻。", "The planned time of day was reached."),
    ending("planned_duration", "已达到计划时长。", "The planned duration was reached."),
    ending("max_duration", "已达到最长充电时间。", "The longest allowed duration was reached."),
    ending("unplugged", "充电器已拔出。", "The charger was unplugged."),
    ending(
        "no_charger",
        "启动后没有检测到充电器。",
        "No charger was seen after the start.",
        "检查插头后重新启动。",
        "Check the plug and start again.",
    ),
    ending(
        "low_power",
        "充电器始终没有正常工作。",
        "The charger never got going.",
        "检查充电器和电池。",
        "Check charger and battery.",
    ),
    ending(
        "plateau",
        "充电末期功率不再下降，为保护电池已断电。",
        "The power stopped falling near the end of charge; cut to protect the battery.",
        "电池可能老化，建议检修。",
        "The battery may be aged; have it checked.",
    ),
    ending(
        "swapped",
        "充电中途更换了充电器，已断电。",
        "The charger was exchanged for another one during the session; cut.",
        "请重新启动一次充电。",
        "Start a session of your own.",
    ),
    ending(
        "lease_expired",
        "会话进程失去响应，端口已断电。",
        "The session process fell silent; the port was opened.",
        "查看 pilenode-station 服务状态。",
        "Look at the pilenode-station service.",
    ),
    ending("user", "用户停止。", "Stopped by the user."),
    ending("remote", "远程停止。", "Stopped from remote."),
    ending("technician", "技术人员停止。", "Stopped by a technician."),
    ending(
        "guard_restarted",
        "保护进程重启，会话中断。",
        "The cutoff process restarted; the session was interrupted.",
        "查看 pilenode-guard 服务日志。",
        "Look at the log of pilenode-guard.",
    ),
    ending(
        "interrupted",
        "会话中断，原因不明。",
        "The session was interrupted; nobody knows how it ended.",
        "查看两个进程的日志。",
        "Look at the logs of both processes.",
    ),
    ending(
        "never_energised",
        "会话未通电即结束。",
        "The session ended before the port had power.",
        "可以重新启动。",
        "Start again.",
    ),
)
