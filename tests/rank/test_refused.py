"""The kernel's number of refused connects."""

import contextlib
import socket

from harness.rank import refused
from harness.rank.refused import Refusals, refused_connects


def connect_to_nobody():
    """A connect that is refused: the port was bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(bound.getsockname())


def test_a_refused_connect_counts():
    """Others of this network may add to it."""
    before = refused_connects()
    connect_to_nobody()
    assert refused_connects() > before


def test_a_join_reports_what_was_refused_meanwhile(monkeypatch):
    """Only one that lasted."""
    short = Refusals()
    monkeypatch.setattr(refused, "SHORTEST_NS", 0)
    lasting = Refusals()
    connect_to_nobody()
    assert lasting.facts()["refused"] >= 1
    monkeypatch.setattr(refused, "SHORTEST_NS", 3_600_000_000_000)
    assert short.facts() is None
