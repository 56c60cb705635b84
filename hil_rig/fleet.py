"""What a fleet of cabinets asks of brokers and stores: ``python -m hil_rig.fleet [--day FILE] [--write PAGE]``.

Arithmetic over what was measured: a day of one cabinet (``python -m hil_rig.day --json FILE``; left out: the most that
is promised) and a fact at rest (``python -m hil_rig.upstream.bench``). Nothing here runs a fleet.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The promise for a cabinet with ten ports and a normal day.
MAX_BYTES_UP: Final = 350_000
MAX_PUBLISHES_UP: Final = 150
SIZES: Final = (1_000, 100_000, 1_000_000)
_DAY_S: Final = 86_400
#: The busiest hours over the average of a day.
_PEAK: Final = 6
#: Keep-alive of a connection, seconds (pilenode/upstream/mqtt.py); a ping and its answer on the wire, with TCP and IP.
_KEEPALIVE_S: Final = 240
_PING_BYTES: Final = 124
#: Full handshakes with two certificates that a core of a broker does in a second; a plan, not measured here.
_HANDSHAKES_PER_CORE: Final = 1_000
#: Connections a second for which the window of reconnects is laid out, and its bounds, seconds.
_CONNECTS_PER_S: Final = 1_500
_LEAST_WINDOW_S, _MOST_WINDOW_S = 10, 900
#: Pace of a backlog, bytes per second (``upstream.drain_bytes_s``).
_DRAIN_BYTES_S: Final = 16_000

_BEGIN: Final = "<!-- Made by `python -m hil_rig.fleet --write docs/fleet.md`: "
_END: Final = "<!-- end of what is made -->"


@dataclass(frozen=True, slots=True)
class Day:
    """A day of one cabinet, and what becomes of it. Bytes are those on the wire, or of a body, or of a fact at rest.

    ``readings`` of the ``facts`` are checkpoints, superseded by the end of their session. ``worker_facts_s``: what one
    worker commits in a second.
    """

    source: str = "the most that is promised"
    bytes_up: int = MAX_BYTES_UP
    publishes_up: int = MAX_PUBLISHES_UP
    bytes_down: int = 50_000
    publishes_down: int = MAX_PUBLISHES_UP
    facts: int = 2_400
    readings: int = 2_300
    body_bytes: int = 435
    overhead_bytes: int = 247
    worker_facts_s: int = 15_000

    def kept(self) -> bool:
        """Return whether the day keeps the promise."""
        return self.bytes_up <= MAX_BYTES_UP and self.publishes_up <= MAX_PUBLISHES_UP


def read_day(path: Path, base: Day) -> Day:
    """Return a measured day. Raises OSError, ValueError and KeyError."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    scale = 24.0 / told["hours"]
    facts = sum(kind["facts"] for kind in told["kinds"].values())
    return replace(
        base,
        source=f"a measured day ({told['hours']:g} h, {told['sessions']} sessions)",
        bytes_up=round(sum(told["wire"].values()) * scale),
        publishes_up=round(sum(told["publishes"].values()) * scale),
        bytes_down=round(told["down_bytes"] * scale),
        publishes_down=round(told["down_publishes"] * scale),
        facts=round(facts * scale),
        readings=round(told["kinds"].get("checkpoint", {"facts": 0})["facts"] * scale),
        body_bytes=round(sum(kind["body"] for kind in told["kinds"].values()) / max(1, facts)),
    )


@dataclass(frozen=True, slots=True)
class Load:
    """What that many cabinets ask for. Rates are averages per second unless they say otherwise."""

    cabinets: int
    publishes_up: float
    publishes_up_peak: float
    publishes_down: float
    pings: float
    bytes_both_ways: float
    facts: float
    facts_peak: float
    workers_at_peak: int
    window_s: int
    handshakes: float
    handshake_cores: int
    backlog_bytes: float
    backlog_rate: float
    backlog_workers: int
    gentle_bytes_s: float
    gentle_s: float
    stored_bytes_year: float
    stored_without_readings: float


def load(day: Day, cabinets: int) -> Load:
    """Return what ``cabinets`` ask for. The backlog is that of a day on which nobody had a connection."""
    window_s = round(min(_MOST_WINDOW_S, max(_LEAST_WINDOW_S, cabinets / _CONNECTS_PER_S)))
    drained_s = window_s + day.bytes_up / _DRAIN_BYTES_S  # the last to connect drains alone
    facts = cabinets * day.facts / _DAY_S
    workers = _whole(_PEAK * facts / day.worker_facts_s)
    gentle_s = cabinets * day.facts / (workers * day.worker_facts_s)
    at_rest = cabinets * (day.body_bytes + day.overhead_bytes)
    return Load(
        cabinets=cabinets,
        publishes_up=cabinets * day.publishes_up / _DAY_S,
        publishes_up_peak=_PEAK * cabinets * day.publishes_up / _DAY_S,
        publishes_down=cabinets * day.publishes_down / _DAY_S,
        pings=cabinets / _KEEPALIVE_S,
        bytes_both_ways=cabinets * ((day.bytes_up + day.bytes_down) / _DAY_S + _PING_BYTES / _KEEPALIVE_S),
        facts=facts,
        facts_peak=_PEAK * facts,
        workers_at_peak=workers,
        window_s=window_s,
        handshakes=cabinets / window_s,
        handshake_cores=_whole(cabinets / window_s / _HANDSHAKES_PER_CORE),
        backlog_bytes=float(cabinets * day.bytes_up),
        backlog_rate=cabinets * day.bytes_up / drained_s,
        backlog_workers=_whole(cabinets * day.facts / drained_s / day.worker_facts_s),
        gentle_bytes_s=day.bytes_up / gentle_s,
        gentle_s=gentle_s,
        stored_bytes_year=365.0 * at_rest * day.facts,
        stored_without_readings=at_rest * (365.0 * (day.facts - day.readings) + 30.0 * day.readings),
    )


