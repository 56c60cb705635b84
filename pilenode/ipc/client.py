"""A small blocking client of the Unix sockets: one request, one reply.

The command line uses it. Guard and station never do: they must not wait for anybody.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from config.errors import PilenodeError
from pilenode.ipc import codec
from pilenode.ipc.messages import ControlReply, Refused

if TYPE_CHECKING:
    from pilenode.ipc.messages import ControlRequest

#: Station answers within milliseconds; a start waits for one durable write and one answer of guard.
TIMEOUT_S = 5.0
_CHUNK = 64 * 1024

Reply = TypeVar("Reply")


class RequestError(PilenodeError):
    """The request was not carried out, for a reason in ``safety.catalogue``; ``detail`` adds to its words.

    ``code`` is "station_absent" when nobody answered in time, "not_allowed" when the socket may not be opened,
    "protocol_mismatch" when the answer is none, and otherwise what the cabinet itself said.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        from safety.catalogue import CATALOGUE  # noqa: PLC0415 - brings all of safety: 30 ms for a rare case

        # A newer cabinet may refuse for a reason that this version has no words for.
        words = CATALOGUE.get(code) or CATALOGUE["protocol_mismatch"]
        self.detail = detail
        super().__init__(
            code=code,
            zh=f"{words.zh}（{detail}）" if detail else words.zh,
            en=f"{words.en} ({detail})" if detail else words.en,
            remedy_zh=words.remedy_zh,
            remedy_en=words.remedy_en,
        )


def _exchange(path: str, frame: bytes, decoder: codec.Decoder[Reply], timeout_s: float) -> Reply:
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        with suppress(BrokenPipeError):  # a refusal may be on its way already: who refuses may hang up unread
            connection.sendall(frame)
        while True:
            # One deadline for the whole answer: a peer that sends a byte a second must not hold us for ever.
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            data = connection.recv(_CHUNK)
            if not data:
                raise ConnectionResetError
            for reply in decoder.feed(data):
                return reply


def ask(path: str, request: ControlRequest, expected: type[Reply], timeout_s: float = TIMEOUT_S) -> Reply:
    """Send ``request`` to station's control socket at ``path`` and return its reply, within ``timeout_s`` seconds.

    Raises RequestError: when there is no answer, when it is a refusal, and when it is not of the ``expected`` type.
    """
    decoder: codec.Decoder[ControlReply] = codec.Decoder(ControlReply)
    try:
        reply = _exchange(path, codec.encode(request), decoder, timeout_s)
    except PermissionError as error:
        raise RequestError("not_allowed", path) from error
    except codec.FrameError as error:
        raise RequestError("protocol_mismatch", path) from error
    except TimeoutError as error:
        raise RequestError("station_absent", f"{path}: {timeout_s:g} s") from error
    except OSError as error:
        raise RequestError("station_absent", f"{path}: {error.strerror or error}") from error
    if isinstance(reply, Refused):
        raise RequestError(reply.code, reply.detail)
    if not isinstance(reply, expected):
        raise RequestError("protocol_mismatch", type(reply).__name__)
    return reply
