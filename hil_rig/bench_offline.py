"""A week offline, told under every trouble at once: ``python -m hil_rig.bench_offline [--facts N] [--json FILE]``.

A journal of seven days without a network is given to the real station, which tells it to the reference backend through
mosquitto at its own pace, while

- the broker is killed (SIGKILL) again and again, and comes back with nothing;
- acknowledgements are held back, overtake each other and come again, old ones, too (``hil_rig.mqtt_middle``);
- the backend ends right after a commit, before it acknowledges; and is killed at random;
- the access list no longer lets the cabinet publish, for a while (PUBACK 0x87);
- nobody listens, for a while (PUBACK 0x10).

Then (``--broker-kills-after-puback``) the broker is killed directly after it has answered a batch, many times: what is
told it took, it loses. Exit status 0 when every fact is at the backend exactly once, in order, in an unbroken chain up
to the journal's head, nothing was ever taken for confirmed that the backend did not have, and troubles that only people
can end were shown within a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hil_rig import delivered
from hil_rig.broker import Broker, OpenBroker
from hil_rig.harness import Harness, Setup
from hil_rig.mqtt_middle import Middle
from hil_rig.offline_week import FACTS, fill
from hil_rig.sync_node import SyncNode
from hil_rig.upstream import BackendProcess
from pilenode.upstream.contract import MAX_BATCH_FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilenode.ipc.messages import StatusReply

#: A trouble that only people can end is shown after this long at most, seconds.
MAX_SHOWN_S: Final = 60.0
#: A drain of 20,000 facts at the pace of the configuration takes no longer, seconds.
MAX_DRAIN_S: Final = 1800.0
DRAIN_FACTS: Final = 20_000
PACE_BYTES_S: Final = 16_000.0
_NODE: Final = "rig-001"
_GRANTED: Final = "topic readwrite #\n"
_REVOKED: Final = "topic read #\ntopic write pn/v1/+/dn/#\n"
_POLL_S: Final = 0.2
_STUCK_S: Final = 240.0
#: How long facts that were on their way may still be committed after a door was shut, seconds; acknowledgements are
#: held back for longer.
_SETTLED_S: Final = 1.0


@dataclass(slots=True)
class Report:
    """What happened. ``shown_s``: how long it took until a trouble was shown, by its code."""

    facts: int = 0
    seconds: float = 0.0
    broker_kills: int = 0
    deaths_after_commit: int = 0
    committed_untold: int = 0
    backend_kills: int = 0
    connections: int = 0
    batches: int = 0
    wire_bytes: int = 0
    acks: int = 0
    ack_copies: int = 0
    duplicates: int = 0
    shown_s: dict[str, float] = field(default_factory=dict)
    held_s: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def at_pace_s(self) -> float:
        """How long 20,000 such facts take at the pace of the configuration, from their bytes on the wire."""
        sent = self.facts + self.duplicates
        return DRAIN_FACTS * self.wire_bytes / sent / PACE_BYTES_S if sent else 0.0

    def lines(self) -> list[str]:
        """Return the table."""
        shown = ", ".join(f"{code} after {seconds:.1f} s" for code, seconds in self.shown_s.items()) or "-"
        held = ", ".join(f"{code} for {seconds:.0f} s" for code, seconds in self.held_s.items()) or "-"
        return [
            f"{self.facts} facts told in {self.seconds:.0f} s; {self.facts / max(self.seconds, 1e-9):.0f} a second",
            (
                f"  broker killed {self.broker_kills} times, backend ended after a commit {self.deaths_after_commit} "
                f"times ({self.committed_untold} facts committed and not told), killed {self.backend_kills} times"
            ),
            (
                f"  {self.connections} connections; {self.batches} batches, {self.wire_bytes} bytes; "
                f"{self.duplicates} facts came again"
            ),
            f"  {self.acks} acknowledgements, held back and mixed up, and {self.ack_copies} copies of them",
            f"  shown: {shown}",
            f"  refused: {held}; nothing was taken for confirmed meanwhile",
            f"  {DRAIN_FACTS} facts at {PACE_BYTES_S / 1000:g} KB/s: {self.at_pace_s:.0f} s (allowed {MAX_DRAIN_S:g})",
        ]


@dataclass(frozen=True, slots=True)
class Troubles:
    """What happens meanwhile. ``deaths``: of the backend after a commit, and as many at random.

    ``hold_s``: how long a broker that takes nothing goes on taking nothing; ``delay_s``: by which acknowledgements are
    held back; ``nobody_listens``: for as long, too.
    """

    broker_kills: int = 20
    deaths: int = 6
    hold_s: float = 15.0
    delay_s: float = 0.8
    nobody_listens: bool = True


class Week:
    """One week that is told at ``pace``, bytes per second."""

    def __init__(self, directory: Path, facts: int, troubles: Troubles, pace: float = PACE_BYTES_S) -> None:
        self.report = Report()
        self._troubles = troubles
        self._settled_s = _SETTLED_S + 2 * troubles.delay_s
        self._random = random.Random(1)
        self._broker = OpenBroker(_GRANTED)
        self._middle = Middle(self._broker, delay_s=troubles.delay_s, again=0.4)
        extra = "retry_base_s = 0.1\nretry_cap_s = 1\nspread_s = 0\nack_timeout_s = 5\ntelemetry_s = 0\n"
        extra += f"drain_bytes_s = {pace}\n"
        self._cabinet = Harness(directory / "cabinet", Setup(_NODE, upstream_url=self._middle.url, extra=extra))
        self._journal = self._cabinet.storage / "station" / "journal.db"
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        fill(self._journal, facts)
        self._backend = BackendProcess(self._broker.url, directory / "backend.db", ("--mqtt", "auto"))

    def run(self) -> Report:
        """Tell it."""
        with self._broker, self._middle, self._cabinet, self._backend:
            begun_s = time.monotonic()
            self._cabinet.start("station")
            total = self._status().last_seq
            for number, (share, event) in enumerate(self._plan(), start=1):
                self._until(lambda status, share=share: status.acked_seq >= share * total)  # type: ignore[misc]
                _say(f"{number}: {event.__name__.strip('_')} at {share:.0%}")
                event()
            self._until(lambda status: status.outbox == 0)
            self.report.seconds = time.monotonic() - begun_s
            self._cabinet.end("station")
            self._finish()
        return self.report

    def _plan(self) -> list[tuple[float, Callable[[], None]]]:
        kills, deaths = self._troubles.broker_kills, self._troubles.deaths
        plan: list[tuple[float, Callable[[], None]]] = [(0.37, self._revoke)]
        if self._troubles.nobody_listens:
            plan.append((0.63, self._nobody_listens))
        plan += [((at + 1) / (kills + 2), self._kill_broker) for at in range(kills)]
        plan += [((at + 0.3) / deaths, self._die_after_commit) for at in range(deaths)]
        plan += [((at + 0.7) / deaths, self._kill_backend) for at in range(deaths)]
        return sorted(plan, key=lambda one: one[0])

    # -- looking -----------------------------------------------------------------------------------------------

    def _status(self) -> StatusReply:
        """Ask the station, and look that it never believes more than the backend has."""
        status = self._cabinet.status()
        has = self._backend.store.complete(_NODE, status.log_id)
        if status.acked_seq > has:
            self.report.failures.append(f"{status.acked_seq} facts are taken for confirmed, the backend has {has}")
        return status

    def _until(self, condition: Callable[[StatusReply], bool], seconds: float = _STUCK_S) -> StatusReply:
        """Wait until it is so; ``seconds`` without a new confirmation are too many. Raises RuntimeError."""
        acked, since_s = -1, time.monotonic()
        while True:
            status = self._status()
            _progress(f"{status.acked_seq} of {status.last_seq} {status.upstream_problem or ''}")
            if condition(status):
                return status
            if status.acked_seq > acked:
                acked, since_s = status.acked_seq, time.monotonic()
            if time.monotonic() - since_s > seconds:
                raise RuntimeError(f"stuck at {acked} of {status.last_seq}: {status.upstream_problem}")
            time.sleep(_POLL_S)

    # -- troubles ----------------------------------------------------------------------------------------------

    def _kill_broker(self) -> None:
        self._broker.kill()
        self._middle.close()
        time.sleep(self._random.uniform(0, 0.5))
        self._broker.start()
        self._middle.open()
        self.report.broker_kills += 1

    def _kill_backend(self) -> None:
        self._backend.kill()
        self._backend.start()
        self.report.backend_kills += 1

    def _die_after_commit(self) -> None:
        """Let the backend end with a commit that nobody hears of."""
        self._backend.stop()
        self._backend.start("--die-after-commit", str(self._random.randint(2, 6)))
        self._backend.wait(_STUCK_S)
        time.sleep(1.0)  # what was acknowledged before has arrived by now
        status = self._status()
        self.report.committed_untold += self._backend.store.complete(_NODE, status.log_id) - status.acked_seq
        self.report.deaths_after_commit += 1
        self._backend.start()

    def _revoke(self) -> None:
        begun_s = time.monotonic()
        self._broker.allow(_REVOKED)
        self._refused("upstream_publish_refused", begun_s)
        self._broker.allow(_GRANTED)

    def _nobody_listens(self) -> None:
        begun_s = time.monotonic()
        self._backend.stop()
        self._refused("upstream_nobody_listens", begun_s)
        self._backend.start()

    def _refused(self, code: str, begun_s: float) -> None:
        """Wait until the trouble is shown, and look that nothing is confirmed while it lasts."""
        with suppress(RuntimeError):
            self._until(lambda status: status.upstream_problem == code, MAX_SHOWN_S)
        self.report.shown_s[code] = time.monotonic() - begun_s
        if self.report.shown_s[code] > MAX_SHOWN_S:
            self.report.failures.append(f"{code} is not shown within {MAX_SHOWN_S:g} s")
        time.sleep(self._settled_s)
        before = self._status().acked_seq
        time.sleep(self._troubles.hold_s)
        status = self._status()
        if status.acked_seq != before:
            self.report.failures.append(f"{code}: {status.acked_seq - before} facts were taken for confirmed")
        if status.upstream_problem != code:
            self.report.failures.append(f"{code}: {status.upstream_problem} is shown instead")
        self.report.held_s[code] = time.monotonic() - begun_s

    def _finish(self) -> None:
        report, middle, store = self.report, self._middle, self._backend.store
        report.facts = store.complete(_NODE, store.logs()[0][1])
        report.connections, report.batches, report.wire_bytes = middle.connections, middle.batches, middle.bytes
        report.acks, report.ack_copies, report.duplicates = middle.acks, middle.copies, store.duplicates()
        report.failures += delivered.problems(self._journal, store, _NODE)
        if self._troubles.deaths and not report.committed_untold:
            report.failures.append("no fact was committed and not told: nothing was proved")
        if report.at_pace_s > MAX_DRAIN_S:
            report.failures.append(f"{DRAIN_FACTS} facts take {report.at_pace_s:.0f} s at the usual pace")


# -- a broker that is killed when it has just said that it took something -----------------------------------------


@dataclass(slots=True)
class Struck:
    """``lost_by_broker``: how often a batch that it had answered for never reached the backend."""

    kills: int
    facts: int = 0
    lost_by_broker: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the table."""
        return [
            (
                f"broker killed directly after its answer {self.kills} times, {self.seconds:.0f} s: "
                f"{self.lost_by_broker} times what it had answered for was lost with it"
            ),
            f"  {self.facts} facts, {self.duplicates} came again",
        ]


