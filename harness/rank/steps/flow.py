"""The verbs of the flow: wait, exit, interrupt, fork, and bind the port."""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import Dict, NoReturn, Optional

from harness import clock
from harness.rank import interrupts
from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Attribute, Declaration
from harness.values.endpoint import Endpoint
from harness.values.quantity import format_ns

INTERRUPT = "interrupt"
"""The verb for which a rank handles SIGINT."""
_POLL_NS = 5_000_000


@step(
    Declaration(
        kind="sleep",
        summary="Do nothing for a while.",
        attributes=(Attribute("for", "duration", "how long"),),
        example="{do: sleep, ranks: 1, for: 500ms}",
        details="For a slow rank only: to wait for an event, write `after`.",
    )
)
def sleep(_context: Context, arguments: Arguments) -> None:
    clock.sleep_ns(arguments["for"])


@step(
    Declaration(
        kind="exit",
        summary="End the rank's process at once, without releasing anything.",
        attributes=(Attribute("code", "int", "the exit status", default=0, minimum=0, maximum=255),),
        example="{id: crash, do: exit, ranks: 1, code: 1}",
        details="It needs an id, because the end of each process is recorded as the step `exit`.",
    )
)
def exit_(context: Context, arguments: Arguments) -> None:
    context.leave(arguments["code"])


@step(
    Declaration(
        kind=INTERRUPT,
        summary="Interrupt the rank's main thread, as Ctrl-C does.",
        example="{do: interrupt, thread: user, after: {step: join, is: begun, plus: 500ms}}",
        details=(
            "In a thread of its own: the call of the main thread raises KeyboardInterrupt as soon as it handles the"
            " signal. An interrupt between two calls does nothing."
        ),
    )
)
def interrupt(_context: Context, _arguments: Arguments) -> None:
    interrupts.send()


@step(
    Declaration(
        kind="fork_child",
        summary="Fork a child that keeps every descriptor of the rank, listening sockets too, and does nothing.",
        attributes=(
            Attribute("for", "duration", "how long it lives", default=None, default_text="until the play ends"),
        ),
        example="{id: fork, do: fork_child, ranks: 0, after: join}",
        details=(
            "Like the worker of a data loader. It outlives the rank: after a `kill` the port still listens, and nobody "
            "accepts. Returns its `pid`. In a container it ends with the rank, whose process is the container's first."
        ),
    )
)
def fork_child(_context: Context, arguments: Arguments) -> Dict[str, int]:
    pid = os.fork()
    if pid == 0:
        _do_nothing(arguments["for"])
    return {"pid": pid}


def _do_nothing(for_ns: Optional[int]) -> NoReturn:
    """Never returns: this process must not go on as the rank."""
    try:
        select.select([], [], [], None if for_ns is None else for_ns / 1e9)
    finally:
        os._exit(0)


@step(
    Declaration(
        kind="bind",
        summary="Bind the endpoint's port and release it; while it is in use, retry until the handler's timeout.",
        example="{do: bind, ranks: 0, after: shut}",
        details="Shows whether the port is free again. Raises TimeoutError, with the endpoint in its message.",
    )
)
def bind(context: Context, _arguments: Arguments) -> None:
    plan = context.handler_plan
    endpoint = Endpoint(plan.master_host, plan.master_port)
    deadline_ns = clock.now_ns() + plan.timeout_ns
    while not _try_to_bind(endpoint):
        if clock.now_ns() >= deadline_ns:
            waited = format_ns(plan.timeout_ns)
            raise TimeoutError(f"{endpoint} could not be bound within {waited}: address already in use")
        clock.sleep_ns(_POLL_NS)


def _try_to_bind(endpoint: Endpoint) -> bool:
    """Whether the address could be bound; raises OSError for any reason but `in use`."""
    family, kind, protocol, _, address = socket.getaddrinfo(*endpoint.connectable, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        # As TCPStore does: connections in TIME_WAIT do not prevent it, listeners do.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise OSError(error.errno, f"{endpoint} cannot be bound: {error.strerror}") from error
    return True
