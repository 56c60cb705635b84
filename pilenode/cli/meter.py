"""``pilenode meter``: everything about meters; no part is loaded before it is used."""

from __future__ import annotations

from pilenode.cli.bilingual import Group, Late, Text

LIST = Text("列出所有电表型号。", "List all meter models.")
SHOW = Text("显示一个型号：寄存器、请求帧、注意事项。", "Show one model: registers, requests, what to know.")
CHECK = Text(
    "检查电表型号文件，一次列出全部错误；正确时显示请求帧和读取时间。",
    "Check a meter profile and list every error at once; show requests and times when it is good.",
)

_MODELS = {
    "list": Late("pilenode.cli.meter_profiles:models", LIST),
    "show": Late("pilenode.cli.meter_profiles:show", SHOW),
    "check": Late("pilenode.cli.meter_profiles:check", CHECK),
}
_LINE = {
    "scan": Late(
        "pilenode.cli.meter_scan:scan",
        Text("在总线上寻找电表。", "Look for meters on a line."),
    ),
    "identify": Late(
        "pilenode.cli.meter_scan:identify",
        Text("判断某地址上是哪种电表。", "Find out which model answers at an address."),
    ),
    "verify": Late(
        "pilenode.cli.meter_verify:verify",
        Text("带负载核对功率与电压、电流、功率因数。", "Check power against volts, amperes and power factor."),
    ),
    "set-address": Late("pilenode.cli.meter_set:set_address", Text("更改电表地址。", "Change the address of a meter.")),
    "set-baud": Late("pilenode.cli.meter_set:set_rate", Text("更改电表波特率。", "Change the baud rate of a meter.")),
    "change-over": Late(
        "pilenode.cli.meter_set:change_over",
        Text("把 DL/T 645 电表改为 Modbus。", "Change a DL/T 645 meter over to Modbus."),
    ),
    "clear-energy": Late(
        "pilenode.cli.meter_clear:clear",
        Text("将电表电能清零（不可恢复）。", "Set the energy register of a meter to zero, for good."),
    ),
}

command = Group(
    "meter",
    text=Text(
        "电表型号；查找、判断、设置和核对电表。使用串口的命令须先停止保护进程。",
        "Meter models; find, identify, set and check meters. Commands that use a serial line need guard to be stopped.",
    ),
    late=_MODELS | _LINE,
)
