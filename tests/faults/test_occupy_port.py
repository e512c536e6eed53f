"""occupy_port: a real port is held on each address, and free again when healed."""

from __future__ import annotations

import errno
import socket

import pytest
from fault_context import FakeFaultContext, connects, fault, free_port

from harness.faults.base import FAULTS
from harness.machine.network import listening
from harness.values.endpoint import Endpoint
from harness.values.errors import HarnessError


def occupied(address: str, **more: bool):
    """The fault on a free port, its context, and the port."""
    port = free_port(address)
    context = FakeFaultContext(Endpoint("127.0.0.1", port), **more)
    return FAULTS["occupy_port"](fault("occupy_port", address=address)), context, port


def bind_as_a_store(port: int, address: str = "::") -> None:
    """Bind and listen like torch's store: on every address, with SO_REUSEADDR."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as store:
        store.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        store.bind((address, port))
        store.listen()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_store_cannot_bind_while_the_port_is_held_and_can_afterwards(address: str):
    """On each address a bind of the wildcard is refused with EADDRINUSE."""
    member, context, port = occupied(address)
    with member.hold(context), pytest.raises(OSError) as refused:
        bind_as_a_store(port)
    assert refused.value.errno == errno.EADDRINUSE
    bind_as_a_store(port)


@pytest.mark.parametrize(("address", "reached"), [("127.0.0.1", [True, False]), ("::1", [False, True])])
def test_one_address_leaves_the_other_family_alone(address: str, reached: list[bool]):
    """A socket on the IPv4 loopback is met there only, one on the IPv6 loopback there only."""
    member, context, port = occupied(address)
    with member.hold(context):
        assert [connects(host, port) for host in ("127.0.0.1", "::1")] == reached


def test_the_wildcard_of_ipv6_takes_ipv4_too():
    """`::` is met on both loopbacks."""
    member, context, port = occupied("::")
    with member.hold(context):
        assert [connects(host, port) for host in ("127.0.0.1", "::1")] == [True, True]


def test_its_proof_is_a_listening_socket():
    """The system's table has the inode of the evidence as listening, and not after healing."""
    member, context, port = occupied("127.0.0.1")
    with member.hold(context) as evidence:
        facts = evidence().facts
        assert listening.is_listening(facts["inode"])
    assert facts["port"] == port
    assert not listening.is_listening(facts["inode"])


def test_whoever_connects_is_counted_and_left_hanging_until_it_is_healed():
    """Two connections count, one of them closed already; the other gets nothing before healing, and then a close."""
    member, context, port = occupied("127.0.0.1")
    with socket.socket() as client:
        with member.hold(context) as evidence:
            client.connect(("127.0.0.1", port))
            client.sendall(b"hello")
            assert connects("127.0.0.1", port)
            found = evidence()
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        assert (found.touched, found.facts["connections"]) == (True, 2)
        client.setblocking(True)
        with pytest.raises(ConnectionResetError):  # its bytes were never read
            client.recv(1)


@pytest.mark.parametrize("master_joins", [True, False])
def test_without_a_connection_it_touched_something_only_if_the_master_wanted_the_port(master_joins: bool):
    """No client came and no rank 0 began to join: the cell will be vacuous."""
    member, context, _ = occupied("127.0.0.1", master_joins=master_joins)
    with member.hold(context) as evidence:
        assert evidence().touched is master_joins


def test_a_port_in_use_cannot_be_occupied():
    """The error says where, why, and what to do; the process that has the port is not disturbed."""
    member, context, port = occupied("127.0.0.1")
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(HarnessError, match=rf"127\.0\.0\.1 port {port} .*in use.*inject it before"):
            with member.hold(context):
                pass
        assert connects("127.0.0.1", port)


def test_closed_connections_on_the_port_do_not_hinder_it():
    """A connection that its server closes first leaves time-wait on the port; one of an earlier run must not matter."""
    member, context, port = occupied("127.0.0.1")
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)) as client:
        server.accept()[0].close()
        assert client.recv(1) == b""
    with pytest.raises(OSError), socket.socket() as plain:
        plain.bind(("127.0.0.1", port))
    with member.hold(context):
        assert connects("127.0.0.1", port)


def test_another_port_than_the_endpoints_is_no_evidence(monkeypatch: pytest.MonkeyPatch):
    """A listener elsewhere holds nothing, whatever connects to it and whatever the master wants."""
    listen = listening.listen
    monkeypatch.setattr(listening, "listen", lambda address, port: listen(address, 0))
    for kind, more in (("occupy_port", {}), ("impostor", {"answers": "nothing"})):
        context = FakeFaultContext(Endpoint("127.0.0.1", free_port()), master_joins=True)
        with FAULTS[kind](fault(kind, address="127.0.0.1", **more)).hold(context) as evidence:
            found = evidence()
        assert (found.touched, found.facts["held"]) == (False, False)
