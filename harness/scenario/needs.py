"""The needs of cells that a machine may lack, by the names that `--require` and RDZV_REQUIRE take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.values.errors import UsageError
from harness.values.suggest import nearest

NEEDS = {
    "torch": "a torch of the version that a scenario asks for",
    "world": "a kind of world that can do what a scenario asks for",
    "proxy": "the proxy server that a scenario asks for",
    "engine": "a Docker engine, and the images of ranks and proxy server",
    "harness-image": "the image of the harness, for the tests of this project; no scenario needs it",
    "browser": "a Chromium, for the tests of this project; no scenario needs it",
    "nft": "the program, for packet faults",
    "tc": "the program, likewise",
    "ip": "the program, likewise",
    "iptables-restore": "the program, likewise",
    "ip6tables-restore": "the program, likewise",
    "tbf": "the kernel's token bucket, for `rate`",
    "netem": "the kernel's network emulator, for `delay`",
    "delay": "any of the ways to hold packets back",
    "sysctl": "writable network settings, for `host_limits`",
    "impostor_store": "a process with torch beside the ranks, for the `impostor` that is a store",
    "job": "the subject `command`, for a scenario of a job of one's own",
    "world.torchrun": "a subject that torchrun can use as its rendezvous",
    "linearizable": "the checker of that name, which is always there",
}
"""What each need means."""


SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "docker": ("engine",),
    "docker-engine": ("engine",),
    "containers": ("engine",),
    "images": ("engine",),
    "namespaces": ("world",),
    "netns": ("world",),
    "network-namespaces": ("world",),
    "user-namespaces": ("world",),
    "hosts": ("world",),
    "toxiproxy": ("proxy",),
    "toxiproxy-server": ("proxy",),
    "embedded-engine": ("proxy",),
    "embedded": ("proxy",),
    "real": ("proxy",),
    "nftables": ("nft",),
    "iproute2": ("tc", "ip"),
    "iptables": ("iptables-restore", "ip6tables-restore"),
    "torchrun": ("world.torchrun",),
    "impostor": ("impostor_store",),
    "host_limits": ("sysctl",),
    "rate": ("tbf",),
    "chromium": ("browser",),
}
"""Other names of needs: of the programs' packages, of `doctor`'s checks, and as the documentation says them."""


def required(words: Iterable[str], where: str) -> frozenset[str]:
    """The needs that these words name; raises UsageError for a word that names no need.

    Args:
        where: the option or variable that has the words, for the message: `--require`.
    """
    wanted = frozenset(word.strip() for word in words) - {""}
    known = [*NEEDS, *SYNONYMS]
    for word in sorted(wanted.difference(known)):
        near = nearest(word, known)
        hint = f"did you mean {near!r}? " if near else ""
        raise UsageError(f"{where} {word}: there is no such need; {hint}known: {', '.join(NEEDS)}")
    return frozenset(need for word in wanted for need in SYNONYMS.get(word, (word,)))
