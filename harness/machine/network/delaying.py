"""Delays packets of hosts: by the kernel's netem where it exists, else by a packet queue of the harness."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.machine.network import firewall, shaping
from harness.machine.network.firewall import ANY_PACKET, Rule
from harness.machine.network.network_tools import CabledHost, Host, Task, explained, path_of, run_all
from harness.machine.network.packet_queue import Delay, open_queue
from harness.machine.network.shaping import OUT, TrialNetwork
from harness.machine.process import stalls
from harness.values.errors import HarnessError, HelperLost, Unsupported

NETEM, QUEUE, QUEUE_BY_IPTABLES = "netem", "nfqueue", "nfqueue through iptables"
_ANY_NUMBER_OF_PACKETS = 100_000
_ADVICE = "take a kernel that has netem (sch_netem), or nft's queue, or the target NFQUEUE of iptables"

_PROGRAMS = {"iptables-restore": "", "ip6tables-restore": "! -p ipv6-icmp"}

Facts = Mapping[str, Any]
"""`by`: the mechanism; `packets`: how many met the delay; and what else the mechanism counts."""


@functools.cache
def mechanism(way: str) -> str:
    """The mechanism that works here: `NETEM`, else a queue; each is tried in a trial network. Raises Unsupported."""
    path_of("nft")
    refusals = []
    for kind, tried in ((NETEM, _try_netem), (QUEUE, _try_queue), (QUEUE_BY_IPTABLES, _try_queue_by_iptables)):
        try:
            tried(way)
        except HarnessError as error:
            refusals.append(f"{kind}: {error}")
        else:
            return kind
    raise Unsupported("delay", f"{'; '.join(refusals)}; {_ADVICE}")


def _try_netem(way: str) -> None:
    shaping.check(_netem(Delay(1_000_000)), way)


def _try_queue(way: str) -> None:
    with contextlib.closing(TrialNetwork()) as host:
        _ByNft("trial", [host], way).install()


def _try_queue_by_iptables(way: str) -> None:
    with contextlib.closing(TrialNetwork()) as host:
        _ByIptables("trial", [host], way).install()


@contextlib.contextmanager
def delayed(name: str, hosts: Sequence[CabledHost], way: str, delay: Delay, seed: int) -> Iterator[Callable[[], Facts]]:
    """Delay packets of each host for the block, `out`, `in` or `both`; yields a function that returns the facts so far.

    Packets that still wait at the end pass at once from a queue of the harness, and are lost with netem.
    Raises HarnessError, Unsupported.
    """
    kind = mechanism(way)
    if kind == NETEM:
        with shaping.shaped(hosts, _netem(delay), way) as passage:
            yield lambda: _facts_of_netem(passage())
        return
    rules = (_ByNft if kind == QUEUE else _ByIptables)(name, hosts, way)
    with contextlib.ExitStack() as undone:
        # Undone from the last to the first: new packets pass by, held ones are released, and then the hooks go.
        undone.callback(rules.remove)
        read_count = undone.enter_context(_keeper(name, hosts, delay, seed))
        undone.callback(rules.clear)
        rules.install()
        yield lambda: _facts_of_queue(kind, read_count())


def _netem(delay: Delay) -> str:
    words = ["netem", "limit", str(_ANY_NUMBER_OF_PACKETS), "delay", f"{delay.delay_ns / 1000:.0f}us"]
    if delay.jitter_ns:
        words.append(f"{delay.jitter_ns / 1000:.0f}us")
    if delay.reorder:
        words += ["reorder", f"{delay.reorder * 100:g}%"]
    return " ".join(words)


def _facts_of_netem(passage: shaping.Passage) -> Facts:
    packets = sum(passed.packets for host in passage.values() for passed in host.values())
    return {"by": NETEM, "packets": packets}


def _facts_of_queue(kind: str, count: Mapping[str, int]) -> Facts:
    packets = {"packets": count["kept"] + count["at_once"], "at_once": count["at_once"]}
    return {"by": kind, **packets, **{name: count[name] for name in ("shortest_ns", "longest_ns", "waiting")}}


# -- the process that holds packets ------------------------------------------------------------------------------


@contextlib.contextmanager
def _keeper(name: str, hosts: Sequence[Host], delay: Delay, seed: int) -> Iterator[Callable[[], Mapping[str, int]]]:
    """One process that reads the queues of all these hosts; yields a function that asks it for its count."""
    with contextlib.ExitStack() as sockets:
        queues = []
        for host in hosts:
            with host.inside():
                queues.append(sockets.enter_context(open_queue(_number(name))))
        descriptors = [queue.fileno() for queue in queues]
        settings = {"parent": os.getpid(), "sockets": descriptors, "delay": asdict(delay), "seed": seed}
        process = _start(settings, descriptors)
    stalls.watch(process.pid, f"the packet queue of {name}")
    with process:
        try:
            _answer(process)
            yield lambda: _ask(process)
        finally:
            # Held packets pass now, and the last count shows that the process ended in order.
            last_count, _ = process.communicate()  # closes its stdin, and waits even if the reaper was quicker
            stalls.forget(process.pid)
    if not last_count:
        raise HelperLost("the packet queue ended on its own, and packets were lost; run it again")


def _start(settings: Mapping[str, Any], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness.machine.network.packet_queue", json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=descriptors,
    )


def _ask(process: subprocess.Popen[bytes]) -> Mapping[str, int]:
    assert process.stdin is not None
    try:
        process.stdin.write(b"count\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise HelperLost("the packet queue ended on its own; run it again") from error
    return _answer(process)


def _answer(process: subprocess.Popen[bytes]) -> Mapping[str, int]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise HelperLost("the packet queue ended on its own; run it again")
    count: Mapping[str, int] = json.loads(line)
    return count


# -- the rules that send packets to it ---------------------------------------------------------------------------


def _number(name: str) -> int:
    """The number of a fault's queue: different for faults that a host has at the same time."""
    return zlib.crc32(name.encode()) & 0xFFFF


