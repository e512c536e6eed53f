"""Firewall rules in the networks of hosts: dropped, rejected or queued packets, and how many they were."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.machine.network.network_tools import Done, Host, Task, explained, path_of, run_all
from harness.values.errors import HarnessError

DROP, RESET = "drop", "reject with tcp reset"
# IPv6 asks for its neighbours by ICMPv6, IPv4 by ARP, which no rule here sees: spared, both behave alike.
ANY_PACKET = "meta l4proto != ipv6-icmp"
# A reset that these rules bring about must get through itself.
ANY_SEGMENT = "meta l4proto tcp tcp flags & rst != rst"

_CHAINS = {
    "input": 'iifname != "lo"',
    "output": 'oifname != "lo"',
}
_COUNTER = re.compile(r"counter c(\d+) \{\s*packets (\d+) bytes (\d+)")
_GONE = "No such file or directory"


@dataclass(frozen=True)
class Rule:
    """What is done to some packets that cross a host's cable; what stays on its loopback is left alone.

    Attributes:
        way: `input` or `output`. A packet dropped on its way out is an error that its sender sees, so packets that
            are lost on the way are dropped where they come in.
        match: which packets, as nft writes it; `ANY_PACKET` for all.
        verdict: as nft writes it; empty only counts.
    """

    way: str
    match: str
    verdict: str


Ruled = Sequence[tuple[Host, Sequence[Rule]]]
"""Hosts, each once, with their rules."""

Counts = Mapping[str, Sequence[int]]
"""By host name, how many packets each of its rules met, in their order."""


def check() -> None:
    """Raise Unsupported, which says what to install, where no rules can be made."""
    path_of("nft")


@contextlib.contextmanager
def ruled(name: str, places: Ruled) -> Iterator[Callable[[], Counts]]:
    """Hold a table of that name in each host's network; yields a function that reads how many packets were met.

    Takes 3 ms to set up and 15 ms to take away (measured), all hosts side by side. Raises HarnessError if the kernel
    refuses a rule, or does not let go of one.
    """
    with contextlib.ExitStack() as undone:
        undone.callback(remove, name, [place for place, _ in places])
        install(name, places)
        yield lambda: _counts(name, places)


def install(name: str, places: Ruled) -> None:
    """Put the table in place; raises HarnessError, and then some hosts may have it."""
    _perform([(place, _table(name, rules)) for place, rules in places])


def clear(name: str, places: Sequence[Host]) -> None:
    """Let packets pass, and keep the table and its hooks; raises HarnessError."""
    _perform([(place, f"flush table inet {_called(name)}\n") for place in places], but_if=_GONE)


def remove(name: str, places: Sequence[Host]) -> None:
    """Take the table away wherever it is; what went away with its network is not missed. Raises HarnessError."""
    _perform([(place, f"delete table inet {_called(name)}\n") for place in places], but_if=_GONE)


def _perform(texts: Sequence[tuple[Host, str]], but_if: str = "") -> None:
    outcomes = run_all(Task(place, ("nft", "-f", "-"), text) for place, text in texts)
    _raise_first([done for done in outcomes if done.problem and not (but_if and but_if in done.problem)])


def _called(name: str) -> str:
    return f"rdzv-{name}"


def _table(name: str, rules: Sequence[Rule]) -> str:
    """The table as `nft -f` reads it. Its hooks come before connection tracking, where there is any."""
    counters = [f"  counter c{index} {{ }}" for index in range(len(rules))]
    chains = [line for way in _CHAINS for line in _chain(way, rules)]
    return "\n".join([f"table inet {_called(name)} {{", *counters, *chains, "}", ""])


def _chain(way: str, rules: Sequence[Rule]) -> Iterator[str]:
    if any(rule.way == way for rule in rules):
        yield f"  chain {way} {{ type filter hook {way} priority -300; policy accept;"
        for index, rule in enumerate(rules):
            if rule.way == way:
                yield f'    {_CHAINS[way]} {rule.match} counter name "c{index}" {rule.verdict}'
        yield "  }"


def _counts(name: str, places: Ruled) -> Counts:
    listing = ("nft", "list", "counters", "table", "inet", _called(name))
    outcomes = run_all(Task(place, listing) for place, _ in places)
    _raise_first([done for done in outcomes if done.problem])
    return {done.task.place.name: _packets(done.said) for done in outcomes}


def _packets(said: str) -> list[int]:
    found = {int(index): int(packets) for index, packets, _ in _COUNTER.findall(said)}
    return [found[index] for index in sorted(found)]


def _raise_first(failed: Sequence[Done]) -> None:
    if failed:
        raise HarnessError(f"{explained(failed[0])}; does this kernel have nf_tables (`nft list ruleset`)?")
