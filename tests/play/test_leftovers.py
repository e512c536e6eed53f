"""What is looked for when a play is over, by a process that may itself stand still."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import pytest

from harness.play import leftovers
from harness.play.leftovers import LIMIT_NS, left_behind, require_ports
from harness.values.errors import HarnessError
from harness.worlds.base import WorldSession


class Session:
    """A world of which one process is there at the first look only; this process stands still after that look."""

    hosts = ()

    def __init__(self) -> None:
        self.now_ns = 1
        self.looks = 0

    @property
    def children(self) -> Session:
        return self

    def others(self) -> list[int]:
        self.looks += 1
        if self.looks > 1:
            return []
        self.now_ns += 6 * LIMIT_NS
        return [1 << 22]

    def fileno(self) -> int:
        return 0

    def reap(self) -> None: ...


def test_who_stood_still_while_looking_looks_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before is gone by then: the limit had passed without a look."""
    session: Any = Session()
    monkeypatch.setattr(leftovers.clock, "now_ns", lambda: session.now_ns)
    monkeypatch.setattr(leftovers.select, "select", lambda *_: None)
    left = left_behind(cast(WorldSession, session), frozenset(), frozenset())
    assert left == {"processes": [], "sockets": [], "waited_ns": 6 * LIMIT_NS}


class SharedHost:
    """The network that this test runs in."""

    def inside(self) -> AbstractContextManager[None]:
        return nullcontext()


class SharedSession(Session):
    """A world on a shared network, whose descendants are these."""

    hosts: Any = (SharedHost(),)

    def __init__(self, *descendants: int) -> None:
        super().__init__()
        self.descendants = list(descendants)

    def others(self) -> list[int]:
        return self.descendants


@pytest.fixture
def held() -> Iterator[int]:
    """A port at which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_strangers_socket_on_a_shared_network_is_not_left_behind(held: int) -> None:
    """Only what a descendant of the world holds is; on a network of its own, every socket is the world's."""
    stranger: Any = SharedSession()
    assert left_behind(stranger, (), {held}, shared_network=True)["sockets"] == []
    own: Any = SharedSession(os.getpid())
    assert left_behind(own, (os.getpid(),), {held}, shared_network=True)["sockets"] == [f"127.0.0.1:{held}"]
    assert left_behind(stranger, (), {held})["sockets"] == [f"127.0.0.1:{held}"]


def test_a_port_that_a_stranger_holds_is_an_error_that_names_the_holder(held: int) -> None:
    """With its pid and its command, and what to do."""
    session: Any = SharedSession()
    with pytest.raises(HarnessError, match=rf"127\.0\.0\.1:{held} by pid {os.getpid()} \(.+\); end that process"):
        require_ports(session, {held})
    require_ports(session, ())
    ours: Any = SharedSession(os.getpid())
    require_ports(ours, {held})
