"""How soon a cabinet is back when its network is: ``python -m hil_rig.bench_link [--seconds N] [--nodes N]``.

Real network namespaces, one for each cabinet, each on a wire (veth) of its own to the one with broker and backend; all
inside a namespace of this bench, which needs root. Every cabinet is connected and tells a fact a second. Then for a
minute and more, long enough for a growing pause to have grown,

- ``no link``: the interface of the cabinet is down, as of a modem without a network;
- ``no carrier``: the other end of the wire is down, as of a router without power;
- ``vanishing``: everything looks well here, and no answer comes back (a blackhole route behind the wire).

Measured is from the moment that the network is back until the broker sees CONNECT, and until a new acknowledgement is
kept. Exit status 0 when the first two are back within ``BACK_S`` each time; the third is told as it is: nothing here
can know, and a fleet that tried every second would be a flood.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, Self

from hil_rig.broker import Broker
from hil_rig.child import environment, python
from hil_rig.mqtt_middle import Middle
from hil_rig.sync_node import SyncNode
from hil_rig.upstream import BackendProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Until the first packet, seconds.
BACK_S: Final = 3.0
CASES: Final = ("no link", "no carrier", "vanishing")
#: A case that nothing here can know of.
_UNKNOWABLE: Final = "vanishing"
_START_S: Final = 60.0
_BACK_WITHIN_S: Final = 900.0
_INSIDE: Final = "PILENODE_BENCH_LINK"


def _ip(*words: str, inside: int | None = None) -> None:
    before = () if inside is None else ("nsenter", "-t", str(inside), "-n")
    subprocess.run([*before, "ip", *words], check=True, stdin=subprocess.DEVNULL)


class Wire:
    """A namespace for one cabinet and a wire to it: 10.77.<number>.1 here, .2 there. A context manager."""

    def __init__(self, number: int) -> None:
        self.here, self.there = f"10.77.{number}.1", f"10.77.{number}.2"
        self._near, self._far = f"near{number}", f"far{number}"
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = ("unshare", "-n", "sleep", "infinity")
        self._holder = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        own, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{self.pid}/ns/net")
        while theirs.readlink() == own.readlink():
            time.sleep(0.01)
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far)
        _ip("link", "set", self._far, "netns", str(self.pid))
        _ip("address", "add", f"{self.here}/24", "dev", self._near)
        _ip("link", "set", self._near, "up")
        _ip("address", "add", f"{self.there}/24", "dev", self._far, inside=self.pid)
        _ip("link", "set", self._far, "up", inside=self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        if self._holder is not None:
            _ip("link", "delete", self._near)  # the kernel would do it too, but later
            self._holder.kill()
            self._holder.wait()

    @property
    def pid(self) -> int:
        """Return the process that holds the namespace."""
        if self._holder is None:
            raise RuntimeError("not entered")
        return self._holder.pid

    def cut(self, case: str) -> None:
        """Take the network away."""
        if case == "no link":
            _ip("link", "set", self._far, "down", inside=self.pid)
        elif case == "no carrier":
            _ip("link", "set", self._near, "down")
        else:
            _ip("route", "add", "blackhole", f"{self.there}/32")

    def mend(self, case: str) -> None:
        """Give it back."""
        if case == "no link":
            _ip("link", "set", self._far, "up", inside=self.pid)
        elif case == "no carrier":
            _ip("link", "set", self._near, "up")
        else:
            _ip("route", "delete", "blackhole", f"{self.there}/32")


@dataclass(frozen=True, slots=True)
class Row:
    """One case: seconds until CONNECT was seen, and until a new acknowledgement was kept, of every cabinet."""

    case: str
    out_s: float
    packet_s: list[float] = field(default_factory=list)
    acked_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the row of the table."""
        return (
            f"{self.case:<11} out for {self.out_s:3.0f} s, {len(self.packet_s)} times: first packet after "
            f"{median(self.packet_s):.2f} s (median), {max(self.packet_s):.2f} s (most); "
            f"first acknowledgement after {median(self.acked_s):.2f} s, {max(self.acked_s):.2f} s"
        )


