"""Telling new connections of a port from those that were there, by the system's table."""

from __future__ import annotations

import socket

from harness.machine.network.listening import connections_of_port, new_connections

PAIR = frozenset({("127.0.0.1", 40000), ("127.0.0.1", 29500)})
OTHER = frozenset({("127.0.0.1", 40001), ("127.0.0.1", 29500)})


def test_a_pair_of_ends_that_was_not_there_is_new() -> None:
    """Open, or only the trace that it left."""
    assert new_connections({PAIR: frozenset({1, 2})}, {PAIR: frozenset({1, 2}), OTHER: frozenset()}) == 1


def test_a_trace_whose_ends_are_open_again_is_a_new_connection() -> None:
    """The kernel reuses ends in TIME_WAIT on loopback; a world on one port all day meets that."""
    assert new_connections({PAIR: frozenset()}, {PAIR: frozenset({7, 8})}) == 1


def test_a_connection_that_closed_meanwhile_is_not_new() -> None:
    """Its trace is all that is left of it."""
    assert new_connections({PAIR: frozenset({1, 2}), OTHER: frozenset()}, {PAIR: frozenset(), OTHER: frozenset()}) == 0


def test_an_open_connection_is_one_with_two_inodes() -> None:
    """Both ends lie on this machine, and each is held by a process; of others that had the port, traces may be left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        before = connections_of_port(port)
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0]:
            now = connections_of_port(port)
            assert [len(inodes) for pair, inodes in now.items() if pair not in before] == [2]
            assert new_connections(before, now) == 1
