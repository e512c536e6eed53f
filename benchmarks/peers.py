"""A world of ranks through torch.multiprocessing's fork server, timed; runs alone, under any interpreter with torch."""

from __future__ import annotations

import json
import sys
import time


def join(rank: int, size: int, port: int) -> None:
    """One rank: the stock static rendezvous, built as torchrun builds it, and left when it has returned."""
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import create_rdzv_handler

    parameters = RendezvousParameters("static", f"127.0.0.1:{port}", "peer", size, size, rank=rank, timeout=60)
    create_rdzv_handler(parameters).next_rendezvous()


def world_seconds(context: object, size: int, port: int) -> float:
    """From the first start to the last end; raises RuntimeError if a rank failed."""
    begun = time.monotonic()
    ranks = [context.Process(target=join, args=(rank, size, port)) for rank in range(size)]  # type: ignore[attr-defined]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if any(rank.exitcode for rank in ranks):
        raise RuntimeError(f"exit codes {[rank.exitcode for rank in ranks]}; is port {port} free?")
    return time.monotonic() - begun


def main() -> None:
    """Print the seconds of each world as JSON: the first has to start the fork server and to import torch in it."""
    size, repeat, *ports = (int(argument) for argument in sys.argv[1:])
    begun = time.monotonic()
    import torch.multiprocessing

    imported = time.monotonic() - begun
    context = torch.multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed.elastic.rendezvous.static_tcp_rendezvous"])
    worlds = [world_seconds(context, size, port) for port in ports[:repeat]]
    # A program that tests many worlds imports torch once; one that tests a single world pays for both imports.
    print(json.dumps({"first": imported + worlds[0], "warm": worlds[1:]}))


if __name__ == "__main__":
    main()
