"""Promises of a managed identity: a key that never leaves, and an old certificate until the new one has connected."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from config.schema import Upstream as Settings
from hil_rig.pki import Authority, SecureBroker, issue, pem_of
from pilenode.cli.main import main
from pilenode.identity.store import Store
from pilenode.upstream import dialect, mqtt
from pilenode.upstream.contract import UpstreamLostError
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE = "n1"
CABINET = """\
[node]
id = "n1"
[[bus]]
name = "main"
device = "/dev/ttyUSB0"
[[port]]
number = 1
meter = {{ model = "pzem004t-v3", unit = 1, bus = "main" }}
relay = {{ pin = 5 }}
[[input]]
name = "smoke"
kind = "smoke"
pin = 23
[upstream]
url = "{url}"
ca_file = "{directory}/ca.pem"
identity_dir = "{directory}/identity"
"""


class Site:
    """A cabinet's files, an authority, and the command line."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.authority = Authority("ours")
        (directory / "ca.pem").write_bytes(self.authority.pem)
        self.store = Store(directory / "identity")
        self.config = directory / "pilenode.toml"
        self._capsys = capsys
        self.at("mqtts://127.0.0.1:1")

    def at(self, url: str) -> None:
        """Point the cabinet at a broker."""
        self.config.write_text(CABINET.format(url=url, directory=self.directory))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``pilenode identity``: exit status, output and errors."""
        self._capsys.readouterr()
        status = main(["identity", *arguments, "--config", str(self.config), "--lang", "en"])
        return status, *self._capsys.readouterr()

    def signed(self, **how: tuple[float, float]) -> Path:
        """Make a request on the cabinet, have it signed, and return the certificate."""
        assert self.run("new", "--again")[0] == 0
        file = self.directory / "signed.pem"
        file.write_bytes(self.authority.sign((self.store.directory / "pending" / "request.csr").read_bytes(), **how))
        return file

    def install(self, file: Path) -> None:
        """Install a certificate."""
        status, _, err = self.run("install", str(file))
        assert (status, err) == (0, "")

    def slots(self) -> set[str]:
        """Return what is in the identity's directory."""
        return {path.name for path in self.store.directory.iterdir()}

    def upstream(self, url: str) -> MqttUpstream:
        """Return the station's way to a broker."""
        settings = Settings(
            url=url, ca_file=str(self.directory / "ca.pem"), identity_dir=str(self.directory / "identity")
        )
        return MqttUpstream(settings, NODE)


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    """Return a cabinet without an identity."""
    return Site(tmp_path, capsys)


@pytest.fixture
def broker(site: Site) -> SecureBroker:
    """Return a broker that trusts the site's authority; not started."""
    certificate, key = issue(site.authority, site.directory, "broker", host="127.0.0.1")
    return SecureBroker(site.directory, site.directory / "ca.pem", certificate, key)


def fingerprint(site: Site, slot: str) -> str:
    """Return which certificate is in a slot."""
    status, out, _ = site.run("show", "--json")
    assert status == 0
    return next(str(one["fingerprint"]) for one in json.loads(out)["certificates"] if one["slot"] == slot)


# -- files --------------------------------------------------------------------------------------------------------


def test_key_is_made_here_and_only_its_owner_reads_it(site: Site) -> None:
    """Mode 0600 in a directory of mode 0700; the request carries the cabinet's name and no private key."""
    status, out, _ = site.run("new", "--json")
    assert status == 0
    told = json.loads(out)
    key = site.store.directory / "pending" / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.store.directory.stat().st_mode) == 0o700
    request = x509.load_pem_x509_csr(told["pem"].encode())
    assert request.subject.rfc4514_string() == f"CN={NODE}"
    assert request.is_signature_valid
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.curve.name == "secp256r1"
    assert "PRIVATE" not in out
    assert key.read_text().splitlines()[1] not in out


def test_second_request_does_not_throw_the_first_key_away(site: Site) -> None:
    """A certificate may be on its way for it; only who says so starts again."""
    site.run("new")
    before = (site.store.directory / "pending" / "key.pem").read_bytes()
    status, _, err = site.run("new")
    assert status == 3
    assert "--again" in err
    assert (site.store.directory / "pending" / "key.pem").read_bytes() == before
    assert site.run("new", "--again")[0] == 0
    assert (site.store.directory / "pending" / "key.pem").read_bytes() != before


