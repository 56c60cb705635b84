"""Promises of card ids: one card has one id at every reader and cabinet with one key, and the number stays hidden."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.station.card_id import CardKeyError, card_id, key_id, make_key, normalise, read_key

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))


def test_the_hash_is_hmac_sha_256_cut_to_128_bits() -> None:
    """Computed with OpenSSL: printf 0100072A5F | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f."""
    assert card_id("0100072A5F", KEY) == "7761e9130699c7fce2e02909f617c804"
    assert key_id(KEY) == "b1cfb789"


@pytest.mark.parametrize("spelling", ["0100072a5f", "01:00:07:2A:5F", " 01 00 07 2A 5F ", "01-00-07-2A-5F"])
def test_spellings_of_one_number_are_one_card(spelling: str) -> None:
    """Whoever makes a list may copy the number from anywhere."""
    assert card_id(spelling, KEY) == card_id("0100072A5F", KEY)


@pytest.mark.parametrize("bad", ["", "0", "010", "GG", "00000000", "00" * 17, "01 0", "0x01"])
def test_what_is_no_number_is_refused(bad: str) -> None:
    """Half a byte, no hex, too long, and the zeros of a broken reader."""
    with pytest.raises(ValueError, match="card number"):
        normalise(bad)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=16).filter(any), st.binary(min_size=32, max_size=32))
def test_an_id_has_one_shape_and_its_key_decides(uid: bytes, key: bytes) -> None:
    """32 hex digits; another key gives another id, so the list of a district tells nothing to a stranger."""
    one = card_id(uid.hex(), key)
    assert len(one) == len(bytes.fromhex(one)) * 2 == 32
    assert one != card_id(uid.hex(), bytes([key[0] ^ 1]) + key[1:])


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """For its owner alone; a key that is there is never replaced, and nothing is left beside it."""
    path = tmp_path / "card.key"
    key = make_key(path)
    assert (len(key), make_key(path), read_key(path)) == (32, key, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["card.key"]
    (tmp_path / "card.key.new").write_text("half")
    path.unlink()
    assert make_key(path) != key


@pytest.mark.parametrize("content", ["", "00" * 31, "00" * 33, "x" * 64, "\xff"])
def test_a_key_that_is_none(tmp_path: Path, content: str) -> None:
    """Is told, and never replaced: whatever it was, cards were hashed with it."""
    path = tmp_path / "card.key"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(CardKeyError, match="64 hex digits"):
        make_key(path)
    assert path.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o640, True), (0o644, False), (0o602, False)])
def test_a_key_open_to_everybody_is_no_key(tmp_path: Path, mode: int, good: bool) -> None:  # noqa: FBT001
    """A group may be given it, everybody may not."""
    path = tmp_path / "card.key"
    path.write_text(KEY.hex())
    path.chmod(mode)
    if good:
        assert read_key(path) == KEY
        return
    with pytest.raises(CardKeyError, match="every user"):
        read_key(path)


def test_no_key_and_no_folder(tmp_path: Path) -> None:
    """What the system says is what the technician reads."""
    with pytest.raises(CardKeyError, match="No such file"):
        read_key(tmp_path / "card.key")
    with pytest.raises(CardKeyError, match="No such file"):
        make_key(tmp_path / "nowhere" / "card.key")
