"""The printable report for a supervisor: one HTML page, A4, without script or outside resource. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from pilenode.cli.ledger_page import Page, Report
from pilenode.cli.ledger_words import SITE_CLASSES, kwh, local, subject, yuan
from pilenode.cli.svg_bars import bars
from pilenode.station.statistics import bounds

if TYPE_CHECKING:
    from pilenode.cli.terminal import Terminal

__all__ = ["Report", "html"]

_CSS: Final = """
@page { size: A4; margin: 14mm 12mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.4 "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", sans-serif;
  color: #111; max-width: 186mm; margin: 0 auto; padding: 6mm 0; }
h1 { font-size: 17pt; margin: 0 0 2mm; } h2 { font-size: 12.5pt; margin: 7mm 0 2mm; break-after: avoid; }
table { border-collapse: collapse; width: 100%; font-size: 9pt; }
th, td { border-bottom: 0.25mm solid #bbb; padding: 1mm 1.5mm; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { border-bottom-color: #444; } thead { display: table-header-group; } tr, svg, .box { break-inside: avoid; }
td.n, th.n { text-align: right; white-space: nowrap; } td.t { white-space: nowrap; }
.sums { display: grid; grid-template-columns: repeat(4, 1fr); gap: 3mm; margin: 4mm 0; }
.sums div { border: 0.25mm solid #bbb; padding: 2mm 3mm; } .sums b { display: block; font-size: 15pt; }
.late { color: #a00000; font-weight: bold; } .small { font-size: 8.5pt; color: #444; }
.box { border: 0.4mm solid #444; padding: 3mm; margin-top: 3mm; overflow-wrap: anywhere; }
.bad { border-color: #a00000; color: #a00000; } svg { width: 100%; height: auto; margin: 2mm 0; }
.sign { display: flex; gap: 10mm; margin-top: 14mm; } .sign div { flex: 1; border-top: 0.25mm solid #111; }
"""
_SESSIONS_COLOUR: Final = "#2f5d8a"
_ENERGY_COLOUR: Final = "#3d7a4a"


class _Whole(Page):
    """Writes the whole report in one language."""

    def head(self) -> str:
        """Return who, where, when."""
        report, pick = self.report, self.pick
        place, frame = report.place, report.frame
        site = " / ".join(part for part in (place.district, place.community, place.building, place.site) if part)
        generated = local(frame.now_ms, frame.zone, "")
        if frame.clock == "none":
            generated += pick("（时钟不可信）", " (clock not trusted)")
        rows = [
            (pick("充电柜", "Cabinet"), report.node),
            (pick("位置", "Site"), site or "-"),
            (pick("场所类别", "Class of site"), pick(*SITE_CLASSES.get(place.site_class, ("-", "-")))),
            (pick("运营单位", "Operator"), place.operator or "-"),
            (pick("端口", "Ports"), ", ".join(str(port) for port in place.ports)),
            (pick("期间", "Period"), f"{report.month} ({frame.zone.key})"),
            (pick("生成", "Made"), f"{generated}, pilenode {report.version}"),
        ]
        title = pick("电动自行车充电设施运行与隐患台账报告", "Charging cabinet: report of operation and ledger")
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(words)}</td></tr>" for name, words in rows)
        return f"<h1>{escape(title)}</h1><table>{cells}</table>"

    def sums(self) -> str:
        """Return the totals, and the charts by day."""
        report, pick = self.report, self.pick
        row = report.total
        if row is None:
            return f"<p>{pick('本期没有记录。', 'Nothing happened in this period.')}</p>"
        use = "-" if row.use_permille is None else f"{row.use_permille // 10}.{row.use_permille % 10} %"
        cells = (
            (pick("充电次数", "Sessions"), str(row.sessions)),
            (pick("电量 kWh", "Energy, kWh"), kwh(row.energy_wh)),
            (pick("电费（元）", "Electricity, yuan"), yuan(row.electricity_fen)),
            (pick("服务费（元）", "Service, yuan"), yuan(row.service_fen)),
            (pick("合计（元）", "Total, yuan"), yuan(row.electricity_fen + row.service_fen)),
            (pick("利用率", "Use of ports"), use),
            (pick("拒绝启动", "Starts refused"), str(sum(row.refusals.values()))),
            (pick("故障", "Faults"), str(sum(row.faults.values()))),
        )
        tiles = "".join(f"<div>{escape(name)}<b>{escape(value)}</b></div>" for name, value in cells)
        return f'<div class="sums">{tiles}</div>{self.charts()}'

    def charts(self) -> str:
        """Return sessions and energy of every day of the month."""
        first, after = bounds(self.report.month)
        by_day = {row.period: row for row in self.report.days}
        days = [first.replace(day=number + 1).isoformat() for number in range((after - first).days)]
        labels = [day[-2:] for day in days]
        counts = [by_day[day].sessions if day in by_day else 0 for day in days]
        energies = [by_day[day].energy_wh if day in by_day else 0 for day in days]
        return bars(self.pick("每日充电次数", "Sessions by day"), labels, counts, str, _SESSIONS_COLOUR) + bars(
            self.pick("每日电量，kWh", "Energy by day, kWh"), labels, energies, _short_kwh, _ENERGY_COLOUR
        )

    def use(self) -> str:
        """Return use by port, and refusals and faults by code."""
        row, pick = self.report.total, self.pick
        if row is None:
            return ""
        ports = [
            (str(port), f"{seconds // 3600}:{seconds // 60 % 60:02}", f"{share // 10}.{share % 10} %")
            for port, seconds in row.on_s.items()
            for share in [row.use_permille_by_port.get(port, 0)]
        ]
        coded = [
            (kind, subject(self.terminal, "fault", code), code, str(count))
            for kind, counts in (
                (pick("拒绝启动", "start refused"), row.refusals),
                (pick("故障", "fault"), row.faults),
            )
            for code, count in counts.items()
        ]
        heads = (pick("端口", "Port"), pick("通电 时:分", "With power, h:min"), pick("利用率", "Use"))
        many = (pick("类别", "Kind"), pick("内容", "What"), pick("代码", "Code"), pick("次数", "Times"))
        return self.table(heads, ports, (0, 1, 2)) + "<br>" + self.table(many, coded, (3,))

    def undated(self) -> str:
        """Return what happened while the clock could not be trusted."""
        row, pick = self.report.unknown, self.pick
        if row is None:
            return ""
        said = pick(
            f"时钟不可信期间（不计入任何月份）：{row.sessions} 次充电，{kwh(row.energy_wh)} kWh，"
            f"电费 {yuan(row.electricity_fen)} 元，服务费 {yuan(row.service_fen)} 元，"
            f"拒绝 {sum(row.refusals.values())} 次，故障 {sum(row.faults.values())} 次。",
            f"While the clock could not be trusted, in no month: {row.sessions} sessions, {kwh(row.energy_wh)} kWh, "
            f"electricity {yuan(row.electricity_fen)} yuan, service {yuan(row.service_fen)} yuan, "
            f"{sum(row.refusals.values())} refusals, {sum(row.faults.values())} faults.",
        )
        return f'<p class="box">{escape(said)}</p>'

    def signatures(self) -> str:
        """Return the lines on which people sign."""
        names = self.pick("填报人", "Made by"), self.pick("审核人", "Checked by"), self.pick("日期", "Date")
        return f'<div class="sign">{"".join(f"<div>{name}</div>" for name in names)}</div>'

    def chain(self) -> str:
        """Return the head of the hash chain and what checking it has shown."""
        pick, chain = self.pick, self.report.chain
        if chain is None:
            said = pick("未核对记录的哈希链。", "The hash chain of the log was not checked.")
            return f'<p class="box">{escape(said)}</p>'
        head = f"log_id {chain.log_id}, seq {chain.seq}, SHA-256 {chain.hash}"
        if chain.broken_at is None:
            said = pick(
                f"自第 1 条起核对了全部 {chain.seq} 条记录，哈希链完整。最新一条：",
                f"All {chain.seq} facts were checked from the first one: the hash chain is whole. Head:",
            )
            return f'<p class="box">{escape(said)}<br><code>{escape(head)}</code></p>'
        said = pick(
            f"哈希链在第 {chain.broken_at} 条处中断：该条起的记录可能被改动。最新一条：",
            f"The hash chain is BROKEN at fact {chain.broken_at}: the log may have been changed from there on. Head:",
        )
        return f'<p class="box bad">{escape(said)}<br><code>{escape(head)}</code></p>'


def _short_kwh(energy_wh: int) -> str:
    return f"{energy_wh // 1000}.{energy_wh % 1000 // 100}"


def html(terminal: Terminal, report: Report) -> str:
    """Return the report in the language of the terminal."""
    page, pick = _Whole(terminal, report), terminal.pick
    parts = (
        page.head(),
        page.sums(),
        page.undated(),
        f"<h2>{pick('端口利用、拒绝与故障', 'Use of ports, refusals and faults')}</h2>",
        page.use(),
        f"<h2>{pick('隐患台账', 'Ledger of problems')}</h2>",
        page.ledger(),
        f"<h2>{pick('巡检', 'Inspections')}</h2>",
        page.checks(),
        f"<h2>{pick('断电措施与检修', 'Lock-outs and maintenance')}</h2>",
        page.locks(),
        f"<h2>{pick('记录完整性', 'Integrity of the log')}</h2>",
        page.chain(),
        page.signatures(),
    )
    title = escape(f"{report.node} {report.month}")
    language = pick("zh-CN", "en")
    # Nothing may be loaded or run, whatever slipped through.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{_CSS}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
