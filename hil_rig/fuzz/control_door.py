"""The technician's socket: the real server with the real station behind it, one connection for each input."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hil_rig.contract.samples import SAMPLES
from hil_rig.fuzz.cabinet import Cabinet
from hil_rig.fuzz.doors import BrokenPromiseError
from hil_rig.fuzz.mutate import bodies
from hil_rig.fuzz.strict import read, started_port
from pilenode.ipc import messages
from pilenode.ipc.codec import MAX_REQUEST, Decoder, FrameError, encode
from pilenode.ipc.wish import Change, Wish
from pilenode.upstream.contract import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEYS_OF_START: Final = ("type", "port", "order", "plan", "by")
_CHUNK: Final = 1 << 16


def samples() -> Sequence[bytes]:
    """Return every request that the station knows, and what clients send together."""
    acts = [one.act for one in SAMPLES["cmd"].values() if isinstance(one, Command) and one.act is not None]
    single: list[messages.ControlRequest] = [
        messages.Status(),
        messages.Start(port=1, order="o-1", plan=Wish(energy_wh=1500, duration_s=28_800, amount_fen=300), by="技术员"),
        messages.Start(port=2, order="o-2"),
        messages.Stop(port=1, order="o-1", by="t"),
        messages.Stop(port=1, session="nobody"),
        messages.Modify(port=1, session="nobody", change=Change(energy_wh=800, without=("duration_s",))),
        messages.Sessions(limit=20),
        messages.ResetFault(port=1, by="t", repair="relay"),
        messages.OrderTest(kind="relays", by="t"),
        messages.RecordTest(kind="rcd", ok=True, by="t", detail="30 mA, 22 ms"),
        messages.Facts(kinds=["session_started", "checkpoint"], after=0, limit=20),
        messages.GetTariff(),
        *(messages.Perform(act=act, by="t") for act in acts),
    ]
    frames = [encode(one) for one in single]
    return (*frames, frames[1] + frames[0] + frames[3], b"".join(frames[:4]), b"")


class Door:
    """One station."""

    def __init__(self) -> None:
        self.closings = 0
        self._cabinet = Cabinet()
        self._control = self._cabinet.station._control  # noqa: SLF001 - the parts of the house

    def give(self, data: bytes) -> str:
        """Send ``data`` over a new connection and read until the station hangs up."""
        ports = {started_port(read(body), "type", _KEYS_OF_START) for body in bodies(data)} - {None}
        self._cabinet.started |= {port for port in ports if port is not None}
        before = self._control.dropped
        replies = self._cabinet.do(lambda: self._converse(data))
        counted = self._control.dropped > before
        if not counted and any(len(body) > MAX_REQUEST or read(body) is None for body in bodies(data)):
            raise BrokenPromiseError("a malformed frame is not counted")
        if not ports and any(isinstance(one, messages.StartReply) for one in replies):
            raise BrokenPromiseError("a session is started that nobody asked for")
        if not counted and len(replies) < len(bodies(data)):
            raise BrokenPromiseError("a request is not answered")
        self.closings = max(self.closings, self._cabinet.look())
        if counted:
            return "cut off"
        last = replies[-1] if replies else None
        return last.code if isinstance(last, messages.Refused) else "taken" if last else "nothing"

    async def _converse(self, data: bytes) -> list[messages.ControlReply]:
        reader, writer = await asyncio.open_unix_connection(str(self._cabinet.control_socket))
        decoder: Decoder[messages.ControlReply] = Decoder(messages.ControlReply)
        replies: list[messages.ControlReply] = []
        try:
            writer.write(data)
            writer.write_eof()
            while part := await reader.read(_CHUNK):
                replies += decoder.feed(part)
        except FrameError as error:
            raise BrokenPromiseError(f"an answer that nobody can read: {error}") from error
        except OSError:
            pass  # hung up with something unread
        finally:
            writer.close()
        return replies

    def well(self) -> None:
        """Ask for the state, and end what runs."""
        replies = self._cabinet.do(lambda: self._converse(encode(messages.Status())))
        if len(replies) != 1 or not isinstance(replies[0], messages.StatusReply):
            raise BrokenPromiseError("a good request is not answered any more")
        self._cabinet.rest()

    def close(self) -> None:
        """Free everything."""
        self._cabinet.close()
