"""Promises of signed commands: only who holds an operations key switches on, and keys change without a restart."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hil_rig.command_world import seal
from pilenode.station.command_text import Heard, hear
from pilenode.station.envelope import Seal
from pilenode.station.gate import Gate
from pilenode.station.signatures import MAX_KEYS, PURPOSE, KeyRing, KeysError, parse_keys
from pilenode.upstream.contract import MAX_COMMAND_BYTES, MAX_ENVELOPE_BYTES, Command
from pilenode.upstream.facts import CommandResult

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
START = Command(id="c1", op="start", port=1, order="o1", node="n1", iat=0, exp=60_000)


def line(name: str, key: Ed25519PrivateKey) -> str:
    """Return the line of a key in the file."""
    return f"{name} {base64.b64encode(key.public_key().public_bytes_raw()).decode()}\n"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Return a file with one key."""
    file = tmp_path / "keys"
    file.write_text("# operations\n\n" + line("ops", KEY) + "  # the end\n")
    return file


def verdict(keys: Path, payload: bytes) -> str:
    """Return what the gate of cabinet n1 says to who sent ``payload``."""
    heard = hear(payload)
    assert isinstance(heard, Heard)
    return asyncio.run(Gate("n1", KeyRing(keys)).authentic(heard)).code


def test_signed_start_passes_and_nothing_else(keys: Path) -> None:
    """A right signature by a listed key over this cabinet's name; whatever else is refused by its own code."""
    good = msgspec.json.decode(seal(START, KEY, "ops"))
    changed = good | {"signed": base64.b64encode(msgspec.json.encode(START).replace(b"o1", b"o2")).decode()}
    assert verdict(keys, msgspec.json.encode(good)) == ""
    assert verdict(keys, msgspec.json.encode(START)) == "unsigned"
    assert verdict(keys, msgspec.json.encode(changed)) == "bad_signature"
    assert verdict(keys, seal(START, OTHER, "ops")) == "bad_signature"
    assert verdict(keys, seal(START, OTHER, "theirs")) == "unknown_key"
    assert verdict(keys, seal(msgspec.structs.replace(START, node="n2"), KEY, "ops")) == "wrong_node"
    assert verdict(keys, seal(msgspec.structs.replace(START, node=None), KEY, "ops")) == "wrong_node"


def test_signature_for_another_purpose_is_worth_nothing(keys: Path) -> None:
    """Bytes that an operations key signed elsewhere cannot be passed off as a command."""
    content = msgspec.json.encode(START)
    bare = {
        "signed": base64.b64encode(content).decode(),
        "sig": base64.b64encode(KEY.sign(content)).decode(),
        "key": "ops",
    }
    assert verdict(keys, msgspec.json.encode(bare)) == "bad_signature"


@pytest.mark.parametrize("op", ["modify", "act"])
def test_acts_and_changes_need_a_signature_too(keys: Path, op: str) -> None:
    """What could lead to current later is not let in by another door."""
    act = b'{"id":"c","op":"act","act":{"act":"lift_lock","lock":"l","authority":"a","reason":"r"},"iat":0,"exp":9}'
    modify = b'{"id":"c","op":"modify","port":1,"session":"s","change":{"energy_wh":500},"iat":0,"exp":9}'
    assert verdict(keys, act if op == "act" else modify) == "unsigned"


@pytest.mark.parametrize("more", [b',"session":"s"', b',"order":"o"'])
def test_stop_never_needs_a_signature(keys: Path, more: bytes) -> None:
    """Not even where the file of keys is gone."""
    stop = b'{"id":"c","op":"stop","port":1,"iat":0,"exp":9' + more + b"}"
    assert verdict(keys, stop) == ""
    keys.unlink()
    assert verdict(keys, stop) == ""


def test_stop_in_a_bad_envelope_is_still_a_stop(keys: Path) -> None:
    """A wrong signature takes nothing from a stop that names its session."""
    stop = Command(id="c", op="stop", port=1, session="s", iat=0, exp=9)
    assert verdict(keys, seal(stop, OTHER, "nobody")) == ""


