"""A TorchX component: each replica plays one shard. `torchx run -s slurm torchx_campaign.py:campaign --shards 8`."""

import shlex

import torchx.specs as specs


def campaign(image: str = "", shards: int = 8, scenarios: str = "scenarios", folder: str = "/shards") -> specs.AppDef:
    """Plays scenarios in shards, whose reports `rdzv-harness merge` puts together.

    Args:
        image: with the harness and torch.
        shards: how many machines.
        scenarios: files and folders, in the image.
        folder: where the reports go, shared by all machines.
    """
    replica = specs.macros.replica_id  # from 0
    command = f"exec rdzv-harness run {scenarios} --require torch --seed 7 --shard $(({replica} + 1))/{shards}"
    command += f" --json {shlex.quote(folder)}/{replica}.json"
    return specs.AppDef(
        name="rdzv-campaign",
        roles=[
            specs.Role(
                name="shard",
                image=image,
                entrypoint="sh",
                args=["-c", command],
                num_replicas=shards,
                max_retries=1,
                resource=specs.Resource(cpu=4, gpu=0, memMB=8192),
            )
        ],
    )