def _whole(value: float) -> int:
    return max(1, int(-(-value // 1)))


_ROWS: Final[tuple[tuple[str, Callable[[Load], str]], ...]] = (
    ("connections", lambda one: f"{one.cabinets:,}"),
    (
        "publishes up, average (busiest hours × 6), /s",
        lambda one: f"{one.publishes_up:,.1f} ({one.publishes_up_peak:,.0f})",
    ),
    ("publishes down (acknowledgements, time), /s", lambda one: f"{one.publishes_down:,.1f}"),
    ("pings, keep-alive 240 s, /s", lambda one: f"{one.pings:,.0f}"),
    ("bytes both ways with pings, average, /s", lambda one: size(one.bytes_both_ways)),
    ("facts, average (busiest hours × 6), /s", lambda one: f"{one.facts:,.0f} ({one.facts_peak:,.0f})"),
    ("workers for the busiest hours", lambda one: f"{one.workers_at_peak}"),
    ("`spread_s` after an outage, s", lambda one: f"{one.window_s}"),
    (
        "TLS handshakes in that window, /s (cores of brokers)",
        lambda one: f"{one.handshakes:,.0f} ({one.handshake_cores})",
    ),
    ("backlog of a day without connection", lambda one: size(one.backlog_bytes)),
    ("its rate on the wire when all come back in that window, /s", lambda one: size(one.backlog_rate)),
    ("workers to take it that fast", lambda one: f"{one.backlog_workers}"),
    (
        "`drain_bytes_s` with which the workers above take it (hours)",
        lambda one: f"{one.gentle_bytes_s:,.0f} ({one.gentle_s / 3600:.1f})",
    ),
    ("stored in a year, PostgreSQL with indexes", lambda one: size(one.stored_bytes_year)),
    ("the same if readings left after 30 days (not built)", lambda one: size(one.stored_without_readings)),
)


def size(count: float) -> str:
    """Return bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - the next unit
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB" if count < 1000 else f"{count / 1000:.3g} PB"  # noqa: PLR2004 - as above


def table(day: Day) -> str:
    """Return the table for people, in Markdown."""
    loads = [load(day, cabinets) for cabinets in SIZES]
    words = (
        f"One cabinet and day: {day.source}: {day.bytes_up:,} bytes and {day.publishes_up} publishes up, "
        f"{day.bytes_down:,} bytes and {day.publishes_down} publishes down, {day.facts:,} facts ({day.readings:,} "
        f"readings among them) with bodies of {day.body_bytes} bytes, {day.overhead_bytes} bytes more at rest; "
        f"{day.worker_facts_s:,} facts/s a worker."
    )
    head = "| cabinets | " + " | ".join(f"{cabinets:,}" for cabinets in SIZES) + " |"
    lines = [words, "", head, "| --- |" + " ---: |" * len(SIZES)]
    lines += [f"| {name} | " + " | ".join(tell(one) for one in loads) + " |" for name, tell in _ROWS]
    return "\n".join(lines)


def block(day: Day) -> str:
    """Return what stands in the page: what it was made from, and the table."""
    return f"{_BEGIN}{json.dumps(asdict(day))} -->\n\n{table(day)}\n\n{_END}"


def day_of(page: str) -> Day:
    """Return from what the table in a page was made. Raises ValueError when there is none."""
    found = re.search(re.escape(_BEGIN) + r"(\{.*?\}) -->", page)
    if found is None:
        raise ValueError("no table made by this command")
    return Day(**json.loads(found[1]))


def written(page: str, day: Day) -> str:
    """Return a page with its table made anew. Raises ValueError when it has no place for one."""
    day_of(page)
    return page[: page.index(_BEGIN)] + block(day) + page[page.index(_END) + len(_END) :]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 1 when the day breaks the promise."""
    base = Day()
    parser = argparse.ArgumentParser(prog="python -m hil_rig.fleet", description=__doc__)
    parser.add_argument("--day", type=Path, metavar="FILE", help="measured day, made by python -m hil_rig.day --json")
    parser.add_argument(
        "--overhead", type=int, default=base.overhead_bytes, help="bytes of a fact at rest but its body"
    )
    parser.add_argument(
        "--worker", type=int, default=base.worker_facts_s, help="facts that a worker commits in a second"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    day = replace(base, overhead_bytes=options.overhead, worker_facts_s=options.worker)
    if options.day is not None:
        day = read_day(options.day, day)
    print(table(day))
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(written(page, day), encoding="utf-8")
    if options.json is not None:
        figures = {"day": asdict(day), "loads": [asdict(load(day, cabinets)) for cabinets in SIZES]}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if not day.kept():
        print(f"MISSED: {MAX_BYTES_UP:,} bytes and {MAX_PUBLISHES_UP} publishes up are promised")
    return 0 if day.kept() else 1


if __name__ == "__main__":
    sys.exit(main())
