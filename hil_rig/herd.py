"""Ten thousand cabinets and a broker that dies: ``python -m hil_rig.herd [--nodes 10000] [--picture FILE]``.

Simulated cabinets (``hil_rig.herd_node``) with the product's own rules of reconnecting, a real mosquitto on loopback
and the reference backend. All connect, as if they had just lost a good connection; each sends its log and waits for the
acknowledgement; the connections stand; the broker is killed (SIGKILL) and started again after ``--down`` seconds, in
which each cabinet writes one more fact.

Checked: no second sees more than 1.2 times the planned N / spread connections (CONNACKs), and four standard deviations
of chance where that is more, which it is for small herds; no pause is longer than the cap; nobody is refused; everybody
is connected and drained at the end; every fact of every cabinet is in the backend exactly once, with its link. Exit
status 0 when all that holds. Clients, broker and backend share this machine: where it is too slow for all of them,
the clients themselves are late, and CONNECTs are answered in bursts. "late" and "longest CONNECT" tell that; "due" is
the curve of attempts that the rule alone has made, also those while the broker is away.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hil_rig.broker import Broker
from hil_rig.child import environment, python
from hil_rig.herd_node import Herd, Node, Rules, Tally
from hil_rig.herd_picture import picture
from hil_rig.upstream.process import BackendProcess
from pilenode.station.sync import STABLE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What the plan allows on top of itself: chance, and the machine that is late now and then.
MARGIN: Final = 1.2
_DEVIATIONS: Final = 4.0
#: Lines for a mosquitto that is to hold a fleet: its own caps are for a home.
_BROKER: Final = (
    "max_connections -1",
    "max_queued_messages 200000",
    "max_inflight_messages 1000",
    "sys_interval 0",
)
_LOOK_S: Final = 0.5
_PROGRESS_S: Final = 10.0
#: Time for the last facts to be confirmed after the last cabinet has connected, seconds.
_DRAIN_S: Final = 180.0


@dataclass(slots=True)
class Story:
    """What was seen. Curves are CONNACKs by second, counted from the first moment and from the broker's return."""

    nodes: int
    spread_s: float
    down_s: float
    first: dict[int, int] = field(default_factory=dict)
    second: dict[int, int] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    latest_s: float = 0.0
    failed: dict[str, int] = field(default_factory=dict)
    longest_pause_s: float = 0.0
    longest_connect_s: float = 0.0
    cap_s: float = 0.0
    first_drained_s: float | None = None
    back_s: float | None = None
    drained_s: float | None = None
    facts: int = 0
    stored: int = 0
    lost: int = 0
    strange: int = 0
    duplicates: int = 0
    resent: int = 0

    @property
    def plan(self) -> float:
        """Connections a second that the spread makes of this many cabinets."""
        return self.nodes / self.spread_s

    @property
    def bound(self) -> float:
        """The most that a second may see."""
        return max(MARGIN * self.plan, self.plan + _DEVIATIONS * math.sqrt(self.plan))

    def broken(self) -> list[str]:
        """Return the promises that were not kept."""
        found = {
            "more connections in a second than planned, at first": max(self.first.values(), default=0) > self.bound,
            "more connections in a second than planned, after the loss": max(self.second.values(), default=0)
            > self.bound,
            "more attempts in a second than planned": max(self.due.values(), default=0) > self.bound,
            "a pause above the cap": self.longest_pause_s > max(self.cap_s, self.spread_s),
            "refused": self.failed.get("refused", 0) > 0,
            "not all came and were confirmed": self.first_drained_s is None,
            "not all came back": self.back_s is None,
            "not all were confirmed after the loss": self.drained_s is None,
            "facts lost": self.lost > 0,
            "facts that nobody wrote, or with another link": self.strange > 0,
        }
        return [what for what, stands in found.items() if stands]

    def lines(self) -> list[str]:
        """Return the table."""
        most = max(self.due.values(), default=0)
        rows = [
            ("cabinets", f"{self.nodes}"),
            ("plan", f"{self.plan:.0f} connections/s (spread {self.spread_s:g} s), bound {self.bound:.0f}/s"),
            ("first connections", _curve(self.first, self.plan)),
            ("after the loss", f"broker away for {self.down_s:g} s; {_curve(self.second, self.plan)}"),
            ("all confirmed", f"{_s(self.first_drained_s)} after the start, {_s(self.drained_s)} after the return"),
            ("all back", f"{_s(self.back_s)} after the return of the broker"),
            ("longest pause", f"{self.longest_pause_s:.1f} s (cap {self.cap_s:g} s)"),
            ("longest CONNECT", f"{self.longest_connect_s:.2f} s until CONNACK"),
            ("attempts due", f"{sum(self.due.values())}, most {most}/s ({most / self.plan:.2f} of the plan)"),
            ("late", f"{self.latest_s:.2f} s at most; {sum(self.failed.values())} failed: {self.failed}"),
            ("facts", f"{self.facts} written, {self.stored} in the backend, {self.lost} lost, {self.strange} strange"),
            ("sent again", f"{self.resent} batches by cabinets, {self.duplicates} facts that the backend had"),
        ]
        return [f"{name:<18} {words}" for name, words in rows]


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"


