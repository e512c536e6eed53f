"""What the kernel has counted in this network namespace since it was made."""

from __future__ import annotations

from pathlib import Path


def counters() -> dict[str, int]:
    """Of the calling thread's network: `TcpActiveOpens` and all else of snmp, `Icmp6InDestUnreachs` and such of snmp6.

    Raises OSError where /proc does not show them; without IPv6 its counters are absent.
    """
    here = Path("/proc/thread-self/net")
    lines = [line.split() for line in (here / "snmp").read_text().splitlines()]
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        family = names[0].rstrip(":")
        found.update({family + name: int(value) for name, value in zip(names[1:], values[1:], strict=True)})
    newer = here / "snmp6"
    if newer.exists():
        found.update({name: int(value) for name, value in map(str.split, newer.read_text().splitlines())})
    return found
