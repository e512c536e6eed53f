"""Small programs that make a network of hosts: `python networks.py NAME JSON` prints one JSON value."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness.machine.names import name_files
from harness.machine.network import netns
from harness.machine.network.network import Network, missing
from harness.rank import enter_host
from harness.values.errors import HarnessError

PORT = 29500
SHORT_S, LONG_S = 0.5, 10.0
ROUTING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")


def look(names: list[str], family: str) -> object:
    """What each host finds: its interfaces, its addresses, which hosts it reaches; and what is left at the end."""
    before = interfaces()
    with Network(names, family) as network:
        first = network.hosts[names[0]]
        with first.inside():
            server = socket.create_server((first.address, PORT), family=_family(first.address), backlog=len(names) + 1)
        hosts = {}
        for host in network.hosts.values():
            with host.inside():
                with socket.create_connection((first.address, PORT), LONG_S) as connection:
                    reached = connection.getsockname()[0]
                hosts[host.name] = {
                    "address": host.address,
                    "reached": reached == host.address,
                    "interfaces": interfaces(),
                    "ipv4": sorted(_ipv4()),
                    "ipv6": sorted(_ipv6()),
                }
        server.close()
    return {"hosts": hosts, "before": before, "after": interfaces()}


def unplugged(family: str, which: str) -> object:
    """What arrives before, while and after a cable is pulled, and whether the host sees its carrier change."""
    with Network(["r0", "r1"], family) as network:
        server, ours, theirs = _connected(network, "r0", "r1")
        host = network.hosts[which]
        ours.sendall(b"before")
        seen = [theirs.recv(16).decode()]
        host.unplug()
        with host.inside():
            lost = _carrier_within(host.device, carrier=False)
        ours.sendall(b"meanwhile")
        theirs.settimeout(SHORT_S)
        try:
            seen.append(theirs.recv(16).decode())
        except TimeoutError:
            seen.append("nothing")
        with network.hosts["r1"].inside(), socket.socket(_family(host.address)) as stranger:
            stranger.settimeout(SHORT_S)
            refusal = stranger.connect_ex((network.hosts["r0"].address, PORT))
        host.plug()
        with host.inside():
            regained = _carrier_within(host.device, carrier=True)
        theirs.settimeout(LONG_S)
        seen.append(theirs.recv(16).decode())
        for one in (server, ours, theirs):
            one.close()
    return {"seen": seen, "carrier": [lost, regained], "refusal": errno.errorcode.get(refusal, refusal)}


def others_while_unplugged() -> object:
    """What one host receives from another while a third is unplugged."""
    with Network(["r0", "r1", "r2"]) as network:
        network.hosts["r2"].unplug()
        server, ours, theirs = _connected(network, "r0", "r1")
        ours.sendall(b"heard")
        said = theirs.recv(16).decode()
        for one in (server, ours, theirs):
            one.close()
    return said


def moved(family: str) -> object:
    """A host under a new address: what reaches the new address, the old one, and an old connection."""
    with Network(["r0", "r1"], family) as network:
        server, ours, theirs = _connected(network, "r0", "r1")
        host = network.hosts["r0"]
        old = host.address
        new = host.move()
        theirs.settimeout(SHORT_S)
        ours.sendall(b"lost")
        try:
            heard = theirs.recv(16).decode()
        except TimeoutError:
            heard = "nothing"
        with host.inside():
            second = socket.create_server((new, PORT), family=_family(new))
            addresses = sorted(_ipv4() | _ipv6())
        with network.hosts["r1"].inside():
            socket.create_connection((new, PORT), LONG_S).close()
            with socket.socket(_family(old)) as stranger:
                stranger.settimeout(SHORT_S)
                refusal = stranger.connect_ex((old, PORT))
        again = host.move()
        for one in (server, second, ours, theirs):
            one.close()
        addresses_of_host = {"old": old, "new": new, "again": again, "now": host.address, "addresses": addresses}
    return {**addresses_of_host, "heard": heard, "old_reached": refusal == 0}


def at_once(family: str, count: int) -> object:
    """The addresses, each bound as soon as the network exists, and how many milliseconds that took."""
    begun = time.monotonic()
    with Network([f"r{number}" for number in range(count)], family) as network:
        took = time.monotonic() - begun
        for host in network.hosts.values():
            with host.inside():
                socket.create_server((host.address, PORT), family=_family(host.address)).close()
        addresses = [host.address for host in network.hosts.values()]
    return {"addresses": addresses, "milliseconds": took * 1e3}


def forwarding() -> object:
    """The forwarding settings of a host on a machine that is a router."""
    made = netns.create

    def create() -> int:
        namespace = made()
        with netns.inside(namespace):
            for name in ROUTING:
                Path(name).write_text("1")
        return namespace

    netns.create = create
    with Network(["r0"]) as network, network.hosts["r0"].inside():
        return [Path(name).read_text().strip() for name in ROUTING]


def cable_taken() -> object:
    """The error of a second network, whose px has no free interface name, and the interfaces that stay."""
    with Network(["r0"]) as network:
        try:
            Network(["r0"])
            error = ""
        except HarnessError as refusal:
            error = str(refusal)
        with network.hosts["r0"].inside():
            socket.create_server((network.hosts["r0"].address, PORT)).close()
        return {"error": error, "interfaces": interfaces()}


def resident(folder: str, family: str) -> object:
    """What a process that entered a host finds, before and after its hosts file is changed in place."""
    etc = Path(folder) / "etc"
    outside = [socket.gethostname(), Path("/etc/hosts").read_text()]
    with Network(["r0", "r1"], family, etc) as network:
        addresses = {host.name: host.address for host in network.hosts.values()}
        for host in network.hosts.values():
            name_files.write(host.etc, addresses)
        found = [_of_child(lambda: _enter_and_look(network, addresses["r0"]))]
        hosts = network.hosts["r1"].etc / "hosts"
        found.append(_of_child(lambda: _enter_and_see_change(network, hosts, addresses["r0"])))
    same = outside == [socket.gethostname(), Path("/etc/hosts").read_text()]
    return {"inside": found[0], "changed": found[1], "outside_same": same, "addresses": addresses}


def _enter(network: Network, name: str) -> None:
    host = network.hosts[name]
    enter_host.enter({"name": name, "network": os.dup(host.namespace), "etc": str(host.etc)})


def _enter_and_look(network: Network, first: str) -> object:
    _enter(network, "r1")
    return {
        "name": socket.gethostname(),
        "addresses": sorted(_ipv4() | _ipv6()),
        "forward": sorted({entry[4][0] for entry in socket.getaddrinfo("r0", 1)}),
        "reverse": socket.getnameinfo((first, 1), 0)[0],
        "unknown_seconds": [_look_up_seconds("nobody") for _ in range(12)],
    }


def _enter_and_see_change(network: Network, hosts: Path, first: str) -> object:
    _enter(network, "r1")
    moved = first[:-1] + "9"
    hosts.write_text(hosts.read_text().replace(f"{first} r0", f"{moved} r0"))
    return socket.getaddrinfo("r0", 1)[0][4][0] == moved


def _look_up_seconds(name: str) -> float:
    begun = time.monotonic()
    try:
        socket.getaddrinfo(name, 1)
    except socket.gaierror:
        return time.monotonic() - begun
    raise AssertionError(f"{name} was found")


def _of_child(act: Callable[[], object]) -> object:
    """The answer of a forked child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(act()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = json.load(stream)
    os.waitpid(pid, 0)
    return answer


def refused() -> object:
    """The reason of `missing` where no network namespace may be made."""
    Path("/proc/sys/user/max_net_namespaces").write_text("0")
    return missing()


def interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def _connected(network: Network, server: str, client: str) -> tuple[socket.socket, socket.socket, socket.socket]:
    address = network.hosts[server].address
    with network.hosts[server].inside():
        listener = socket.create_server((address, PORT), family=_family(address))
    with network.hosts[client].inside():
        ours = socket.create_connection((address, PORT), LONG_S)
    return listener, ours, listener.accept()[0]


def _carrier_within(device: str, carrier: bool) -> bool:
    """Whether the host's interface gets this carrier in time; the kernel takes a few milliseconds."""
    deadline = time.monotonic() + LONG_S
    while _carrier(device) != carrier and time.monotonic() < deadline:
        time.sleep(0.001)
    return _carrier(device) == carrier


def _carrier(device: str) -> bool:
    """By ioctl, because /sys shows the devices of the network that it was mounted in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, 0x8913, struct.pack("16sh22x", device.encode(), 0))
    return bool(struct.unpack("16sh22x", answer)[1] & 0x40)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _ipv4() -> set[str]:
    """The addresses except loopback's."""
    lines = Path("/proc/thread-self/net/fib_trie").read_text().split("Local:")[1].splitlines()
    hosts = [lines[number - 1].split()[-1] for number, line in enumerate(lines) if "/32 host LOCAL" in line]
    return {address for address in hosts if not address.startswith("127.")}


def _ipv6() -> set[str]:
    """The addresses except loopback's."""
    rows = [line.split() for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines()]
    return {socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0])) for row in rows if row[5] != "lo"}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))), flush=True)
    os._exit(0)
