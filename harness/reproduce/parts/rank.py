"""Inside the process of a rank: its handlers, its stores, and the calls that it is asked to make."""

from __future__ import annotations

import datetime
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from harness.reproduce.parts.scene import Scene


class Skip(Exception):
    """The call cannot be made: there is no such handler or store."""


class Rank:
    """What the calls of the steps use."""

    def __init__(self, scene: Scene, number: int, endpoints: dict[str, str]) -> None:
        self.scene, self.number, self.endpoints = scene, number, endpoints
        self.handlers: dict[str, Any] = {}
        self.stores: dict[str, Any] = {}

    def join(self, name: str) -> dict[str, Any]:
        from torch.distributed.elastic.rendezvous import RendezvousParameters
        from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import create_rdzv_handler

        if name not in self.handlers:
            settings = self.scene.configuration(self.number, name)
            run_id, size = settings.pop("run_id"), settings.pop("world_size")
            others = {key: value for key, value in settings.items() if key not in ("host", "port")}
            parameters = RendezvousParameters("static", self.endpoints[name], run_id, size, size, **others)
            self.handlers[name] = create_rdzv_handler(parameters)
        info = self.handlers[name].next_rendezvous()
        self.stores[name] = info.store
        return {"rank": info.rank, "world_size": info.world_size}

    def handler(self, name: str = "main") -> Any:
        if name not in self.handlers:
            raise Skip
        return self.handlers[name]

    def store(self, name: str = "main") -> Any:
        if name not in self.stores:
            raise Skip
        return self.stores[name]


def run_rank(scene: Scene, number: int, endpoints: dict[str, str]) -> None:
    """Make the call of each step whose place in the list comes from standard input; report to standard output."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what torch prints is no report
    import torch.distributed.elastic.rendezvous.static_tcp_rendezvous  # importing it is no part of a join

    lock = threading.Lock()

    def report(place: int, outcome: str, **facts: Any) -> None:
        row = json.dumps({"time": time.monotonic(), "place": place, "outcome": outcome, **facts})
        with lock:
            print(row, file=output, flush=True)

    def make(place: int) -> None:
        report(place, "runs")
        try:
            value = scene.steps[place].call(rank)
        except Skip:
            report(place, "skipped")
        except BaseException as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            report(place, "failed", kinds=kinds, message=(str(error).strip().splitlines() or [""])[0])
        else:
            report(place, "ok", value=value)

    rank = Rank(scene, number, endpoints)
    report(-1, "ready", torch=torch.__version__)
    for line in sys.stdin:
        threading.Thread(target=make, args=(int(line),), daemon=True).start()
    os._exit(0)  # the play is over


def drop(rank: Rank, name: str = "main") -> None:
    """Release a handler and its store, without shutting it down."""
    rank.handler(name)
    del rank.handlers[name]
    rank.stores.pop(name, None)
    gc.collect()


def lasting(duration: float) -> datetime.timedelta:
    """A timeout as torch takes it."""
    return datetime.timedelta(seconds=duration)
