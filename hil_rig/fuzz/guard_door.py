"""Guard's socket: a real server and a real loop on simulated pins. No relay closes without a grant that is one."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

from hil_rig.fuzz.doors import BrokenPromiseError
from hil_rig.fuzz.guard_bench import GuardBench
from hil_rig.fuzz.mutate import bodies
from hil_rig.fuzz.strict import is_name, is_number, read
from pilenode import clock
from pilenode.guard.loop import TICK_S
from pilenode.ipc import messages
from pilenode.ipc.codec import MAX_REQUEST, Decoder, FrameError, encode
from safety.state import Grant, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety.state import State

RUNNING: Final = "s-1"
#: A request waits for a tick, and a grant takes up to three until its relay closes.
_TICKS: Final = 4
#: Rounds of the server that an input is followed for, and how many without a sign say that nothing more will come.
_ROUNDS: Final = 200
_QUIET: Final = 3
_CHUNK: Final = 1 << 16
_PLAN: Final = messages.Plan(energy_wh=1200.5, duration_s=3600.0, deadline_s=7200.0, for_amount=True)
_PLAN_LIMITS: Final = {"energy_wh": 100_000, "duration_s": 43_200, "deadline_s": 86_400}
_MOST_TTL_S: Final = 3600


def samples() -> Sequence[bytes]:
    """Return every request that guard knows, and what clients send together."""
    single: list[messages.GuardRequest] = [
        messages.Hello(),
        messages.Hello(protocol=2),
        messages.Grant(port=2, session="s-2", ttl_s=60.0, plan=_PLAN),
        messages.Grant(port=2, session="s-3", ttl_s=0.5),
        messages.Grant(port=1, session="s-4", ttl_s=60.0),
        messages.Renew(port=1, session=RUNNING, ttl_s=60.0),
        messages.Renew(port=2, session="s-2", ttl_s=60.0),
        messages.Amend(port=1, session=RUNNING, plan=_PLAN),
        messages.Release(port=1, session=RUNNING, reason="user"),
        messages.Reset(port=1, by="技术员", repair="relay"),
        messages.Reset(port=None, by="t"),
        messages.RunTest(kind="relays"),
        messages.GetSnapshot(),
        messages.GetEvents(since=0, limit=500),
    ]
    frames = [encode(one) for one in single]
    return (*frames, b"".join(frames), frames[0] + frames[2] + frames[12], encode(messages.GetSnapshot()) * 600, b"")


class Door:
    """One guard with a session on port 1. Every input is a connection of its own to a guard in that same state."""

    def __init__(self) -> None:
        self._begin_s = clock.monotonic_s()
        self._bench = GuardBench(self._begin_s)
        self._state = self._running()
        self.closings = 0
        self.longest_round_ms = 0.0

    def _running(self) -> State:
        bench, now = self._bench, self._begin_s
        bench.server._pending.append(Grant(0, 1, RUNNING, 600.0, Plan()))  # noqa: SLF001 - before anybody is there
        for _ in range(_TICKS):
            now += TICK_S
            bench.tick(now)
        if bench.pins.on != {1}:
            raise BrokenPromiseError("a good grant closes no relay")
        self._begin_s = now
        return bench.loop.state

    def give(self, data: bytes) -> str:
        """Send ``data`` over a new connection and let guard tick."""
        bench = self._bench
        bench.refresh(self._state, self._begin_s)
        before = bench.server.refused
        replies, cut = self._converse(data)
        whole = granted(data)
        wrong = set(bench.pins.closings) - whole - {1}
        if wrong or bench.pins.closings.count(1) > 1 + (1 in whole):
            raise BrokenPromiseError(f"relay closed without a grant: {sorted(wrong) or [1]}")
        self.closings += len(set(bench.pins.closings) & whole)
        if cut and bench.server.refused == before:
            raise BrokenPromiseError("cut off and not counted")
        if malformed(data) and not cut:
            raise BrokenPromiseError("a malformed frame is taken")
        if cut:
            return "cut off"
        last = replies[-1] if replies else None
        return last.code if isinstance(last, messages.Refused) else "taken" if last else "nothing"

    def _converse(self, data: bytes) -> tuple[list[messages.GuardReply], bool]:
        """Return what guard answered, and whether it hung up."""
        bench, now = self._bench, self._begin_s
        decoder: Decoder[messages.GuardReply] = Decoder(messages.GuardReply)
        replies: list[messages.GuardReply] = []
        cut = False
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(bench.socket))
            client.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            busy = quiet = 0
            for _ in range(_ROUNDS):
                if quiet >= _QUIET or cut:
                    break
                data, heard, gone = _exchange(client, data, cut=cut)
                cut = cut or gone
                try:
                    replies += decoder.feed(heard)
                except FrameError as error:
                    raise BrokenPromiseError(f"an answer that nobody can read: {error}") from error
                begun_s = time.perf_counter()
                bench.server.serve(0.0)
                self.longest_round_ms = max(self.longest_round_ms, (time.perf_counter() - begun_s) * 1000)
                if bench.server._pending:  # noqa: SLF001 - a tick without a request is not this door's
                    quiet, busy = 0, _TICKS
                if busy:
                    now += TICK_S
                    bench.tick(now)
                    busy -= 1
                quiet = 0 if heard or data or busy else quiet + 1
            _, heard, gone = _exchange(client, b"", cut=cut)
            replies += decoder.feed(heard)
        bench.server.serve(0.0)  # sees the end of this connection
        return replies, cut or gone

    def well(self) -> None:
        """Ask who is there, and for a lease."""
        word = self.give(encode(messages.Hello()) + encode(messages.Grant(port=2, session="s-w", ttl_s=60.0)))
        if word != "taken" or self._bench.pins.closings != [1, 2]:
            raise BrokenPromiseError(f"a good request is not answered: {word}, {self._bench.pins.closings}")

    def close(self) -> None:
        """Free everything."""
        self._bench.close()


def _exchange(client: socket.socket, data: bytes, *, cut: bool) -> tuple[bytes, bytes, bool]:
    """Send what can be sent and read what is there: what is left to send, what was read, whether the peer is gone."""
    heard, gone = b"", False
    try:
        if data and not cut:
            data = data[client.send(data) :]
    except BlockingIOError:
        pass
    except OSError:
        data, gone = b"", True
    try:
        while part := client.recv(_CHUNK):
            heard += part
        gone = True
    except BlockingIOError:
        pass
    except OSError:
        gone = True
    return (b"" if gone else data), heard, gone


def malformed(data: bytes) -> bool:
    """Return whether one of the first frames is beyond doubt no request."""
    return any(len(body) > MAX_REQUEST or read(body) is None for body in bodies(data)[:3])


def granted(data: bytes) -> set[int]:
    """Return the ports for which ``data`` holds a grant that is one."""
    return {int(one["port"]) for body in bodies(data) if (one := read(body)) is not None and _is_grant(one)}  # type: ignore[call-overload]


def _is_grant(one: dict[str, object]) -> bool:
    if one.get("type") != "grant" or not set(one) <= {"type", "port", "session", "ttl_s", "plan"}:
        return False
    plan = one.get("plan", {})
    return (
        is_number(one.get("port"), 99)
        and is_name(one.get("session"))
        and is_number(one.get("ttl_s"), _MOST_TTL_S)
        and isinstance(plan, dict)
        and all(plan.get(key) is None or is_number(plan[key], most) for key, most in _PLAN_LIMITS.items())
        and all(isinstance(plan.get(key, False), bool) for key in ("for_amount", "for_hours"))
        and set(plan) <= {*_PLAN_LIMITS, "for_amount", "for_hours"}
    )