def strike(directory: Path, kills: int) -> Struck:
    """Kill the broker after its first answer to a batch on each connection, ``kills`` times; then let it all arrive."""
    report, journal = Struck(kills), directory / "journal.db"
    fill(journal, (MAX_BATCH_FACTS + 10) * (kills + 4))  # some go out before the first strike
    begun_s = time.monotonic()
    with Broker() as broker, Middle(broker) as middle, Middle(broker, late_s=0.5) as behind:
        struck = threading.Event()

        def now() -> None:
            if not struck.is_set():
                with suppress(ProcessLookupError):
                    os.kill(broker.pid, signal.SIGKILL)
                struck.set()

        options = {"retry_base_s": 0.1, "retry_cap_s": 1.0, "spread_s": 0.0, "ack_timeout_s": 5.0}
        node = SyncNode(journal, middle.url, _NODE, **options)
        with BackendProcess(behind.url, directory / "backend.db", ("--mqtt", "auto")) as backend, node:
            middle.after_puback = now
            for number in range(1, kills + 1):
                has = _held(backend)
                if not struck.wait(_STUCK_S / 4):
                    raise RuntimeError("no batch was answered for")
                broker.kill()
                for one in (middle, behind):
                    one.close()
                time.sleep(0.2)  # what the backend had in hand is committed by now
                report.lost_by_broker += _held(backend) == has
                _progress(f"{number} of {kills} kills, {node.said[-1].acked} of {node.said[-1].last}")
                broker.start()
                behind.open()
                struck.clear()
                middle.open()
            middle.after_puback = None
            behind.late_s = 0.0
            node.until(lambda said: said.acked == said.last, _STUCK_S)
            node.stop()
            report.facts, report.duplicates = node.said[-1].last, backend.store.duplicates()
            report.failures += delivered.problems(journal, backend.store, _NODE)
            if not report.lost_by_broker:
                report.failures.append("the broker has lost nothing: nothing was proved")
    report.seconds = time.monotonic() - begun_s
    return report