class Rig:
    """A broker with its backend, and cabinets on wires of their own. A context manager."""

    def __init__(self, directory: Path, nodes: int, cut: str | None = None) -> None:
        self._directory = directory
        self._cut = cut  # from the beginning
        self._stack = ExitStack()
        self.broker = Broker()
        self.wires = [Wire(number) for number in range(1, nodes + 1)]
        self.middle = Middle(self.broker)
        self.nodes: list[SyncNode] = []

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        _ip("link", "set", "lo", "up")
        enter(self.broker)
        for wire in self.wires:
            enter(wire)
        self.middle.host = "0.0.0.0"  # noqa: S104 - inside a namespace of its own
        enter(self.middle)
        enter(BackendProcess(self.broker.url, self._directory / "backend.db", ("--mqtt", "auto")))
        for wire in self.wires if self._cut else ():
            wire.cut(self._cut or "")
        for number, wire in enumerate(self.wires, start=1):
            url = f"mqtt://{wire.here}:{self.middle.port}"
            name = f"link-{number}"
            node = SyncNode(self._directory / f"{name}.db", url, name, every=0.05, fresh_every=1.0)
            node.before = ("nsenter", "-t", str(wire.pid), "-n")
            self.nodes.append(enter(node))
        for node in () if self._cut else self.nodes:
            node.until(lambda said: said.protocol is not None and said.acked > 0, _START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self, case: str, out_s: float) -> Row:
        """Cut every wire, mend it after ``out_s``, and look how soon each cabinet is back."""
        row = Row(case, out_s)
        for wire in () if self._cut else self.wires:
            wire.cut(case)
        _until(lambda: all(node.said[-1].protocol is None for node in self.nodes), out_s, out_s)
        mended, acked, known = [], [], []
        for wire, node in zip(self.wires, self.nodes, strict=True):
            if node.said[-1].protocol is not None:
                row.failures.append("a cabinet did not notice at all")
            acked.append(node.said[-1].acked)
            known.append(len(node.said))
            mended.append(time.monotonic())  # the command that does it ends later than it does it
            wire.mend(case)
        for at, (wire, node) in enumerate(zip(self.wires, self.nodes, strict=True)):
            begun_s = mended[at]
            told = node.until(lambda said, at=at: said.acked > acked[at], _BACK_WITHIN_S, known[at])  # type: ignore[misc]
            row.acked_s.append(told.at_s - begun_s)
            seen = [when - begun_s for when, who in self.middle.connects if who == wire.there and when >= begun_s]
            row.packet_s.append(min(seen, default=row.acked_s[-1]))
        if case != _UNKNOWABLE and max(row.packet_s) > BACK_S:
            row.failures.append(f"{case}: first packet after {max(row.packet_s):.1f} s, allowed {BACK_S:g}")
        return row


def _until(condition: Callable[[], object], least_s: float, most_s: float) -> None:
    """Wait for ``least_s``, and then for ``condition``, as long again at most."""
    time.sleep(least_s)
    end = time.monotonic() + most_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def inside(options: argparse.Namespace) -> int:
    """Measure; the network namespace is our own."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="pilenode-link-") as directory:
        for number, case in enumerate(options.cases):
            place = Path(directory) / str(number)
            place.mkdir()
            with Rig(
                place, options.nodes, case if options.cold else None
            ) as rig:  # anew: what one case did to a pause must not help the next
                rows.append(rig.measure(case, options.seconds))
            print(rows[-1].line(), flush=True)
            for failure in rows[-1].failures:
                print(f"BROKEN: {failure}")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 1 if any(row.failures for row in rows) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_link", description=__doc__)
    parser.add_argument("--seconds", type=float, default=65.0, help="that the network is gone")
    parser.add_argument("--nodes", type=int, default=10, help="cabinets, each on its own wire")
    parser.add_argument("--cold", action="store_true", help="the network is gone before the cabinets begin")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(words)
    if os.environ.get(_INSIDE):
        return inside(options)
    if os.geteuid() != 0 or not all(shutil.which(program) for program in ("ip", "unshare", "nsenter")):
        print("needs root and ip, unshare, nsenter", file=sys.stderr)
        return 2
    command = ["unshare", "-n", *python("-m", "hil_rig.bench_link"), *words]
    return subprocess.run(command, env=environment() | {_INSIDE: "1"}, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
