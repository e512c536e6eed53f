"""The verbs of a handler: join, close, release."""

from __future__ import annotations

from typing import Any, Dict

from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Declaration


@step(
    Declaration(
        kind="rendezvous",
        summary="Join the world: build the handler if there is none, and call its next_rendezvous.",
        example="{id: join, do: rendezvous}",
        details=(
            "Returns a mapping: rank, world_size, master_addr, master_port; round and roster where the subject reports "
            "them (a roster of more than 16 as a digest); and, on the master, the listening sockets of the process. A "
            "second one on the same handler is its next round, or a retry if none has returned yet."
        ),
    ),
    configures_handler=True,
)
def rendezvous(context: Context, _arguments: Arguments) -> Dict[str, Any]:
    return context.join()


@step(
    Declaration(
        kind="drop",
        summary="Release the handler and its stores, without shutting it down.",
        example="{do: drop, ranks: 0}",
        details="On the master this frees the port, unless something else holds the store.",
    ),
    needs="handler",
)
def drop(context: Context, _arguments: Arguments) -> None:
    context.drop()


@step(
    Declaration(
        kind="shutdown",
        summary="Call the handler's shutdown.",
        example="{do: shutdown, ranks: 0}",
        details="Returns what the subject returns: true if it shut down.",
    ),
    needs="handler",
)
def shutdown(context: Context, _arguments: Arguments) -> bool:
    return bool(context.handler.shutdown())


@step(
    Declaration(
        kind="set_closed",
        summary="Close the rendezvous for all ranks.",
        example="{do: set_closed, ranks: 0}",
    ),
    needs="handler",
)
def set_closed(context: Context, _arguments: Arguments) -> None:
    context.handler.set_closed()


@step(
    Declaration(
        kind="is_closed",
        summary="Ask the handler whether the rendezvous is closed.",
        example="{do: is_closed, ranks: 1}",
        details="Returns true or false.",
    ),
    needs="handler",
)
def is_closed(context: Context, _arguments: Arguments) -> bool:
    return bool(context.handler.is_closed())


def _counts_nobody(context: Context) -> str:
    return "" if hasattr(context.handler, "num_nodes_waiting") else "the subject does not count ranks that wait"


@step(
    Declaration(
        kind="num_nodes_waiting",
        summary="Ask the handler how many ranks wait for the next round.",
        example="{do: num_nodes_waiting, ranks: 0}",
        details="Returns a number. Agents of torchrun restart their workers when it is not 0. Echo skips it.",
    ),
    needs="handler",
    lacks=_counts_nobody,
)
def num_nodes_waiting(context: Context, _arguments: Arguments) -> int:
    handler: Any = context.handler
    return int(handler.num_nodes_waiting())
