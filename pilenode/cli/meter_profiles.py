"""``pilenode meter list``, ``show`` and ``check``: the meters that pilenode knows, and profiles of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from config.errors import ConfigError
from config.meter_files import METERS, USER_METERS, check_meter, load_meter, meters
from pilenode.cli.bilingual import Command, Text, argument, json_option, language_option, option
from pilenode.cli.exits import Exit
from pilenode.cli.meter import CHECK, LIST, SHOW
from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.errors import Problem
    from config.schema_meter import MeterProfile, MeterValues
    from pilenode.cli.meter_facts import Meaning, Read
    from pilenode.cli.terminal import Terminal

_DIRECTORY = Text(f"自有型号的目录；默认 {USER_METERS}。", f"Directory of your own profiles; default: {USER_METERS}.")
_UNIT = Text("Modbus 地址；默认取型号的出厂值。", "Modbus address; default: that of the profile.")
_REPLY = Text(
    "解码抓取到的应答（十六进制，含 CRC）；可重复。",
    "Decode a reply that you have captured (hex, with CRC); repeatable.",
)


@click.command("list", cls=Command, text=LIST, params=[json_option(), language_option()])
@option("--directory", metavar="DIR", text=_DIRECTORY)
@click.pass_obj
def models(terminal: Terminal, directory: str | None) -> int:
    """Print one line for each model; what is wrong with files of one's own comes last."""
    own = Path(directory or USER_METERS)
    profiles: list[MeterProfile] = []
    problems: list[Problem] = []
    for model in meters(own):
        try:
            profiles.append(load_meter(model, own))
        except ConfigError as error:
            problems += error.problems
    if terminal.json:
        listed = [_row(profile) for profile in profiles]
        terminal.data({"meters": listed, "problems": [one._asdict() for one in problems]})
    else:
        width = max(len(profile.model) for profile in profiles)
        for profile in profiles:
            terminal.line(_line(terminal, profile, width))
        for one in problems:
            terminal.line(terminal.problem(one._asdict()))
    return Exit.USAGE if problems else Exit.OK


def _shipped(profile: MeterProfile) -> bool:
    return (METERS / f"{profile.model}.toml").exists()


def _serial(profile: MeterProfile) -> str:
    return f"{profile.serial.baud} 8{profile.serial.parity}{profile.serial.stopbits}"


def _row(profile: MeterProfile) -> dict[str, object]:
    return {
        "model": profile.model,
        "title": profile.title,
        "shipped": _shipped(profile),
        "experimental": profile.experimental,
        "inlet_only": profile.inlet_only,
        "channels": 1 + len(profile.channel),
        "serial": _serial(profile),
        "unit": profile.serial.unit,
        "refresh_ms": profile.refresh_ms,
        "source": profile.source,
    }


def _line(terminal: Terminal, profile: MeterProfile, width: int) -> str:
    pick = terminal.pick
    channels = 1 + len(profile.channel)
    marks = [pick("进线", "inlet")] if profile.inlet_only else []
    marks += [pick(f"{channels} 通道", f"{channels} channels")] if channels > 1 else []
    marks += [pick("试验性", "experimental")] if profile.experimental else []
    marks += [] if _shipped(profile) else [pick("自有", "your own")]
    aside = f" ({', '.join(marks)})" if marks else ""
    return f"{profile.model:{width}}  {_serial(profile):10}  {profile.title}{aside}"


# -- one model ---------------------------------------------------------------------------------------------


@click.command("show", cls=Command, text=SHOW, params=[json_option(), language_option()])
@argument("model", metavar="MODEL", text=Text("型号。", "The model."))
@option("--directory", metavar="DIR", text=_DIRECTORY)
@option("--unit", type=click.IntRange(1, 247), text=_UNIT)
@click.pass_obj
def show(terminal: Terminal, model: str, directory: str | None, unit: int | None) -> int:
    """Print one model."""
    profile = load_meter(model, Path(directory or USER_METERS))
    facts = _facts(profile, unit)
    if terminal.json:
        terminal.data(msgspec.to_builtins(profile) | {"reads": [_read_data(read) for read in facts]})
        return Exit.OK
    for line in _description(terminal, profile):
        terminal.line(line)
    for line in _reads(terminal, profile, facts):
        terminal.line(line)
    return Exit.OK


def _facts(profile: MeterProfile, unit: int | None) -> list[Read]:
    from pilenode.cli.meter_facts import reads  # noqa: PLC0415 - brings pymodbus, which a list does not need

    return reads(profile, unit or profile.serial.unit)


def _description(terminal: Terminal, profile: MeterProfile) -> Iterator[str]:
    pick = terminal.pick
    yield _line(terminal, profile, len(profile.model))
    yield pick(f"来源：{profile.source}", f"source: {profile.source}")
    yield pick(f"数据更新：{profile.refresh_ms:g} 毫秒", f"renews its values every {profile.refresh_ms:g} ms")
    commission = profile.commission
    settable = [
        pick(zh, en)
        for there, zh, en in (
            (commission.unit is not None, "地址", "address"),
            (commission.baud is not None, "波特率", "baud rate"),
            (commission.clear_energy is not None, "电能清零", "clearing of the energy"),
            (commission.dlt645, "DL/T 645 切换", "change-over from DL/T 645"),
        )
        if there
    ]
    can = ", ".join(settable) or pick("无", "nothing")
    yield pick(f"可通过总线设置：{can}", f"can be set over the line: {can}")
    for quirk in (profile.quirks_zh or profile.quirks) if terminal.language == "zh" else profile.quirks:
        yield f"  - {quirk}"
    for channel, values in enumerate((profile.values, *profile.channel), 1):
        yield pick(f"通道 {channel}：", f"channel {channel}:") if profile.channel else pick("寄存器：", "registers:")
        yield from _registers(values)


