"""What cells need and a machine may lack, by the words that `--require` and RDZV_REQUIRE take."""

from __future__ import annotations

from collections.abc import Iterable

from harness.values.errors import UsageError
from harness.values.suggest import nearest

NEEDS = {
    "torch": "a torch of the version that a scenario asks for",
    "world": "a kind of world that can do what a scenario asks for",
    "proxy": "the proxy server that a scenario asks for",
    "engine": "a Docker engine, and the images of ranks and proxy server",
    "harness-image": "the image of the harness: no scenario needs it, this project's tests do",
    "nft": "the program, for faults of packets",
    "tc": "likewise",
    "ip": "likewise",
    "iptables-restore": "likewise",
    "ip6tables-restore": "likewise",
    "tbf": "the kernel's token bucket, for `rate`",
    "netem": "the kernel's, for `delay`",
    "delay": "any of the ways to hold packets back",
    "sysctl": "network settings that may be written, for `host_limits`",
    "impostor_store": "a process with torch beside the ranks, for the `impostor` that is a store",
    "world.torchrun": "a subject that torchrun can have as its rendezvous",
    "linearizable": "the check of that name",
}
"""By need, what it is."""


def required(words: Iterable[str], where: str) -> frozenset[str]:
    """The needs that these words name; raises UsageError for one that is none.

    Args:
        where: who asks for them, for the message: `--require`.
    """
    wanted = frozenset(word.strip() for word in words) - {""}
    for word in sorted(wanted - NEEDS.keys()):
        near = nearest(word, NEEDS)
        hint = f"did you mean {near!r}? " if near else ""
        raise UsageError(f"{where} {word}: no scenario needs such a thing; {hint}known: {', '.join(NEEDS)}")
    return wanted
