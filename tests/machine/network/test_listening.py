"""New connections of a port are distinguished from earlier ones by the system's table."""

from __future__ import annotations

import socket

from harness.machine.network.listening import connections_of_port, new_connections

PAIR = frozenset({("127.0.0.1", 40000), ("127.0.0.1", 29500)})
OTHER = frozenset({("127.0.0.1", 40001), ("127.0.0.1", 29500)})


def test_a_pair_of_ends_that_was_not_there_is_new() -> None:
    """Whether the connection is open or in TIME_WAIT."""
    assert new_connections({PAIR: frozenset({1, 2})}, {PAIR: frozenset({1, 2}), OTHER: frozenset()}) == 1


def test_a_pair_in_time_wait_that_is_open_again_is_a_new_connection() -> None:
    """The kernel reuses ends in TIME_WAIT on loopback, which worlds on one port meet."""
    assert new_connections({PAIR: frozenset()}, {PAIR: frozenset({7, 8})}) == 1


def test_a_connection_that_closed_meanwhile_is_not_new() -> None:
    """It is only left in TIME_WAIT."""
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
