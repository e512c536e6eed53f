"""The verbs of torch.distributed: what a job does with the store once it has joined."""

from __future__ import annotations

import datetime
from typing import Any, List

from harness.rank.steps.base import Arguments, Context, step
from harness.words.attribute import Declaration

# Tensors that a thread of gloo may still hold. Were it the last to let go of one, it would need the interpreter's lock
# for that, and destroying the group waits for the thread with the lock held: torch 2.6 then stands still for ever.
_REDUCED: List[Any] = []


def _lacks_torch(context: Context) -> str:
    if type(context.store).__module__.startswith("torch"):
        return ""
    return "a process group needs torch's own store; this subject brings another"


@step(
    Declaration(
        kind="init_process_group",
        summary="Make the default process group (gloo) over the newest store.",
        example="{id: group, do: init_process_group}",
        details="Told the handler's rank, world size and timeout. One that exists already is destroyed first.",
    ),
    needs="store",
    lacks=_lacks_torch,
)
def init_process_group(context: Context, _arguments: Arguments) -> None:
    import torch.distributed as distributed

    _destroy_group()
    distributed.init_process_group(
        "gloo",
        store=distributed.PrefixStore("process_group", context.store),
        rank=context.told.rank,
        world_size=context.told.world_size,
        timeout=datetime.timedelta(microseconds=context.told.timeout_ns / 1000),
    )
    context.keep_group(_destroy_group)


@step(
    Declaration(
        kind="all_reduce",
        summary="Sum a one from each rank over the default process group.",
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
