"""What the rank processes of one play are given to do, with every address filled in."""

from __future__ import annotations

from harness.play.addresses import Addresses
from harness.play.options import Order
from harness.rank.subjects import needs_torch
from harness.scenario.scenario import HandlerConfig, Scenario, Step
from harness.schedule import torchrun
from harness.steps import modules_of
from harness.values.errors import Unsupported
from harness.values.plan import HandlerPlan, Plan, RankPlan, StepPlan


def make_plan(order: Order, addresses: Addresses) -> Plan:
    """The plan of a play; raises Unsupported for a subject that torchrun cannot have as its rendezvous."""
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
            )
            for rank, spec in enumerate(scenario.world.ranks)
        ),
        _max_restarts(scenario, order.subject),
        modules_of(step.do for step in scenario.steps),
    )


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
    )


def _max_restarts(scenario: Scenario, subject: str) -> int | None:
    """Of torchrun agents; None where ranks are plain processes."""
    if scenario.world.torchrun is None:
        return None
    if not needs_torch(subject):
        raise Unsupported("world.torchrun", f"{subject} is no rendezvous backend of torch; take --subject static")
    return torchrun.max_restarts(scenario)
