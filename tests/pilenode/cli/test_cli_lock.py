"""The commands lock, unlock and maintenance: one act each, in somebody's name, with local times."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from pilenode.cli.main import main
from pilenode.cli.moments import moment_ms
from pilenode.cli.terminal import Misuse
from pilenode.ipc.acts import LiftLock, Lock
from pilenode.ipc.messages import Perform
from tests.pilenode.ledger_models import Cabinet, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., tuple[int, str, str]]

FIRE = ("--authority", "Fire Office", "--reason", "wires")


@pytest.fixture
def cabinet(monkeypatch: pytest.MonkeyPatch) -> Cabinet:
    """Return a cabinet that answers instead of a socket."""
    made = Cabinet(Log())
    monkeypatch.setattr("pilenode.ipc.client.ask", made)
    return made


@pytest.fixture
def run(cabinet: Cabinet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``pilenode`` against ``cabinet``."""
    del cabinet
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return command


@pytest.fixture
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine stand in Shanghai."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def acts(cabinet: Cabinet) -> list[object]:
    """Return the acts that were asked for."""
    return [request.act for request in cabinet.asked if isinstance(request, Perform)]


@pytest.mark.usefixtures("shanghai")
def test_a_lock_is_one_act(run: Run, cabinet: Cabinet) -> None:
    """With everything that was given; times without an offset are those of this machine."""
    times = ("--from", "2026-12-01", "--until", "2026-12-02T08:00")
    status, out, _ = run("lock", "2", *FIRE, *times, "--id", "l-1")
    assert (status, out) == (0, "Locked port 2: l-1.\n")
    midnight_ms = 1_796_054_400_000
    assert acts(cabinet) == [
        Lock(
            lock="l-1",
            port=2,
            kind="lockout",
            authority="Fire Office",
            reason="wires",
            from_ms=midnight_ms,
            until_ms=midnight_ms + 32 * 3_600_000,
        )
    ]


def test_a_lock_without_a_name_gets_one_that_is_told(run: Run, cabinet: Cabinet) -> None:
    """A new one each time; the same in the answer and in the cabinet."""
    status, out, _ = run("lock", "--cabinet", *FIRE, "--json")
    (name,) = json.loads(out)["locks"]
    assert status == 0
    assert [*cabinet.locks.locks] == [name]
    assert cabinet.locks.locks[name].set.port is None
    assert json.loads(run("lock", "--cabinet", *FIRE, "--json")[1])["locks"] != [name]


@pytest.mark.parametrize(
    "arguments",
    [
        ("lock", *FIRE),
        ("lock", "2", "--cabinet", *FIRE),
        ("lock", "2", "--reason", "wires"),
        ("lock", "2", "--authority", "Fire Office"),
        ("lock", "0", *FIRE),
        ("lock", "2", *FIRE, "--until", "tomorrow"),
        ("lock", "2", *FIRE, "--from", "1969-01-01"),
        ("lock", "2", *FIRE, "--id", "two words"),
        ("lock", "2", "--authority", "", "--reason", "wires"),
        ("lock", "2", "--authority", "a" * 201, "--reason", "wires"),
        ("unlock", "l-1"),
        ("maintenance", "2"),
        ("maintenance", "on"),
        ("maintenance", "on", "2", "--cabinet"),
    ],
)
def test_what_is_not_said_clearly_is_not_done(run: Run, cabinet: Cabinet, arguments: tuple[str, ...]) -> None:
    """A usage error, before anything is asked."""
    assert run(*arguments)[0] == 2
    assert acts(cabinet) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("lock", "9", *FIRE), "unknown_port"),
        (("lock", "2", *FIRE, "--until", "2026-11-01"), "lock_in_past"),
        (("lock", "2", *FIRE, "--from", "2027-01-02", "--until", "2027-01-01"), "lock_period"),
        (("lock", "1", *FIRE, "--id", "l-1"), "lock_conflict"),
        (("unlock", "l-2", *FIRE), "unknown_lock"),
        (("unlock", "l-1", "--authority", "Li", "--reason", "x"), "lock_not_yours"),
        (("maintenance", "off", "3"), "unknown_lock"),
    ],
)
def test_what_the_cabinet_refuses_is_a_refusal(run: Run, arguments: tuple[str, ...], code: str) -> None:
    """With its code and the status of a refusal; nothing has changed."""
    run("lock", "2", *FIRE, "--id", "l-1")
    status, _, err = run(*arguments, "--json")
    assert (status, json.loads(err)["error"]["code"]) == (3, code)


def test_a_lock_is_lifted_in_the_name_of_its_authority(run: Run, cabinet: Cabinet) -> None:
    """Afterwards it is over."""
    run("lock", "2", *FIRE, "--id", "l-1")
    assert run("unlock", "l-1", *FIRE)[:2] == (0, "Lifted l-1.\n")
    assert acts(cabinet)[-1] == LiftLock(lock="l-1", authority="Fire Office", reason="wires")
    assert cabinet.status().locks == []


def test_maintenance_is_begun_and_ended(run: Run, cabinet: Cabinet) -> None:
    """Of that place alone; a lock-out there stays."""
    run("lock", "2", *FIRE, "--id", "l-1")
    assert run("maintenance", "on", "2", "--reason", "new socket")[0] == 0
    assert run("maintenance", "on", "2")[0] == 0
    assert run("maintenance", "on", "--cabinet")[0] == 0
    (work, *_) = [lock for lock in cabinet.status().locks if lock.port == 2 and lock.kind == "maintenance"]
    assert work.reason == "new socket"
    assert work.authority.startswith("cli:")
    status, out, _ = run("maintenance", "off", "2")
    assert (status, out) == (0, "Maintenance of port 2 is over.\n")
    assert [(lock.port, lock.kind) for lock in cabinet.status().locks] == [(2, "lockout"), (None, "maintenance")]
    assert run("maintenance", "off", "--cabinet", "--lang", "zh")[1] == "整柜：结束检修。\n"


@pytest.mark.usefixtures("shanghai")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01", 1_796_054_400_000),
        ("2026-12-01T00:00:00.001", 1_796_054_400_001),
        ("2026-12-01 00:00", 1_796_054_400_000),
        ("2026-11-30T16:00Z", 1_796_054_400_000),
        ("2026-12-01T00:00+08:00", 1_796_054_400_000),
        ("1970-01-01T08:00", 0),
    ],
)
def test_times_as_they_are_typed(text: str, expected: int) -> None:
    """A date is its midnight; an offset of its own counts."""
    assert moment_ms(text) == expected


@pytest.mark.parametrize("text", ["", "x", "2026-13-01", "2026-12-32", "1969-12-31T23:59Z", "30.11.2026"])
def test_times_that_are_none(text: str) -> None:
    """A usage error in both languages."""
    with pytest.raises(Misuse):
        moment_ms(text)
