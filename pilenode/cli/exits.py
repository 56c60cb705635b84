"""The exit statuses of ``pilenode``: one table, shown by ``--help`` and in the manual."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    BUG = 1
    USAGE = 2
    REFUSED = 3
    NO_ANSWER = 4
    NO_RIGHTS = 5
    HARDWARE = 6
    FAILED = 7
    INTERRUPTED = 130


#: Meaning of each status in Chinese and English.
MEANINGS: Final[dict[Exit, tuple[str, str]]] = {
    Exit.OK: ("成功", "done"),
    Exit.BUG: ("程序内部错误", "internal error"),
    Exit.USAGE: ("用法或配置错误，未执行任何操作", "usage or configuration error; nothing was done"),
    Exit.REFUSED: ("机柜拒绝了请求", "the cabinet refused the request"),
    Exit.NO_ANSWER: ("进程没有应答", "a process does not answer"),
    Exit.NO_RIGHTS: ("没有权限", "no right to do that"),
    Exit.HARDWARE: ("硬件接口不可用（GPIO、读卡器）", "the hardware interface (GPIO, card reader) cannot be used"),
    Exit.FAILED: ("周期试验不合格", "a periodic test has failed"),
    Exit.INTERRUPTED: ("被中断", "interrupted"),
}

_BY_CODE: Final = {
    "config_error": Exit.USAGE,
    "usage": Exit.USAGE,
    "internal": Exit.BUG,
    "not_allowed": Exit.NO_RIGHTS,
    "station_absent": Exit.NO_ANSWER,
    "guard_absent": Exit.NO_ANSWER,
    "protocol_mismatch": Exit.NO_ANSWER,
    "reader_absent": Exit.HARDWARE,
    "reader_busy": Exit.HARDWARE,
    "reader_denied": Exit.NO_RIGHTS,
    "reader_failed": Exit.BUG,
    "reader_lost": Exit.HARDWARE,
    "reader_silent": Exit.HARDWARE,
    "reader_starting": Exit.HARDWARE,
    "reader_unusable": Exit.HARDWARE,
}


def status_of(code: str) -> Exit:
    """Return the exit status of an error ``code``; what the cabinet says without being listed is a refusal."""
    return _BY_CODE.get(code, Exit.REFUSED)
