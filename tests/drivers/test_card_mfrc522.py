"""MFRC522 at register level against cards that follow ISO 14443-3: whole ids, checked twice, or none."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.card_contracts import FrameFault, ReaderState, Trouble
from drivers.card_mfrc522 import Mfrc522, crc_a
from drivers.card_mfrc522_link import Mfrc522Link
from hil_rig.card_mfrc522 import FieldCard, Mfrc522Chip

FOUR = bytes.fromhex("DEADBEEF")
SEVEN = bytes.fromhex("04112233445566")
TEN = bytes.fromhex("04112233445566778899")


def ready(*cards: FieldCard) -> tuple[Mfrc522Chip, Mfrc522]:
    """Return a chip with cards in its field, set up."""
    chip = Mfrc522Chip()
    chip.cards = [*cards]
    reader = Mfrc522(chip, pause=lambda _: None)
    assert reader.reset() is None
    return chip, reader


def test_the_checksum_of_the_standard() -> None:
    """ISO/IEC 14443-3 annex B: 00 00 gives A0 1E, 12 34 gives 26 CF. HLTA is 50 00 57 CD."""
    assert crc_a(bytes(2)).hex() == "a01e"
    assert crc_a(bytes.fromhex("1234")).hex() == "26cf"
    assert crc_a(bytes.fromhex("5000")).hex() == "57cd"


@pytest.mark.parametrize("uid", [FOUR, SEVEN, TEN])
def test_ids_of_one_two_and_three_levels(uid: bytes) -> None:
    """The tag of the cascade is no part of an id, and a card that stays is seen again at every look."""
    _, reader = ready(FieldCard(uid))
    assert [reader.look() for _ in range(3)] == [[uid]] * 3


def test_an_empty_field_is_silent() -> None:
    """Nothing there is no fault."""
    assert ready()[1].look() == []


@pytest.mark.parametrize("uid", [FOUR, SEVEN, TEN])
def test_a_wrong_checksum_byte_or_crc_is_refused(uid: bytes) -> None:
    """BCC guards the id, CRC_A the confirmation."""
    assert ready(FieldCard(uid, bad_bcc=True))[1].look() == [FrameFault.BAD_CHECKSUM]
    assert ready(FieldCard(uid, bad_crc=True))[1].look() == [FrameFault.BAD_CHECKSUM]


@pytest.mark.parametrize(("error", "fault"), [(0x02, FrameFault.BAD_PARITY), (0x10, FrameFault.BAD_FRAME)])
def test_errors_that_the_chip_reports_drop_the_card(error: int, fault: FrameFault) -> None:
    """Parity, buffer overflow: in the answer to the select command, for that one is the id."""
    chip, reader = ready(FieldCard(FOUR))
    chip.cards[0].hear = _spoiling(chip, error)  # type: ignore[method-assign]
    assert reader.look() == [fault]


def _spoiling(chip: Mfrc522Chip, error: int):  # type: ignore[no-untyped-def] # noqa: ANN202 - the type of a method
    card = FieldCard(FOUR)

    def hear(frame: list[int]) -> list[int]:
        chip.spoil = error if len(frame) == 16 else 0
        return card.hear(frame)

    return hear


@pytest.mark.parametrize("pair", [*itertools.combinations([FOUR, bytes.fromhex("DEADBEEE"), SEVEN, TEN], 2)], ids=str)
def test_two_cards_at_once_are_told_apart(pair: tuple[bytes, bytes]) -> None:
    """Their ids collide bit by bit and both come out whole, at every look."""
    chip, reader = ready(*map(FieldCard, pair))
    for _ in range(2):
        assert sorted(reader.look()) == sorted(pair)
    assert chip.collisions


@pytest.mark.parametrize("bit", range(32))
def test_a_collision_at_any_bit_is_resolved(bit: int) -> None:
    """From the first bit of the first byte to the last of the fourth."""
    other = (int.from_bytes(FOUR, "little") ^ 1 << bit).to_bytes(4, "little")
    if other[0] == 0x88:
        other = bytes([0x08, *other[1:]])
    _, reader = ready(FieldCard(FOUR), FieldCard(other))
    assert sorted(reader.look()) == sorted([FOUR, other])


def test_three_cards_that_collide_twice_are_not_guessed() -> None:
    """Two of the three have a 1 at the first collision and differ later: counted, and no id is made up."""
    _, reader = ready(*(FieldCard(bytes([first, 2, 3, 4])) for first in (0x11, 0x31, 0x10)))
    assert reader.look() == [FrameFault.COLLISION]


@pytest.mark.parametrize("uid", ["88010203", "04112288445566"])
def test_the_tag_of_the_cascade_where_no_level_follows_is_refused(uid: str) -> None:
    """A card that says its id is complete has no tag in front of it; else half an id would pass for a whole one."""
    assert ready(FieldCard(bytes.fromhex(uid)))[1].look() == [FrameFault.BAD_FRAME]


def test_a_chip_that_never_finishes_is_given_up() -> None:
    """Neither an answer nor the chip's own time-out: bounded by the clock."""

    class Stuck(Mfrc522Chip):
        def _get(self, register: int) -> int:
            return 0 if register == 0x04 else super()._get(register)

    now = itertools.count()
    reader = Mfrc522(Stuck(), clock=lambda: next(now) * 0.001, pause=lambda _: None)
    assert reader.reset() is None
    assert reader.look() == [FrameFault.BAD_FRAME]
    assert next(now) < 200


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([4, 7, 10]).flatmap(
            lambda size: st.binary(min_size=size, max_size=size).filter(
                lambda uid: uid[0] != 0x88 and uid[3:4] != b"\x88"
            )
        ),
        max_size=4,
        unique=True,
    )
)
def test_any_cards_give_true_ids_or_a_fault(uids: list[bytes]) -> None:
    """However many lie there, no id comes out that is not one of theirs; one or two are always read."""
    _, reader = ready(*map(FieldCard, uids))
    found = reader.look()
    ids = [one for one in found if isinstance(one, bytes)]
    assert set(ids) <= set(uids)
    assert len(ids) == len(set(ids))
    if len(uids) <= 2:
        assert sorted(ids) == sorted(uids)


