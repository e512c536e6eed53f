"""The name server: what it answers, on the wire and to the C library, and that it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import users

from harness.machine.names.name_server import AAAA, PTR, A, Question, Rule, answer, read, reply

HERE = Path(__file__).resolve().parent
HOSTS = "127.0.0.1 localhost\n198.18.0.2 r0\n#hidden by fault: 2001:2::3 six\n"
NO_SUCH_NAME, MX, LIMIT_SECONDS = 3, 15, 10


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """A hosts file with a hidden entry."""
    path = tmp_path / "hosts"
    path.write_text(HOSTS)
    return path


def parsed_address(hosts: Path) -> str:
    """The address of r0 in this hosts file."""
    return next(line.split()[0] for line in hosts.read_text().splitlines() if "r0" in line.split()[1:])


def query(name: str, kind: int = A, number: int = 7) -> bytes:
    """A query as a resolver sends it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def parsed(message: bytes) -> tuple[int, int, bytes]:
    """An answer's number, its code, and the data of its record (empty if it has none)."""
    number, flags, _, records, _, _ = struct.unpack_from("!6H", message)
    assert flags & 0x8000
    at = message.index(b"\xc0\x0c", 12) if records else 0
    return number, flags & 15, message[at + 12 :] if records else b""


@pytest.mark.parametrize(
    ("name", "kind", "code", "data"),
    [
        ("r0", A, 0, bytes([198, 18, 0, 2])),
        ("R0", A, 0, bytes([198, 18, 0, 2])),
        ("r0", AAAA, 0, b""),
        ("r0", MX, 0, b""),
        ("six", AAAA, 0, socket.inet_pton(socket.AF_INET6, "2001:2::3")),
        ("r9", A, NO_SUCH_NAME, b""),
        ("2.0.18.198.in-addr.arpa", PTR, 0, b"\2r0\0"),
        ("3" + ".0" * 23 + ".2.0.0.0.1.0.0.2.ip6.arpa", PTR, 0, b"\3six\0"),
        ("9.0.18.198.in-addr.arpa", PTR, NO_SUCH_NAME, b""),
        ("not.an.address.in-addr.arpa", PTR, NO_SUCH_NAME, b""),
        ("r0", PTR, NO_SUCH_NAME, b""),
    ],
)
def test_it_answers_from_the_hosts_file(name: str, kind: int, code: int, data: bytes, hosts: Path):
    """Including hidden entries; a name without an address of that family exists, but has no record."""
    assert parsed(answer(read(query(name, kind)), hosts, {})) == (7, code, data)


def test_a_rule_gives_another_address_or_none(hosts: Path):
    """In place of the true address, and for that name only."""
    instead = {"r0": "198.18.9.9", "six": None}
    assert parsed(answer(read(query("r0")), hosts, instead))[2] == bytes([198, 18, 9, 9])
    assert parsed(answer(read(query("six", AAAA)), hosts, instead))[1] == NO_SUCH_NAME


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 11,
        query("r0")[:-3],
        query("r0")[:15],
        struct.pack("!6H", 7, 0x8000, 1, 0, 0, 0) + query("r0")[12:],
        struct.pack("!6H", 7, 0, 2, 0, 0, 0) + query("r0")[12:],
        struct.pack("!6H", 7, 0, 0, 0, 0, 0),
        query("r0")[:12] + b"\xff" + b"\xf0" * 300,
    ],
)
def test_a_malformed_query_is_a_value_error(message: bytes):
    """And no other exception, whatever arrives."""
    with pytest.raises(ValueError, match="not a DNS query"):
        read(message)


def test_an_answer_repeats_its_question():
    """With its number, so that the client can match them."""
    message = query("r0.example", AAAA, 513)
    question = read(message)
    assert question == Question(513, 0x0100, "r0.example", AAAA, message[12:])
    assert reply(question, NO_SUCH_NAME)[12:] == message[12:]


# -- the process -------------------------------------------------------------------------------------------------------


class Server:
    """The server's process on two loopback sockets with one port."""

    def __init__(self, process: subprocess.Popen[bytes], address: tuple[str, int]) -> None:
        self.process = process
        self.address = address

    def ask(self, **order: object) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, object] = json.loads(self.process.stdout.readline())
        return answer

    def rules(self, *rules: Rule) -> None:
        assert self.ask(rules=[rule.to_json() for rule in rules]) == {}


@contextmanager
def serving() -> Iterator[Server]:
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(tcp.getsockname())
        sockets = {"udp": udp.fileno(), "tcp": tcp.fileno()}
        command = [sys.executable, "-m", "harness.machine.names.name_server", json.dumps(sockets)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=tuple(sockets.values())
        )
        address = tcp.getsockname()
    with process:
        try:
            yield Server(process, address)
        finally:
            process.kill()


@pytest.fixture
def server(hosts: Path) -> Iterator[Server]:
    """A server that answers the host `localhost` correctly."""
    with serving() as running:
        running.rules(Rule("fault", str(hosts), ["localhost"]))
        yield running


