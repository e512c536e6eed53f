"""A network of a few hosts with names, and processes that look names up in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_context import FakeFaultContext

from harness import clock
from harness.machine.names import name_files
from harness.machine.network import netns
from harness.machine.network.network import PROXY, Network, NetworkHost

RANKS = ("r0", "r1", "r2")
PORT = 29500

# Enters the host as a rank does, then answers each line of input: [one of these functions, argument, ...].
PROGRAM = """
import json, os, socket, sys
from harness.rank import enter_host
name, network, etc = sys.argv[1:]
enter_host.enter({"name": name, "network": os.open(network, os.O_RDONLY), "etc": etc})
held = []
def addresses(name):
    return sorted({entry[4][0] for entry in socket.getaddrinfo(name, 1, type=socket.SOCK_STREAM)})
def name_of(address):
    return socket.getnameinfo((address, 1), socket.NI_NAMEREQD)[0]
def listen(port):
    held.append(socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))
def connect(name, port, seconds):
    held.append(socket.create_connection((name, port), seconds))
    return held[-1].getpeername()[0]
def accept(seconds):
    held[-1].settimeout(seconds)
    held.append(held[-1].accept()[0])
def send(text):
    return held[-1].send(text.encode())
def receive(seconds):
    held[-1].settimeout(seconds)
    return held[-1].recv(100).decode()
print("ready", flush=True)
for line in sys.stdin:
    act, *arguments = json.loads(line)
    try:
        answer = {"ok": globals()[act](*arguments)}
    except OSError as error:
        answer = {"error": type(error).__name__, "number": error.errno}
    print(json.dumps(answer), flush=True)
"""


class Asker:
    """A process on a host that looks names up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, act: str, *arguments: Any) -> dict[str, Any]:
        """What a function of the program returns (`ok`), or the class of what it raises (`error`) and its number."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([act, *arguments]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.hear())
        return answer

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@dataclass
class Town(FakeFaultContext):
    """A FaultContext with a host for the proxy server and one for each of the ranks 0, 1, 2."""

    by_name: dict[str, NetworkHost] = field(default_factory=dict)

    def host(self, rank: int) -> NetworkHost:
        return self.by_name[f"r{rank}"]

    @property
    def hosts(self) -> Sequence[NetworkHost]:
        return tuple(self.by_name.values())

    @property
    def master_host(self) -> NetworkHost:
        return self.by_name["r0"]

    @property
    def proxy_host(self) -> NetworkHost:
        return self.by_name[PROXY]

    @contextlib.contextmanager
    def asker(self, name: str) -> Iterator[Asker]:
        """A process on the host of that name that looks names up."""
        host = self.by_name[name]
        network = f"/proc/{os.getpid()}/fd/{host.namespace}"
        command = [sys.executable, "-c", PROGRAM, name, network, str(host.etc)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            asker = Asker(process)
            try:
                assert asker.hear() == "ready\n"
                yield asker
            finally:
                process.kill()


@contextlib.contextmanager
def town(folder: Path, family: str = "ipv4") -> Iterator[Town]:
    """The network with complete hosts files; closing its descriptors removes it."""
    own = netns.create()  # px is in whatever network one is
    try:
        with contextlib.ExitStack() as stack:
            with netns.inside(own):
                network = stack.enter_context(Network(RANKS, family, folder))
            addresses = {host.name: host.address for host in network.hosts.values()}
            for host in network.hosts.values():
                name_files.write(host.etc, addresses)
            yield Town(by_name=network.hosts)
    finally:
        os.close(own)


def timed(asker: Asker, act: str, *arguments: Any) -> tuple[float, dict[str, Any]]:
    """How many seconds the question took, and its answer."""
    begun_ns = clock.now_ns()
    answer = asker.ask(act, *arguments)
    return (clock.now_ns() - begun_ns) / 1e9, answer
