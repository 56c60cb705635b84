"""Promises of the diagnosis: whatever is wrong between cabinet and broker has a code of its own. Real brokers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from config.schema import Upstream as Settings
from hil_rig.broker import free_port
from hil_rig.pki import Authority, SecureBroker, issue
from pilenode.identity import diagnosis
from pilenode.identity.store import Pair
from pilenode.identity.words import WORDS
from pilenode.upstream import dialect
from pilenode.upstream.contract import UpstreamLostError
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.bench,
    pytest.mark.needs("mosquitto"),
    pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),  # paho's
]

NODE = "node-1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, SecureBroker]]]:
    """Return a directory of certificates of every kind, and brokers that are right, expired, early and elsewhere."""
    directory = tmp_path_factory.mktemp("pki")
    ours, theirs = Authority("ours"), Authority("theirs")
    for name, authority in (("ours", ours), ("theirs", theirs)):
        (directory / f"{name}.pem").write_bytes(authority.pem)
    issue(ours, directory, NODE)
    issue(theirs, directory, "stranger")
    issue(ours, directory, "late", days=(-30, -1))
    revoked, _ = issue(ours, directory, "revoked")
    (directory / "revoked.crl").write_bytes(ours.revoked([revoked.read_bytes()]))
    (directory / "users").write_text(f"user {NODE}\ntopic readwrite pn/#\n")
    dates = {"right": (-1, 30), "expired": (-30, -1), "early": (1, 30), "elsewhere": (-1, 30), "tls12": (-1, 30)}
    brokers = {}
    for name, days in dates.items():
        host = "127.0.0.2" if name == "elsewhere" else "127.0.0.1"
        certificate, key = issue(ours, directory, f"broker-{name}", days=days, host=host)
        extra = [f"crlfile {directory}/revoked.crl", f"acl_file {directory}/users"]
        extra += ["tls_version tlsv1.2"] if name == "tls12" else []
        brokers[name] = SecureBroker(directory, directory / "ours.pem", certificate, key, extra)
        brokers[name].start()
    yield directory, brokers
    for broker in brokers.values():
        broker.stop()


def settings(directory: Path, broker: SecureBroker, certificate: str | None, authority: str = "ours") -> Settings:
    """Return the configuration of a cabinet."""
    return Settings(
        url=broker.url,
        ca_file=str(directory / f"{authority}.pem"),
        certificate_file="" if certificate is None else str(directory / f"{certificate}.crt"),
        key_file="" if certificate is None else str(directory / f"{certificate}.key"),
    )


def pair(directory: Path, certificate: str | None) -> Pair:
    """Return a certificate as the station shows it."""
    if certificate is None:
        return Pair("none")
    return Pair("configured", directory / f"{certificate}.crt", directory / f"{certificate}.key")


TABLE = [
    ("right", "ours", NODE, ""),
    ("tls12", "ours", NODE, ""),
    ("early", "ours", NODE, ""),  # the clock may be behind: the broker could not even tell the time
    ("right", "theirs", NODE, "broker_untrusted"),
    ("expired", "ours", NODE, "broker_expired"),
    ("elsewhere", "ours", NODE, "broker_wrong_name"),
    ("early", "theirs", NODE, "broker_untrusted"),  # early lets nothing else pass
    ("right", "ours", None, "identity_missing"),
    ("tls12", "ours", None, "identity_missing"),
    ("right", "ours", "stranger", "identity_untrusted"),
    ("tls12", "ours", "stranger", "identity_untrusted"),
    ("right", "ours", "late", "identity_expired"),
    ("tls12", "ours", "late", "identity_expired"),
    ("right", "ours", "revoked", "identity_revoked"),
    ("tls12", "ours", "revoked", "identity_revoked"),
]


@pytest.mark.parametrize(("broker", "authority", "certificate", "code"), TABLE)
def test_every_cause_has_its_code(
    world: tuple[Path, dict[str, SecureBroker]], broker: str, authority: str, certificate: str | None, code: str
) -> None:
    """Told at once, never as a time-out; the code has words in both languages."""
    directory, brokers = world
    config = settings(directory, brokers[broker], certificate, authority)
    begun = time.monotonic()
    found = diagnosis.examine(diagnosis.target(config, NODE, pair(directory, certificate)), 10.0)
    assert found.code == code, found
    assert time.monotonic() - begun < 5.0
    assert not code or WORDS[code]


@pytest.mark.parametrize(("broker", "authority", "certificate", "code"), [TABLE[n] for n in (1, 2, 3, 5, 7, 9, 13)])
def test_station_says_the_same(
    world: tuple[Path, dict[str, SecureBroker]],
    broker: str,
    authority: str,
    certificate: str | None,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``problem`` names the cause after a failed connection, also where the library saw a time-out only."""
    monkeypatch.setattr(dialect, "PROBE_S", 0.5)
    monkeypatch.setattr(dialect, "PATIENCE_S", 0.5)
    directory, brokers = world
    adapter = MqttUpstream(settings(directory, brokers[broker], certificate, authority), NODE)

    async def main() -> None:
        if not code:
            async with adapter.connect():
                assert adapter.problem is None
            return
        with pytest.raises(UpstreamLostError):
            async with adapter.connect():
                pass
        if adapter._looking is not None:
            await adapter._looking
        assert adapter.problem is not None
        assert adapter.problem.code == code

    asyncio.run(main())


