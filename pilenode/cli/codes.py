"""Every code a person may meet, from all five places that define codes, and the table of them for the manual.

``python -m pilenode.cli.codes zh docs/manual.zh-CN.md`` (and ``en docs/manual.md``) brings the manual up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple

from config.errors import WORDS, Wording
from pilenode.cli.exits import MEANINGS
from pilenode.cli.line_errors import WORDS as LINE_WORDS
from pilenode.cli.reader_words import READERS
from pilenode.identity.words import WORDS as IDENTITY_WORDS
from safety.catalogue import CATALOGUE
from safety.reading import MissingReason


class Code(NamedTuple):
    """One code.

    ``kind`` is fault, ending, refusal, configuration, reading, reader, connection or program; ``latch`` is for faults.
    """

    code: str
    kind: str
    latch: str
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


_WIRING = ("检查接线、地址、波特率和校验位。", "Check wiring, address, baud rate and parity.")
_METER = ("检查电表型号和地址设置。", "Check the model and address of the meter.")

#: Why a reading is missing (``safety.reading.MissingReason``).
READINGS: Final = {
    MissingReason.NEVER_READ: Wording(
        "启动以来尚未读到。",
        "Nothing was read since the start.",
        "稍候；仍无读数时检查接线。",
        "Wait; then check the wiring.",
    ),
    MissingReason.TIMEOUT: Wording("电表没有应答。", "The meter does not answer.", *_WIRING),
    MissingReason.BAD_CRC: Wording("应答校验错误。", "The reply has a wrong checksum.", *_WIRING),
    MissingReason.BAD_FRAME: Wording("应答格式错误。", "The reply is no valid frame.", *_WIRING),
    MissingReason.WRONG_UNIT: Wording("应答来自其他地址。", "The reply came from another address.", *_METER),
    MissingReason.EXCEPTION_REPLY: Wording("电表拒绝了读取。", "The meter refused to be read.", *_METER),
    MissingReason.OUT_OF_RANGE: Wording("读数超出合理范围。", "The value is beyond anything plausible.", *_METER),
    MissingReason.BUS_LOST: Wording(
        "串口设备不存在或已断开。", "The serial device is missing.", "检查 USB 转换器。", "Check the USB adapter."
    ),
    MissingReason.PROBE_FAULT: Wording(
        "温度探头读数无效。",
        "The temperature probe gives no valid value.",
        "检查探头接线。",
        "Check the probe's wiring.",
    ),
    MissingReason.PROBE_OPEN: Wording(
        "找不到温度探头，可能断线。",
        "The temperature probe is not there; a wire may be broken.",
        "检查探头接线和编号。",
        "Check the probe's wiring and id.",
    ),
    MissingReason.PROBE_SHORT: Wording(
        "温度探头数据线短路。",
        "The data line of the temperature probe is shorted.",
        "检查探头接线和插头。",
        "Check the probe's wiring and plug.",
    ),
    MissingReason.PROBE_RESET: Wording(
        "温度探头只报上电值 85 °C，没有测量。",
        "The temperature probe shows its power-on value of 85 °C and does not measure.",
        "检查探头供电和上拉电阻。",
        "Check the probe's supply and the pull-up resistor.",
    ),
}
#: Codes of the command line itself.
_PROGRAM: Final = {
    "usage": Wording("命令用法错误。", "The command was used wrongly.", "用 --help 查看用法。", "See --help."),
    "internal": Wording("程序内部错误。", "Internal error.", "这是程序缺陷，请报告。", "This is a bug; report it."),
    **LINE_WORDS,
}
_KINDS: Final = {
    "fault": ("故障", "fault"),
    "ending": ("结束", "ending"),
    "refusal": ("拒绝", "refusal"),
    "configuration": ("配置", "configuration"),
    "reading": ("读数", "reading"),
    "reader": ("读卡器", "card reader"),
    "connection": ("连接", "connection"),
    "program": ("程序", "program"),
}
_LATCHES: Final = {
    "none": ("", ""),
    "self_clearing": ("原因消失后自动解除", "clears by itself"),
    "local_reset": ("需现场复位", "needs a reset on the spot"),
    "repair": ("需维修记录", "needs a record of the repair"),
}


def every() -> dict[str, Code]:
    """Return all codes by name. Where two places use one code, the catalogue's words count."""
    found = {code: Code(code, "program", "none", *words) for code, words in _PROGRAM.items()}
    found |= {str(code): Code(str(code), "reading", "none", *words) for code, words in READINGS.items()}
    found |= {code: Code(code, "reader", "none", *words) for code, words in READERS.items()}
    found |= {code: Code(code, "connection", "none", *words) for code, words in IDENTITY_WORDS.items()}
    found |= {code: Code(code, "configuration", "none", *words) for code, words in WORDS.items()}
    found |= {
        code: Code(code, str(one.kind), str(one.latch), one.zh, one.en, one.remedy_zh, one.remedy_en)
        for code, one in CATALOGUE.items()
    }
    order = [*_KINDS]
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1].kind), item[0])))


def kind_words(code: Code) -> tuple[str, str]:
    """Return what sort of code it is, in Chinese and English, with how a fault is released."""
    (zh, en), (latch_zh, latch_en) = _KINDS[code.kind], _LATCHES[code.latch]
    return f"{zh}，{latch_zh}" if latch_zh else zh, f"{en}, {latch_en}" if latch_en else en


def code_table(language: str) -> str:
    """Return all codes as a Markdown table in the ``language`` "zh" or "en"."""
    heads = (("Code", "Kind", "Meaning", "What to do"), ("代码", "类别", "含义", "办法"))[language == "zh"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|---|"]
    for one in every().values():
        zh_kind, en_kind = kind_words(one)
        cells = (zh_kind, one.zh, one.remedy_zh) if language == "zh" else (en_kind, one.en, one.remedy_en)
        lines.append(f"| `{one.code}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def exit_table(language: str) -> str:
    """Return the exit statuses as a Markdown table in the ``language`` "zh" or "en"."""
    heads = (("Status", "Meaning"), ("状态", "含义"))[language == "zh"]
    rows = (f"| {int(status)} | {words[language == 'en']} |" for status, words in MEANINGS.items())
    return "\n".join(("| " + " | ".join(heads) + " |", "|---|---|", *rows)) + "\n"


def renew(text: str, language: str) -> str:
    """Return the manual ``text`` with both tables brought up to date between their markers."""
    for name, table in (("exits", exit_table(language)), ("codes", code_table(language))):
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->\n")
        text = f"{before}{start}{table}{end}{after}"
    return text


if __name__ == "__main__":
    _manual = Path(sys.argv[2])
    _manual.write_text(renew(_manual.read_text(encoding="utf-8"), sys.argv[1]), encoding="utf-8")
