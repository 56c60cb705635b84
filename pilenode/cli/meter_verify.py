"""``pilenode meter verify``: the watts of a meter must belong to its volts and amperes (requirement MET-5)."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from config.meter_files import load_meter
from drivers.meter import MeterDevice
from drivers.power_check import PowerCheck, PowerVerdict, check_power
from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.codes import READINGS
from pilenode.cli.exits import Exit
from pilenode.cli.line_errors import LineError
from pilenode.cli.meter_line import on_line
from pilenode.cli.meter_models import factory_format
from pilenode.cli.terminal import Misuse
from pilenode.guard.meter_map import register_map
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from pilenode.cli.meter_line import Place
    from pilenode.cli.terminal import Terminal


@on_line(
    "verify",
    Text(
        "带负载读数若干次，核对平均功率与电压×电流×功率因数：误差应在 5 % 或 3 W 之内。",
        "Read a meter under load several times: its mean power must be within 5 % or 3 W of volts times amperes times "
        "power factor.",
    ),
)
@argument("name", metavar="MODEL", text=Text("型号，即档案名。", "Model: the name of its profile."))
@argument("unit", type=Number(int, 1, 247), text=Text("电表地址。", "Its address."))
@option(
    "--channel",
    type=Number(int, 1, 8),
    default=1,
    show_default=True,
    text=Text("多通道电表的通道。", "Channel of a meter that has several."),
)
@option(
    "--readings",
    type=Number(int, 3, 100),
    default=10,
    show_default=True,
    text=Text("读数次数。", "Number of readings."),
)
@option(
    "--every-s",
    type=Number(float, 0, 60),
    text=Text("读数间隔，秒；默认为电表刷新周期。", "Pause between readings, seconds; default: that of the model."),
)
def verify(
    terminal: Terminal, place: Place, name: str, unit: int, *, channel: int, readings: int, every_s: float | None
) -> int:
    """Read as guard reads, print every reading, and judge."""
    profile = load_meter(name)
    channels = 1 + len(profile.channel)
    if channel > channels:
        raise Misuse(f"--channel：{name} 只有 {channels} 个通道。", f"--channel: {name} has {channels} of them.")
    format_ = place.chosen(factory_format(profile))
    pause_s = profile.refresh_ms / 1000 if every_s is None else every_s
    good: list[MeterReading] = []
    with contextlib.closing(place.lines(format_.baud, format_.parity, format_.stopbits)) as line:
        device = MeterDevice(line, unit, register_map(profile))
        if not terminal.json:
            terminal.line(terminal.pick(f"{'电压 V':>7}", f"{'V':>9}") + f"{'A':>9}{'W':>9}{'PF':>7}{'V·I·PF':>10}")
        for number in range(readings):
            if number:
                time.sleep(pause_s)
            reading = device.poll(time.monotonic, slow=False)[channel]
            if isinstance(reading, MeterReading):
                good.append(reading)
            elif reading.reason is MissingReason.BUS_LOST:
                raise LineError(line.trouble_errno, line.trouble)
            if not terminal.json:
                terminal.line(_row(terminal, reading))
    check = check_power(good)
    return _tell(terminal, check, good, readings)


def _row(terminal: Terminal, reading: MeterReading | Missing) -> str:
    if isinstance(reading, Missing):
        words = READINGS[reading.reason]
        return f"{'-':>9}  {terminal.pick(words.zh, words.en)}"
    factor = reading.power_factor
    expected_w = reading.voltage_v * reading.current_a * (1.0 if factor is None else abs(factor))
    shown = "-" if factor is None else f"{factor:.2f}"
    return (
        f"{reading.voltage_v:9.1f}{reading.current_a:9.3f}{reading.power_w:9.1f}{shown:>7}"
        f"{'≤' if factor is None else ''}{expected_w:{9 if factor is None else 10}.1f}"
    )


def _tell(terminal: Terminal, check: PowerCheck, good: list[MeterReading], asked: int) -> Exit:
    what, remedy = _words(check, asked)
    if terminal.json:
        terminal.data(
            {
                "verdict": check.verdict.value,
                "readings": check.readings,
                "asked": asked,
                "power_w": round(check.power_w, 3),
                "expected_w": round(check.expected_w, 3),
                "off_w": round(check.off_w, 3),
                "allowed_w": round(check.allowed_w, 3),
                "coarse": check.coarse,
                "samples": [
                    {
                        "voltage_v": one.voltage_v,
                        "current_a": one.current_a,
                        "power_w": one.power_w,
                        "power_factor": one.power_factor,
                    }
                    for one in good
                ],
                "message": terminal.pick(*what),
                "remedy": terminal.pick(*remedy),
            }
        )
    else:
        terminal.line(terminal.pick(*what))
        if check.verdict is not PowerVerdict.GOOD:
            terminal.line(f"{terminal.pick('办法：', 'remedy: ')}{terminal.pick(*remedy)}")
    if check.verdict is PowerVerdict.GOOD:
        return Exit.OK
    return Exit.NO_ANSWER if check.verdict is PowerVerdict.TOO_FEW else Exit.FAILED


def _words(check: PowerCheck, asked: int) -> tuple[Text, Text]:
    """Return the verdict and what to do about it."""
    product = "V·I" if check.coarse else "V·I·PF"
    zh = (
        f"平均 {check.power_w:.1f} W，{product} 为 {check.expected_w:.1f} W，相差 {check.off_w:.1f} W"
        f"（允许 {check.allowed_w:.1f} W）"
    )
    en = (
        f"mean {check.power_w:.1f} W, {product} {check.expected_w:.1f} W, off by {check.off_w:.1f} W "
        f"({check.allowed_w:.1f} W allowed)"
    )
    if check.coarse:
        zh += "；此型号不读功率因数，只能粗查"
        en += "; no power factor is read from this model: a coarse check"
    nothing = Text("无需处理。", "Nothing to do.")
    return {
        PowerVerdict.GOOD: (Text(f"合格：{zh}。", f"Good: {en}."), nothing),
        PowerVerdict.WRONG: (
            Text(f"不合格：{zh}。", f"WRONG: {en}."),
            Text(
                "型号或接线不对：用 pilenode meter identify 核对型号，检查互感器方向；改正前不得启用此端口。",
                "Wrong model or wiring: check the model with pilenode meter identify and the direction of the clamp; "
                "do not use this port before.",
            ),
        ),
        PowerVerdict.NO_LOAD: (
            Text(f"无法判断：负载太小（{zh}）。", f"Cannot tell: too little load ({en})."),
            Text("接一个 60 W 以上的负载再试。", "Connect a load of 60 W or more and try again."),
        ),
        PowerVerdict.TOO_FEW: (
            Text(
                f"{asked} 次读数只有 {check.readings} 次有效。", f"Only {check.readings} of {asked} readings are good."
            ),
            Text("检查接线、地址和波特率。", "Check wiring, address and baud rate."),
        ),
    }[check.verdict]
