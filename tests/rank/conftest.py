"""Fixtures for ranks that are driven over real pipes."""

import os
import socket
import sys

import pytest
from rank_world import Ranks

from harness.values.plan import Plan, RankPlan


@pytest.fixture
def port():
    """A free port on loopback, below those that the system gives away."""
    for candidate in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
                return candidate
            except OSError:
                continue
    raise AssertionError("no free port")


@pytest.fixture
def ranks(tmp_path):
    """Starts rank processes: `ranks(steps, tolds)`, where a told is a HandlerPlan or a mapping of handlers to them."""
    started = []

    def start(steps, tolds, *, subject="echo", command=(), seed=7, python=sys.executable, **more):
        plans = tuple(RankPlan({}, told if isinstance(told, dict) else {"main": told}) for told in tolds)
        plan = Plan(subject, tuple(command), seed, tuple(steps), plans)
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Ranks(folder, plan, python=python, **more))
        return started[-1]

    yield start
    for ranks_ in started:
        ranks_.close()