def test_a_chip_that_is_not_there_is_silent() -> None:
    """An open line reads FF, a shorted one 00."""
    chip = Mfrc522Chip()
    chip.dead = True
    assert Mfrc522(chip).reset() == Trouble(ReaderState.SILENT, "no chip answers (version register FF)")
    assert Mfrc522(Mfrc522Chip(version=0)).reset() == Trouble(
        ReaderState.SILENT, "no chip answers (version register 00)"
    )


def test_a_chip_that_keeps_no_settings_is_not_used() -> None:
    """Something else on that chip select."""
    chip = Mfrc522Chip()
    chip.keeps_settings = False
    trouble = Mfrc522(chip).reset()
    assert trouble is not None
    assert trouble.state is ReaderState.UNUSABLE


class Noise(Mfrc522Chip):
    """A line on which every byte read is random."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 - noise

    def transfer(self, data: list[int]) -> list[int]:
        """Return noise."""
        return [self._random.randrange(256) for _ in data]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_line_of_noise_ends_and_yields_no_id(seed: int) -> None:
    """No endless loop, no crash; BCC and CRC_A together let nothing through here."""
    now = itertools.count()
    reader = Mfrc522(Noise(seed), clock=lambda: next(now) * 0.001, pause=lambda _: None)
    reader.reset()
    assert not [one for one in reader.look() if isinstance(one, bytes)]


def test_the_link_notices_a_chip_that_lost_its_supply_or_its_wire() -> None:
    """Settings gone, or lines open: trouble, and opening again sets everything up anew."""
    chip = Mfrc522Chip()
    chip.cards = [FieldCard(FOUR)]
    link = Mfrc522Link(lambda: chip, pause=lambda _: None)
    assert link.receive(0.1) == Trouble(ReaderState.LOST, "the device is not open")
    assert link.open() is None
    assert link.receive(0.1) == [FOUR]
    chip.power_cycle()
    trouble = link.receive(0.1)
    assert isinstance(trouble, Trouble)
    assert trouble.state is ReaderState.SILENT
    link.close()
    assert chip.closed
    assert link.open() is None
    assert link.receive(0.1) == [FOUR]
    chip.dead = True
    assert isinstance(link.receive(0.1), Trouble)
    assert isinstance(link.open(), Trouble)


def test_the_link_makes_trouble_of_a_failing_bus() -> None:
    """What the bus raises, and what there is no bus for, is a state."""

    class Broken(Mfrc522Chip):
        def transfer(self, data: list[int]) -> list[int]:
            raise OSError(f"SPI: {len(data)}")

    link = Mfrc522Link(Broken, pause=lambda _: None)
    assert link.open() == Trouble(ReaderState.LOST, "SPI: 2")
    assert link.receive(0.1) == Trouble(ReaderState.LOST, "SPI: 2")
    absent = Trouble(ReaderState.ABSENT, "no bus")
    assert Mfrc522Link(lambda: absent).open() is absent
