"""The TCP sockets of this network namespace and the bytes that passed them, as the kernel reports them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.machine.network import netlink
from harness.values.endpoint import Endpoint

STATES = (
    "", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait", "close", "close_wait", "last_ack",
    "listen", "closing", "new_syn_recv",
)  # fmt: skip
_LISTEN = 1 << STATES.index("listen")
_CONNECTED = sum(
    1 << STATES.index(s) for s in ("established", "fin_wait1", "fin_wait2", "close_wait", "last_ack", "closing")
)
_UNANSWERED = _CONNECTED | 1 << STATES.index("syn_sent")
# In these states the peer's FIN has arrived; the kernel counts it as one byte received.
_FIN_HAS_COME = ("close_wait", "last_ack", "closing")

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_INFO = 2  # INET_DIAG_INFO
_REQUEST, _MESSAGE = struct.Struct("=BBBBI48x"), struct.Struct("=BBBB48s5I")
_IDENTITY = struct.Struct("!HH16s16s4x8s")
# Offsets in struct tcp_info (linux/tcp.h): unacknowledged packets in every kernel, bytes received since 4.1, bytes sent
# and retransmitted since 4.19.
_UNACKNOWLEDGED, _RECEIVED, _SENT, _RETRANSMITTED = 24, 128, 200, 208


@dataclass(frozen=True)
class Listener:
    """A listening socket.

    Attributes:
        pid: of the process that holds it; None where that cannot be read.
        backlog: how many connections may wait to be accepted; None where that cannot be read.
    """

    address: Endpoint
    inode: int
    pid: int | None = None
    backlog: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Connection:
    """One end of a connection.

    Attributes:
        state: one of `STATES`.
        inode: 0 if no process holds it: not yet accepted, or closed by its program.
        cookie: the kernel's number of this socket, never reused; 0 where it cannot be read.
        sent_bytes, received_bytes: payload without retransmissions; None where it cannot be read.
        unacknowledged: packets sent that the peer has not acknowledged; 0 where it cannot be read.
        backlog: of a listening socket; None otherwise.
    """

    local: Endpoint
    remote: Endpoint
    state: str
    inode: int
    cookie: int = 0
    sent_bytes: int | None = None
    received_bytes: int | None = None
    unacknowledged: int = 0
    backlog: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TcpCounters:
    """Counters of the whole network namespace since it was made.

    Attributes:
        attempts_failed: connects that were refused, and handshakes that were aborted.
        resets: established connections that ended by a reset.
        segments: received and sent, including loopback, without retransmissions.
        timeouts: how often the kernel's retransmission timer expired.
        given_up: connections ended because too many retransmissions were not answered.
        passive_opens: connections that listening sockets accepted.
        not_queued: connections turned away because too many waited to be accepted.
    """

    attempts_failed: int
    resets: int
    segments: int = 0
    timeouts: int = 0
    given_up: int = 0
    passive_opens: int = 0
    not_queued: int = 0


def listeners(owners: bool = True) -> list[Listener]:
    """All listening sockets; `owners` False skips the slow search for their pids."""
    found = [Listener(c.local, c.inode, backlog=c.backlog) for c in _sockets(_LISTEN)]
    if not owners:
        return found
    pids = owners_of(listener.inode for listener in found)
    return [replace(listener, pid=pids.get(listener.inode)) for listener in found]


def connections() -> list[Connection]:
    """All ends of connections in this namespace that are established or closing."""
    return list(_sockets(_CONNECTED))


def unanswered() -> list[Connection]:
    """The connections, including those being opened, whose peer has not acknowledged all that was sent."""
    return [connection for connection in _sockets(_UNANSWERED) if connection.unacknowledged]


def owners_of(inodes: Iterable[int]) -> dict[int, int]:
    """The pid of the process that holds each socket, where it can be read; of several holders the lowest."""
    wanted = set(inodes) - {0}
    owners: dict[int, int] = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        for inode in inodes_of(pid) & wanted:
            owners.setdefault(inode, pid)
        if len(owners) == len(wanted):
            break
    return owners


def inodes_of(pid: int) -> set[int]:
    """The inodes of the sockets that a process holds; empty where that cannot be read."""
    inodes = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            target = _read_link(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except OSError:
        return set()
    return inodes


def port_is_bindable(host: str, port: int) -> bool:
    """Whether a server could listen there now with SO_REUSEADDR, which ignores connections in TIME_WAIT."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def tcp_counters() -> TcpCounters:
    """The counters of this thread's network namespace; raises OSError where /proc does not show them."""
    basic, more = _counters("snmp", "Tcp:"), _counters("netstat", "TcpExt:")
    return TcpCounters(
        attempts_failed=basic["AttemptFails"],
        resets=basic["EstabResets"],
        segments=basic["InSegs"] + basic["OutSegs"],
        timeouts=more.get("TCPTimeouts", 0),
        given_up=more.get("TCPAbortOnTimeout", 0),
        passive_opens=basic["PassiveOpens"],
        not_queued=more.get("ListenOverflows", 0),
    )


