# SPDX-License-Identifier: Apache-2.0
"""The control socket: one JSON object a message, with file descriptors (docs/protocol.md).

Only `_socket` is used: the `socket` module builds enumerations for milliseconds, and a node starts often.
"""
from __future__ import annotations

import _socket
from posix import close as _close_fd

from hawse._json import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_MESSAGE_BYTES = 65536
_INT_BYTES = 4
_ANCILLARY_BYTES = _socket.CMSG_SPACE(8 * _INT_BYTES)


class Control:
    """Threading: any thread may send; one receives."""

    def __init__(self, fd: int) -> None:
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd)
        self._socket.settimeout(None)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: dict[str, Any]) -> bool:
        """False: the other end is gone."""
        data = dumps(message).encode()
        if len(data) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a control message of {len(data)} bytes; the most is {MAX_MESSAGE_BYTES}")
        try:
            self._socket.send(data, _socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self, wait: bool = True) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and its descriptors, now the caller's. None: nothing there (without `wait`), or the other end is gone (with it).

        Raises ValueError for one that is longer, or has more descriptors, than a message may have, or that is no message.
        """
        flags = _socket.MSG_CMSG_CLOEXEC | (0 if wait else _socket.MSG_DONTWAIT)
        try:
            data, ancillary, found, _ = self._socket.recvmsg(MAX_MESSAGE_BYTES, _ANCILLARY_BYTES, flags)
        except OSError:  # nothing there, the other end died, or another thread has hung up
            return None
        fds: list[int] = []
        for level, kind, content in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                for at in range(0, len(content) - _INT_BYTES + 1, _INT_BYTES):
                    fds.append(int.from_bytes(content[at : at + _INT_BYTES], "little"))
        try:
            if found & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
                raise ValueError("a control message with more than 64 KiB or 8 descriptors, or this process has too many open")
            if data:
                return loads(data.decode()), fds
        except ValueError:
            _close(fds)
            raise
        _close(fds)
        return None

    def has_message(self) -> bool:
        """A message, or the other end's hang-up, is there."""
        try:
            self._socket.recv(1, _socket.MSG_DONTWAIT | _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    def detach(self) -> int:
        """The descriptor, from now on the caller's."""
        return self._socket.detach()

    def hang_up(self) -> None:
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


def _close(fds: list[int]) -> None:
    for fd in fds:
        _close_fd(fd)
