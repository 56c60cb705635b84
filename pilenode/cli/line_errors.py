"""What can be wrong with a serial device, in words. No serial library is imported here."""

from __future__ import annotations

import errno
from typing import Final

from config.errors import PilenodeError, Wording

_STOP_ZH: Final = (
    "若是 pilenode-guard 在用：先停止它（systemctl stop pilenode-guard）；所有继电器随即断开，"
    "正在进行的充电会中断；完成后再启动它。若是其他程序，先关闭该程序。"
)
_STOP_EN: Final = (
    "If it is pilenode-guard: stop it (systemctl stop pilenode-guard); every relay opens at once and running sessions "
    "end as interrupted; start it again afterwards. If it is another program, close that."
)
WORDS: Final = {
    "line_in_use": Wording(
        "串口正被另一个程序使用。", "The serial device is in use by another program.", _STOP_ZH, _STOP_EN
    ),
    "line_absent": Wording(
        "没有这个串口设备。",
        "There is no such serial device.",
        "检查 USB 转换器是否插好；ls /dev/serial/by-id 列出现有设备。",
        "Check the USB adapter; ls /dev/serial/by-id lists what is there.",
    ),
    "line_forbidden": Wording(
        "没有权限使用串口。",
        "No right to use the serial device.",
        "用 sudo 运行，或把用户加入 dialout 组。",
        "Run it with sudo, or add the user to the group dialout.",
    ),
    "line_failed": Wording(
        "串口设备出错或中途断开。",
        "The serial device failed or was lost on the way.",
        "检查 USB 转换器和插头，然后重试。",
        "Check the USB adapter and its plug, then try again.",
    ),
}
_CODES: Final = {
    errno.EAGAIN: "line_in_use",
    errno.EBUSY: "line_in_use",
    errno.ENOENT: "line_absent",
    errno.ENODEV: "line_absent",
    errno.ENXIO: "line_absent",
    errno.EACCES: "line_forbidden",
    errno.EPERM: "line_forbidden",
}


class LineError(PilenodeError):
    """The serial device could not be used; ``detail`` is what the operating system said."""

    def __init__(self, number: int, detail: str) -> None:
        code = _CODES.get(number, "line_failed")
        words = WORDS[code]
        super().__init__(
            code=code,
            zh=f"{words.zh}（{detail}）",
            en=f"{words.en} ({detail})",
            remedy_zh=words.remedy_zh,
            remedy_en=words.remedy_en,
        )
