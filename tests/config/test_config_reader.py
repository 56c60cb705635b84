"""Card readers in the file: each kind has the keys that it needs, and no line belongs to two things."""

from __future__ import annotations

import pytest

from config import load, schema, schema_reader

SERIAL = 'kind = "rdm6300"\ndevice = "/dev/ttyUSB7"'
WIEGAND = 'kind = "wiegand26"\ndata0_pin = 20\ndata1_pin = 21'
SPI = 'kind = "mfrc522"'


def reader(name: str, keys: str) -> str:
    """Return one table."""
    return f'[[reader]]\nname = "{name}"\n{keys}\n'


def found(good: str, *readers: str) -> list[tuple[str, str]]:
    """Return key and code of every problem of a good file with these readers."""
    text = good + "".join(reader(f"r{number}", keys) for number, keys in enumerate(readers, 1))
    return [(one.key, one.code) for one in load.check_text(text)]


@pytest.mark.parametrize(
    "keys",
    [
        SERIAL,
        'kind = "em18"\ndevice = "/dev/serial/by-id/x"\nbaud = 19200',
        'kind = "pn532"\ndevice = "/dev/ttyS0"\nuid_order = "reversed"',
        WIEGAND,
        WIEGAND.replace("26", "34"),
        SPI,
        SPI + "\nspi_select = 1",
        'kind = "keyboard"\ndevice = "/dev/input/by-id/x-event-kbd"\ndigits = "hex"',
    ],
)
def test_every_kind_with_its_own_keys_is_good(good: str, keys: str) -> None:
    """Nothing else is asked for, and the values arrive."""
    assert found(good, keys) == []
    (one,) = load.load_text(good + reader("front", keys)).reader
    assert one.name == "front"


def test_a_cabinet_without_readers_is_good(good: str) -> None:
    """Scan and command line start sessions too."""
    assert load.load_text(good).reader == []


@pytest.mark.parametrize("kind", ["rdm6300", "em18", "pn532", "keyboard"])
def test_a_missing_device_is_told(good: str, kind: str) -> None:
    """And only that."""
    assert found(good, f'kind = "{kind}"') == [("reader[1].device", "missing_key")]


@pytest.mark.parametrize("kind", ["wiegand26", "wiegand34"])
def test_missing_lines_are_told(good: str, kind: str) -> None:
    """Both at once."""
    assert found(good, f'kind = "{kind}"') == [
        ("reader[1].data0_pin", "missing_key"),
        ("reader[1].data1_pin", "missing_key"),
    ]


def test_a_key_that_was_refused_is_not_missing_as_well(good: str) -> None:
    """One mistake, one message."""
    assert found(good, 'kind = "wiegand26"\ndata0_pin = 99\ndata1_pin = 21') == [
        ("reader[1].data0_pin", "out_of_range")
    ]
    assert found(good, 'kind = "pn532"\ndevice = 1') == [("reader[1].device", "wrong_type")]


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (WIEGAND + '\ndevice = "/dev/x"', "device"),
        (WIEGAND + "\nbaud = 9600", "baud"),
        (SERIAL + "\ndata0_pin = 2", "data0_pin"),
        (SPI + "\ndata1_pin = 2", "data1_pin"),
        (SERIAL + "\nspi_select = 1", "spi_select"),
        (SERIAL + '\ndigits = "hex"', "digits"),
        ('kind = "keyboard"\ndevice = "/dev/x"\nbaud = 9600', "baud"),
    ],
)
def test_a_key_without_effect_is_refused(good: str, keys: str, key: str) -> None:
    """Whoever writes it believes something that is not so."""
    assert found(good, keys) == [(f"reader[1].{key}", "without_effect")]


@pytest.mark.parametrize(
    ("readers", "key"),
    [
        ((WIEGAND.replace("20", "5"),), "reader[1].data0_pin"),
        ((WIEGAND.replace("21", "23"),), "reader[1].data1_pin"),
        ((WIEGAND.replace("21", "20"),), "reader[1].data1_pin"),
        ((WIEGAND, WIEGAND.replace("21", "22")), "reader[2].data0_pin"),
        ((WIEGAND.replace("20", "9"), SPI), "reader[2].spi_select"),
        ((SPI, SPI), "reader[2].spi_select"),
        (('kind = "em18"\ndevice = "/dev/ttyUSB0"',), "reader[1].device"),
        ((SERIAL, SERIAL), "reader[2].device"),
    ],
)
def test_nothing_is_used_twice(good: str, readers: tuple[str, ...], key: str) -> None:
    """Relays, contacts, buses, other readers, and the lines that SPI takes without being named."""
    assert found(good, *readers) == [(key, "duplicate")]


@pytest.mark.parametrize("pin", [7, 8, 9, 10, 11])
def test_the_lines_of_spi_are_taken(good: str, pin: int) -> None:
    """A relay there would switch with every look for a card; the other chip select is free."""
    text = good.replace("pin = 5", f"pin = {pin}")
    free = 7 if pin != 7 else 8
    assert found(text, f"{SPI}\nspi_select = {int(pin == 7)}") == [("reader[1].spi_select", "duplicate")]
    assert found(good.replace("pin = 5", f"pin = {free}"), f"{SPI}\nspi_select = {int(free == 8)}") == []
    assert found(good, SPI, f"{SPI}\nspi_select = 1") == []


def test_any_key_that_names_a_line_takes_part(good: str) -> None:
    """Contactor, its feedback and the heartbeat as well."""
    for key in ("contactor_pin = 20", "heartbeat_pin = 20", "contactor_pin = 1\ncontactor_feedback_pin = 20"):
        text = good.replace("[[bus]]", f"[gpio]\n{key}\n\n[[bus]]")
        assert found(text, WIEGAND) == [("reader[1].data0_pin", "duplicate")]


def test_names_are_unique(good: str) -> None:
    """A message must tell which reader."""
    text = good + reader("one", SERIAL) + reader("one", SPI)
    assert [(one.key, one.code) for one in load.check_text(text)] == [("reader[2].name", "duplicate")]


def test_problems_elsewhere_are_told_once(good: str) -> None:
    """Two relays on one line are the business of another rule, with readers and without."""
    text = good.replace("relay = { pin = 6 }", "relay = { pin = 5 }")
    assert found(text, SPI) == [("port[2].relay.pin", "duplicate")]


def test_shared_types_are_the_same() -> None:
    """The two schema files agree on names, paths, lines and speeds."""
    for name in ("Name", "Path", "Pin", "Baud"):
        assert getattr(schema_reader, name) == getattr(schema, name)


@pytest.mark.parametrize("ports", ["[]", "[1]", "[2, 1]"])
def test_ports_of_a_reader(good: str, ports: str) -> None:
    """All of them, or those that it names, in its order."""
    assert found(good, f"{SERIAL}\nports = {ports}") == []


@pytest.mark.parametrize(
    ("ports", "key", "code"),
    [
        ("[1, 1]", "reader[1].ports[2]", "duplicate"),
        ("[1, 9]", "reader[1].ports[2]", "unknown_reference"),
        ("[0]", "reader[1].ports[1]", "out_of_range"),
    ],
)
def test_ports_of_a_reader_exist_and_are_named_once(good: str, ports: str, key: str, code: str) -> None:
    """A card must not lead nowhere."""
    assert found(good, f"{SERIAL}\nports = {ports}") == [(key, code)]
