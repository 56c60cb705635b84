"""The words of commissioning: what a search found, what speaks for a model, how a change came out. zh and en."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.commission_steps import State
from drivers.commission_steps import Why as Answer
from drivers.identify import Verdict, Why
from drivers.scan import Kind
from pilenode.cli.bilingual import Text

if TYPE_CHECKING:
    from drivers.commission_steps import Outcome
    from drivers.identify import Identification, Reason
    from drivers.scan import Finding

_MINUTE_S: Final = 60
#: Bytes of an unreadable answer that are shown.
_SHOWN_BYTES: Final = 12


def seconds_words(seconds: float) -> Text:
    """Return a time in words."""
    whole = max(1, round(seconds)) if seconds > 0 else 0
    if whole < _MINUTE_S:
        return Text(f"{whole} 秒", f"{whole} s")
    minutes, rest = divmod(whole, _MINUTE_S)
    return Text(f"{minutes} 分 {rest:02} 秒", f"{minutes} min {rest:02} s")


# -- search ------------------------------------------------------------------------------------------------

_FOUND: Final = {
    Kind.METER: Text("有电表应答", "a meter answers"),
    Kind.UNSTEADY: Text(
        "应答时好时坏：可能有两个电表用同一地址，或线路质量差",
        "answers well and badly by turns: two meters with this address, or a bad line",
    ),
    Kind.SEVERAL: Text(
        "同一问题有两个应答：两个电表用同一地址，请逐个接入并改地址",
        "two answers to one question: two meters have this address; connect them one by one and set the address",
    ),
    Kind.GARBAGE: Text(
        "有应答但无法读懂：两个电表用同一地址、校验位不同，或有干扰",
        "somebody answers unreadably: two meters with this address, another parity, or noise",
    ),
    Kind.DLT645: Text(
        "DL/T 645 电表；用 pilenode meter change-over 改为 Modbus",
        "a DL/T 645 meter; pilenode meter change-over makes it speak Modbus",
    ),
    Kind.DLT645_GARBAGE: Text(
        "DL/T 645 呼叫有应答但无法读懂：可能不止一个，请逐个接入",
        "the DL/T 645 call is answered unreadably: there may be several; connect them one by one",
    ),
    Kind.ECHO: Text("转换器会听到自己发出的内容（不影响使用）", "the adapter hears what it sends itself (no harm)"),
    Kind.BABBLE: Text(
        "线路上有人不停说话：另有主站，或有故障设备",
        "somebody talks without being asked: another master on this line, or a faulty device",
    ),
}


def finding_words(finding: Finding) -> Text:
    """Return one line about a finding."""
    place_zh = f"{finding.format}，地址 {finding.unit}" if finding.unit else str(finding.format)
    place_en = f"{finding.format}, address {finding.unit}" if finding.unit else str(finding.format)
    words = _FOUND[finding.kind]
    more_zh, more_en = "", ""
    if finding.kind is Kind.METER:
        names = ", ".join(f"{one:02}" for one in finding.functions)
        more_zh = f"（功能 {names} 有数据）" if names else "（拒绝试探的寄存器，但在线）"
        more_en = f" (function {names} brings data)" if names else " (refuses what was tried, but is there)"
    elif finding.kind is Kind.DLT645:
        more_zh, more_en = f"，表号 {finding.address}", f", number {finding.address}"
    elif finding.raw:
        more = finding.raw[:_SHOWN_BYTES].hex(" ") + (" …" if len(finding.raw) > _SHOWN_BYTES else "")
        more_zh, more_en = f"：{more}", f": {more}"
    return Text(f"{place_zh}：{words.zh}{more_zh}", f"{place_en}: {words.en}{more_en}")


# -- identification ----------------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:.4g}"


_REASONS: Final = {
    Why.IDENTITY: Text("型号寄存器相符（{0}）", "its identity register shows {0}, as it must"),
    Why.OTHER_IDENTITY: Text("型号寄存器为 {0}，应为 {1}", "the identity register shows {0} instead of {1}"),
    Why.NO_IDENTITY: Text("型号寄存器读不到", "the identity register cannot be read"),
    Why.LENGTH: Text("各寄存器块应答长度都对（{0} 字节）", "every block is answered with the right length ({0} bytes)"),
    Why.OTHER_LENGTH: Text("应答 {0} 字节，应为 {1}", "a reply has {0} bytes instead of {1}"),
    Why.REFUSED: Text("寄存器被拒绝（异常码 {0}）", "registers are refused (exception {0})"),
    Why.NO_ANSWER: Text("寄存器无应答", "registers are not answered"),
    Why.VOLTAGE: Text("电压 {0} V 合理", "{0} V is a mains voltage"),
    Why.NO_VOLTAGE: Text("电压为 0：其前的继电器是否断开？", "no voltage: is a relay in front of it open?"),
    Why.FREQUENCY: Text("频率 {0} Hz 合理", "{0} Hz is a mains frequency"),
    Why.POWER: Text("功率 {0} W 与电压、电流相符（{1} W）", "{0} W fit volts and amperes ({1} W)"),
    Why.NO_LOAD: Text("几乎无负载，功率无法证明什么", "hardly any load: the power proves nothing"),
    Why.IMPLAUSIBLE_VOLTAGE: Text("电压不可能为 {0} V", "{0} V cannot be"),
    Why.IMPLAUSIBLE_CURRENT: Text("电流不可能为 {0} A", "{0} A cannot be"),
    Why.IMPLAUSIBLE_POWER: Text("功率不可能为 {0} W", "{0} W cannot be"),
    Why.IMPLAUSIBLE_FREQUENCY: Text("频率不可能为 {0} Hz", "{0} Hz cannot be"),
    Why.IMPLAUSIBLE_FACTOR: Text("功率因数不可能为 {0}", "a power factor of {0} cannot be"),
    Why.OTHER_POWER: Text("功率 {0} W 与电压、电流不符（{1} W）", "{0} W do not fit volts and amperes ({1} W)"),
}


def reason_words(reason: Reason) -> Text:
    """Return a reason for or against a model."""
    numbers = [_number(one) for one in reason.numbers]
    return Text(*(text.format(*numbers) for text in _REASONS[reason.why]))


def verdict_words(result: Identification, titles: dict[str, str]) -> Text:
    """Return what the ranking comes to."""
    names = ", ".join(result.models)
    if result.verdict is Verdict.CERTAIN:
        title = titles[result.models[0]]
        return Text(f"型号：{names}（{title}）", f"Model: {names} ({title})")
    words = {
        Verdict.CANNOT_TELL: Text(
            f"无法区分：{names}。看铭牌决定。", f"Cannot tell: {names}. Read the label on the meter."
        ),
        Verdict.UNKNOWN_MODEL: Text(
            "有设备应答，但不是已知的任何型号。", "Something answers, but as none of the known models does."
        ),
        Verdict.SILENT: Text("没有应答。", "No answer."),
        Verdict.DISTURBED: Text(
            "应答无法读懂：可能有两个电表用同一地址。", "The answers are unreadable: two meters with this address?"
        ),
    }
    return words[result.verdict]


# -- changes -----------------------------------------------------------------------------------------------

_UNTOUCHED: Final = {
    Answer.SAME: (
        Text("新旧相同，未写入。", "Old and new are the same; nothing was written."),
        Text("无需处理。", "Nothing to do."),
    ),
    Answer.NOT_SETTABLE: (
        Text(
            "此型号的档案没有说明如何设置，未写入。",
            "The profile of this model knows no way; nothing was written.",
        ),
        Text("用面板按键设置，或查厂家手册。", "Use the keys of the meter, or see its manual."),
    ),
    Answer.NO_CODE: (
        Text("此型号没有这个波特率，未写入。", "This model does not know that baud rate; nothing was written."),
        Text("用 pilenode meter show 查看可用值。", "See the profile of the model for those it knows."),
    ),
    Answer.TAKEN: (
        Text("新位置已有设备应答，未写入。", "Something answers at the new place already; nothing was written."),
        Text("换一个地址，或先移走那个设备。", "Choose another address, or remove that device first."),
    ),
    Answer.ABSENT: (
        Text("原位置没有应答，未写入。", "Nothing answers at the old place; nothing was written."),
        Text("用 pilenode meter scan 找到它。", "Find it with pilenode meter scan."),
    ),
    Answer.SHARED: (
        Text(
            "应答不稳定：可能有多个电表，未写入。",
            "The answers are not steady: several meters? Nothing was written.",
        ),
        Text("只留一个电表在线上，再试。", "Leave a single meter on the line and try again."),
    ),
    Answer.OTHER_MODEL: (
        Text("电表的应答与此型号不符，未写入。", "The meter does not answer as this model does; nothing was written."),
        Text("用 pilenode meter identify 判断型号。", "Find its model with pilenode meter identify."),
    ),
    Answer.UNREADABLE: (
        Text("读不到要改的寄存器，未写入。", "What would be changed cannot be read; nothing was written."),
        Text("检查线路后重试。", "Check the line and try again."),
    ),
    Answer.NOT_CONFIRMED: (
        Text("确认内容不符，未写入。", "The confirmation does not match; nothing was written."),
        Text("照原样输入 型号@地址。", "Type MODEL@ADDRESS exactly."),
    ),
}
_STATES: Final = {
    State.DONE: (
        Text("已完成并核对。", "Done, and checked."),
        Text("无需处理。", "Nothing to do."),
    ),
    State.OLD: (
        Text("电表仍是原来的设置。", "The meter is as it was."),
        Text(
            "部分型号须先在面板上进入设置状态；看型号说明后重试。",
            "Some models must be put into their set mode by a key first; see the notes of the model, then try again.",
        ),
    ),
    State.PENDING: (
        Text("电表已保存新设置，断电重启后生效。", "The setting is stored; it holds after the next power-up."),
        Text(
            "给电表断电再上电，然后用 pilenode meter scan 核对。",
            "Switch the meter off and on, then check with pilenode meter scan.",
        ),
    ),
    State.BOTH: (
        Text(
            "新旧两处都有应答：原处有两个电表。",
            "Something answers at both places: there were two meters.",
        ),
        Text("只留一个电表在线上，逐个设置。", "Leave a single meter on the line and set them one by one."),
    ),
    State.UNKNOWN: (
        Text(
            "写入后两处都读不到电表：状态未知。",
            "The meter answers at neither place: its state is not known.",
        ),
        Text(
            "确认电表通电，断电再上电，然后用 pilenode meter scan 寻找：它在旧处或新处。不要重复写入。",
            "Make sure it has power, switch it off and on, then look for it with pilenode meter scan: it is at the old "
            "place or at the new one. Do not write again before.",
        ),
    ),
}
_ANSWERS: Final = {
    Answer.AGREED: Text("电表确认了写入。", "It agreed to the write."),
    Answer.REFUSED: Text("电表拒绝了写入。", "It refused the write."),
    Answer.NO_REPLY: Text("电表没有应答写入。", "It did not answer the write."),
    Answer.ODD_REPLY: Text("对写入的应答不符合规定。", "Its answer to the write was not the right one."),
    Answer.LINE_LOST: Text("串口中途断开。", "The serial device was lost on the way."),
}


def outcome_words(outcome: Outcome) -> tuple[Text, Text]:
    """Return how a change came out, and what to do now."""
    if outcome.state is State.UNTOUCHED:
        what, remedy = _UNTOUCHED[outcome.why]
        if outcome.shown is not None:
            shown = _number(outcome.shown)
            what = Text(f"{what.zh}（寄存器为 {shown}）", f"{what.en} (The register shows {shown}.)")
        return what, remedy
    what, remedy = _STATES[outcome.state]
    answer = _ANSWERS[outcome.why]
    code = "" if outcome.exception is None else f" ({outcome.exception})"
    return Text(f"{what.zh}{answer.zh}{code}", f"{what.en} {answer.en}{code}"), remedy
