"""Ranks that are torchrun agents: their workers, when things happen at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.play.torchrun_ranks import TorchrunRanks


@pytest.mark.parametrize("follower", [None, SimpleNamespace(process="agent")], ids=["none", "a new worker"])
def test_a_worker_whose_agent_has_joined_again_is_reaped_once(follower: Any) -> None:
    """What is read before a worker is reaped may say that its agent joins again, which reaps it."""
    ended = SimpleNamespace(process="agent")
    followed = {"agent": ended}
    reaped: list[Any] = []
    ranks: Any = TorchrunRanks.__new__(TorchrunRanks)

    def joins_again(process: str) -> None:
        ranks._reap_worker(followed[process])
        followed[process] = follower

    ranks._workers = SimpleNamespace(ended=lambda: [ended], of=followed.get)
    ranks._read, ranks._reap_worker = joins_again, reaped.append
    ranks._reap_workers()
    assert reaped == [ended]