@pytest.fixture
def asking(server: Server) -> Iterator[socket.socket]:
    """A UDP socket that sends queries to it."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(LIMIT_SECONDS)
        client.connect(server.address)
        yield client


def test_it_answers_over_udp_and_tcp(server: Server, asking: socket.socket):
    """Over TCP two queries may come in one piece; garbage is not answered, and later queries are."""
    asking.send(b"rubbish")
    asking.send(query("r0"))
    over_udp = asking.recv(4096)
    with socket.create_connection(server.address, LIMIT_SECONDS) as client, client.makefile("rb") as stream:
        piece = b"".join(len(message).to_bytes(2, "big") + message for message in (query("r0"), query("r9")))
        client.sendall(piece)
        over_tcp = [stream.read(int.from_bytes(stream.read(2), "big")) for _ in range(2)]
    assert over_tcp[0] == over_udp
    assert [parsed(message)[1] for message in over_tcp] == [0, NO_SUCH_NAME]


def test_a_silent_rule_counts_the_queries_that_are_not_answered(server: Server, asking: socket.socket, hosts: Path):
    """With one in two the first is not answered, and the second is."""
    server.rules(Rule("mute", str(hosts), ["localhost"], silent=True, one_in=2))
    for number in (1, 2):
        asking.send(query("r0", A, number))
    assert parsed(asking.recv(4096))[0] == 2
    counted = {"hit": 1, "unanswered": 1, "kinds": {"A": 2}, "clients": {"localhost": 2}, "names": {"r0": 2}}
    assert server.ask(count="mute") == counted


def test_a_late_answer_does_not_hold_up_another(server: Server, asking: socket.socket, hosts: Path):
    """The first of two answers is delayed by half a second, so the second comes first."""
    server.rules(Rule("late", str(hosts), ["localhost"], delay_ns=500_000_000, one_in=2))
    for number in (1, 2):
        asking.send(query("r0", A, number))
    assert parsed(asking.recv(4096))[0] == 2
    assert server.ask(count="late")["waiting"] == 1
    assert parsed(asking.recv(4096))[0] == 1
    counted = server.ask(count="late")
    assert (counted["late"], "waiting" in counted) == (1, False)
    assert counted["longest_ns"] >= 500_000_000


def test_a_rule_applies_to_its_clients_only(server: Server, asking: socket.socket, hosts: Path):
    """Other clients get the true answer; the hosts file tells which client an address is."""
    server.rules(Rule("wrong", str(hosts), ["r0"], instead={"r0": None}))
    asking.send(query("r0"))
    assert parsed(asking.recv(4096))[1] == 0
    hosts.write_text("127.0.0.1 r0\n")  # r0 moved to this address
    asking.send(query("r0"))
    assert parsed(asking.recv(4096))[1] == NO_SUCH_NAME
    assert server.ask(count="wrong")["untrue"] == 1


def test_an_answer_that_is_true_after_all_is_not_counted_as_untrue(server: Server, asking: socket.socket, hosts: Path):
    """A rule that gives the address that the hosts file has, or none, hits the query and changes nothing."""
    for instead in ({"r0": parsed_address(hosts)}, {}):
        server.rules(Rule("harmless", str(hosts), ["localhost"], instead=instead))
        asking.send(query("r0"))
        assert parsed(asking.recv(4096))[1] == 0
    counted = server.ask(count="harmless")
    assert (counted["hit"], counted.get("untrue", 0), counted.get("longest_ns", 0)) == (2, 0, 0)


def test_it_ends_with_its_input(server: Server):
    """So it ends too when its parent is killed."""
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(LIMIT_SECONDS) == 0


def test_it_ends_with_its_parent_even_if_its_input_stays_open():
    """The kernel sends it SIGKILL."""
    source = (
        "import subprocess, sys, socket, json, os, signal\n"
        "udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()\n"
        "tcp.listen()\n"
        "given = {'udp': udp.fileno(), 'tcp': tcp.fileno()}\n"
        "command = [sys.executable, '-m', 'harness.machine.names.name_server', json.dumps(given)]\n"
        "server = subprocess.Popen(command, stdin=0, pass_fds=tuple(given.values()), stdout=subprocess.PIPE)\n"
        "server.stdout.readline()\n"  # it has answered, so it has called prctl before
        "print(server.pid, flush=True)\n"
        "signal.pause()\n"
    )
    reader, writer = os.pipe()
    with subprocess.Popen([sys.executable, "-c", source], stdin=reader, stdout=subprocess.PIPE, text=True) as parent:
        try:
            os.write(writer, b'{"rules": []}\n')
            assert parent.stdout is not None
            pidfd = os.pidfd_open(int(parent.stdout.readline()))
        finally:
            parent.send_signal(signal.SIGKILL)
    try:
        # A pidfd is readable when its process has ended.
        assert select.select([pidfd], [], [], LIMIT_SECONDS)[0] == [pidfd]
    finally:
        for descriptor in (reader, writer, pidfd):
            os.close(descriptor)


# -- the C library -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces_allowed")
def test_the_c_library_asks_it_for_root_and_for_an_ordinary_user(user: users.User):
    """On port 53 of the host px; before and after, the hosts file answers, and unknown names are refused."""
    script = str(user.tree / "tests" / "machine" / "name_servers.py")
    found = users.answer(user.run_booted("private", [user.python, script, "answers"]))
    address, refused, unknown = found["address"], socket.EAI_AGAIN, socket.EAI_NONAME
    by_file = [[address], refused, "r0", refused]
    assert found["answers"] == [by_file, [["198.18.9.9"], unknown, "r0", "r0"], by_file]
    assert (found["counted"]["hit"], found["counted"]["clients"]) == (2, {"r1": 2})
