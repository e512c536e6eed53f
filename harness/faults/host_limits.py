"""Change kernel limits of hosts: accept queues that are too short, TCP that gives up too early."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import hosts_of
from harness.faults.parts.layers import Layers
from harness.machine.network import sockets
from harness.machine.network.sockets import TcpCounters
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import HarnessError, Unsupported
from harness.worlds.base import WorldHost

_FILES = {
    "backlog": Path("/proc/sys/net/core/somaxconn"),
    "tcp_retries2": Path("/proc/sys/net/ipv4/tcp_retries2"),
    "tcp_syn_retries": Path("/proc/sys/net/ipv4/tcp_syn_retries"),
}
_settings: Layers[int] = Layers()
_ADVICE = "run the harness where /proc/sys is writable: not in a container that has it read-only"


@FAULTS.register("host_limits")
class HostLimits(FaultMember):
    """Sysctls of the hosts' network namespaces, restored on healing."""

    declaration = Declaration(
        kind="host_limits",
        needs=("sysctl",),
        summary="Sets kernel limits on its ranks' hosts: the length of accept queues, and when TCP gives up.",
        attributes=(
            Attribute(
                "backlog", "int", "how many connections may wait to be accepted, on sockets that begin to listen now",
                default=None, default_text="as it is", minimum=1, maximum=65535,
            ),
            Attribute(
                "tcp_retries2", "int", "how often an open connection retransmits before it fails",
                default=None, default_text="as it is", minimum=1, maximum=255,
            ),
            Attribute(
                "tcp_syn_retries", "int", "how often a connection attempt repeats its SYN before it fails",
                default=None, default_text="as it is", minimum=1, maximum=127,
            ),
        ),
        example="{inject: host_limits, ranks: all, tcp_retries2: 3}",
        details=(
            "`backlog` (net.core.somaxconn) acts when a socket begins to listen: inject it at `0s`, before rank 0 "
            "starts. The other two act on open connections too; the kernel retransmits after 0.2 s at the earliest, "
            "and doubles the interval each time, so 3 gives up within about 3 s. They matter only where an answer "
            "is missing: the cell is vacuous if none was, or if no socket listened with a shortened queue. They do "
            "not apply to a frozen process, because its kernel still answers."
        ),
    )  # fmt: skip
    layer = "host"
    needs = frozenset({"hosts"})

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        if all(attributes.get(name) is None for name in _FILES):
            return (f"no limit is given; write one or more of {', '.join(_FILES)}",)
        return ()

    def try_here(self) -> None:
        for name in self._limits:
            if not os.access(_FILES[name], os.W_OK):
                raise Unsupported("sysctl", f"{_FILES[name]} cannot be written here; {_ADVICE}")

    def arm(self, context: FaultContext) -> None:
        for host in hosts_of(self.fault, context):
            with host.inside():
                self.try_here()

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        hosts = hosts_of(self.fault, context)
        with contextlib.ExitStack() as restored:
            before = {host.name: _counters(host) for host in hosts}
            former = {host.name: dict(self._set(host, restored)) for host in hosts}
            yield lambda: self._evidence(hosts, before, former)

    @property
    def _limits(self) -> dict[str, int]:
        return {name: value for name in _FILES if (value := self.fault.attributes.get(name)) is not None}

    def _set(self, host: WorldHost, restored: contextlib.ExitStack) -> Iterator[tuple[str, int]]:
        for name, value in self._limits.items():
            former = _read(host, name)
            restored.enter_context(
                _settings.hold((host.name, name), value, former, functools.partial(_write, host, name))
            )
            yield name, former

    def _evidence(
        self, hosts: Sequence[WorldHost], before: Mapping[str, TcpCounters], former: Mapping[str, Mapping[str, int]]
    ) -> Evidence:
        looks = {host.name: self._look(host, before[host.name]) for host in hosts}
        facts = {name: {"former": former[name], **look} for name, look in looks.items()}
        return Evidence(any(any(look.values()) for look in looks.values()), {"hosts": facts})

    def _look(self, host: WorldHost, before: TcpCounters) -> dict[str, int]:
        """How often a limit was reached or applied."""
        now, look = _counters(host), {}
        if "backlog" in self._limits:
            with host.inside():
                short = sum(one.backlog == self._limits["backlog"] for one in sockets.listeners(owners=False))
            look["shortened_queues"] = short if now.passive_opens > before.passive_opens else 0
            look["not_queued"] = now.not_queued - before.not_queued
        if self._limits.keys() - {"backlog"}:
            look["answers_that_stayed_away"] = now.timeouts - before.timeouts
            look["given_up"] = now.given_up - before.given_up
        return look


def _counters(host: WorldHost) -> TcpCounters:
    with host.inside():
        return sockets.tcp_counters()


def _read(host: WorldHost, name: str) -> int:
    with host.inside():
        return int(_FILES[name].read_text())


def _write(host: WorldHost, name: str, value: int) -> None:
    """Set it, and verify that the kernel accepted it; raises HarnessError."""
    try:
        with host.inside():
            _FILES[name].write_text(str(value))
    except OSError as error:
        raise HarnessError(f"{name} of {host.name} cannot be set: {error.strerror}; {_ADVICE}") from error
    if (found := _read(host, name)) != value:
        raise HarnessError(f"{name} of {host.name} is {found} in place of {value}; does something else set it?")
