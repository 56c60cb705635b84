"""The fuzzer in short, and that it finds what it looks for: each promise is broken once on purpose."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from hil_rig.fuzz.__main__ import main
from hil_rig.fuzz.engine import Fuzzer, replay
from hil_rig.fuzz.mutate import SHAPES, bodies, frame, mutated
from hil_rig.fuzz.strict import read, started_port
from hil_rig.fuzz.targets import TARGETS
from pilenode.guard import server
from pilenode.ipc import bounded, codec, messages
from pilenode.log import RateLimiter
from pilenode.station import command_text, commands
from pilenode.station.gate import PASSED, Gate
from pilenode.upstream import mqtt_link
from safety.state import Grant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hil_rig.fuzz.engine import Outcome


def test_every_door_keeps_its_promises(tmp_path: Path) -> None:
    """A short run over all doors, another one each time the seed below is changed."""
    table = tmp_path / "table.json"
    options = ["--inputs", "600", "--seed", "7", "--json", str(table), "--crashes", str(tmp_path)]
    assert main(options) == 0
    rows = {row["target"]: row for row in json.loads(table.read_text())["targets"]}
    assert list(rows) == list(TARGETS)
    for name, row in rows.items():
        assert row["inputs"] >= len(TARGETS[name].seeds())
        assert row["branches"] > row["branches_of_seeds"] > 50
    # Otherwise the promise about relays would hold of nothing.
    assert min(rows[name]["closings"] for name in ("cmd", "cmd-signed", "guard", "control")) > 0


def fuzz(name: str, inputs: int = 0) -> Outcome:
    """Return what a short run finds at one door; 0: every seed once."""
    target = TARGETS[name]
    return Fuzzer(target, 1, hasty=True).run(inputs or len(target.seeds()), 1e12, lambda _: None)


def _grants(ticket: int, request: messages.GuardRequest, honest: Callable[..., Any] = server._to_core) -> object:
    if isinstance(request, messages.Renew):
        return Grant(ticket, request.port, request.session, request.ttl_s)
    return honest(ticket, request)


@pytest.mark.parametrize(
    ("target", "where", "what", "breakage", "found"),
    [
        pytest.param("guard", server, "_to_core", _grants, "relay closed without a grant", id="guard closes"),
        pytest.param("cmd-retained", Gate, "fresh", lambda *_, **__: PASSED, "start without authority", id="retained"),
        pytest.param("guard", codec, "outer_keys", lambda *_: frozenset(), "malformed frame is taken", id="key twice"),
        pytest.param("control", codec, "outer_keys", lambda *_: frozenset(), "is not counted", id="key twice, control"),
        pytest.param("time", RateLimiter, "admit", lambda *_: 0, "two log lines within a second", id="log"),
        pytest.param("cmd", commands, "hear", lambda _: 1 // 0, "ZeroDivisionError at", id="an exception"),
    ],
)
def test_a_broken_promise_is_found(
    monkeypatch: pytest.MonkeyPatch, target: str, where: object, what: str, breakage: object, found: str
) -> None:
    """Each of them by good inputs and a few changes."""
    monkeypatch.setattr(where, what, breakage)
    assert any(found in one.what for one in fuzz(target, 200).findings)


def test_what_is_no_message_is_found_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key said twice, which a decoder alone takes."""
    twice = b'{"wall_ms":1780272000000,"wall_ms":1780272000000}'
    assert replay(TARGETS["time"], twice) == (None, "duplicate_key")
    monkeypatch.setattr(mqtt_link, "_unfit", lambda *_: None)
    assert replay(TARGETS["time"], twice)[0] == "what is no message is taken"


def test_what_takes_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings as they were looked for before: from every quote of one that never ends, again to the end of the text."""
    slow = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
    monkeypatch.setattr(bounded, "_STRINGS", slow)
    monkeypatch.setitem(TARGETS, "cmd", replace(TARGETS["cmd"], samples=lambda: (b'"' + b'\\"' * 2000,)))
    (finding,) = fuzz("cmd").findings
    assert "takes" in finding.what


def test_a_finding_is_shrunk_written_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds the shortest input that still does it, and --replay does it again."""

    def hear(payload: bytes) -> object:
        if b"{" in payload:
            raise ValueError("on purpose")
        return honest(payload)

    honest = command_text.hear
    monkeypatch.setattr(commands, "hear", hear)
    target = TARGETS["cmd"]
    (finding,) = Fuzzer(target, 1, tmp_path).run(3, 1e12, lambda _: None).findings
    assert finding.data == b"{"
    file = tmp_path / finding.name
    assert file.read_bytes() == b"{"
    assert replay(target, b"{")[0] == finding.what
    assert main(["--target", "cmd", "--replay", str(file)]) == 1
    monkeypatch.undo()
    assert main(["--target", "cmd", "--replay", str(file)]) == 0


@pytest.mark.parametrize("name", list(TARGETS))
def test_changes_keep_and_break_the_shape(name: str) -> None:
    """The same seed makes the same inputs; some can still be read, some cannot."""
    target = TARGETS[name]
    randoms = Random(3), Random(3)  # noqa: S311 - nothing secret
    made, again = ([target.change(one, target.seeds(), target.seeds()) for _ in range(300)] for one in randoms)
    assert made == again
    assert len(set(made)) > 200
    if target.shape == "json":
        assert 30 < sum(read(one) is not None for one in made) < 290
    if target.shape == "frames":
        assert 30 < sum(all(read(body) is not None for body in bodies(one)) for one in made) < 290


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("data", [b"", b"\x00", b"{}", b"[]", b"\n", frame(b""), frame(b"{}") * 3])
def test_any_input_can_be_changed(shape: str, data: bytes) -> None:
    """Nothing that a change makes is too little for the next one."""
    random = Random(1)  # noqa: S311 - nothing secret
    for _ in range(300):
        data = mutated(random, shape, [data], [data])


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (b'{"op":"start","port":2,"order":"o"}', 2),
        (b'{"op":"start","port":2.0,"order":"o"}', 2),
        (b'{"op":"start","port":true,"order":"o"}', None),
        (b'{"op":"start","port":0,"order":"o"}', None),
        (b'{"op":"start","port":2,"port":1,"order":"o"}', None),
        (b'{"op":"start","port":2}', None),
        (b'{"op":"stop","port":2,"order":"o"}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_authority_is_reckoned_apart(text: bytes, port: int | None) -> None:
    """What the doors believe about a start does not come from the product."""
    assert started_port(read(text), "op") == port
