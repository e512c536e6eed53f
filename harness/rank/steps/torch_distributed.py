"""The verbs of torch.distributed: what a job does with the store after its rendezvous."""

from __future__ import annotations

import datetime
from typing import Any, List, Optional

from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Attribute, Declaration
from harness.values.endpoint import Endpoint

# Tensors that a thread of gloo may still hold. If that thread dropped the last reference to one, it would need the GIL,
# while destroying the group waits for the thread with the GIL held: torch 2.6 then deadlocks.
_REDUCED: List[Any] = []
_GROUP = "process_group"


def _lacks_torch(context: Context) -> str:
    if _init_method(context, None) or type(context.store).__module__.startswith("torch"):
        return ""
    return "a process group needs torch's own store; this subject brings another"


@step(
    Declaration(
        kind="init_process_group",
        summary="Make the default process group (gloo) over the newest store.",
        attributes=(
            Attribute("port", "int", "where rank 0 serves a store for this group", None, minimum=1, maximum=65535),
        ),
        example="{id: group, do: init_process_group}",
        details=(
            "With the handler's rank, world size and timeout. One that exists already is destroyed first. A torchrun "
            "worker uses `env://`, with the environment that its agent set; `port` means `tcp://` at that port of the "
            "master's host."
        ),
    ),
    needs="store",
    lacks=_lacks_torch,
)
def init_process_group(context: Context, arguments: Arguments) -> None:
    import torch.distributed as distributed

    _destroy_group()
    plan, init_method = context.handler_plan, _init_method(context, arguments.get("port"))
    where = {"init_method": init_method} if init_method else {"store": distributed.PrefixStore(_GROUP, context.store)}
    timeout = datetime.timedelta(microseconds=plan.timeout_ns / 1000)
    distributed.init_process_group("gloo", rank=plan.rank, world_size=plan.world_size, timeout=timeout, **where)
    context.keep_group(_destroy_group)


def _init_method(context: Context, port: Optional[int]) -> str:
    """The `init_method` by which torch opens a store itself; empty if it gets the newest store."""
    if port is not None:
        return f"tcp://{Endpoint(context.handler_plan.master_host, port)}"
    return str(getattr(context.handler, "init_method", ""))


@step(
    Declaration(
        kind="all_reduce",
        summary="Sum a 1 from each rank over the default process group.",
        example="{id: reduce, do: all_reduce}",
        details="Returns the sum, an int: the world size if all took part.",
    ),
    needs="group",
)
def all_reduce(_context: Context, _arguments: Arguments) -> int:
    import torch

    ones = torch.ones(1, dtype=torch.int64)
    _REDUCED.append(ones)
    torch.distributed.all_reduce(ones)
    return int(ones.item())


def _destroy_group() -> None:
    import torch.distributed as distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
    _REDUCED.clear()