def _hooks(way: str) -> tuple[str, ...]:
    return tuple("output" if one == OUT else "input" for one in shaping.ways(way))


@dataclass(frozen=True)
class _ByNft:
    """An nft table of its own. Removing its hooks drops packets that wait behind them, so that comes last."""

    name: str
    hosts: Sequence[Host]
    way: str

    def install(self) -> None:
        rules = [Rule(hook, ANY_PACKET, f"queue num {_number(self.name)}") for hook in _hooks(self.way)]
        firewall.install(self.name, [(host, rules) for host in self.hosts])

    def clear(self) -> None:
        firewall.clear(self.name, self.hosts)

    def remove(self) -> None:
        firewall.remove(self.name, self.hosts)


@dataclass(frozen=True)
class _ByIptables:
    """A chain of its own in the table `filter`, for kernels whose nf_tables has no queue."""

    name: str
    hosts: Sequence[Host]
    way: str

    def install(self) -> None:
        self._restore([f":{self._chain} - [0:0]", *self._jumps("-I")], f"-A {self._chain}", self._target)

    def clear(self) -> None:
        self._restore([*self._jumps("-D"), f"-F {self._chain}", f"-X {self._chain}"])

    def remove(self) -> None:
        """Nothing: the hooks are those of the table `filter`, which stay."""

    @property
    def _chain(self) -> str:
        return f"rdzv-{_number(self.name)}"

    @property
    def _target(self) -> str:
        return f"-j NFQUEUE --queue-num {_number(self.name)}"

    def _jumps(self, act: str) -> list[str]:
        sides = {"input": "INPUT ! -i lo", "output": "OUTPUT ! -o lo"}
        return [f"{act} {sides[hook]} -j {self._chain}" for hook in _hooks(self.way)]

    def _restore(self, lines: Sequence[str], rule: str = "", target: str = "") -> None:
        """Each family has tables of its own; IPv6's neighbour discovery is excluded, as ARP is in IPv4."""
        for program, excluded in _PROGRAMS.items():
            whole = [*lines, f"{rule} {excluded} {target}"] if rule else lines
            text = "\n".join(["*filter", *whole, "COMMIT", ""])
            outcomes = run_all(Task(host, (program, "-n"), text) for host in self.hosts)
            for done in outcomes:
                if done.problem:
                    raise HarnessError(explained(done))