def _counters(table: str, label: str) -> dict[str, int]:
    lines = Path(f"/proc/thread-self/net/{table}").read_text().splitlines()
    names, values = (line.split()[1:] for line in lines if line.startswith(label))
    return dict(zip(names, map(int, values), strict=True))


# -- sock_diag -----------------------------------------------------------------------------------------------------


def _sockets(states: int) -> Iterator[Connection]:
    """Every TCP socket in one of these states, from sock_diag, or from /proc where the kernel has no sock_diag."""
    try:
        found = [c for family in (socket.AF_INET, socket.AF_INET6) for c in _diagnosed(family, states)]
    except OSError:
        found = list(_from_proc(states))
    return iter(found)


def _diagnosed(family: int, states: int) -> Iterator[Connection]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as diagnosis:
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, states)
        diagnosis.send(netlink.message(_SOCK_DIAG_BY_FAMILY, netlink.REQUEST | netlink.DUMP, body, sequence=1))
        while True:
            for kind, payload in netlink.messages(diagnosis.recv(1 << 16)):
                if kind == netlink.DONE:
                    return
                if kind == netlink.ERROR:
                    raise OSError(netlink.error_number(payload), "sock_diag refuses")
                info = netlink.find_attribute(payload, _INFO, _MESSAGE.size)
                if info:  # without it: the remains of a connection that has ended
                    yield _connection(payload, info)


def _connection(payload: bytes, info: bytes) -> Connection:
    family, state, _, _, identity, _, _, send_queue, _, inode = _MESSAGE.unpack_from(payload)
    local_port, remote_port, local, remote, cookie = _IDENTITY.unpack(identity)
    sent, received = _bytes(info, STATES[state])
    return Connection(
        Endpoint(_host(family, local), local_port),
        Endpoint(_host(family, remote), remote_port),
        STATES[state],
        inode,
        int.from_bytes(cookie, "little"),
        sent,
        received,
        struct.unpack_from("=I", info, _UNACKNOWLEDGED)[0],
        send_queue if STATES[state] == "listen" else None,
    )


def _bytes(info: bytes, state: str) -> tuple[int | None, int | None]:
    if len(info) < _RETRANSMITTED + 8:
        return None, None
    sent, retransmitted = struct.unpack_from("=QQ", info, _SENT)
    (received,) = struct.unpack_from("=Q", info, _RECEIVED)
    return sent - retransmitted, max(0, received - (state in _FIN_HAS_COME))


def _host(family: int, packed: bytes) -> str:
    """The address as text; an IPv4 peer of a dual-stack socket is shown as IPv4."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, packed[:4])
    if packed.startswith(bytes(10) + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


# -- /proc/net/tcp, where sock_diag is missing -----------------------------------------------------------------------


def _from_proc(states: int) -> Iterator[Connection]:
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        table = Path(f"/proc/thread-self/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, local, remote, state, *_, inode = line.split()[:10]
            number = int(state, 16)
            is_remains = STATES[number] == "fin_wait2" and inode == "0"
            if states & (1 << number) and not is_remains:
                yield Connection(_endpoint(family, local), _endpoint(family, remote), STATES[number], int(inode))


def _endpoint(family: int, text: str) -> Endpoint:
    address, port = text.split(":")
    words = (address[at : at + 8] for at in range(0, len(address), 8))  # each a number in this machine's byte order
    packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    return Endpoint(_host(family, packed), int(port, 16))


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