def _registers(values: MeterValues) -> Iterator[str]:
    for quantity in msgspec.structs.fields(values):
        value = getattr(values, quantity.name)
        if value is None:
            continue
        places = " + ".join(f"0x{address:04X}" for address in (value.address, *value.plus))
        scale = " | ".join(f"{one:g}" for one in value.scales or [value.scale])
        order = " low word first" if value.word_order == "low_first" and value.type not in ("u16", "s16") else ""
        yield f"  {quantity.name:13} {places}  {value.type} × {scale}{order}"


def _reads(terminal: Terminal, profile: MeterProfile, facts: list[Read]) -> Iterator[str]:
    from pilenode.cli.meter_facts import TURNAROUND_S  # noqa: PLC0415 - see above

    fast_s = sum(read.seconds for read in facts if read.block.fast)
    yield terminal.pick(
        f"一次读取（{_serial(profile)}，应答 {TURNAROUND_S * 1000:g} 毫秒以内）：最长 {fast_s * 1000:.0f} 毫秒",
        f"one poll ({_serial(profile)}, turnaround up to {TURNAROUND_S * 1000:g} ms): {fast_s * 1000:.0f} ms at most",
    )
    for read in facts:
        rate = "" if read.block.fast else terminal.pick("，偶尔", ", now and then")
        request = read.question.frame.hex(" ").upper()
        yield f"  {request}  →  {read.question.reply_bytes} B  {read.seconds * 1000:.0f} ms  ({read.block.name}{rate})"


def _read_data(read: Read) -> dict[str, object]:
    return {
        "name": read.block.name,
        "fast": read.block.fast,
        "request": read.question.frame.hex().upper(),
        "reply_bytes": read.question.reply_bytes,
        "seconds": round(read.seconds, 6),
    }


# -- a file of one's own -----------------------------------------------------------------------------------


@click.command("check", cls=Command, text=CHECK, params=[json_option(), language_option()])
@argument("file", metavar="FILE", text=Text("型号文件，名称为 <型号>.toml。", "The profile, named <model>.toml."))
@option("--reply", "replies", multiple=True, metavar="HEX", text=_REPLY)
@option("--unit", type=click.IntRange(1, 247), text=_UNIT)
@click.pass_obj
def check(terminal: Terminal, file: str, replies: tuple[str, ...], unit: int | None) -> int:
    """Print every problem of the file, or what follows from it; nothing is sent to any meter."""
    captured = [_hex(reply) for reply in replies]
    profile, problems = check_meter(Path(file))
    if profile is None:
        if terminal.json:
            terminal.data({"file": file, "problems": [one._asdict() for one in problems]})
        else:
            for one in problems:
                terminal.line(terminal.problem(one._asdict()))
            count = len(problems)
            terminal.line(
                terminal.pick(f"{file}：{count} 处错误。", f"{file}: {count} error{'s' if count > 1 else ''}.")
            )
        return Exit.USAGE
    from pilenode.cli.meter_facts import meanings  # noqa: PLC0415 - see above

    facts = _facts(profile, unit)
    decoded = [(reply, meanings(profile, reply)) for reply in captured]
    refused = any(meaning.wrong for _, found in decoded for meaning in found)
    if terminal.json:
        said = [
            {"reply": reply.hex().upper(), "meanings": [_meaning_data(one) for one in found]}
            for reply, found in decoded
        ]
        terminal.data({"file": file, "problems": [], "reads": [_read_data(read) for read in facts], "replies": said})
        return Exit.REFUSED if refused else Exit.OK
    terminal.line(terminal.pick(f"{file}：正确。", f"{file}: good."))
    for line in _reads(terminal, profile, facts):
        terminal.line(line)
    for reply, found in decoded:
        terminal.line(reply.hex(" ").upper())
        for meaning in found:
            for line in _meaning(terminal, meaning):
                terminal.line(line)
    return Exit.REFUSED if refused else Exit.OK


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Misuse(f"--reply：{text[:40]} 不是十六进制。", f"--reply: {text[:40]} is not hex.") from None


def _meaning_data(meaning: Meaning) -> dict[str, object]:
    return {
        "read": meaning.name,
        "channels": {str(channel): values for channel, values in meaning.channels.items()},
        "wrong": meaning.wrong,
    }


def _meaning(terminal: Terminal, meaning: Meaning) -> Iterator[str]:
    if meaning.wrong:
        yield terminal.pick(f"  不是有效应答：{meaning.wrong}", f"  no good reply: {meaning.wrong}")
        return
    for channel, values in meaning.channels.items():
        shown = ", ".join(f"{name} = {value:g}" for name, value in values.items())
        yield terminal.pick(
            f"  {meaning.name}，通道 {channel}：{shown}", f"  {meaning.name}, channel {channel}: {shown}"
        )
