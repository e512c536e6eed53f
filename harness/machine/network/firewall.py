"""Firewall rules in the networks of hosts: they drop, reject or queue packets, and count them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.machine.network.network_tools import Done, Host, Task, explained, run_all
from harness.values.errors import HarnessError

DROP, RESET = "drop", "reject with tcp reset"
# IPv6 looks up neighbours by ICMPv6, IPv4 by ARP, which these rules never see: without ICMPv6 both behave alike.
ANY_PACKET = "meta l4proto != ipv6-icmp"
# A reset that these rules cause must pass them itself.
ANY_SEGMENT = "meta l4proto tcp tcp flags & rst != rst"

_CHAINS = {
    "input": 'iifname != "lo"',
    "output": 'oifname != "lo"',
}
_COUNTER = re.compile(r"counter ([mvp]\d+) \{\s*packets (\d+) bytes (\d+)")
_GONE = "No such file or directory"


@dataclass(frozen=True)
class Rule:
    """What is done to some packets that cross a host's cable; loopback traffic is not affected.

    Attributes:
        way: `input` or `output`. A packet dropped on output is an error that the sender sees, so loss drops packets on
            input.
        match: which packets, in nft's syntax; `ANY_PACKET` for all.
        verdict: in nft's syntax.
        chance: which of the packets that match, in nft's syntax, if that is drawn for each; empty for all.
    """

    way: str
    match: str
    verdict: str
    chance: str = ""


@dataclass(frozen=True)
class Count:
    """The packets of one rule.

    Attributes:
        met: how many matched it, whatever the chance.
        stopped: how many of them got its verdict and were not seen behind it: a later hook of the same table counts the
            packets that still pass.
    """

    met: int
    stopped: int


Ruled = Sequence[tuple[Host, Sequence[Rule]]]
"""Hosts and their rules, each host once."""

Counts = Mapping[str, Sequence[Count]]
"""By host name, the packets of each of its rules, in their order."""


@contextlib.contextmanager
def ruled(name: str, hosts: Ruled) -> Iterator[Callable[[], Counts]]:
    """Keep a table of that name in each host's network for the block; yields a function that reads the counts.

    Takes 3 ms to install and 15 ms to remove (measured), all hosts in parallel. Raises HarnessError if the kernel
    refuses a rule or cannot remove one.
    """
    with contextlib.ExitStack() as undone:
        undone.callback(remove, name, [host for host, _ in hosts])
        install(name, hosts)
        yield lambda: _counts(name, hosts)


def install(name: str, hosts: Ruled) -> None:
    """Install the table; raises HarnessError, and then some hosts may have it."""
    _perform([(host, _table(name, rules)) for host, rules in hosts])


def clear(name: str, hosts: Sequence[Host]) -> None:
    """Let packets pass, and keep the table and its hooks; raises HarnessError."""
    _perform([(host, f"flush table inet {_table_name(name)}\n") for host in hosts], ignore=_GONE)


def remove(name: str, hosts: Sequence[Host]) -> None:
    """Remove the table from every host that has it; raises HarnessError."""
    _perform([(host, f"delete table inet {_table_name(name)}\n") for host in hosts], ignore=_GONE)


def _perform(texts: Sequence[tuple[Host, str]], ignore: str = "") -> None:
    outcomes = run_all(Task(host, ("nft", "-f", "-"), text) for host, text in texts)
    _raise_first([done for done in outcomes if done.problem and not (ignore and ignore in done.problem)])


def _table_name(name: str) -> str:
    return f"rdzv-{name}"


def _table(name: str, rules: Sequence[Rule]) -> str:
    """The table in the syntax of `nft -f`. Its hooks run before connection tracking.

    Of each rule `m` counts the packets that match, `v` those that get the verdict, `p` those that still pass.
    """
    counters = [f"  counter {kind}{index} {{ }}" for index in range(len(rules)) for kind in "mvp"]
    chains = [line for way in _CHAINS for line in _chains(way, rules)]
    return "\n".join([f"table inet {_table_name(name)} {{", *counters, *chains, "}", ""])


def _chains(way: str, rules: Sequence[Rule]) -> Iterator[str]:
    numbered = [(index, rule) for index, rule in enumerate(rules) if rule.way == way]
    if not numbered:
        return
    yield f"  chain {way} {{ type filter hook {way} priority -300; policy accept;"
    for index, rule in numbered:
        met, hit = f'{_CHAINS[way]} {rule.match} counter name "m{index}"', f'counter name "v{index}"'
        yield f"    {met} {rule.chance} {hit} {rule.verdict}"
    yield "  }"
    yield f"  chain behind-{way} {{ type filter hook {way} priority -299; policy accept;"
    for index, rule in numbered:
        yield f'    {_CHAINS[way]} {rule.match} counter name "p{index}"'
    yield "  }"


def _counts(name: str, hosts: Ruled) -> Counts:
    listing = ("nft", "list", "counters", "table", "inet", _table_name(name))
    outcomes = run_all(Task(host, listing) for host, _ in hosts)
    _raise_first([done for done in outcomes if done.problem])
    return {done.task.host.name: _packets(done.output) for done in outcomes}


def _packets(listing: str) -> list[Count]:
    found = {name: int(packets) for name, packets, _ in _COUNTER.findall(listing)}
    return [_count(*(found[f"{kind}{index}"] for kind in "mvp")) for index in range(len(found) // 3)]


def _count(met: int, hit: int, passed: int) -> Count:
    return Count(met, min(hit, max(0, met - passed)))


def _raise_first(failed: Sequence[Done]) -> None:
    if failed:
        raise HarnessError(f"{explained(failed[0])}; does this kernel have nf_tables (`nft list ruleset`)?")
