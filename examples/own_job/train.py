"""A small training job: DistributedDataParallel with gloo, on processors, for a few steps; started by torchrun."""

from __future__ import annotations

import datetime
import os

import torch
import torch.distributed as dist

STEPS = 400  # far more than pass until a fault that a step triggers is in place, also on a busy machine
TIMEOUT = datetime.timedelta(seconds=10)


def main() -> None:
    """Train, and say after each step how well; in the store too, as jobs do that are watched."""
    # Gloo connects the ranks directly. Without this it asks for the machine's name, which a private network has not.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    # torchrun's agent of node 0 serves the store; MASTER_ADDR is the address of this node's own link to it.
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(address, port, is_master=False, timeout=TIMEOUT)
    dist.init_process_group("gloo", store=dist.PrefixStore("train", store), rank=rank, world_size=size, timeout=TIMEOUT)
    torch.manual_seed(rank)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    inputs = torch.randn(64, 8)
    wanted = inputs.sum(dim=1, keepdim=True)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), wanted)
        loss.backward()
        optimizer.step()
        print(f"step={step} loss={loss.item():.4f}", flush=True)
        store.set(f"progress/{rank}", str(step))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
