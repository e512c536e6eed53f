"""Programs that try network faults between hosts of their own; each prints what it observed as JSON.

They run as pid 1 of private namespaces, as root and as an ordinary user alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from harness.clock import now_ns
from harness.machine.network import delaying, firewall, network_tools, shaping
from harness.machine.network.network import Network, NetworkHost
from harness.machine.network.packet_queue import Delay
from harness.machine.process.children import Children
from harness.values.errors import HarnessError

PORT = 29500
LIMIT_S = 10
SILENCE_S = 0.3
"""A connect on these networks takes less than a millisecond; a lost SYN is sent again after a second."""


@contextlib.contextmanager
def hosts(*names: str, family: str = "ipv4") -> Iterator[dict[str, NetworkHost]]:
    """px and these hosts, with an echo server on each."""
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(names, family))
        for host in network.hosts.values():
            with host.inside():
                server = stack.enter_context(_server(host.address))
            threading.Thread(target=_echo, args=(server,), daemon=True).start()
        yield network.hosts


def _server(address: str) -> socket.socket:
    return socket.create_server((address, PORT), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


def _echo(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)


def connection(source: NetworkHost, target: NetworkHost) -> socket.socket:
    with source.inside():
        return socket.create_connection((target.address, PORT), timeout=LIMIT_S)


def said_back(line: socket.socket, data: bytes, within_s: float = LIMIT_S) -> str:
    """`all` if the data came back, else `end` or the name of the error."""
    line.settimeout(within_s)
    try:
        threading.Thread(target=line.sendall, args=(data,), daemon=True).start()
        left = len(data)
        while left > 0:
            received = line.recv(1 << 16)
            if not received:
                return "end"
            left -= len(received)
    except OSError as error:
        return type(error).__name__
    return "all"


def reached(source: NetworkHost, target: NetworkHost) -> str:
    try:
        with source.inside(), socket.create_connection((target.address, PORT), timeout=SILENCE_S):
            return "connected"
    except OSError as error:
        return type(error).__name__


def took_ns(act: Callable[[], Any]) -> int:
    begun_ns = now_ns()
    act()
    return now_ns() - begun_ns


def drop(family: str) -> Any:
    """Packets from r1 are dropped on input at r0, packets from px are not."""
    with hosts("r0", "r1", family=family) as world:
        r0, r1, px = world["r0"], world["r1"], world["px"]
        old = connection(r1, r0)
        cut = firewall.Rule(
            "input", f"ether saddr {network_tools.hardware_addresses([r1])['r1']} {firewall.ANY_PACKET}", firewall.DROP
        )
        with firewall.ruled("cut.2", [(r0, [cut])]) as counts:
            seen = {
                "r1 to r0": reached(r1, r0),
                "open from r1 to r0": said_back(old, b"x", SILENCE_S),
                "r0 to r1": reached(r0, r1),
                "px to r0": reached(px, r0),
                "r0 to itself": reached(r0, r0),
            }
            met = {name: [(one.met, one.stopped) for one in rules] for name, rules in counts().items()}
        return {"seen": seen, "met": met, "after": reached(r1, r0), "open after": said_back(old, b"y")}


def reset(family: str) -> Any:
    """A firewall at r1 answers in place of r0."""
    with hosts("r0", "r1", family=family) as world:
        old = connection(world["r1"], world["r0"])
        rules = [firewall.Rule(way, firewall.ANY_SEGMENT, firewall.RESET) for way in ("input", "output")]
        with firewall.ruled("reset", [(world["r1"], rules)]):
            seen = [
                said_back(old, b"x", SILENCE_S),
                reached(world["r1"], world["r0"]),
                reached(world["r0"], world["r1"]),
            ]
        return [*seen, reached(world["r1"], world["r0"])]


def accepted() -> Any:
    """What a rule counts that stops nothing, although it is asked to stop: (met, stopped)."""
    with hosts("r0", "r1") as world:
        harmless = firewall.Rule("input", firewall.ANY_PACKET, "accept")
        with firewall.ruled("harmless", [(world["r0"], [harmless])]) as counts:
            said = reached(world["r1"], world["r0"])
            (count,) = counts()["r0"]
        return [said, count.met, count.stopped]


def refused_rule() -> Any:
    """The error of a rule that nft refuses, and the tables that r0 has then."""
    with hosts("r0", "r1") as world:
        good, bad = firewall.Rule("input", "tcp dport 1", firewall.DROP), firewall.Rule("input", "nonsense", "drop")
        try:
            with firewall.ruled("bad", [(world["r0"], [good]), (world["r1"], [bad])]):
                return "installed"
        except HarnessError as error:
            listing = network_tools.Task(world["r0"], ("nft", "list", "tables"))
            return {"error": str(error), "left": network_tools.run(listing)}


def rate(way: str) -> Any:
    """100 KB to r0 and back, without and with 100 KB/s at r0."""
    with hosts("r0", "r1") as world:
        line = connection(world["r1"], world["r0"])
        discipline = shaping.token_bucket(100_000)
        shaping.check(discipline, way)
        with shaping.shaped([world["r0"]], discipline, way) as passage:
            slow_ns = took_ns(lambda: said_back(line, bytes(100_000)))
            passed = passage()["r0"]
            second = _refusal(lambda: shaping.shaped([world["r0"]], discipline, way))
        with shaping.shaped([world["r0"]], discipline, way):
            pass  # nothing is left that would prevent it
        counted = {one: [passed[one].packets > 0, passed[one].held > 0] for one in passed}
        return {"slow_ns": slow_ns, "counted": counted, "second": second}


def _refusal(act: Callable[[], contextlib.AbstractContextManager[Any]]) -> str:
    try:
        with act():
            return ""
    except HarnessError as error:
        return str(error)


def delay(way: str) -> Any:
    """Round trips to r0, which is delayed, and between two hosts that are not."""
    with hosts("r0", "r1", "r2") as world:
        line = connection(world["r1"], world["r0"])
        aside = connection(world["r2"], world["px"])
        with delaying.delayed("late", [world["r0"]], way, Delay(200_000_000), seed=1) as facts:
            late_ns = took_ns(lambda: said_back(line, b"x"))
            aside_ns = took_ns(lambda: said_back(aside, b"x"))
            counted = facts()
        return {"late_ns": late_ns, "aside_ns": aside_ns, "after": said_back(line, b"x"), "facts": counted}


def healed_delay() -> Any:
    """A packet that waits when a delay ends passes then: the queue loses nothing."""
    with hosts("r0", "r1") as world:
        line = connection(world["r1"], world["r0"])
        line.settimeout(LIMIT_S)
        with delaying.delayed("late", [world["r0"]], "in", Delay(3_600_000_000_000), seed=1) as facts:
            line.sendall(b"x")
            while not facts()["packets"]:
                pass
        return line.recv(1).decode()


def killed_keeper() -> Any:
    """A queue without its keeper: what passes, and which errors the evidence and the healing raise."""
    with hosts("r0", "r1") as world:
        line = connection(world["r1"], world["r0"])
        try:
            with delaying.delayed("late", [world["r0"]], "in", Delay(1_000_000), seed=1) as facts:
                os.kill(_child(), signal.SIGKILL)
                heard = said_back(line, b"x", SILENCE_S)
                evidence = _refusal_of(facts)
        except HarnessError as error:
            return {"heard": heard, "evidence": evidence, "healing": str(error), "after": said_back(line, b"y")}


def _refusal_of(act: Callable[[], Any]) -> str:
    try:
        return str(act())
    except HarnessError as error:
        return str(error)


def _child() -> int:
    """The one child of this process, without /proc, which may show an outer process tree."""
    (child,) = Children().others()
    return child


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