def wrong(site: Site, what: str) -> bytes:
    """Return a certificate for the pending key with one thing wrong."""
    request = x509.load_pem_x509_csr((site.store.directory / "pending" / "request.csr").read_bytes())
    public = request.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    certificate = site.authority.certificate
    makers: dict[str, Callable[[], bytes]] = {
        "identity_other_key": lambda: certificate(NODE, ec.generate_private_key(ec.SECP256R1()).public_key()),
        "identity_other_node": lambda: certificate("n2", public),
        "identity_past": lambda: certificate(NODE, public, days=(-9, -1)),
        "identity_no_issuer": lambda: Authority("ours").certificate(NODE, public),  # of that name, with another key
        "identity_no_client": lambda: certificate(NODE, public, usage=[ExtendedKeyUsageOID.SERVER_AUTH]),
        "identity_unreadable": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    return makers[what]()


@pytest.mark.parametrize(
    "code",
    [
        "identity_other_key",
        "identity_other_node",
        "identity_past",
        "identity_no_issuer",
        "identity_no_client",
        "identity_unreadable",
    ],
)
def test_certificate_that_cannot_work_is_not_installed(site: Site, code: str) -> None:
    """Told before anything moves; the key still waits for the right one."""
    site.run("new")
    file = site.directory / "wrong.pem"
    file.write_bytes(wrong(site, code))
    status, _, err = site.run("install", str(file), "--json")
    assert status != 0
    assert json.loads(err)["error"]["code"] == code
    assert site.slots() == {"pending"}


def test_certificate_of_tomorrow_is_installed(site: Site) -> None:
    """The cabinet's clock may be behind: the broker decides."""
    site.install(site.signed(days=(1, 30)))
    assert site.slots() == {"next"}


def test_files_that_are_none_are_told(site: Site) -> None:
    """Neither a missing key nor files that are none, too large or gone pass for one."""
    assert "identity new" in site.run("install", str(site.config))[2]
    site.run("new")
    (site.directory / "huge.pem").write_bytes(b"#" * 70_000)
    for file in ("huge.pem", "gone.pem", "identity"):
        status, _, err = site.run("install", str(site.directory / file), "--json")
        assert status == 3
        assert json.loads(err)["error"]["code"] == "identity_unreadable"


def test_what_is_there_is_shown(site: Site) -> None:
    """Nothing, then a request, then a certificate with its dates."""
    assert site.run("show")[0] == 3
    site.run("new")
    assert "request.csr" in site.run("show")[1]
    file = site.signed()
    site.install(file)
    _, out, _ = site.run("show")
    assert "to be tried" in out
    assert NODE in out
    assert "PRIVATE" not in out


@pytest.mark.parametrize("cut", range(4))
def test_power_cut_while_certificates_move_leaves_one_that_works(
    site: Site, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every rename of a promotion there is a whole pair, and the next connection ends what was begun."""
    site.install(site.signed())
    site.store.promote()
    site.install(site.signed())
    done = [0]
    rename = type(site.directory).rename

    def failing(self: Path, target: Path) -> Path:
        if done[0] == cut:
            raise OSError("power cut")
        done[0] += 1
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(site.directory), "rename", failing)
        try:
            site.store.promote()
        except OSError:
            assert cut < 2
    pairs = site.store.pairs()
    assert pairs
    for pair in pairs:
        assert pair.certificate is not None
        assert pair.key is not None
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
        assert certificate.public_key() == key.public_key()
    if site.store.has_next():
        site.store.promote()
    assert {"current"} <= site.slots() <= {"current", "previous"}


def test_root_gives_what_it_makes_to_the_owner(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A technician with sudo leaves files that the station can read."""
    given: list[tuple[str, int]] = []
    site.store.directory.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, _gid, **_: given.append((str(path), uid)))
    site.store.request(b"k", b"r", again=False)
    assert len(given) == 3
    assert {uid for _, uid in given} == {site.store.directory.stat().st_uid}


def test_without_a_directory_there_is_nothing_to_manage(site: Site) -> None:
    """Whoever looks after the files alone is told so."""
    site.config.write_text(
        "\n".join(line for line in site.config.read_text().splitlines() if "identity_dir" not in line)
    )
    for arguments in (("new",), ("install", "x")):
        status, _, err = site.run(*arguments, "--json")
        assert status == 3
        assert json.loads(err)["error"]["code"] == "identity_unconfigured"


# -- with a real broker -------------------------------------------------------------------------------------------


pki = [
    pytest.mark.bench,
    pytest.mark.needs("mosquitto"),
    pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),  # paho's
]


