"""Names of the paths and parts of a budget, in Chinese and English, and how each part is computed, in words."""

from __future__ import annotations

from typing import Final, NamedTuple


class PathWords(NamedTuple):
    """A way from a hazard to an open relay."""

    zh: str
    en: str


class TermWords(NamedTuple):
    """A part of such a way. ``mark`` is its character in a bar."""

    mark: str
    zh: str
    en: str
    formula_zh: str
    formula_en: str


PATHS: Final = {
    "seen": PathWords("过流，线路正常", "over-current, the wire works"),
    "silence": PathWords("过流，电表在最坏时刻失联", "over-current, the meter falls silent at the worst moment"),
    "contact": PathWords("外部触点", "an external contact"),
    "contactor": PathWords("外部触点，到主接触器断开", "an external contact, until the master contactor is open"),
    "over_current_1.1": PathWords("1.1 倍过载", "1.1 times the limit"),
    "over_current_1.2": PathWords("1.2 倍过载", "1.2 times the limit"),
    "over_current_1.4": PathWords("1.4 倍过载", "1.4 times the limit"),
    "voltage": PathWords("过压或欠压", "over- or under-voltage"),
    "heat": PathWords("温度达到跳闸值", "trip temperature"),
    "weld": PathWords("继电器粘连，到主接触器断开", "welded relay, until the master contactor is open"),
}

TERMS: Final = {
    "refresh": TermWords(
        "r",
        "电表数据更新",
        "registers of the meter",
        "型号的 refresh_ms",
        "refresh_ms of its model: that old they may be",
    ),
    "missed": TermWords(
        "m", "刚好错过的读取", "the poll that just missed it", "本表一次完整读取", "one whole poll of this meter"
    ),
    "wait": TermWords(
        "W",
        "等待轮到",
        "waiting for its turn",
        "其他电表各一次，失效表按其代价，其余各读两次；至多到 meter_max_age_s",
        "the others: dead ones at their price, the rest twice",
    ),
    "first": TermWords("1", "第一次读到", "its own first reading", "本表一次完整读取", "one whole poll of this meter"),
    "confirm": TermWords(
        "2", "确认读取", "its own confirming reading", "立即再读一次快速块", "its fast blocks once more, at once"
    ),
    "sample": TermWords(
        "s", "读取本身", "the read itself", "从采样到读数完成", "from the sampling to the end of the read"
    ),
    "age": TermWords("A", "读数有效期", "age limit of a reading", "limits.meter_max_age_s", "limits.meter_max_age_s"),
    "unconfirmed": TermWords(
        "c",
        "等待确认",
        "waiting for a confirmation",
        "过流读数无人反驳即成立的时间",
        "then a reading without a contradiction counts",
    ),
    "look": TermWords("l", "发现触点", "until a tick sees it", "一个判断周期", "one tick"),
    "debounce": TermWords("d", "去抖", "debounce", "input.debounce_s", "input.debounce_s"),
    "tick": TermWords("t", "判断周期", "the tick that judges", "50 毫秒加 10 毫秒延迟", "50 ms and 10 ms of lateness"),
    "release": TermWords(
        "o",
        "触点断开",
        "release of the contacts",
        "promise.relay_release_ms 或 contactor_release_ms",
        "promise.relay_release_ms or contactor_release_ms",
    ),
    "dwell": TermWords("D", "允许持续时间", "borne on purpose", "[limits] 中的时间", "its time in [limits]"),
    "settle": TermWords("e", "断开后稳定", "settling after opening", "limits.weld_settle_s", "limits.weld_settle_s"),
    "samples": TermWords("n", "两次读数", "two readings", "两轮读取", "two turns of this meter"),
    "probes": TermWords(
        "p",
        "探头轮询",
        "until its probe is read",
        "每个 1-wire 探头 0.8 秒，加所在线路的 interval_s",
        "0.8 s per 1-wire probe; interval_s of its wire",
    ),
}
