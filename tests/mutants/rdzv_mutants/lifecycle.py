"""Faults in closing, shutting down, joining again and freeing the port."""

from __future__ import annotations

import time
from typing import Any

from rdzv_mutants.catalogue import LIFECYCLE, STOCK, Base, around, mutant

_CLOSED = ("a-closed-rendezvous-cannot-be-joined",)
_LEFT_ALONE = ("a-dropped-handler-leaves-the-other-run-alone", "a-shut-down-handler-leaves-the-other-run-alone")
_SHARED = ("two-handlers-share-one-port", "a-dropped-handler-leaves-the-other-run-alone")
_AGAIN = ("a-second-round-reuses-the-store", "a-second-round-waits-for-everyone")


@mutant(
    LIFECYCLE,
    "set_closed closes the run for its own handler only",
    ("a-run-that-another-rank-closed-is-closed-for-all", *_CLOSED),
)
def set_closed_is_local(base: Base) -> None:
    def set_closed(self: Any) -> None:
        self._is_closed = True

    base.handler.set_closed = set_closed


@mutant(LIFECYCLE, "set_closed does nothing", _CLOSED)
def set_closed_does_nothing(base: Base) -> None:
    base.handler.set_closed = lambda self: None


@mutant(LIFECYCLE, "is_closed says no although the run was closed", _CLOSED)
def is_closed_says_no(base: Base) -> None:
    base.handler.is_closed = lambda self: False


@mutant(
    LIFECYCLE,
    "is_closed says yes as soon as the run was joined",
    ("an-open-rendezvous-does-not-say-that-it-is-closed",),
)
def is_closed_says_yes(base: Base) -> None:
    base.handler.is_closed = lambda self: self.round > 0


@mutant(
    LIFECYCLE,
    "a handler that was shut down or closed can join again",
    (*_CLOSED, "a-shut-down-handler-frees-its-port"),
)
def closed_handlers_join_again(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        self._is_shut_down = self._is_closed = False
        return original(self)


@mutant(
    LIFECYCLE,
    "shutdown of one handler ends the server that another handler of the process serves with",
    ("a-shut-down-handler-leaves-the-other-run-alone", *_SHARED),
)
def shutdown_ends_anothers_server(base: Base) -> None:
    base.module.is_shared = lambda handler: False


@mutant(
    LIFECYCLE,
    "shutdown leaves the port bound",
    ("a-shut-down-handler-frees-its-port", "a-released-port-is-bound-at-once"),
)
def shutdown_keeps_the_port(base: Base) -> None:
    def shutdown(self: Any) -> bool:
        self._is_shut_down = True
        return True

    base.handler.shutdown = shutdown


@mutant(LIFECYCLE, "shutdown says that it failed", ("a-handler-that-was-shut-down-says-that-it-is-closed",))
def shutdown_says_no(base: Base) -> None:
    @around(base.handler, "shutdown")
    def shutdown(original: Any, self: Any) -> bool:
        original(self)
        return False


@mutant(
    LIFECYCLE,
    "a handler that is dropped leaves its port bound",
    ("a-dropped-handler-frees-its-port",),
    of=("static-strict", STOCK),
)
def dropped_handlers_keep_the_port(base: Base) -> None:
    kept: list[Any] = []

    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        kept.append(self._store)
        return info


@mutant(LIFECYCLE, "each round after the first opens one more server, on a port of its own", _AGAIN)
def second_round_opens_a_server(base: Base) -> None:
    kept: list[Any] = []

    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        if self.rank == 0 and self.round > 0:
            from torch.distributed import TCPStore

            kept.append(TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))
        return original(self)


@mutant(LIFECYCLE, "each round after the first ends the server and starts a new one", _AGAIN)
def second_round_serves_anew(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        if self.rank == 0 and self.round > 0:
            base.part("port").release(self.master_port)
            self._bounded_store = None
        return original(self)


@mutant(LIFECYCLE, "each round after the first ends the server and starts a new one", _AGAIN, of=(STOCK,))
def store_is_made_anew(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        if self._store is not None:
            self._store = _made_anew(base, self)
        return original(self)


def _made_anew(base: Base, handler: Any) -> Any:
    """The store of a new server at the same port; the old server ends, although somebody still holds its store."""
    is_master, endpoint = handler.rank == 0, (handler.master_addr, handler.master_port)
    if is_master:
        base.part("port").release(handler.master_port)
    else:
        time.sleep(0.2)  # so that the new server is there
    return base.module.TCPStore(*endpoint, handler.world_size, is_master, handler.timeout)


@mutant(LIFECYCLE, "two handlers of one process cannot serve one port", _LEFT_ALONE, of=(STOCK,))
def servers_are_not_shared(base: Base) -> None:
    @around(base.module, "TCPStore")
    def make(original: Any, *arguments: Any, **named: Any) -> Any:
        return original(*arguments, **{**named, "multi_tenant": False})


@mutant(
    LIFECYCLE,
    "a rank that waits for the next round is not noticed, and a job goes on without it",
    (
        "a-worker-restarted-alone-joins-the-next-round",
        *("a-job-whose-worker-crashed-sums-again", "both-nodes-share-one-attempt-or-the-job-ends"),
    ),
)
def nobody_seems_to_wait(base: Base) -> None:
    base.handler.num_nodes_waiting = lambda self: 0


@mutant(
    LIFECYCLE,
    "torchrun sees a rank that waits, and restarts its workers again and again",
    ("a-job-over-a-slow-link-completes",),
)
def somebody_seems_to_wait(base: Base) -> None:
    base.handler.num_nodes_waiting = lambda self: 1


@mutant(
    LIFECYCLE,
    "the next round hands out a store whose connection is lost",
    ("a-lost-store-is-noticed-by-the-next-round",),
)
def lost_stores_are_not_noticed(base: Base) -> None:
    base.part("store").BoundedStore.answers_at = lambda self, address, deadline: True
