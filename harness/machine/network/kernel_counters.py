"""The kernel's counters of this network namespace since it was made."""

from __future__ import annotations

from pathlib import Path


def counters() -> dict[str, int]:
    """The counters of the calling thread's network: all of snmp (`TcpActiveOpens`) and snmp6 (`Icmp6InDestUnreachs`).

    Raises OSError where /proc does not show them; a kernel without IPv6 has none of snmp6.
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
