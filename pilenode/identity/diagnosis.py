"""Why a broker cannot be reached or says no: one connection of its own, looked at closely. Blocking.

A client library tells a time-out where TLS 1.3 is told "certificate required" after the handshake, and hides alerts in
its log. This asks again with bare sockets, down to the answer to an MQTT CONNECT, and returns a code of ``words``.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.schema import Upstream
    from pilenode.identity.store import Pair

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}

#: OpenSSL's X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h); Python has no name for it.
_NO_CHECK_TIME: Final = 0x200000
#: X509_V_ERR_* of x509_vfy.h: what the verification of the broker's certificate found.
NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_NAME: Final = frozenset({62, 64})
#: Alerts of TLS (RFC 8446, 6.2) as OpenSSL spells them.
_ALERTS: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "identity_missing",
    "TLSV1_ALERT_UNKNOWN_CA": "identity_untrusted",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "identity_expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "identity_revoked",
    "SSLV3_ALERT_BAD_CERTIFICATE": "identity_refused",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "identity_refused",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "identity_refused",
    "TLSV1_ALERT_ACCESS_DENIED": "identity_refused",
    "TLSV1_ALERT_DECRYPT_ERROR": "identity_refused",
}
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_PROTOCOL: Final = b"\x00\x04MQTT\x04"  # 3.1.1: what every broker speaks
_CLEAN, _USERNAME, _PASSWORD = 0x02, 0x80, 0x40
_DISCONNECT: Final = b"\xe0\x00"
_CONNACK_BYTES: Final = 4
_CHUNK: Final = 16 * 1024

_Done = TypeVar("_Done")
#: Return codes of CONNACK in 3.1.1: bad user name or password, not authorised.
_NOT_ALLOWED: Final = frozenset({4, 5})


class Diagnosis(NamedTuple):
    """What is wrong. An empty ``code``: the broker lets this cabinet in."""

    code: str = ""
    detail: str = ""


class Target(NamedTuple):
    """A broker and how this cabinet shows itself there. ``context`` None: no TLS; its argument: check dates."""

    host: str
    port: int
    client_id: str
    context: Callable[[bool], ssl.SSLContext] | None = None
    has_certificate: bool = False
    username: str = ""
    password: str | None = None


def target(settings: Upstream, node: str, pair: Pair) -> Target:
    """Return the broker of ``settings`` as ``node`` would meet it with ``pair``. Reads the password file.

    The client id is another than the station's: a broker ends the older of two connections under one id. Raises
    OSError and ValueError for an address or a file that cannot be used.
    """
    parts = urlsplit(settings.url)
    certificate, key = (str(path) if path is not None else "" for path in (pair.certificate, pair.key))

    def context(check_dates: bool) -> ssl.SSLContext:  # noqa: FBT001 - the interface of Target
        return tls_context(settings.ca_file, certificate, key, check_dates=check_dates)

    password = None
    if settings.password_file:
        password = Path(settings.password_file).read_text(encoding="utf-8").strip()
    return Target(
        host=parts.hostname or "",
        port=parts.port or PORTS[parts.scheme],
        client_id=f"pn-{node}-check",
        context=context if parts.scheme == "mqtts" else None,
        has_certificate=bool(certificate),
        username=settings.username,
        password=password,
    )


def tls_context(ca_file: str, certificate: str, key: str, *, check_dates: bool) -> ssl.SSLContext:
    """Return a client's context: TLS 1.2 or later, name and chain checked. Raises OSError (ssl.SSLError is one).

    ``check_dates`` False is for one case only: the broker's certificate seemed not to be valid yet. Then the clock is
    behind, and it is the broker that could tell the time. Chain and name are checked all the same.
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not check_dates:
        context.verify_flags |= _NO_CHECK_TIME
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context


