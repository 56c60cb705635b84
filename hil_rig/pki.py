"""Certificates of a rig's own, and a mosquitto that wants them: everything that can be wrong with either side."""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hil_rig.broker import BrokerError, find_mosquitto, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_S = 15.0
_DAY = timedelta(days=1)
_PEM = serialization.Encoding.PEM


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as a file holds it."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Authority:
    """Signs certificates. ``files`` of what it issues are beside each other in one directory."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        now = datetime.now(UTC)
        builder = self._builder(self._name, self._key.public_key(), now - 400 * _DAY, now + 400 * _DAY)
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = builder.add_extension(authority, critical=True).sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(_PEM)

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )

    def certificate(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        *,
        days: tuple[float, float] = (-1, 30),
        host: str | None = None,
        usage: Sequence[x509.ObjectIdentifier] = (),
    ) -> bytes:
        """Return a certificate, valid from and until so many days from now; ``host``: an address that it is for."""
        now = datetime.now(UTC)
        builder = self._builder(_name(name), key, now + days[0] * _DAY, now + days[1] * _DAY)
        if host is not None:
            address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
            builder = builder.add_extension(address, critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)

    def sign(self, request: bytes, *, days: tuple[float, float] = (-1, 30)) -> bytes:
        """Return the certificate that a request asks for."""
        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            raise ValueError("the request is not signed by its own key")
        name = str(asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - a rig
        return self.certificate(name, key, days=days)

    def revoked(self, certificates: Sequence[bytes]) -> bytes:
        """Return the list of revoked certificates."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - _DAY).next_update(now + _DAY)
        for text in certificates:
            serial = x509.load_pem_x509_certificate(text).serial_number
            gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - _DAY).build()
            builder = builder.add_revoked_certificate(gone)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)


def issue(authority: Authority, directory: Path, name: str, **how: object) -> tuple[Path, Path]:
    """Make a key and its certificate as files; return certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, private = directory / f"{name}.crt", directory / f"{name}.key"
    certificate.write_bytes(authority.certificate(name, key.public_key(), **how))  # type: ignore[arg-type]
    private.write_bytes(pem_of(key))
    return certificate, private


@dataclass
class SecureBroker:
    """A mosquitto with mutual TLS on 127.0.0.1. A context manager; ``extra`` are lines of its configuration."""

    directory: Path
    authority: Path
    certificate: Path
    key: Path
    extra: Sequence[str] = ()
    by_certificate: bool = True  # the name in the certificate is the user name
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address as a configuration writes it."""
        return f"mqtts://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens. Raises BrokerError."""
        program = find_mosquitto()
        if program is None:
            raise BrokerError("mosquitto is not installed")
        lines = [
            f"listener {self.port} 127.0.0.1",
            "require_certificate true",
            f"use_identity_as_username {str(self.by_certificate).lower()}",
            "allow_anonymous false",
            f"user {getpass.getuser()}",
            f"cafile {self.authority}",
            f"certfile {self.certificate}",
            f"keyfile {self.key}",
            *self.extra,
        ]
        config = self.directory / f"mosquitto-{self.port}.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (self.directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(config)], stderr=log, stdout=log)
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.02)
        self.stop()
        raise BrokerError((self.directory / "broker.log").read_text(encoding="utf-8", errors="replace")[-2000:])

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
