"""What the rank processes of one play are given to do, with every address filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from harness.play.addresses import Addresses
from harness.play.options import Order
from harness.rank.subjects import COMMAND, needs_torch
from harness.scenario.scenario import HandlerConfig, RankSpec, Scenario, Step
from harness.schedule import torchrun
from harness.steps import modules_of
from harness.values.errors import Unsupported
from harness.values.plan import HandlerPlan, Plan, RankPlan, StepPlan


def make_plan(order: Order, addresses: Addresses, run_dir: PurePath, python: str) -> Plan:
    """The plan of a play; raises Unsupported for a subject that torchrun cannot have as its rendezvous.

    Args:
        run_dir: the path that ranks have of the run directory.
        python: the path that ranks have of their interpreter.
    """
    scenario = order.scenario
    return Plan(
        order.subject,
        tuple(order.command),
        order.seed,
        tuple(_step_plan(index, step) for index, step in enumerate(scenario.steps)),
        tuple(
            RankPlan(
                env=dict(spec.env),
                handlers={name: _handler_plan(rank, one, addresses) for name, one in spec.handlers.items()},
                fresh=spec.fresh,
                argv=_argv(rank, spec, order, addresses, run_dir, python),
            )
            for rank, spec in enumerate(scenario.world.ranks)
        ),
        _max_restarts(scenario, order.subject),
        modules_of(step.do for step in scenario.steps),
    )


PLACEHOLDERS = ("rank", "world_size", "master_addr", "master_port", "run_dir", "python")
"""What may stand in the words of a job, in braces; other braces are left as they are."""


def filled_in(text: str, values: Mapping[str, object]) -> str:
    """A text with its placeholders filled in."""
    return re.sub("{(%s)}" % "|".join(PLACEHOLDERS), lambda found: str(values[found[1]]), text)  # noqa: UP031


def _argv(
    rank: int, spec: RankSpec, order: Order, addresses: Addresses, run_dir: PurePath, python: str
) -> tuple[str, ...]:
    """The program of a rank of a job: its own, else the words of the command line, else those of the file."""
    if order.subject != COMMAND:
        return ()
    config = spec.handlers.get("main") or next(iter(spec.handlers.values()))
    handler = _handler_plan(rank, config, addresses)
    values = {
        "rank": handler.rank,
        "world_size": handler.world_size,
        "master_addr": handler.host,
        "master_port": handler.port,
        "run_dir": run_dir,
        "python": python,
    }
    return tuple(filled_in(word, values) for word in argv_of(order.scenario, rank, order.command))


def argv_of(scenario: Scenario, rank: int, command: Sequence[str]) -> tuple[str, ...]:
    """The words of a rank's program, placeholders not filled in; empty if there are none.

    Args:
        command: the words behind `--`.
    """
    job = scenario.job
    return scenario.world.ranks[rank].argv or tuple(command) or (job.argv if job is not None else ())


def _step_plan(index: int, step: Step) -> StepPlan:
    return StepPlan(
        index=index,
        name=step.name,
        do=step.do,
        ranks=step.ranks,
        arguments=dict(step.arguments),
        handler=step.handler,
        thread=step.thread,
        life=step.life,
        times=step.times,
        gated=step.after is not None,
    )


def _handler_plan(rank: int, config: HandlerConfig, addresses: Addresses) -> HandlerPlan:
    real, given = addresses.real(config), addresses.given(rank, config)
    return HandlerPlan(
        rank=config.rank,
        world_size=config.world_size,
        run_id=config.run_id,
        timeout_ns=config.timeout_ns,
        host=given.host,
        port=given.port,
        master_host=real.host,
        master_port=real.port,
        config=dict(config.config),
        endpoint=config.endpoint,
    )


def _max_restarts(scenario: Scenario, subject: str) -> int | None:
    """Of torchrun agents; None where ranks are plain processes."""
    if scenario.world.torchrun is None:
        return None
    if not needs_torch(subject):
        raise Unsupported("world.torchrun", f"{subject} is no rendezvous backend of torch; take --subject static")
    return torchrun.max_restarts(scenario)
