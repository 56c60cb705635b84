"""``pilenode meter scan`` and ``identify``: who is on this line? Nothing is written to any meter."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from drivers.identify import Verdict
from drivers.identify import identify as identified
from drivers.scan import DLT645_FORMAT, Finding, Kind, Plan, Progress, formats_of
from drivers.scan import scan as searched
from drivers.wire import PROBE_TURNAROUND_S, Format
from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.exits import Exit
from pilenode.cli.meter_line import on_line
from pilenode.cli.meter_models import factory_format, first_probes, model, profiles
from pilenode.cli.meter_progress import shown_by
from pilenode.cli.meter_words import finding_words, reason_words, seconds_words, verdict_words
from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from drivers.identify import Candidate, Identification
    from pilenode.cli.meter_line import Place
    from pilenode.cli.terminal import Terminal

_UNIT = Number(int, 1, 247)
#: A progress line for programs at most this often, seconds.
_EVERY_S = 1.0
#: What keeps a finding from being a meter that answers as it should.
_DISTURBED = frozenset({Kind.UNSTEADY, Kind.SEVERAL, Kind.GARBAGE, Kind.DLT645_GARBAGE, Kind.BABBLE})
_METERS = frozenset({Kind.METER, Kind.DLT645})


@on_line(
    "scan",
    Text(
        "在总线上寻找电表：先在各种出厂设置下试常用地址，再逐一试全部地址。只读，随时可用 Ctrl-C 停止。",
        "Look for meters on a line: the usual addresses at every factory setting first, then all addresses. It only "
        "reads, and Ctrl-C stops it at any time.",
    ),
    many=True,
)
@option("--from", "first", type=_UNIT, default=1, show_default=True, text=Text("起始地址。", "First address."))
@option("--to", "last", type=_UNIT, default=247, show_default=True, text=Text("终止地址。", "Last address."))
@option(
    "--dlt645",
    is_flag=True,
    text=Text(
        "给出 --baud 时也呼叫 DL/T 645 电表。", "Call a DL/T 645 meter too when --baud is given (otherwise always)."
    ),
)
@option(
    "--expect",
    type=Number(int, 1, 247),
    metavar="N",
    text=Text("找到这么多电表后停止。", "Stop after so many meters."),
)
@option(
    "--turnaround-ms",
    type=Number(float, 5, 2000),
    default=PROBE_TURNAROUND_S * 1000,
    show_default=True,
    text=Text("电表开始应答的最长时间，毫秒。", "Longest time a meter takes to begin its reply, milliseconds."),
)
def scan(
    terminal: Terminal, place: Place, first: int, last: int, *, dlt645: bool, expect: int | None, turnaround_ms: float
) -> int:
    """Search, telling what is found as it is found."""
    if first > last:
        raise Misuse("--from 不能大于 --to。", "--from must not be above --to.")
    place = place._replace(turnaround_s=turnaround_ms / 1000)
    plan = _plan(place, range(first, last + 1), dlt645=dlt645, expect=expect)
    begun_s = time.monotonic()
    _begin(terminal, place, plan)
    found: list[Finding] = []
    try:
        with contextlib.closing(searched(plan, place.lines)) as events, shown_by(terminal) as show:
            told_s = begun_s
            for event in events:
                if isinstance(event, Finding):
                    found.append(event)
                    if terminal.json:
                        terminal.data({"event": "found", **_data(event)})
                    else:
                        show.line(terminal.pick(*finding_words(event)))
                elif not terminal.json:
                    show.progress(event)
                elif time.monotonic() >= told_s:
                    told_s = time.monotonic() + _EVERY_S
                    terminal.data({"event": "progress", **_progress(event)})
    except KeyboardInterrupt:
        _end(terminal, found, begun_s, stopped=True)
        raise
    return _end(terminal, found, begun_s, stopped=False)


def _plan(place: Place, units: range, *, dlt645: bool, expect: int | None) -> Plan:
    known = profiles()
    parity, stopbits = place.parity or "N", place.stopbits or 1
    formats = tuple(Format(baud, parity, stopbits) for baud in dict.fromkeys(place.bauds))
    if not formats:
        own = [] if place.format is None else [place.format]
        formats = tuple(dict.fromkeys((*own, *formats_of([factory_format(one) for one in known]))))
    usual = dict.fromkeys((*place.units, *(one.serial.unit for one in known)))
    return Plan(
        formats=formats,
        units=tuple(units),
        first=tuple(usual),
        first_probes=first_probes(known),
        dlt645=dlt645 or not place.bauds,
        expect=expect,
        turnaround_s=place.turnaround_s,
    )


def _begin(terminal: Terminal, place: Place, plan: Plan) -> None:
    settings = ([DLT645_FORMAT] if plan.dlt645 else []) + [*plan.formats]
    if terminal.json:
        terminal.data(
            {
                "event": "plan",
                "device": place.device,
                "formats": [str(one) for one in settings],
                "from": plan.units[0],
                "to": plan.units[-1],
                "seconds": round(plan.estimate_s(), 1),
            }
        )
        return
    named = ", ".join(str(one) for one in plan.formats)
    call = terminal.pick("；另呼叫 DL/T 645 电表", "; a DL/T 645 meter is called too") if plan.dlt645 else ""
    left = terminal.pick(*seconds_words(plan.estimate_s()))
    terminal.line(
        terminal.pick(
            f"{place.device}：地址 {plan.units[0]} 至 {plan.units[-1]}，{named}{call}；约需 {left}。",
            f"{place.device}: addresses {plan.units[0]} to {plan.units[-1]}, {named}{call}; about {left}.",
        )
    )


def _end(terminal: Terminal, found: list[Finding], begun_s: float, *, stopped: bool) -> Exit:
    count = sum(one.kind in _METERS for one in found)
    disturbed = any(one.kind in _DISTURBED for one in found)
    took_s = time.monotonic() - begun_s
    if terminal.json:
        terminal.data({"event": "done", "meters": count, "stopped": stopped, "seconds": round(took_s, 1)})
    else:
        took = terminal.pick(*seconds_words(took_s))
        how_zh, how_en = ("已中途停止", "Stopped") if stopped else ("完成", "Done")
        terminal.line(
            terminal.pick(
                f"{how_zh}：{took}，找到 {count} 个电表。",
                f"{how_en} after {took}: {count} meter{'' if count == 1 else 's'} found.",
            )
        )
        if not found and not stopped:
            terminal.line(
                terminal.pick(
                    "线路上没有任何应答：检查 A/B 是否接反、电表是否通电、转换器是否正确。",
                    "Nothing on this line answers: check whether A and B are swapped, whether the meters have power, "
                    "and the adapter.",
                )
            )
    if disturbed:
        return Exit.FAILED
    return Exit.OK if count else Exit.NO_ANSWER


def _data(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind.value,
        "baud": finding.format.baud,
        "parity": finding.format.parity,
        "stopbits": finding.format.stopbits,
        "unit": finding.unit or None,
        "functions": finding.functions,
        "address": finding.address or None,
        "raw": finding.raw.hex(),
    }


def _progress(event: Progress) -> dict[str, object]:
    return {
        "format": str(event.format),
        "round": event.number,
        "rounds": event.rounds,
        "done": event.done,
        "total": event.total,
        "left_s": round(event.left_s, 1),
    }


# -- identify ----------------------------------------------------------------------------------------------


@on_line(
    "identify",
    Text(
        "判断某地址上是哪种电表，并列出支持和反对的理由。只读。",
        "Find out which model answers at an address, with the reasons for and against. It only reads.",
    ),
)
@argument("unit", type=_UNIT, text=Text("Modbus 地址。", "Modbus address."))
@option(
    "--model",
    "names",
    multiple=True,
    metavar="MODEL",
    text=Text("只考虑这些型号；可多次给出。", "Consider these models only; may be given several times."),
)
def identify(terminal: Terminal, place: Place, unit: int, names: tuple[str, ...]) -> int:
    """Ask what every known model would be asked, and rank."""
    known = profiles(names)
    with contextlib.closing(place.wire(Format(9600))) as wire:
        result = identified(wire, unit, [model(one) for one in known])
    titles = {one.model: one.title for one in known}
    if terminal.json:
        terminal.data(_ranking(result, unit, place.chosen(Format(9600))))
    else:
        terminal.line(f"{place.device}, {place.chosen(Format(9600))}, {terminal.pick('地址', 'address')} {unit}")
        for line in _lines(terminal, result, titles):
            terminal.line(line)
    if result.verdict is Verdict.CERTAIN:
        return Exit.OK
    return Exit.NO_ANSWER if result.verdict is Verdict.SILENT else Exit.FAILED


def _ranking(result: Identification, unit: int, format_: Format) -> dict[str, object]:
    return {
        "unit": unit,
        "format": str(format_),
        "verdict": result.verdict.value,
        "models": result.models,
        "candidates": [
            {
                "model": one.model,
                "score": one.score,
                "ruled_out": one.ruled_out,
                "reasons": [
                    {"code": reason.why.value, "for": reason.speaks_for, "numbers": reason.numbers}
                    for reason in one.reasons
                ],
            }
            for one in result.candidates
        ],
    }


def _lines(terminal: Terminal, result: Identification, titles: dict[str, str]) -> list[str]:
    lines = [terminal.pick(*verdict_words(result, titles))]
    possible = [one for one in result.candidates if not one.ruled_out]
    for one in possible:
        lines += ["", f"{one.model}  {titles[one.model]}"]
        for reason in one.reasons:
            lines.append(f"  {'+' if reason.speaks_for else '-'} {terminal.pick(*reason_words(reason))}")
    out = [one for one in result.candidates if one.ruled_out]
    if out:
        width = max(len(one.model) for one in out)
        lines += ["", terminal.pick("已排除：", "Ruled out:")]
        lines += [f"  {one.model:{width}}  {terminal.pick(*_against(one))}" for one in out]
    return lines


def _against(candidate: Candidate) -> tuple[str, str]:
    words = [reason_words(reason) for reason in candidate.reasons if reason.rules_out]
    unique = list(dict.fromkeys(words))
    return "；".join(zh for zh, _ in unique), "; ".join(en for _, en in unique)