def plain(port: int, host: str = "127.0.0.1", **more: object) -> diagnosis.Target:
    """Return a broker without TLS."""
    return diagnosis.Target(host=host, port=port, client_id="c")._replace(**more)  # type: ignore[arg-type] # a test


def test_who_is_not_there(world: tuple[Path, dict[str, SecureBroker]]) -> None:
    """No such name, nobody on the port, and TLS where there is none, or none where there is."""
    _, brokers = world
    assert diagnosis.examine(plain(free_port()), 2.0).code == "broker_absent"
    assert diagnosis.examine(plain(1883, host="no-such-host.invalid"), 5.0).code == "broker_name_unknown"
    assert diagnosis.examine(plain(1883, host="a" * 64 + ".x"), 5.0).code == "broker_name_unknown"
    assert diagnosis.examine(plain(brokers["right"].port), 2.0).code in ("broker_hangs_up", "broker_silent")


@pytest.mark.parametrize(
    ("answer", "tls", "code"),
    [
        (b"", False, "broker_hangs_up"),
        (None, False, "broker_silent"),
        (b"HTTP/1.1 400 Bad Request\r\n", False, "broker_silent"),
        (b"HTTP/1.1 400 Bad Request\r\n", True, "broker_no_tls"),
        (None, True, "broker_silent"),
        (b"", True, "broker_tls_failed"),
        (b"\x20\x02\x00\x00", False, ""),
        (b"\x20\x02\x00\x01", False, "broker_refuses"),
        (b"\x20\x02\x00\x04", False, "identity_not_allowed"),
        (b"\x20\x02\x00\x05", False, "identity_not_allowed"),
        (b"\x20\x02\x00", False, "broker_hangs_up"),
    ],
)
def test_strange_answers(
    world: tuple[Path, dict[str, SecureBroker]],
    answer: bytes | None,
    tls: bool,  # noqa: FBT001 - a table
    code: str,
) -> None:
    """Whatever stands at the other end: a code, within the time-out."""
    directory, brokers = world
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        wire, _ = server.accept()
        with wire:
            wire.recv(4096)
            if answer is None:
                time.sleep(0.8)
            else:
                wire.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    target = plain(server.getsockname()[1], username="u", password="p" * 200)
    if tls:
        secure = diagnosis.target(settings(directory, brokers["right"], NODE), NODE, pair(directory, NODE))
        target = target._replace(context=secure.context, has_certificate=True)
    found = diagnosis.examine(target, 0.5)
    thread.join()
    server.close()
    assert found.code == code, found


def test_login_that_is_not_allowed(tmp_path: Path) -> None:
    """A broker that takes names from a list, and does not find this one there, says so."""
    authority = Authority("ours")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    certificate, key = issue(authority, tmp_path, "broker", host="127.0.0.1")
    issue(authority, tmp_path, NODE)
    (tmp_path / "passwords").write_text("")
    broker = SecureBroker(tmp_path, tmp_path / "ca.pem", certificate, key, [f"password_file {tmp_path}/passwords"])
    broker.by_certificate = False
    with broker:
        config = Settings(url=broker.url, ca_file=str(tmp_path / "ca.pem"), username="nobody")
        assert diagnosis.examine(diagnosis.target(config, NODE, pair(tmp_path, NODE)), 5.0).code == (
            "identity_not_allowed"
        )
