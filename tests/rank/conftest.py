"""Fixtures for ranks that are controlled over real pipes."""

import os
import socket
import sys

import pytest
from rank_world import Ranks

from harness.values.plan import Plan, RankPlan


@pytest.fixture
def port():
    """A free port on loopback, below the ephemeral range."""
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
    """Starts rank processes: `ranks(steps, plans)`. A plan is a HandlerPlan, or a mapping from handlers to them."""
    started = []

    def start(steps, plans, *, subject="echo", command=(), seed=7, python=sys.executable, **more):
        rank_plans = tuple(RankPlan({}, plan if isinstance(plan, dict) else {"main": plan}) for plan in plans)
        plan = Plan(subject, tuple(command), seed, tuple(steps), rank_plans)
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Ranks(folder, plan, python=python, **more))
        return started[-1]

    yield start
    for ranks_ in started:
        ranks_.close()
