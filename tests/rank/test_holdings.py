"""What a process says that it holds."""

import errno
import os
import socket
import threading
from collections import Counter

import pytest

from harness.rank.holdings import ACCEPTED, CONNECTED, EVENTS, FILES, LISTENING, PIPES, SOCKETS, THREADS, holdings
from harness.rank.listeners import inodes_now, listeners_since


def grown(before):
    """By how much each number grew."""
    return {kind: number for kind, number in (Counter(holdings()) - Counter(before)).items() if number}


def test_nothing_is_held_by_looking():
    """The descriptors of the look itself do not count."""
    assert holdings() == holdings()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: [os.open("/dev/null", os.O_RDONLY)], FILES),
        (lambda: [os.pipe()[0]], PIPES),
        (lambda: [socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()], SOCKETS),
        (lambda: [socket.socketpair()[0].detach()], SOCKETS),
        (lambda: [socket.create_server(("127.0.0.1", 0)).detach()], LISTENING),
        (lambda: [socket.socket().detach()], CONNECTED),
    ],
    ids=["file", "pipe", "udp", "unix", "listening", "closed-by-the-peer"],
)
def test_a_descriptor_counts_as_its_kind(make, kind):
    """One more of this kind while it is open."""
    before = holdings()
    fds = make()
    try:
        assert grown(before)[kind] >= 1
        assert set(grown(before)) == {kind}
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="this Python has no eventfd")
def test_an_event_descriptor_counts():
    """As libuv makes them."""
    before = holdings()
    fd = os.eventfd(0)
    try:
        assert grown(before) == {EVENTS: 1}
    finally:
        os.close(fd)


def test_the_two_ends_of_a_connection_are_told_apart():
    """The end at a port on which this process listens was accepted; without its listener it is just connected."""
    before = holdings()
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                assert grown(before) == {LISTENING: 1, ACCEPTED: 1, CONNECTED: 1}
                server.close()
                assert grown(before) == {CONNECTED: 2}
                assert client.getpeername() == accepted.getsockname()
    assert holdings() == before


def test_a_thread_counts():
    """While it runs."""
    before, may_end = holdings(), threading.Event()
    thread = threading.Thread(target=may_end.wait)
    thread.start()
    try:
        assert grown(before) == {THREADS: 1}
    finally:
        may_end.set()
        thread.join()


def test_a_process_without_a_free_descriptor_is_not_counted(monkeypatch):
    """A limit of open files is a fault of the harness: looking must not end the rank, nor its join."""

    def refused(path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr(os, "listdir", refused)
    assert holdings() == {}
    assert inodes_now() is None
    assert listeners_since(None) == {}


def test_what_was_there_before_is_told_only_if_it_is_known():
    """An unknown past does not make every listening socket a new one."""
    with socket.create_server(("127.0.0.1", 0)):
        assert "opened" not in listeners_since(None)
        assert listeners_since(inodes_now())["opened"] == []