def _held(backend: BackendProcess) -> int:
    return sum(upto for _, _, upto in backend.store.logs())


def _progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{words:<78}", end="", file=sys.stderr, flush=True)


def _say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_offline", description=__doc__)
    parser.add_argument("--facts", type=int, default=FACTS)
    parser.add_argument("--broker-kills", type=int, default=20)
    parser.add_argument("--deaths", type=int, default=6, help="of the backend after a commit; and as many at random")
    parser.add_argument("--pace", type=float, default=PACE_BYTES_S, help="bytes a second")
    parser.add_argument("--hold", type=float, default=15.0, help="seconds that nothing can be published")
    parser.add_argument("--broker-kills-after-puback", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(arguments)
    reports: list[Report | Struck] = []
    with tempfile.TemporaryDirectory(prefix="pilenode-offline-", ignore_cleanup_errors=True) as place:
        directory = Path(place)
        if options.facts:
            troubles = Troubles(options.broker_kills, options.deaths, options.hold)
            week = Week(directory, options.facts, troubles, options.pace)
            reports.append(week.run())
        if options.broker_kills_after_puback:
            (directory / "struck").mkdir()
            reports.append(strike(directory / "struck", options.broker_kills_after_puback))
    for report in reports:
        print("\n".join(report.lines()))
        for failure in report.failures:
            print(f"BROKEN: {failure}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in reports], indent=1), encoding="utf-8")
    return 1 if any(report.failures for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