def _curve(curve: Mapping[int, int], plan: float) -> str:
    most = max(curve.values(), default=0)
    return f"{sum(curve.values())} CONNACKs in {len(curve)} s, most {most}/s ({most / plan:.2f} of the plan)"


class Child:
    """One process with a part of the herd. ``state`` is the last that it told, ``end`` its tally."""

    def __init__(self, first: int, count: int, rules: Rules) -> None:
        self.state: dict[str, int] = {}
        self.end: dict[str, Any] = {}
        options = ["--first", str(first), "--count", str(count), "--rules", json.dumps(asdict(rules))]
        self._process = subprocess.Popen(
            python("-m", "hil_rig.herd", *options),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        for line in self._process.stdout:
            told = json.loads(line)
            if "connacks" in told:
                self.end = told
            else:
                self.state = told

    def say(self, word: str) -> None:
        """Tell it what happens now."""
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        """Ask for the tally and wait for the end."""
        with self._process:  # closes its pipes and waits
            self.say("end")
            self._thread.join()


class Play:
    """Broker, backend and children of one story."""

    def __init__(self, nodes: int, processes: int, rules: Rules, down_s: float, directory: Path) -> None:
        self.story = Story(nodes, rules.spread_s, down_s, cap_s=rules.cap_s)
        self._rules, self._down_s = rules, down_s
        self._broker = Broker(rules.port, "mosquitto", more=_BROKER)
        self._database = directory / "backend.db"
        self._processes = processes
        self._children: list[Child] = []

    def run(self) -> Story:
        """Play it."""
        nodes, story = self.story.nodes, self.story
        with self._broker, BackendProcess(self._broker.url, self._database) as backend:
            begun_s = time.monotonic()
            share = math.ceil(nodes / self._processes)
            self._children = [Child(first, min(share, nodes - first), self._rules) for first in range(0, nodes, share)]
            try:
                story.first_drained_s = self._until("drained", begun_s, self._rules.spread_s + _DRAIN_S)
                _tell(f"all confirmed after {_s(story.first_drained_s)}; the connections stand")
                time.sleep(self._rules.stable_s + 1.0)
                self._broker.kill()
                _tell("broker killed")
                self._say(f"write {self._down_s}")
                time.sleep(self._down_s)
                self._broker.start()
                back_s = time.monotonic()
                _tell("broker is back")
                patience_s = 2.5 * self._down_s + self._rules.spread_s + _DRAIN_S
                story.back_s = self._until("connected", back_s, patience_s)
                story.drained_s = self._until("drained", back_s, patience_s, facts=4 * nodes)
            finally:
                for child in self._children:
                    child.finish()
            self._count(begun_s, back_s)
            self._compare(backend)
        return story

    def _say(self, word: str) -> None:
        for child in self._children:
            child.say(word)

    def _until(self, what: str, since_s: float, patience_s: float, facts: int = 0) -> float | None:
        """Wait until all of them are ``what``; return how long after ``since_s`` that was, None when it was not."""
        told_s = time.monotonic()
        while (now := time.monotonic()) < since_s + patience_s:
            states = [child.state for child in self._children]
            if sum(one.get(what, 0) for one in states) == self.story.nodes and (
                sum(one.get("facts", 0) for one in states) >= facts
            ):
                return now - since_s
            if now - told_s >= _PROGRESS_S:
                told_s = now
                both = {key: sum(one.get(key, 0) for one in states) for key in ("connected", "drained")}
                _tell(f"{now - since_s:.0f} s: {both['connected']} connected, {both['drained']} confirmed")
            time.sleep(_LOOK_S / 5)
        return None

    def _count(self, begun_s: float, back_s: float) -> None:
        story, connacks, failed = self.story, Counter[int](), Counter[str]()
        due: Counter[int] = Counter()
        for child in self._children:
            connacks.update({int(at): count for at, count in child.end["connacks"].items()})
            due.update({int(at): count for at, count in child.end["due"].items()})
            story.latest_s = max(story.latest_s, child.end["latest_s"])
            failed.update(child.end["failed"])
            story.longest_pause_s = max(story.longest_pause_s, child.end["longest_pause_s"])
            story.longest_connect_s = max(story.longest_connect_s, child.end["longest_connect_s"])
            story.resent += child.end["resent"]
            story.strange += child.end["contradicted"]
        beginning, back = int(begun_s), int(back_s)
        story.first = {at - beginning: count for at, count in sorted(connacks.items()) if at < back}
        story.second = {at - back: count for at, count in sorted(connacks.items()) if at >= back}
        story.due = {at - beginning: count for at, count in sorted(due.items())}
        story.failed = dict(failed)

    def _compare(self, backend: BackendProcess) -> None:
        """Hold what the backend has against what cabinets of these numbers wrote."""
        story = self.story
        wanted: dict[tuple[str, str, int], str] = {}
        for number in range(story.nodes):
            node = Node(number, self._rules, Tally(), asyncio.Semaphore())
            node.write()
            wanted |= {(node.name, node.log_id, fact.seq): fact.hash for fact in node.facts}
        rows = [((row.node, row.log_id, row.fact.seq), row.fact.hash) for row in backend.store.rows()]
        found = dict(rows)
        story.facts, story.stored = len(wanted), len(rows)
        story.lost = len(wanted.keys() - found.keys())
        wrong = sum(hash_ not in ("", wanted.get(key)) for key, hash_ in rows)
        story.strange += wrong + len(rows) - len(found) + backend.store.contradictions()
        story.duplicates = backend.store.duplicates()


def _tell(line: str) -> None:
    print(f"herd: {line}", file=sys.stderr, flush=True)


# -- a child -----------------------------------------------------------------------------------------------


async def _child(first: int, count: int, rules: Rules) -> None:
    herd = Herd(first, count, rules)
    loop = asyncio.get_running_loop()
    words: asyncio.Queue[str] = asyncio.Queue()
    threading.Thread(
        target=lambda: [loop.call_soon_threadsafe(words.put_nowait, line.strip()) for line in sys.stdin], daemon=True
    ).start()
    running = asyncio.create_task(herd.run())
    telling = asyncio.create_task(_every(lambda: print(json.dumps(herd.state()), flush=True)))
    writing: list[asyncio.Task[None]] = []
    while (word := await words.get()) != "end":
        writing.append(asyncio.create_task(herd.write(float(word.split()[1]))))
    for task in (running, telling, *writing):
        task.cancel()
    await asyncio.gather(running, telling, *writing, return_exceptions=True)
    print(json.dumps(herd.tally.summary()), flush=True)


async def _every(do: Callable[[], None]) -> None:
    while True:
        do()
        await asyncio.sleep(_LOOK_S)


# -- the command -------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hil_rig.herd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2, help="that the cabinets are spread over")
    parser.add_argument("--spread", type=float, default=30.0, help="upstream.spread_s, seconds")
    parser.add_argument("--base", type=float, default=2.0, help="upstream.retry_base_s, seconds")
    parser.add_argument("--cap", type=float, default=900.0, help="upstream.retry_cap_s, seconds")
    parser.add_argument("--stable", type=float, default=STABLE_S, help="a connection that stood, seconds")
    parser.add_argument("--down", type=float, default=20.0, help="how long the broker is away, seconds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="curve of connections as SVG")
    for hidden in ("--first", "--count"):
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rules", help=argparse.SUPPRESS)
    return parser


def play(arguments: argparse.Namespace) -> Story:
    """Play what was asked for."""
    with tempfile.TemporaryDirectory(prefix="pilenode-herd-") as directory:
        broker = Broker(kind="mosquitto")  # only for a port that is free
        rules = Rules(broker.port, arguments.base, arguments.cap, arguments.spread, arguments.stable)
        return Play(arguments.nodes, arguments.processes, rules, arguments.down, Path(directory)).run()


def main(argv: Sequence[str] | None = None) -> int:
    """Play and report."""
    arguments = _parser().parse_args(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments.rules is not None:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_child(arguments.first, arguments.count, Rules(**json.loads(arguments.rules))))
        return 0
    story = play(arguments)
    print(f"{os.cpu_count()} cores for clients, broker and backend")
    print("\n".join(story.lines()))
    broken = story.broken()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(story) | {"broken": broken}, indent=1), encoding="utf-8")
    if arguments.picture is not None:
        arguments.picture.write_text(picture(story), encoding="utf-8")
    for what in broken:
        print(f"BROKEN: {what}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
