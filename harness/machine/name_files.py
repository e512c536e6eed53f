"""The files by which a process finds hosts by name, for a host whose processes have them over those in /etc."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_LOOPBACK = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
# Nobody asks the server for a name that is in the file; who asks for another one learns within a second.
_RESOLVER = "nameserver {}\noptions timeout:1 attempts:1\n"
# No cache, no directory service and no multicast of the machine around.
_ORDER = "passwd: files\ngroup: files\nhosts: files dns\n"


def write(etc: Path, addresses: Mapping[str, str], name_server: str) -> None:
    """Make the folder `etc` with `hosts`, `resolv.conf` and `nsswitch.conf`.

    Args:
        addresses: by name, of all hosts; look-ups of them, forward and reverse, are answered from the file.
        name_server: the numeric address of who is asked for other names.
    """
    etc.mkdir(parents=True, exist_ok=True)
    hosts = "".join(f"{address} {name}\n" for name, address in addresses.items())
    texts = {"hosts": _LOOPBACK + hosts, "resolv.conf": _RESOLVER.format(name_server), "nsswitch.conf": _ORDER}
    for name, text in texts.items():
        (etc / name).write_text(text, encoding="utf-8")