def clock_is_behind(error: BaseException | None) -> bool:
    """Return whether ``error`` says that the broker's certificate is not valid yet."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == NOT_YET_VALID


def of_error(error: BaseException, *, has_certificate: bool) -> Diagnosis:
    """Return what an error of a socket means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = "broker_wrong_name" if error.verify_code in _WRONG_NAME else "broker_untrusted"
        return Diagnosis("broker_expired" if error.verify_code == _EXPIRED else code, error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason is not None:
        return Diagnosis(_of_reason(error.reason, has_certificate=has_certificate), error.reason)
    code = "broker_absent" if isinstance(error, ConnectionRefusedError) else "broker_unreachable"
    name_unknown = isinstance(error, socket.gaierror | UnicodeError)
    return Diagnosis("broker_name_unknown" if name_unknown else code, str(error)[:200])


def _of_reason(reason: str, *, has_certificate: bool) -> str:
    if reason in _NO_TLS:
        return "broker_no_tls"
    if reason == "SSLV3_ALERT_HANDSHAKE_FAILURE" and not has_certificate:
        return "identity_missing"  # how TLS 1.2 says it
    return _ALERTS.get(reason, "broker_tls_failed")


def examine(target: Target, timeout_s: float) -> Diagnosis:
    """Connect as far as the answer to CONNECT, and say what went wrong. Never raises for what is there."""
    try:
        return _examine(target, timeout_s, check_dates=True)
    except ssl.SSLCertVerificationError as error:
        if not clock_is_behind(error):
            return of_error(error, has_certificate=target.has_certificate)
    except (OSError, UnicodeError) as error:
        return of_error(error, has_certificate=target.has_certificate)
    try:
        return _examine(target, timeout_s, check_dates=False)
    except (OSError, UnicodeError) as error:
        return of_error(error, has_certificate=target.has_certificate)


def _examine(target: Target, timeout_s: float, *, check_dates: bool) -> Diagnosis:
    context = None if target.context is None else target.context(check_dates)
    with socket.create_connection((target.host, target.port), timeout_s) as wire:
        if context is None:
            return _greet(_Plain(wire), target)
        secure = _Secure(wire, context, target.host)
        try:
            secure.handshake()
        except TimeoutError:
            return Diagnosis("broker_silent", "TLS")
        except ssl.SSLEOFError as error:  # hung up without an alert
            return Diagnosis("broker_tls_failed", str(error)[:200])
        return _greet(secure, target)


class _Plain:
    """A connection without TLS. Who hangs up while we still speak is heard to the end."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire

    def send(self, data: bytes) -> None:
        """Send ``data``, or find out with the next ``receive`` why not."""
        with contextlib.suppress(ConnectionError):
            self._wire.sendall(data)

    def receive(self, most: int) -> bytes:
        """Return what comes next, nothing at the end. Raises TimeoutError."""
        try:
            return self._wire.recv(most)
        except ConnectionError:
            return b""


class _Secure:
    """The same with TLS over buffers in memory.

    A broker sends its alert and hangs up while we are still sending; a socket of ``ssl`` then fails at the sending and
    never reads what was said.
    """

    def __init__(self, wire: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._plain = _Plain(wire)
        self._heard, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._heard, self._said, server_hostname=host)

    def handshake(self) -> None:
        """Agree on keys. Raises SSLError and TimeoutError."""
        self._pump(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send ``data``, or find out with the next ``receive`` why not."""
        self._pump(lambda: self._tls.write(data))

    def receive(self, most: int) -> bytes:
        """Return what comes next, nothing at the end. Raises SSLError for an alert, and TimeoutError."""
        try:
            return self._pump(lambda: self._tls.read(most))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def _pump(self, step: Callable[[], _Done]) -> _Done:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._plain.send(self._said.read())
                more = self._plain.receive(_CHUNK)
                if more:
                    self._heard.write(more)
                else:
                    self._heard.write_eof()
            else:
                self._plain.send(self._said.read())
                return done


def _greet(wire: _Plain | _Secure, target: Target) -> Diagnosis:
    answer = b""
    try:
        wire.send(_connect(target))
        while len(answer) < _CONNACK_BYTES:
            more = wire.receive(_CONNACK_BYTES - len(answer))
            if not more:
                break
            answer += more
    except TimeoutError:
        return Diagnosis("broker_silent")
    if len(answer) < _CONNACK_BYTES:
        # A broker that wants a certificate may hang up without a word.
        wanted = target.context is not None and not target.has_certificate
        return Diagnosis("identity_missing" if wanted else "broker_hangs_up")
    if answer[:2] != b"\x20\x02":
        return Diagnosis("broker_silent", "not MQTT")
    if answer[3] == 0:
        wire.send(_DISCONNECT)
        return Diagnosis()
    return Diagnosis("identity_not_allowed" if answer[3] in _NOT_ALLOWED else "broker_refuses", f"CONNACK {answer[3]}")


def _connect(target: Target) -> bytes:
    """Return a CONNECT of MQTT 3.1.1 (3.1) with a clean session and a keep-alive of 10 s."""
    flags, texts = _CLEAN, [target.client_id]
    if target.username:
        flags |= _USERNAME
        texts.append(target.username)
        if target.password is not None:
            flags |= _PASSWORD
            texts.append(target.password)
    body = _PROTOCOL + struct.pack(">BH", flags, 10)
    for text in texts:
        raw = text.encode()
        body += struct.pack(">H", len(raw)) + raw
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return b"\x10" + length + body
