"""The entry point of a rank: it reads the plan and runs the rank, as a worker or as a torchrun agent."""

from __future__ import annotations

import json
from typing import Any, Mapping, NoReturn, Optional

from harness.rank.agent import Agent
from harness.rank.control import Control
from harness.rank.recorder import Recorder
from harness.rank.subjects import needs_torch
from harness.rank.subjects.rendezvous import preload as preload_torch
from harness.rank.worker import Worker, run_to_end
from harness.values.plan import Plan


def preload(subject: str) -> None:
    """Import what ranks of this subject need, in a process that they are forked from; raises what that raises."""
    if needs_torch(subject):
        preload_torch(subject)


def main(request: Mapping[str, Any], control_fd: int, doorbell_fd: int) -> NoReturn:
    """Run the rank that the request describes until the controller sends `leave`; never returns.

    Args:
        request: `plan` (a path) or `plan_object` (a Plan), `rank`, `life`, and `ops`, the file of operations.
        control_fd: the read end of the rank's control pipe.
        doorbell_fd: the write end of the doorbell, non-blocking; negative for none.
    """
    run_to_end(lambda: _process(request, control_fd, doorbell_fd).run())


def _process(request: Mapping[str, Any], control_fd: int, doorbell_fd: int) -> Worker:
    """The rank of the request: an agent where the plan restarts workers."""
    plan = _plan(request)
    if plan.max_restarts is not None:
        return Agent(plan, request, control_fd, doorbell_fd)
    rank, life = request["rank"], request["life"]
    return Worker(plan, rank, life, Recorder(request["ops"], rank, life, doorbell_fd), Control(control_fd, life))


def _plan(request: Mapping[str, Any]) -> Plan:
    plan: Optional[Plan] = request.get("plan_object")
    if plan is None:
        with open(request["plan"]) as file:
            plan = Plan.from_json(json.load(file))
    return plan
