"""Faults in what a join leaves behind in a process that lives on."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from rdzv_mutants.catalogue import BOTH, RESOURCES, Base, around, mutant

_AGAIN = ("a-second-round-reuses-the-store", "a-second-round-waits-for-everyone", "a-shut-down-handler-frees-its-port")


def _after_each_join(base: Base, leak: Callable[[Any], Any]) -> None:
    kept: list[Any] = []

    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        kept.append(leak(self))
        return info


@mutant(
    RESOURCES,
    "each join leaves a descriptor open",
    ("joining-and-leaving-again-and-again-leaks-nothing", *_AGAIN),
    of=BOTH,
)
def descriptors_leak(base: Base) -> None:
    _after_each_join(base, lambda handler: os.open(os.devnull, os.O_RDONLY))


@mutant(
    RESOURCES,
    "each join leaves a connection to the master open",
    ("joining-and-leaving-again-and-again-leaks-nothing", *_AGAIN),
    of=BOTH,
)
def connections_leak(base: Base) -> None:
    _after_each_join(base, lambda handler: socket.create_connection((handler.master_addr, handler.master_port), 5))


@mutant(
    RESOURCES,
    "each join leaves a thread that runs for ever",
    ("joining-and-leaving-again-and-again-leaks-nothing", *_AGAIN),
    of=BOTH,
)
def threads_leak(base: Base) -> None:
    _after_each_join(base, lambda handler: threading.Thread(target=threading.Event().wait, daemon=True).start())


@mutant(RESOURCES, "each join leaves a child process", _AGAIN)
def processes_leak(base: Base) -> None:
    _after_each_join(base, lambda handler: subprocess.Popen(["sleep", "60"]))
