"""``pilenode card watch``: what a technician sees of readers and cards, and what he does not."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import serial

from hil_rig.card_serial import Tty, rdm6300_frame
from pilenode.cli.card_watch import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., tuple[int, str, str]]

EXAMPLE = Path(__file__).parents[3] / "config" / "example.toml"
UID = bytes.fromhex("0100072A5F")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon; that it is a second in life is a test of tests/drivers/test_card_reader.py."""
    monkeypatch.setattr("drivers.card_reader.REOPEN_S", 0.05)


@pytest.fixture
def tty(tmp_path: Path) -> Iterator[Tty]:
    """Return the tty of the reader."""
    with Tty(tmp_path / "tty") as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return a configuration whose only reader is an RDM6300 called front."""
    head, _, rest = EXAMPLE.read_text(encoding="utf-8").partition("\n[[reader]]\n")
    tail = rest[rest.index("# -- temperature probes") :]
    reader = f'[[reader]]\nname = "front"\nkind = "rdm6300"\ndevice = "{tmp_path / "tty"}"\n\n'
    path = tmp_path / "cabinet.toml"
    path.write_text(f"{head}\n{reader}{tail}", encoding="utf-8")
    return str(path)


def saying(tty: Tty, *frames: bytes) -> threading.Thread:
    """Send frames again and again for 0.4 s: nobody knows when the reader is open."""

    def say() -> None:
        for _ in range(8):
            for frame in frames:
                tty.say(frame)
            time.sleep(0.05)

    thread = threading.Thread(target=say)
    thread.start()
    return thread


def test_a_card_is_shown_masked_and_counted_once(run: Run, tty: Tty, file: str) -> None:
    """First and last two digits; what was repeated and what was bad is in the counters."""
    sender = saying(tty, rdm6300_frame(UID), rdm6300_frame(UID, checksum=0))
    status, out, err = run("card", "watch", "--config", file, "--seconds", "0.45")
    sender.join()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["front: ready; hold a card against it.", "front: card 01******5F"]
    assert len(lines) == 3
    assert re.fullmatch(r"front: frames \d+, bad_checksum \d+, repeated \d+", lines[2])


def test_the_whole_id_only_on_demand_and_with_a_warning(run: Run, tty: Tty, file: str) -> None:
    """Whoever knows an id can copy the card."""
    sender = saying(tty, rdm6300_frame(UID))
    status, out, err = run("card", "watch", "--config", file, "--seconds", "0.45", "--show-uid")
    sender.join()
    assert status == 0
    assert "front: card 0100072A5F" in out.splitlines()
    assert err == "Careful: whole ids follow; do not photograph or pass them on.\n"


def test_programs_get_lines_of_json(run: Run, tty: Tty, file: str) -> None:
    """State, card, counters: one object each, masked as well."""
    sender = saying(tty, rdm6300_frame(UID))
    status, out, _ = run("card", "watch", "--config", file, "--seconds", "0.45", "--json")
    sender.join()
    assert status == 0
    state, card, counters = map(json.loads, out.splitlines())
    assert state == {"type": "reader", "reader": "front", "state": "ready", "code": None}
    assert card == {"type": "card", "reader": "front", "uid": "01******5F", "bytes": 5}
    assert counters["type"] == "counters"
    assert counters["readers"]["front"]["frames"] >= 1


def test_a_reader_that_is_not_there(run: Run, file: str) -> None:
    """What it is, what the system said, what to do, and status 6 at the end; both languages."""
    status, out, err = run("card", "watch", "--config", file, "--seconds", "0.1")
    assert status == 6
    assert out.splitlines()[0].startswith("front: The device of the card reader is not there. ([Errno 2]")
    assert "    Check its plug and reader.device" in out
    assert err.startswith("error: front: The device of the card reader is not there.\nremedy: Check its plug")
    _, out, err = run("card", "watch", "--config", file, "--seconds", "0.1", "--lang", "zh")
    assert out.startswith("front: 没有找到读卡器的设备。")
    assert err.startswith("错误：front：没有找到读卡器的设备。")
    _, _, err = run("card", "watch", "--config", file, "--seconds", "0.1", "--json")
    assert json.loads(err)["error"]["code"] == "reader_absent"


def test_a_reader_that_another_program_has(run: Run, tty: Tty, file: str) -> None:
    """Busy is told apart from missing."""
    with serial.Serial(tty.device, exclusive=True):
        status, out, err = run("card", "watch", "--config", file, "--seconds", "0.1")
    assert status == 6
    assert "Another program uses the card reader." in out
    assert "remedy: Stop the program that has it" in err


def test_a_reader_that_is_plugged_in_while_watching(run: Run, tmp_path: Path, file: str) -> None:
    """Nothing has to be started again; at the end it is ready, so the status is 0."""
    made: list[Tty] = []
    plug = threading.Timer(0.2, lambda: made.append(Tty(tmp_path / "tty")))
    plug.start()
    status, out, _ = run("card", "watch", "--config", file, "--seconds", "0.8")
    made[0].vanish()
    assert status == 0
    assert [line for line in out.splitlines() if "ready" in line]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reader", "frnt"), "No reader frnt: known are front. Did you mean front?"),
        (("--seconds", "0"), "expected a number above 0"),
        (("--seconds", "nan"), "expected a number above 0"),
    ],
)
def test_misuse_is_status_2(run: Run, file: str, arguments: tuple[str, ...], words: str) -> None:
    """Before anything is opened."""
    status, out, err = run("card", "watch", "--config", file, *arguments)
    assert (status, out) == (2, "")
    assert words in err


def test_a_cabinet_without_readers(run: Run, file: str) -> None:
    """There is nothing to watch."""
    path = Path(file)
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text[: text.index("\n[[reader]]\n")] + text[text.index("# -- temperature probes") :], encoding="utf-8"
    )
    status, _, err = run("card", "watch", "--config", file)
    assert status == 2
    assert "The configuration has no [[reader]]." in err


@pytest.mark.parametrize(
    ("uid", "shown"), [("0100072A5F", "01******5F"), ("DEADBEEF", "DE****EF"), ("5A0144", "****44")]
)
def test_what_a_mask_leaves(uid: str, shown: str) -> None:
    """A short id keeps two digits only: with four of six the rest is guessed at the reader."""
    assert masked(uid) == shown


def test_every_state_that_is_trouble_has_words_and_a_status(run: Run) -> None:
    """``explain`` knows each of them."""
    for state in ("absent", "busy", "denied", "failed", "lost", "silent", "starting", "unusable"):
        status, out, _ = run("explain", f"reader_{state}")
        assert status == 0
        assert out.startswith(f"reader_{state} (card reader)\n")
