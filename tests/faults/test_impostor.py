"""impostor: another program really answers on the master's port, and is gone after healing."""

from __future__ import annotations

import socket
import threading

import pytest
from fault_context import LIMIT_SECONDS, FakeFaultContext, connects, fault, free_port

from harness.faults.base import FAULTS
from harness.faults.impostor import HTTP_ANSWER
from harness.machine.network import listening
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError

# In place of the store of another run: a process that listens on the port it is given.
LISTENER = """
import socket, sys, time
server = socket.create_server(("", int(sys.argv[1])))
print("ready", flush=True)
time.sleep(60)
"""


def impostor(answers: str, address: str = "127.0.0.1", **more):
    """The fault on a free port, its context, and the port."""
    port = free_port(address)
    context = FakeFaultContext(Endpoint("127.0.0.1", port), **more)
    return FAULTS["impostor"](fault("impostor", answers=answers, address=address)), context, port


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, port), timeout=LIMIT_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_silent_one_takes_the_connection_and_says_nothing_until_it_leaves():
    """It accepts and never reads; healing closes what it accepted."""
    member, context, port = impostor("nothing")
    with member.hold(context) as evidence, connect(port) as client:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(LIMIT_SECONDS)
        _until(lambda: evidence().facts["connections"] == 1)
        assert evidence().touched is True
        healed = client.dup()
    with healed:
        assert healed.recv(1) == b""


def test_an_echo_sends_back_every_byte_in_order():
    """Three MiB, written while they are read, come back whole; then the close is answered by a close."""
    member, context, port = impostor("echo")
    sent = bytes(range(256)) * (3 << 12)
    with member.hold(context) as evidence, connect(port) as client:

        def write() -> None:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        assert read_all(client) == sent
        writer.join()
        facts = evidence().facts
        assert (facts["received_bytes"], facts["sent_bytes"]) == (len(sent), len(sent))


def test_an_echo_to_somebody_who_never_reads_keeps_to_its_buffer_and_leaves_promptly():
    """The client writes until its writes block; healing does not wait for it to read."""
    member, context, port = impostor("echo")
    with member.hold(context), connect(port) as client:
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(64 << 20))
    assert not connects("127.0.0.1", port)


def test_http_answers_400_to_the_first_bytes_and_closes():
    """This is a web server's answer to a store's first message; it arrives whole."""
    member, context, port = impostor("http")
    with member.hold(context) as evidence, connect(port) as client:
        client.sendall(b"\x00\x3c\x85\xf7\xc1")
        assert read_all(client) == HTTP_ANSWER
        assert evidence().facts["received_bytes"] == 5


def test_many_are_served_side_by_side():
    """A silent client does not delay the others, and all are counted."""
    member, context, port = impostor("echo")
    with member.hold(context) as evidence, connect(port):
        for _ in range(20):
            with connect(port) as client:
                client.sendall(b"ping")
                assert client.recv(4) == b"ping"
        assert evidence().facts["connections"] == 21


def test_a_reset_connection_disturbs_nobody():
    """After a client leaves with RST, the impostor still serves others."""
    member, context, port = impostor("echo")
    with member.hold(context):
        with connect(port) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            rude.sendall(b"bye")
        with connect(port) as client:
            client.sendall(b"ping")
            assert client.recv(4) == b"ping"


@pytest.mark.parametrize("answers", ["nothing", "echo", "http"])
def test_its_port_and_thread_are_gone_when_it_is_healed(answers: str):
    """Healing ends the thread, and the port can be bound again at once."""
    member, context, port = impostor(answers)
    threads = threading.active_count()
    with member.hold(context) as evidence, connect(port):
        assert threading.active_count() == threads + 1
        assert listening.is_listening(evidence().facts["inode"])
    assert threading.active_count() == threads
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_it_listens_where_it_is_told():
    """If it listens on the IPv6 loopback, the IPv4 loopback refuses."""
    member, context, port = impostor("echo", address="::1")
    with member.hold(context):
        assert [connects(host, port) for host in ("::1", "127.0.0.1")] == [True, False]


@pytest.mark.parametrize("answers", ["nothing", "store"])
@pytest.mark.parametrize("master_joins", [True, False])
def test_without_a_connection_it_touched_something_only_if_the_master_wanted_the_port(answers: str, master_joins: bool):
    """No client came and no rank 0 began to join: the cell will be vacuous."""
    member, context, _ = impostor(answers, master_joins=master_joins, helper_program=LISTENER)
    with member.hold(context) as evidence:
        assert evidence().touched is master_joins


def test_a_port_in_use_cannot_be_taken():
    """The error says where, why, and what to do."""
    member, context, port = impostor("http")
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(HarnessError, match=rf"127\.0\.0\.1:{port} .*in use.*inject it before"):
            with member.hold(context):
                pass


def test_a_foreign_store_runs_in_a_process_of_its_own_and_ends_with_the_fault():
    """The helper gets the port, and has ended when the fault is healed."""
    member, context, port = impostor("store", helper_program=LISTENER)
    with member.hold(context) as evidence:
        assert connects("127.0.0.1", port)
        assert evidence().facts["pid"] > 0
    assert context.calls == [
        ("helper", "impostor_store", {"port": port}),
        ("helper ended", "impostor_store"),
    ]
    assert not connects("127.0.0.1", port)


def test_connections_to_a_foreign_store_are_counted_open_or_closed():
    """One open and one closed connection count as two; those of before do not count."""
    member, context, port = impostor("store", helper_program=LISTENER)
    with member.hold(context) as evidence, connect(port):
        connect(port).close()
        found = evidence()
    assert (found.touched, found.facts["connections"]) == (True, 2)


def test_a_store_on_one_address_is_refused_when_the_file_is_read():
    """torch's store listens on every address, so the two attributes contradict each other."""
    kind = FAULTS["impostor"]
    assert kind.problems({"answers": "store", "address": "127.0.0.1"}) == ()
    (problem,) = kind.problems({"answers": "store", "address": "::1"})
    assert "leave `address` out" in problem


def _until(holds) -> None:
    """Wait for what another thread brings about; fail if it never comes."""
    pause = threading.Event()
    for _ in range(LIMIT_SECONDS * 1000):
        if holds():
            return
        pause.wait(0.001)
    raise AssertionError("it never came true")
