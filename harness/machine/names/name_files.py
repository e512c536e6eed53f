"""The files that configure name resolution on a host; its processes have them mounted over those in /etc."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_LOOPBACK = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
# A look-up that the hosts file cannot answer (the reverse of an IPv4 address in IPv6's notation, which every dual-stack
# server asks for) goes to the host itself, whose kernel refuses it at once. Another host's kernel may refuse only once
# a second, which made torch miss its timeout.
_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
# Without the machine's cache, directory service and multicast.
_ORDER = "passwd: files\ngroup: files\nhosts: files dns\n"


def write(etc: Path, addresses: Mapping[str, str]) -> None:
    """Make the folder `etc` with `hosts`, `resolv.conf` and `nsswitch.conf`.

    Args:
        addresses: of all hosts, by name; look-ups of them, forward and reverse, are answered from the hosts file.
    """
    etc.mkdir(parents=True, exist_ok=True)
    hosts = "".join(f"{address} {name}\n" for name, address in addresses.items())
    for name, text in {"hosts": _LOOPBACK + hosts, "resolv.conf": _RESOLVER, "nsswitch.conf": _ORDER}.items():
        (etc / name).write_text(text, encoding="utf-8")
