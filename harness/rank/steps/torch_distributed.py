"""The verbs of torch.distributed: what a job does with the store once it has joined."""

from __future__ import annotations

import datetime
from typing import Any

from harness.rank.steps.base import Arguments, Context, Skip, step
from harness.words.attribute import Declaration


@step(
    Declaration(
        kind="init_process_group",
        summary="Make the default process group (gloo) over the newest store.",
        example="{id: group, do: init_process_group}",
        details="Told the handler's rank, world size and timeout. One that exists already is destroyed first.",
    ),
    needs="store",
)
def init_process_group(context: Context, _arguments: Arguments) -> None:
    distributed = _torch_distributed(context)
    if distributed.is_initialized():
        distributed.destroy_process_group()
    distributed.init_process_group(
        "gloo",
        store=distributed.PrefixStore("process_group", context.store),
        rank=context.told.rank,
        world_size=context.told.world_size,
        timeout=datetime.timedelta(microseconds=context.told.timeout_ns / 1000),
    )


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
    torch.distributed.all_reduce(ones)
    return int(ones.item())


def _torch_distributed(context: Context) -> Any:
    if not type(context.store).__module__.startswith("torch"):
        raise Skip("a process group needs torch's own store; this subject brings another")
    import torch.distributed

    return torch.distributed
