"""Keys, requests and certificates. The only importer of cryptography's X.509; the command line uses it, no daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilenode.identity.words import IdentityError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

#: A chain from a cabinet up to a root: district, province, country and one to spare.
_LONGEST_CHAIN: Final = 5
#: What a certificate file may hold beside the cabinet's own.
_MAX_CERTIFICATES: Final = 10


@dataclass(frozen=True, slots=True)
class Described:
    """A certificate for people."""

    name: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    fingerprint: str


def new_request(node: str) -> tuple[bytes, bytes]:
    """Return a new P-256 key and the request for a certificate in the name of ``node``, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(usage, critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read(text: bytes, what: str) -> list[x509.Certificate]:
    """Return the certificates in a PEM text. Raises IdentityError."""
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise IdentityError("identity_unreadable", f"{what}: {error}"[:200]) from None
    if len(found) > _MAX_CERTIFICATES and what != "ca":
        raise IdentityError("identity_unreadable", f"{what}: {len(found)} certificates")
    return found


def describe(text: bytes, what: str) -> Described:
    """Return what stands in the first certificate of a PEM text. Raises IdentityError."""
    certificate = read(text, what)[0]
    return Described(
        name=common_name(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def common_name(certificate: x509.Certificate) -> str:
    """Return the common name, empty when there is none, or more than one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def examine(text: bytes, key: bytes, node: str, authorities: Sequence[bytes], now: datetime) -> None:
    """Find everything that would make the certificate in ``text`` useless. Raises IdentityError for the first.

    ``text`` may hold the chain behind it. A certificate that is not valid yet is let pass: the clock of a cabinet may
    be behind, and the broker decides; if it says no, the old one stays.
    """
    leaf, *chain = read(text, "certificate")
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise IdentityError("identity_unreadable", f"key: {error}"[:200]) from None
    if _raw(private.public_key()) != _raw(leaf.public_key()):
        raise IdentityError("identity_other_key")
    if common_name(leaf) != node:
        raise IdentityError("identity_other_node", f"{common_name(leaf)!r}, {node!r}")
    if leaf.not_valid_after_utc < now:
        raise IdentityError("identity_past", leaf.not_valid_after_utc.isoformat())
    _for_clients(leaf)
    known = [*chain, *(one for authority in authorities for one in read(authority, "ca"))]
    _signed(leaf, known)


def _for_clients(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise IdentityError("identity_no_client")


def _signed(leaf: x509.Certificate, known: Sequence[x509.Certificate]) -> None:
    """Walk from ``leaf`` up to a certificate that signed itself, or to the last that was given."""
    below = leaf
    for _ in range(_LONGEST_CHAIN):
        if below.issuer == below.subject and below is not leaf:
            return
        above = next((one for one in known if _issued(below, one)), None)
        if above is None:
            if below is leaf:
                raise IdentityError("identity_no_issuer", leaf.issuer.rfc4514_string())
            return
        below = above
    raise IdentityError("identity_no_issuer", "the chain is too long")


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _raw(key: object) -> bytes:
    public: ec.EllipticCurvePublicKey = key  # type: ignore[assignment] # all kinds of public keys have this method
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
