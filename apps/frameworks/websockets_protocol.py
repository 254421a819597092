"""The library websockets' protocol, which both servers speak, with a bound on pings: each has to be answered
(RFC 6455, section 5.5.2), so that who sends many costs much."""

import time

from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.server import ServerProtocol

PINGS = 50  # a second


class BoundedProtocol(ServerProtocol):
    """Closes with 1008 where more come."""

    _second = _pings = 0
    _flooded = False

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            now = int(time.monotonic())
            self._pings = self._pings + 1 if now == self._second else 1
            self._second = now
            if self._pings > PINGS:
                self._flooded = True
                raise ProtocolError(f"expected at most {PINGS} pings a second")
        super().recv_frame(frame)

    def fail(self, code: int, reason: str = "") -> None:
        super().fail(CloseCode.POLICY_VIOLATION if self._flooded else code, reason)
