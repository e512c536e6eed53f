"""Hold the master's port, as a forgotten process or another job does; connections to it hang."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harness import clock
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultMember
from harness.machine.network import listening
from harness.values.attribute import Attribute, Declaration
from harness.values.errors import HarnessError

ADDRESSES = ("127.0.0.1", "0.0.0.0", "::1", "::")


@FAULTS.register("occupy_port")
class OccupyPort(FaultMember):
    """A listener on the endpoint's port that never accepts."""

    declaration = Declaration(
        kind="occupy_port",
        summary="Listens on the endpoint's port and never accepts: a bind fails, a connection hangs.",
        attributes=(
            Attribute(
                "address",
                "choice",
                "where it listens; `::` takes the port for IPv4 too, 127.0.0.1 means the master's host",
                default="127.0.0.1",
                choices=ADDRESSES,
            ),
        ),
        example="{inject: occupy_port, address: 0.0.0.0, until: {step: rendezvous, ranks: 0, is: failed}}",
        details=(
            "Healing frees the port. To hold it before rank 0 starts, leave `after` out. If the port is already in "
            "use, it cannot be occupied, and the cell is vacuous. It is vacuous too if, while the port was held, the "
            "master (the process that was given rank 0) was not in a join and nobody connected."
        ),
    )
    layer = "port"
    wants = "nobody"

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        address, port = self.fault.attributes["address"], context.endpoint.port
        host = context.master_host
        address = host.address if address == ADDRESSES[0] else address
        with contextlib.ExitStack() as stack:
            try:
                with host.inside():
                    listener = stack.enter_context(listening.listen(address, port))
            except OSError as error:
                raise HarnessError(
                    f"{address} port {port} cannot be occupied ({error.strerror or error}); "
                    "inject it before rank 0 starts, or after the port is free"
                ) from error
            since_ns = clock.now_ns()
            inode = listening.inode_of(listener)

            def evidence() -> Evidence:
                # Accepted, but kept open until the port is freed: the peers do not notice that they were counted.
                waiting = listening.accept_all(listener)
                for connection in waiting:
                    stack.enter_context(connection)
                wanted = context.master_join_begun_since(since_ns)
                with host.inside():
                    holds = listening.holds(listener, port)
                facts = {
                    "address": address,
                    "port": port,
                    "inode": inode,
                    "connections": len(waiting),
                    "master_wanted_it": wanted,
                    "held": holds,
                }
                return Evidence(holds and (bool(waiting) or wanted), facts)

            yield evidence
