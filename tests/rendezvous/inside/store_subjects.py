"""The store under test, as SUBJECT says: torch's own, or the one that static-strict hands out; and further clients."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore
from worlds import HOST, free_port, handler, join, world

from harness.rendezvous.store import StrictStore

IS_STRICT = os.environ["SUBJECT"] == "static-strict"
HAS_CLONES, HAS_QUEUES = hasattr(PrefixStore, "clone"), hasattr(PrefixStore, "queue_push")
HAS_BARRIERS, HAS_LISTS = hasattr(PrefixStore, "barrier"), hasattr(PrefixStore, "list_keys")
TIMEOUT = timedelta(seconds=5)

_kept = []
"""Handlers: a master's server ends with its handler and its store."""


def store(timeout=TIMEOUT):
    """A store with a server of its own."""
    if not IS_STRICT:
        return TCPStore(HOST, 0, 1, True, timeout)
    one = handler(0, 1, free_port(), timeout=timeout.total_seconds())
    _kept.append(one)
    return one.next_rendezvous().store


def clients(number, timeout=TIMEOUT):
    """Stores of one server, each with a connection of its own; the first one is the server's."""
    if not IS_STRICT:
        first = TCPStore(HOST, 0, number, True, timeout, wait_for_workers=False)
        return [first] + [TCPStore(HOST, first.port, number, False, timeout) for _ in range(number - 1)]
    handlers = world(number, timeout=timeout.total_seconds())
    _kept.extend(handlers)
    return [info.store for info in join(handlers)]


def kinds():
    """Name and store, for each way to reach the store; a new server for each."""
    yield "as handed out", store()
    yield "below a prefix", PrefixStore("below", store())
    if HAS_CLONES:
        first = store()
        yield "a clone", first.clone()


def forget():
    """Shut down what a check has made."""
    for one in _kept:
        one.shutdown()
    _kept.clear()


def together(*calls):
    """Make the calls at the same time, each in a thread; returns their values."""
    begin = threading.Barrier(len(calls))

    def made(call):
        begin.wait(5)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result(10) for one in [pool.submit(made, call) for call in calls]]


def is_strict(one):
    return isinstance(one, StrictStore)
