"""A connection to a TCPStore server that never waits beyond its deadline."""

from __future__ import annotations

import _socket
import errno
import math
import os
import select
import struct
import time
from contextlib import suppress
from typing import Callable, Dict, List, Sequence, Tuple

from . import operations as op
from .descriptors import join_sockets
from .failures import NotAStore, TimedOut, Unreachable
from .operations import Operation, Replies, Reply
from .resolve import Address

# The first byte of each message, and the magic number of the greeting: torch 2.6 to 2.15, as seen on the wire
# (tests/rendezvous/inside/wire_checks.py runs with each torch).
_VALIDATE, _SET, _COMPARE_SET, _GET, _ADD, _WAIT, _DELETE, _APPEND, _MULTI_GET, _MULTI_SET, _CANCEL_WAIT, _PING = (
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x06",
    b"\x08",
    b"\x09",
    b"\x0a",
    b"\x0b",
    b"\x0c",
    b"\x0d",
)
_MAGIC = 0x3C85F7CE
_STOPPED = 0
# No value of the join is longer, so a server that announces a longer one is not a store.
_LONGEST = 64 << 20


class Wire:
    """One connection whose greeting was answered.

    Every method takes a deadline (`time.monotonic`). It raises TimedOut at the deadline, Unreachable if the connection
    breaks, and NotAStore if the answer is not one that a store gives. After any of these the connection is useless.

    Args:
        first: operations to send along with the greeting.
        connect_s: how long the connection may take, before the greeting.

    Attributes:
        first: the replies to those operations.
        round_trip_s: seconds until the greeting was answered.
    """

    def __init__(
        self,
        address: Address,
        port: int,
        deadline: float,
        first: Sequence[Operation] = (),
        connect_s: float = math.inf,
    ) -> None:
        self.address = address
        self._buffer = bytearray()
        self._socket = _unconnected(address)
        self._inode = os.fstat(self._socket.fileno()).st_ino
        join_sockets.add(self._inode)
        try:
            target = _target(self._socket.family, address[1], port)
            _connect(self._socket, target, min(deadline, time.monotonic() + connect_s))
            begun = time.monotonic()
            self._greet(first, deadline)
            self.round_trip_s = time.monotonic() - begun
            self.first = [self.receive(operation, deadline) for operation in first]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        join_sockets.discard(self._inode)
        self._socket.close()

    def ask(self, operations: Sequence[Operation], deadline: float) -> Replies:
        """Send the operations together; returns their replies, None for one that has no reply.

        A Wait must come last: the server would answer the operations after it while it still waits.
        """
        self.send(operations, deadline)
        return [self.receive(operation, deadline) for operation in operations]

    def send(self, operations: Sequence[Operation], deadline: float) -> None:
        self._send(b"".join(map(_message, operations)), deadline)

    def receive(self, operation: Operation, deadline: float) -> Reply:
        """The reply of an operation that was sent."""
        reader = _READERS.get(type(operation))
        return None if reader is None else reader(self, operation, deadline)

    def cancel_wait(self, deadline: float) -> bool:
        """Cancel the Wait that was sent last; returns whether it was answered before."""
        self._send(_CANCEL_WAIT, deadline)
        answer = self._byte(deadline)
        if answer == _STOPPED:
            self._byte(deadline)
        return answer == _STOPPED

    def _greet(self, first: Sequence[Operation], deadline: float) -> None:
        # In one segment: a server of torch takes a split greeting for an unknown command (F01).
        number = os.getpid() & 0xFFFFFFFF
        greeting = _VALIDATE + struct.pack("<I", _MAGIC) + _PING + struct.pack("<I", number)
        self._send(greeting + b"".join(map(_message, first)), deadline)
        answer = self._read(4, deadline)
        if answer != struct.pack("<I", number):
            raise NotAStore(f"answers a store's greeting with {answer!r}")

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                _wait_for(self._socket, select.POLLOUT, deadline)
            except OSError as error:
                raise Unreachable(_reason(error)) from error

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._receive(deadline)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _receive(self, deadline: float) -> bytes:
        # Nearly always nothing has come yet: to poll first is cheaper than a recv that would block.
        _wait_for(self._socket, select.POLLIN, deadline)
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise Unreachable(_reason(error)) from error
        if not data:
            raise Unreachable("the connection was closed")
        return data

    def _byte(self, deadline: float) -> int:
        return self._read(1, deadline)[0]

    def _number(self, deadline: float) -> int:
        number: int = struct.unpack("<q", self._read(8, deadline))[0]
        return number

    def _text(self, deadline: float) -> str:
        length = self._number(deadline)
        if not 0 <= length <= _LONGEST:
            raise NotAStore(f"answers with a value of {length} bytes")
        return self._read(length, deadline).decode("utf-8", "replace")

    def _texts(self, operation: Operation, deadline: float) -> Tuple[str, ...]:
        assert isinstance(operation, op.MultiGet)
        return tuple(self._text(deadline) for _ in operation.keys)

    def _stop(self, deadline: float) -> None:
        answer = self._byte(deadline)
        if answer != _STOPPED:
            raise NotAStore(f"answers a wait with {answer}")


