"""The workers of torchrun agents: grandchildren of the controller, whose starts and ends it watches itself."""

from __future__ import annotations

import select
from collections.abc import Mapping
from dataclasses import dataclass

from harness.machine.process import pidfd
from harness.machine.process.children import Children, describe_status, outer_pid
from harness.play.rank_group import RankProcess


@dataclass
class AgentWorker:
    """One life of a worker that lives, or has ended and was not reaped.

    Attributes:
        leaves: the status with which it said it would leave; None if it has not.
    """

    process: RankProcess
    life: int
    held: pidfd.PidfdProcess
    leaves: int | None = None

    @property
    def pid(self) -> int:
        return self.held.pid


class AgentWorkers:
    """All workers of one play; `close` closes their descriptors."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._epoll = select.epoll()
        self._workers: list[AgentWorker] = []

    def fileno(self) -> int:
        """Readable when a worker has ended."""
        return self._epoll.fileno()

    def close(self) -> None:
        for worker in list(self._workers):
            self.forget(worker)
        self._epoll.close()

    def came(self, process: RankProcess, life: int, own_pid: int) -> AgentWorker | None:
        """Follow a worker that calls itself `own_pid`; None if it is gone already."""
        pid = self._own_child(own_pid) if process.ended else pidfd.child_called(outer_pid(process.pid), own_pid)
        held = None if pid is None else _held(pid)
        if held is None:
            return None
        worker = AgentWorker(process, life, held)
        self._epoll.register(worker.held, select.EPOLLIN)
        self._workers.append(worker)
        return worker

    def _own_child(self, own_pid: int) -> int | None:
        """An orphan is our child, and in a world where orphans live on it has the pid that it reports."""
        return own_pid if own_pid in self._children.others() else None

    def starting(self, process: RankProcess) -> list[pidfd.PidfdProcess]:
        """The children of a living agent that are not followed: a worker that is on its way."""
        followed = {worker.pid for worker in self._workers}
        children = pidfd.children_of(outer_pid(process.pid))
        return [held for pid in children if pid not in followed and (held := _held(pid)) is not None]

    def of(self, process: RankProcess) -> AgentWorker | None:
        """The worker of an agent, alive or not reaped yet."""
        return next((worker for worker in self._workers if worker.process is process), None)

    def ended(self) -> list[AgentWorker]:
        """Those that have ended and were not reaped."""
        return [worker for worker in self._workers if worker.held.ended()]

    def end_of(self, worker: AgentWorker) -> Mapping[str, int]:
        """How it ended, as `describe_status` says it; empty where its agent has waited for it before we could look."""
        status = pidfd.unreaped_status(outer_pid(worker.pid))
        if status is None:
            status = self._children.status_of(worker.pid)
        return {} if status is None else describe_status(status)

    def forget(self, worker: AgentWorker) -> None:
        """Watch it no longer."""
        self._workers.remove(worker)
        self._epoll.unregister(worker.held)
        worker.held.close()


def _held(pid: int) -> pidfd.PidfdProcess | None:
    try:
        return pidfd.PidfdProcess(pid)
    except ProcessLookupError:
        return None