def test_keys_change_without_a_restart(keys: Path) -> None:
    """Add the new one, change over, take the old one out: each step counts for the next command."""
    ring = KeyRing(keys)
    old, new = (hear(seal(START, key, name)) for key, name in ((KEY, "ops"), (OTHER, "ops-2")))
    assert isinstance(old, Heard)
    assert isinstance(new, Heard)
    assert [ring.refusal(heard.seal)[0] for heard in (old, new)] == ["", "unknown_key"]
    keys.write_text(line("ops", KEY) + line("ops-2", OTHER))
    assert [ring.refusal(heard.seal)[0] for heard in (old, new)] == ["", ""]
    keys.write_text(line("ops-2", OTHER))
    assert [ring.refusal(heard.seal)[0] for heard in (old, new)] == ["unknown_key", ""]


@pytest.mark.parametrize(
    "text",
    [
        *("", "# nothing\n", "ops\n", "ops AAAA\n", "ops !!!!\n", "ops ÿ\n", "#" * 9000),
        *(line("ops", KEY) * 2, line("bad name", KEY)),
        "".join(line(f"k{number}", KEY) for number in range(MAX_KEYS + 1)),
    ],
)
def test_file_with_anything_wrong_lets_nothing_pass(keys: Path, text: str) -> None:
    """Half a list is no list: who wrote it must not believe that a key was taken out when it was not."""
    with pytest.raises(KeysError):
        parse_keys(text.encode())
    ring = KeyRing(keys)
    heard = hear(seal(START, KEY, "ops"))
    assert isinstance(heard, Heard)
    assert ring.refusal(heard.seal)[0] == ""
    keys.write_text(text)
    assert ring.refusal(heard.seal)[0] == "keys_unreadable"
    keys.write_text(line("ops", KEY))
    assert ring.refusal(heard.seal)[0] == ""


def test_largest_command_fits_its_envelope() -> None:
    """8 KiB of command can be signed; a byte more of either is refused unread."""
    padded = msgspec.json.encode(START)
    padded = b" " * (MAX_COMMAND_BYTES - len(padded)) + padded

    def wrapped(content: bytes, key: str = "k" * 64) -> bytes:
        sig = base64.b64encode(bytes(64)).decode()
        return msgspec.json.encode({"signed": base64.b64encode(content).decode(), "sig": sig, "key": key})

    assert isinstance(hear(wrapped(padded)), Heard)
    assert len(wrapped(padded)) <= MAX_ENVELOPE_BYTES
    for payload in (wrapped(padded + b" "), wrapped(b"{}") + b" " * MAX_ENVELOPE_BYTES):
        refused = hear(payload)
        assert isinstance(refused, CommandResult)
        assert refused.code == "oversized"


@pytest.mark.needs("openssl")
def test_openssl_can_sign(tmp_path: Path, keys: Path) -> None:
    """What the manual says: key, public key and signature with openssl alone."""

    def openssl(*arguments: str) -> bytes:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True).stdout

    openssl("genpkey", "-algorithm", "ed25519", "-out", "ops.key")
    public = openssl("pkey", "-in", "ops.key", "-pubout", "-outform", "DER")[-32:]
    keys.write_text(f"ops {base64.b64encode(public).decode()}\n")
    content = msgspec.json.encode(START)
    (tmp_path / "text").write_bytes(b"pilenode-command-v1\n" + content)
    signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", "ops.key", "-in", "text")
    assert KeyRing(keys).refusal(Seal(content, signature, "ops")) == ("", "")
    assert PURPOSE == b"pilenode-command-v1\n"


def test_a_key_that_is_no_file_is_told(tmp_path: Path) -> None:
    """A directory, a fifo that nobody writes to, a file without rights: refused, never waited for."""
    assert KeyRing(tmp_path).refusal(Seal(b"", b"", "ops"))[0] == "keys_unreadable"
    os.mkfifo(tmp_path / "fifo")
    assert KeyRing(tmp_path / "fifo").refusal(Seal(b"", b"", "ops"))[0] == "keys_unreadable"
