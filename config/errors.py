"""The exception tree for configuration and usage trouble, and the words of every configuration problem.

Hardware trouble is a value (``safety.reading.Missing``) and never stands here. Codes are stable; nothing matches
on the text of a message.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class PilenodeError(Exception):
    """Something that the person at the keyboard can put right.

    ``code`` is stable; ``zh`` and ``en`` say what happened, ``remedy_zh`` and ``remedy_en`` what to do.
    """

    def __init__(self, *, code: str, zh: str, en: str, remedy_zh: str, remedy_en: str) -> None:
        super().__init__(f"{code}: {en}")
        self.code = code
        self.zh = zh
        self.en = en
        self.remedy_zh = remedy_zh
        self.remedy_en = remedy_en


class Wording(NamedTuple):
    """What a code means, and what to do about it."""

    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


#: Every code that a configuration file can earn. The details (value, range, line) are added by the finder.
WORDS: dict[str, Wording] = {
    "config_error": Wording(
        "配置有错误，未执行任何操作。",
        "The configuration has errors; nothing was done.",
        "逐条改正后再运行 pilenode config check。",
        "Correct each of them, then run pilenode config check again.",
    ),
    "unreadable": Wording(
        "文件无法读取。",
        "The file cannot be read.",
        "检查路径、权限和 UTF-8 编码。",
        "Check path, rights and UTF-8 encoding.",
    ),
    "syntax": Wording(
        "不是有效的 TOML。",
        "This is not valid TOML.",
        "改正该行；改正之前无法检查其余内容。",
        "Correct that line; the rest cannot be checked before.",
    ),
    "unknown_key": Wording(
        "没有这个键。",
        "There is no such key.",
        "改正拼写或删除；全部键见 docs/config.md。",
        "Correct its spelling or remove it; docs/config.md lists every key.",
    ),
    "missing_key": Wording(
        "缺少必需的键。",
        "A required key is missing.",
        "补上该键；可参考 config/example.toml。",
        "Add it; config/example.toml shows how.",
    ),
    "wrong_type": Wording(
        "类型不对。", "The type is wrong.", "按要求的类型书写。", "Write a value of the type asked for."
    ),
    "out_of_range": Wording(
        "数值超出允许范围。",
        "The value is outside the allowed range.",
        "改为范围内的数值。",
        "Choose a value within the range.",
    ),
    "wrong_length": Wording(
        "长度超出允许范围。",
        "The length is outside the allowed range.",
        "改为允许的长度。",
        "Keep to the allowed length.",
    ),
    "wrong_format": Wording(
        "格式不对。", "The format is wrong.", "按要求的格式书写。", "Write it in the format asked for."
    ),
    "not_one_of": Wording(
        "不是允许的取值。",
        "This is not one of the allowed values.",
        "选用列出的取值之一。",
        "Choose one of the values listed.",
    ),
    "duplicate": Wording("重复使用。", "This is used twice.", "每处使用不同的值。", "Give each its own."),
    "unstable_name": Wording(
        "按编号命名的转换器在下次启动后可能互换，读数会归到别的端口。",
        "Numbered adapters may change places at the next start, and readings would be taken for another port's.",
        "改用 /dev/serial/by-id/…；ls -l /dev/serial/by-id 列出名称。",
        "Use /dev/serial/by-id/…; ls -l /dev/serial/by-id lists the names.",
    ),
    "unknown_reference": Wording(
        "引用的名称不存在。",
        "The name refers to nothing.",
        "选用列出的名称之一。",
        "Choose one of the names listed.",
    ),
    "overlap": Wording(
        "两个范围重叠。",
        "Two ranges overlap.",
        "按电表说明书核对地址、类型和数量。",
        "Check address, type and count against the manual of the meter.",
    ),
    "wrong_meter": Wording(
        "此处不能使用这个电表型号。",
        "This meter model cannot be used here.",
        "改用合适的型号；pilenode meter list 列出每个型号的用途。",
        "Choose another model; pilenode meter list tells what each is for.",
    ),
    "above_cabinet_limit": Wording(
        "端口限值高于整柜限值。",
        "The limit of the port is above that of the cabinet.",
        "端口只能下调；降低该值或删除。",
        "A port may only lower it; reduce or remove the value.",
    ),
    "wrong_order": Wording(
        "大小关系不对。", "Two values contradict each other.", "调整两者之一。", "Change one of the two."
    ),
    "incomplete": Wording(
        "缺少配套的键。",
        "A key that belongs to this one is missing.",
        "两者同时设置或同时删除。",
        "Set both or neither.",
    ),
    "without_effect": Wording(
        "此处设置不起作用。",
        "This has no effect here.",
        "删除该键，或改用它所属的类型。",
        "Remove it, or use it where it belongs.",
    ),
    "unknown_zone": Wording(
        "没有这个时区。",
        "There is no such time zone.",
        "用 IANA 名称，例如 Asia/Shanghai。",
        "Use an IANA name, such as Asia/Shanghai.",
    ),
    "tariff_gap": Wording(
        "电价有空缺：有的时刻没有价格。",
        "The prices have a gap: some time has none.",
        "补上时段或版本，使每个时刻恰有一个价格。",
        "Add the missing period or version: every moment has exactly one price.",
    ),
    "tariff_overlap": Wording(
        "电价重叠：有的时刻有两个价格。",
        "The prices overlap: some time has two.",
        "调整时段或生效时间，使每个时刻恰有一个价格。",
        "Change periods or validity: every moment has exactly one price.",
    ),
    "tariff_order": Wording(
        "电价版本或时段的次序不对。",
        "Versions or periods of the prices are out of order.",
        "版本按生效时间递增，名称不重复；时段的开始早于结束。",
        "Let versions begin one after the other under different names, and let a period begin before it ends.",
    ),
    "tariff_negative": Wording(
        "价格为负。",
        "A price is negative.",
        "价格不得小于 0。",
        "No price is below 0.",
    ),
    "tariff_too_high": Wording(
        "价格高得不可信。",
        "A price is too high to be believed.",
        "单位是 0.001 元；核对后改正。",
        "The unit is 0.001 yuan; check and correct it.",
    ),
    "tariff_service": Wording(
        "服务费的计费方式多于一种。",
        "The service fee is asked for in more than one way.",
        "按电量、按小时、按功率档，三者选一。",
        "Choose one: by the kWh, by the hour, or by power tier.",
    ),
    "tariff_no_tiers": Wording(
        "功率档为空。",
        "There are no power tiers.",
        "至少给出一档，或删除 service_tier。",
        "Give at least one tier, or leave service_tier out.",
    ),
    "tariff_tiers": Wording(
        "功率档不对。",
        "The power tiers are wrong.",
        "各档功率为 100 W 的整数倍并递增。",
        "Tiers end at multiples of 100 W and rise.",
    ),
    "not_from_afar": Wording(
        "这个键不能远程设置。",
        "This cannot be set from afar.",
        "从下发的配置中删除；需要时在机柜的配置文件里修改。",
        "Leave it out of what is sent; where it is needed, change the cabinet's own file.",
    ),
    "above_ceiling": Wording(
        "比机柜自己的配置宽松。",
        "This is looser than the cabinet's own file.",
        "远程只能收紧；改为不宽于本地的值，或由技术员修改机柜的配置文件。",
        "From afar it may only be made tighter: keep to the cabinet's own value, or let a technician change its file.",
    ),
    "promise_broken": Wording(
        "最坏断电时间超过承诺值。",
        "The worst-case time from a hazard to an open relay is over the promise.",
        "减小 limits.meter_max_age_s 或 bus.turnaround_ms、提高波特率，或换用刷新更快的电表；详见 pilenode budget。",
        "Lower limits.meter_max_age_s or bus.turnaround_ms, raise the baud rate, or use a meter that renews its values "
        "faster; pilenode budget shows every part.",
    ),
    "sweep_too_long": Wording(
        "轮询太慢，读数会过期，正常端口会被断电。",
        "The meters of this bus are read too slowly: readings would expire and healthy ports be cut.",
        "提高波特率、把部分电表分到第二条总线、减小 promise.dead_meters，或增大 limits.meter_max_age_s。",
        "Raise the baud rate, move meters to a second bus, allow fewer promise.dead_meters, or raise "
        "limits.meter_max_age_s.",
    ),
}


class Problem(NamedTuple):
    """One thing wrong with a configuration file.

    ``key`` is a path such as ``port[2].meter.unit``, tables counted from 1 in the order of the file, and empty when
    the file as a whole is meant. ``line`` counts from 1; it is None when the place cannot be told.
    """

    file: str
    key: str
    line: int | None
    code: str
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


def problem(*, file: str, key: str, line: int | None, code: str, zh: str, en: str) -> Problem:
    """Return the Problem of ``code`` in its own words, followed by the details ``zh`` and ``en``."""
    words = WORDS[code]
    return Problem(
        file=file,
        key=key,
        line=line,
        code=code,
        zh=f"{words.zh}{zh}",
        en=f"{words.en} {en}".rstrip(),
        remedy_zh=words.remedy_zh,
        remedy_en=words.remedy_en,
    )


def similar(word: str, known: Iterable[str]) -> tuple[str, str]:
    """Return "did you mean" in Chinese and English, or empty strings when nothing is close."""
    close = difflib.get_close_matches(word[:64], [*known], n=1)
    return (f"是否想写 {close[0]}？", f"Did you mean {close[0]}?") if close else ("", "")


class ConfigError(PilenodeError, ValueError):
    """A configuration that cannot be used; ``problems`` holds every reason that one run can find."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        words = WORDS["config_error"]
        super().__init__(
            code="config_error", zh=words.zh, en=words.en, remedy_zh=words.remedy_zh, remedy_en=words.remedy_en
        )
        self.problems = tuple(problems)

    def __str__(self) -> str:
        places = (f"{one.file}:{one.line or '?'}: {one.key}: {one.en}" for one in self.problems)
        return "\n".join((self.en, *places))
