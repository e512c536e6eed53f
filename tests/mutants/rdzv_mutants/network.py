"""Faults in the endpoint: addresses, names, ports, and who listens there."""

from __future__ import annotations

import os
import socket
from typing import Any

from rdzv_mutants.catalogue import BOTH, NETWORK, Base, around, joined_with, mutant

_EVERYBODY = ("everybody-joins-in-time",)


@mutant(
    NETWORK,
    "the port in the environment overrides that of the endpoint",
    ("a-misleading-environment-does-not-move-the-endpoint", *("everybody-joins-in-time",)),
    of=BOTH,
)
def environment_overrides_the_port(base: Base) -> None:
    @around(base.handler, "__init__")
    def init(original: Any, self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.master_port = int(os.environ.get("MASTER_PORT", self.master_port))


@mutant(NETWORK, "a master that has IPv6 addresses only is not found", ("an-ipv6-only-world-joins",))
def ipv6_is_not_tried(base: Base) -> None:
    @around(base.module, "resolve")
    def resolve(original: Any, host: str, deadline: float) -> Any:
        found = [one for one in original(host, deadline) if one[0] == socket.AF_INET]
        if not found:
            raise base.part("failures").Unreachable(f"the name {host!r} does not resolve")
        return found


@mutant(
    NETWORK, "the master listens on loopback only", ("a-far-rank-does-not-delay-the-others", "an-ipv6-only-world-joins")
)
def master_listens_on_loopback(base: Base) -> None:
    @around(base.part("construct"), "TCPStore")
    def make(original: Any, host: str, port: int, *, is_master: bool, **named: Any) -> Any:
        if not is_master or base.part("descriptors").listening(port):
            return original(host, port, is_master=is_master, **named)
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        return original(host, port, is_master=True, master_listen_fd=listener.detach(), **named)


@mutant(
    NETWORK,
    "a join returns localhost as the master's address",
    ("an-ipv6-only-world-joins", *(*_EVERYBODY, "a-far-rank-does-not-delay-the-others")),
    of=BOTH,
)
def localhost_is_returned(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        from torch.distributed.elastic.rendezvous import RendezvousStoreInfo

        return joined_with(original(self), bootstrap_store_info=RendezvousStoreInfo("localhost", self.master_port))


@mutant(
    NETWORK, "a join returns a port on which nobody listens", ("a-job-over-a-slow-link-completes", *_EVERYBODY), of=BOTH
)
def another_port_is_returned(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        from torch.distributed.elastic.rendezvous import RendezvousStoreInfo

        wrong = RendezvousStoreInfo(self.master_addr, self.master_port + 1)
        return joined_with(original(self), bootstrap_store_info=wrong)


@mutant(
    NETWORK,
    "of the addresses of a name only the first is tried",
    ("a-name-with-two-addresses-leads-to-the-one-that-answers",),
)
def first_address_only(base: Base) -> None:
    @around(base.module, "connect_any")
    def connect_any(original: Any, addresses: Any, *arguments: Any, **named: Any) -> Any:
        return original(addresses[:1], *arguments, **named)


@mutant(
    NETWORK,
    "a name is looked up once only, and a master that moves is not found",
    ("a-moved-master-is-found-under-its-old-name", "a-wrong-name-that-is-corrected-joins"),
)
def names_are_looked_up_once(base: Base) -> None:
    found: dict[str, Any] = {}

    @around(base.module, "resolve")
    def resolve(original: Any, host: str, deadline: float) -> Any:
        if host not in found:
            found[host] = original(host, deadline)
        return found[host]


@mutant(
    NETWORK,
    "a stranger at the master's port ends a join at once",
    ("a-stranger-that-answers-delays-the-join-only-while-it-stays",),
)
def strangers_end_the_join(base: Base) -> None:
    @around(base.module._Call, "_pause_or_withdraw")
    def pause_or_withdraw(original: Any, self: Any, error: Exception, session: Any) -> Any:
        if isinstance(error, base.part("failures").NotAStore):
            raise self._errors.failed(error)
        return original(self, error, session)
