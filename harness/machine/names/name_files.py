"""The files by which a process finds hosts by name, for a host whose processes have them over those in /etc."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_LOOPBACK = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
# What the hosts file does not know (the reverse of an IPv4 address in IPv6's notation, which every dual-stack server
# asks for) is refused at once by the host itself. Another host's kernel may say only once a second that nobody listens,
# and torch was seen to miss its timeout by that.
_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
# No cache, no directory service and no multicast of the machine around.
_ORDER = "passwd: files\ngroup: files\nhosts: files dns\n"


def write(etc: Path, addresses: Mapping[str, str]) -> None:
    """Make the folder `etc` with `hosts`, `resolv.conf` and `nsswitch.conf`.

    Args:
        addresses: by name, of all hosts; look-ups of them, forward and reverse, are answered from the file.
    """
    etc.mkdir(parents=True, exist_ok=True)
    hosts = "".join(f"{address} {name}\n" for name, address in addresses.items())
    for name, text in {"hosts": _LOOPBACK + hosts, "resolv.conf": _RESOLVER, "nsswitch.conf": _ORDER}.items():
        (etc / name).write_text(text, encoding="utf-8")