def marked(function: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs a broker."""
    for mark in pki:
        function = mark(function)
    return function


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "PROBE_S", 0.5)
    monkeypatch.setattr(dialect, "PATIENCE_S", 0.5)
    monkeypatch.setattr(mqtt, "_LOOK_S", 0.05)


async def connects(upstream: MqttUpstream) -> bool:
    """Return whether a connection comes about."""
    try:
        async with upstream.connect():
            return True
    except UpstreamLostError:
        if upstream._looking is not None:
            await upstream._looking
        return False


@marked
def test_rotation_from_end_to_end(site: Site, broker: SecureBroker) -> None:
    """First certificate; the second is tried on a standing connection, and is current only when it has connected."""

    async def story(upstream: MqttUpstream) -> None:
        assert not await connects(upstream)
        assert upstream.problem is not None
        assert upstream.problem.code == "identity_missing"
        site.install(site.signed())
        assert await connects(upstream)
        assert site.slots() == {"current"}
        first = fingerprint(site, "current")
        async with upstream.connect() as link:
            site.install(site.signed())
            assert fingerprint(site, "current") == first
            with pytest.raises(UpstreamLostError, match="new certificate"):
                async with asyncio.timeout(5):
                    await anext(link.incoming())
        assert await connects(upstream)
        assert site.slots() == {"current", "previous"}
        assert fingerprint(site, "previous") == first

    with broker:
        site.at(broker.url)
        asyncio.run(story(site.upstream(broker.url)))
        status, out, _ = site.run("check")
        assert status == 0
        assert "let in (in use)" in out


@marked
@pytest.mark.parametrize("fault", ["revoked", "spoilt"])
def test_certificate_that_is_not_let_in_is_put_aside(site: Site, broker: SecureBroker, fault: str) -> None:
    """The cabinet stays connected with the old one, and says why the new one was not taken."""

    async def story(upstream: MqttUpstream) -> None:
        assert await connects(upstream)
        first = fingerprint(site, "current")
        file = site.signed()
        site.install(file)
        if fault == "revoked":
            broker.stop()
            (site.directory / "crl.pem").write_bytes(site.authority.revoked([file.read_bytes()]))
            broker.extra = [f"crlfile {site.directory}/crl.pem"]
            broker.start()
        else:
            (site.store.directory / "next" / "key.pem").write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
        async with upstream.connect():
            assert upstream.problem is None
            assert site.slots() == {"current", "rejected"}
            assert fingerprint(site, "current") == first
            assert site.store.rejected() == ("identity_revoked" if fault == "revoked" else "identity_unreadable")

    with broker:
        site.install(site.signed())
        asyncio.run(story(site.upstream(broker.url)))
        assert f"[{site.store.rejected()}]" in site.run("show")[1]


@marked
def test_broker_that_is_away_is_nobodys_fault(site: Site, broker: SecureBroker) -> None:
    """While nobody can connect, neither certificate is blamed; the new one is tried when the broker is back."""

    async def story(upstream: MqttUpstream) -> None:
        assert await connects(upstream)
        site.install(site.signed())
        broker.stop()
        for _ in range(5):
            assert not await connects(upstream)
        assert upstream.problem is not None
        assert upstream.problem.code == "broker_absent"
        assert site.slots() == {"current", "next"}
        broker.start()
        assert await connects(upstream)
        assert site.slots() == {"current", "previous"}

    with broker:
        site.install(site.signed())
        asyncio.run(story(site.upstream(broker.url)))


@marked
def test_broker_that_lets_nobody_in_makes_nobody_guilty(site: Site, broker: SecureBroker) -> None:
    """When the old one is refused as well, the new one stays to be tried."""

    async def story(upstream: MqttUpstream) -> None:
        signed = []
        for _ in range(2):
            file = site.signed()
            signed.append(file.read_bytes())
            site.install(file)
            if len(signed) == 1:
                assert await connects(upstream)
        broker.stop()
        (site.directory / "crl.pem").write_bytes(site.authority.revoked(signed))
        broker.extra = [f"crlfile {site.directory}/crl.pem"]
        broker.start()
        assert not await connects(upstream)
        assert site.slots() == {"current", "next"}
        assert upstream.problem is not None
        assert upstream.problem.code == "identity_revoked"

    with broker:
        asyncio.run(story(site.upstream(broker.url)))


@marked
def test_directory_that_cannot_be_written_costs_no_connection(
    site: Site, broker: SecureBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file system keeps the new one in its place, where it is shown again; nothing goes in circles."""

    async def story(upstream: MqttUpstream) -> None:
        async with upstream.connect() as link:
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(link.incoming())
            assert time.monotonic() - begun >= 0.5

    def read_only(_: Store) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(Store, "promote", read_only)
    with broker:
        site.install(site.signed())
        asyncio.run(story(site.upstream(broker.url)))
    assert site.slots() == {"next"}


@marked
def test_check_tells_what_the_station_would_meet(site: Site, broker: SecureBroker) -> None:
    """Each certificate that would be shown, its code, words and remedy; the status of a script says it too."""
    with broker:
        site.at(broker.url)
        status, _, err = site.run("check")
        assert status == 7
        assert "wants a certificate" in err
        assert "pilenode identity new" in err
        site.install(site.signed())
        status, out, _ = site.run("check", "--json")
        assert status == 0
        assert json.loads(out) == {"checks": [{"slot": "next", "code": "", "detail": ""}]}
    status, out, _ = site.run("check", "--json")
    assert status == 7
    assert json.loads(out)["checks"][0]["code"] == "broker_absent"
