"""Links through a proxy server, real or embedded, to a raw-socket master, for tests that look at real bytes."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_context import LIMIT_SECONDS, FakeFaultContext

from harness.faults.base import FAULTS, Evidence, FaultMember
from harness.machine.process.children import Children
from harness.play.local_engine import LocalEngineLauncher
from harness.proxies.base import Link, LinkSpec
from harness.proxies.toxiproxy import Toxiproxy
from harness.scenario.moment import START, Moment, StepMoment
from harness.scenario.scenario import Fault
from harness.values.endpoint import Endpoint
from harness.values.errors import Unsupported

LATER = StepMoment("join")
"""A moment that is not the start."""


@dataclass
class Wire:
    """A master that accepts connections when the test says so, and a link to it for each of some ranks."""

    context: FakeFaultContext
    links: dict[int, Link]
    listener: socket.socket
    server: Toxiproxy
    embedded: bool = False

    def connect(self, rank: int) -> tuple[socket.socket, socket.socket]:
        """A connection through the rank's link: the rank's end and the master's."""
        client = socket.create_connection(self.links[rank].address.connectable, timeout=LIMIT_SECONDS)
        master, _ = self.listener.accept()
        master.settimeout(LIMIT_SECONDS)
        return client, master


@contextlib.contextmanager
def wired(directory: Path, *ranks: int, embedded: bool = False) -> Iterator[Wire]:
    """A wire with its own server, which ends with it."""
    with contextlib.ExitStack() as stack:
        children = stack.enter_context(Children())
        try:
            place = LocalEngineLauncher(children) if embedded else None
            server = Toxiproxy.start(children, directory / "proxy.log", place=place)
        except Unsupported as missing:
            pytest.skip(str(missing))
        stack.callback(server.close)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(LIMIT_SECONDS)
        made = server.make([LinkSpec(rank, Endpoint(*listener.getsockname())) for rank in ranks])
        yield Wire(FakeFaultContext(known_links=made), {link.rank: link for link in made}, listener, server, embedded)


def member(kind: str, *ranks: int, stream: str | None = None, after: Moment = START, **attributes: Any) -> FaultMember:
    """A fault as the loader makes it: defaults filled in, in nanoseconds, bytes, bytes per second."""
    toxicity = attributes.pop("toxicity", 1.0)
    declared = FAULTS[kind].declaration.attributes
    filled = {attribute.name: attributes.get(attribute.name, attribute.default) for attribute in declared}
    assert not FAULTS[kind].problems(filled)
    return FAULTS[kind](Fault(kind, kind, ranks, filled, stream, toxicity, after))


@contextlib.contextmanager
def held(wire: Wire, fault: FaultMember) -> Iterator[list[Evidence]]:
    """Hold a fault; after healing, the list has the evidence that was taken just before."""
    evidence: list[Evidence] = []
    with fault.hold(wire.context) as ask:
        yield evidence
        evidence.append(ask())


def receive(end: socket.socket, number: int) -> bytes:
    """Exactly that many bytes, or fewer if the connection ends."""
    received = b""
    while len(received) < number and (piece := end.recv(number - len(received))):
        received += piece
    return received


def how_it_ends(end: socket.socket) -> str:
    """`FIN` or `RST`, whatever bytes come before."""
    try:
        while end.recv(4096):
            pass
    except ConnectionResetError:
        return "RST"
    return "FIN"


def silent(end: socket.socket, seconds: float = 0.15) -> bool:
    """Whether nothing, not even an end, arrives in that time."""
    end.settimeout(seconds)
    try:
        end.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        end.settimeout(LIMIT_SECONDS)
    return False


def await_true(fact: Any) -> None:
    """Wait until the condition holds; fail after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.002)