Reader = Callable[[Wire, Operation, float], Reply]
_READERS: Dict[type, Reader] = {
    op.Get: lambda wire, _, deadline: wire._text(deadline),
    op.CompareSet: lambda wire, _, deadline: wire._text(deadline),
    op.Add: lambda wire, _, deadline: wire._number(deadline),
    op.Delete: lambda wire, _, deadline: wire._number(deadline),
    op.MultiGet: lambda wire, operation, deadline: wire._texts(operation, deadline),
    op.Wait: lambda wire, _, deadline: wire._stop(deadline),
}


def _message(sent: Operation) -> bytes:
    """An operation as bytes; keys begin with a slash, as torch writes them."""
    if isinstance(sent, op.Get):
        return _GET + _key(sent.key)
    if isinstance(sent, op.Set):
        return _SET + _key(sent.key) + _text(sent.value)
    if isinstance(sent, op.CompareSet):
        return _COMPARE_SET + _key(sent.key) + _text(sent.expected) + _text(sent.desired)
    if isinstance(sent, op.Add):
        return _ADD + _key(sent.key) + struct.pack("<q", sent.amount)
    if isinstance(sent, op.Append):
        return _APPEND + _key(sent.key) + _text(sent.value)
    if isinstance(sent, op.Delete):
        return _DELETE + _key(sent.key)
    if isinstance(sent, op.MultiSet):
        return _MULTI_SET + _count(sent.pairs) + b"".join(_key(key) + _text(value) for key, value in sent.pairs)
    return (_WAIT if isinstance(sent, op.Wait) else _MULTI_GET) + _count(sent.keys) + b"".join(map(_key, sent.keys))


def _count(items: Sequence[object]) -> bytes:
    return struct.pack("<Q", len(items))


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(data)) + data


def _key(key: str) -> bytes:
    return _text(f"/{key}")


def _unconnected(address: Address) -> _socket.socket:
    try:
        sock = _socket.socket(address[0], _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    except OSError as error:  # no descriptor is left, or the system has no such family
        raise Unreachable(_reason(error)) from error
    sock.setblocking(False)
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    return sock


def _target(family: int, host: str, port: int) -> Tuple[object, ...]:
    """The address for the kernel. Not from getaddrinfo, whose name codec takes milliseconds to import."""
    if family == _socket.AF_INET:
        return host, port
    numeric, _, scope = host.partition("%")
    try:
        number = int(scope) if scope.isdigit() else _socket.if_nametoindex(scope) if scope else 0
    except OSError as error:
        raise Unreachable(f"{scope!r} is not a network interface here") from error
    return numeric, port, 0, number


def _connect(sock: _socket.socket, target: Tuple[object, ...], deadline: float) -> None:
    number = sock.connect_ex(target)
    if number == errno.EINPROGRESS:
        _wait_for(sock, select.POLLOUT, deadline)
        number = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if number:
        raise Unreachable(os.strerror(number)) from OSError(number, os.strerror(number))
    # On one host, a connection to an ephemeral port on which nobody listens may connect to itself.
    if sock.getsockname()[:2] == sock.getpeername()[:2]:
        raise Unreachable("nobody listens: the connection connected to itself")


def _wait_for(sock: _socket.socket, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(sock, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimedOut("an answer")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def connect_any(addresses: List[Address], port: int, deadline: float, connect_s: float = math.inf) -> Wire:
    """A connection to the first address at which a store answers; each address gets its share of the time left.

    Raises the error of the last address.
    """
    for left in range(len(addresses), 1, -1):
        now = time.monotonic()
        with suppress(Unreachable, NotAStore, TimedOut):
            return Wire(addresses[-left], port, now + (deadline - now) / left, connect_s=connect_s)
    return Wire(addresses[-1], port, deadline, connect_s=connect_s)
