"""A small network with a name server, run as `python name_servers.py NAME`; prints one JSON value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.machine.names import name_files, names
from harness.machine.network import netns
from harness.machine.network.network import Network, NetworkHost

# Lives on a host as a rank does, and says what the C library says.
LOOK_UPS = """
import json, os, socket, sys
from harness.rank import enter_host
name, network, etc, *asked = sys.argv[1:]
enter_host.enter({"name": name, "network": os.open(network, os.O_RDONLY), "etc": etc})
def answer(text):
    try:
        if text[0].isdigit() or text[0] == ":":
            return socket.getnameinfo((text, 1), socket.NI_NAMEREQD)[0]
        return sorted({entry[4][0] for entry in socket.getaddrinfo(text, 1)})
    except socket.gaierror as error:
        return error.errno
print(json.dumps([answer(text) for text in asked]))
"""


@contextmanager
def network() -> Iterator[Network]:
    """px, r0 and r1."""
    own = netns.create()  # px is in whatever network one is
    with tempfile.TemporaryDirectory() as folder, netns.inside(own), Network(["r0", "r1"], etc=Path(folder)) as made:
        addresses = {host.name: host.address for host in made.hosts.values()}
        for host in made.hosts.values():
            name_files.write(host.etc, addresses)
        yield made


def look_ups(host: NetworkHost, *asked: str) -> object:
    where = f"/proc/{os.getpid()}/fd/{host.namespace}"
    command = [sys.executable, "-c", LOOK_UPS, host.name, where, str(host.etc), *asked]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def answers() -> object:
    """What a host finds by the hosts file, by the name server, and afterwards; and what the server has counted."""
    with network() as made:
        px, r0, r1 = (made.hosts[name] for name in ("px", "r0", "r1"))
        asked = ("r0", "nobody", r0.address, f"::ffff:{r0.address}")
        before = look_ups(r1, *asked)
        with names.served(px, [r1], "fault", instead={"r0": "198.18.9.9"}) as count:
            meanwhile = look_ups(r1, *asked)
            counted = count()
        return {"address": r0.address, "told": [before, meanwhile, look_ups(r1, *asked)], "counted": counted}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
