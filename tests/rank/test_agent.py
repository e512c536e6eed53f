"""Ranks as torchrun agents, with torchrun's own code and real workers: their lives, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.play.options import RunOptions
from harness.rank.agent import torchrun_arguments
from harness.values.history import Call
from harness.values.ops import Op
from harness.values.plan import HandlerPlan, Plan

HEAD = """\
schema: rdzv-scenario/v1
title: What a torchrun agent does
world: {size: 1, timeout: 5s, route: direct, torchrun: {max_restarts: RESTARTS}}
workload:
  - {do: rendezvous}
"""
CLAIM = "expect:\n  - {step: rendezvous, life: 1, is: ok}\n"
Playing = Callable[..., Result]


@pytest.fixture(scope="module")
def runner(rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Ranks of the interpreter with torch; one zygote serves all tests of this file."""
    with Runner(RunOptions(python=rank_python, runs_dir=tmp_path_factory.mktemp("runs"), jobs=1, seed=7)) as running:
        yield running


def play(runner: Runner, body: str, restarts: int = 1, guard: str = "") -> Result:
    """A world of one agent whose worker runs these steps."""
    head = HEAD.replace("RESTARTS", str(restarts)).replace("route:", f"guard: {guard}, route:" if guard else "route:")
    text = head + body + ("" if "expect:" in body else CLAIM)
    (scenario,) = load_text(text, Path("agents.rdzv.yaml"))
    return runner.play(scenario)


def calls(result: Result, step: str) -> list[Call]:
    return list(result.history.calls_of(step))


def lives(result: Result, step: str) -> list[tuple[int, str]]:
    """The life and the outcome of each call of a step."""
    return [(call.life, call.outcome) for call in calls(result, step)]


def worker_records(result: Result, key: str) -> list[Op]:
    """The records of workers that have this key: `pid` when one has started, `leaves`, `ended`."""
    return [op for op in result.history if op.f == "worker" and key in op.value]


def exit_of(result: Result) -> Call:
    (end,) = calls(result, "exit")
    return end


@pytest.mark.needs_torch
def test_the_steps_after_the_rendezvous_are_another_process(runner: Runner) -> None:
    """The agent joins, its worker works and leaves with 0, and then the agent ends with 0."""
    result = play(runner, '  - {do: set, key: a, value: "1"}\n  - {do: get, key: a}\n')
    assert result.status == "passed", result.judgement
    (agent,) = (op.value["pid"] for op in result.history if op.f == "ready")
    (worker,), (left,), (ended,) = (worker_records(result, key) for key in ("pid", "leaves", "ended"))
    assert worker.value["pid"] != agent
    assert (left.value["leaves"], ended.value["status"], ended.value["by"]) == (0, 0, "")
    assert [call.returned for call in calls(result, "get")] == ["1"]
    assert calls(result, "rendezvous")[0].ended_ns < worker.time_ns < ended.time_ns < exit_of(result).ended_ns  # type: ignore[operator]


@pytest.mark.needs_torch
def test_a_worker_makes_its_group_from_its_environment(runner: Runner) -> None:
    """Like a script: by `env://`, with the environment that torchrun set."""
    result = play(runner, "  - {do: init_process_group}\n  - {do: all_reduce}\n")
    assert [call.returned for call in calls(result, "all_reduce")] == [1]


@pytest.mark.needs_torch
def test_each_attempt_is_a_life(runner: Runner) -> None:
    """The agent joins again for its next worker, and its own exit is recorded in its first life."""
    body = "  - {id: crash, do: exit, life: 1, code: 3}\n  - {id: again, do: num_keys, life: 2}\n"
    result = play(runner, body)
    assert lives(result, "rendezvous") == [(1, "ok"), (2, "ok")]
    assert (lives(result, "crash"), lives(result, "again")) == ([(1, "ok")], [(2, "ok")])
    assert lives(result, "exit") == [(1, "ok")]
    assert [op.value["restart_count"] for op in worker_records(result, "pid")] == [0, 1]
    assert result.status == "passed", result.judgement


@pytest.mark.needs_torch
def test_a_call_that_raised_fails_the_worker_and_then_its_agent(runner: Runner) -> None:
    """Like a script that does not catch the error; the status of an agent without restarts is not 0."""
    result = play(runner, "  - {do: wait, key: never, timeout: 1s}\n", restarts=0)
    assert lives(result, "wait") == [(1, "failed")]
    assert [op.value["leaves"] for op in worker_records(result, "leaves")] == [1]
    assert exit_of(result).outcome == "failed"
    assert result.status == "passed", result.judgement


@pytest.mark.needs_torch
def test_a_thread_of_a_worker_ends_before_it_leaves(runner: Runner) -> None:
    """A worker leaves only when the steps of all its threads are done."""
    body = "  - {do: num_keys}\n  - {id: aside, do: sleep, thread: second, for: 500ms}\n"
    assert lives(play(runner, body), "aside") == [(1, "ok")]


@pytest.mark.needs_torch
def test_a_worker_outlives_its_killed_agent(runner: Runner) -> None:
    """`kill` hits the agent; its worker runs all its steps, also those that wait for a moment."""
    body = (
        "  - {id: work, do: sleep, for: 500ms}\n  - {id: more, do: sleep, for: 1ms, after: {fault: lost, plus: 1s}}\n"
        "faults:\n  - {id: lost, inject: kill, ranks: 0, after: {step: work, is: begun}}\n"
    )
    result = play(runner, body)
    assert (lives(result, "work"), lives(result, "more")) == ([(1, "ok")], [(1, "ok")])
    assert exit_of(result).outcome == "died"
    assert exit_of(result).ended_ns < calls(result, "more")[0].ended_ns  # type: ignore[operator]
    assert result.status == "passed", result.judgement


@pytest.mark.needs_torch
def test_a_worker_that_is_still_starting_ends_with_its_killed_agent(runner: Runner) -> None:
    """It has begun nothing: its steps are skipped, and no process is left."""
    body = (
        "  - {do: num_keys}\nfaults:\n  - {id: lost, inject: kill, ranks: 0,"
        " after: {step: rendezvous, is: ok, plus: 100ms}}\n"
    )
    result = play(runner, body)
    assert lives(result, "num_keys") == [(1, "skipped")]
    assert worker_records(result, "pid") == []
    assert result.status == "passed", result.judgement


@pytest.mark.needs_torch
def test_an_agent_that_is_started_again_finds_no_worker_of_its_last_life(runner: Runner) -> None:
    """The worker of the killed agent is ended, like a supervisor of the host would do."""
    body = (
        "  - {id: work, do: sleep, life: 1, for: 30s}\n  - {id: anew, do: num_keys, life: 2}\n"
        "faults:\n  - {id: lost, inject: kill, ranks: 0, after: {step: work, is: begun}, for: 300ms}\n"
    )
    result = play(runner, body)
    assert (lives(result, "work"), lives(result, "anew")) == ([(1, "died")], [(2, "ok")])
    assert lives(result, "exit") == [(1, "died"), (2, "ok")]
    assert result.status == "passed", result.judgement


@pytest.mark.needs_torch
def test_a_paused_agent_does_not_see_that_its_worker_has_ended(runner: Runner) -> None:
    """The worker runs while its agent is paused; the next one starts when the agent continues."""
    body = (
        '  - {id: work, do: set, key: a, value: "1"}\n  - {id: crash, do: exit, life: 1, code: 1, after: still}\n'
        "faults:\n  - {id: still, inject: pause, ranks: 0, after: {step: work, is: ok}, for: 1s}\n"
    )
    result = play(runner, body)
    (still,) = result.history.injections
    second = calls(result, "rendezvous")[1]
    assert calls(result, "crash")[0].ended_ns < still.healing_ns <= second.begun_ns  # type: ignore[operator]
    assert result.status == "passed", result.judgement


@pytest.mark.needs_torch
def test_a_worker_that_hangs_has_its_stacks_read_and_is_ended_with_its_agent(runner: Runner) -> None:
    """The stacks are the worker's; no other worker is started, and no process is left."""
    result = play(runner, "  - {do: get, key: never}\n", guard="2s")
    assert [verdict.name for verdict in result.judgement.broken] == ["no_hang"], result.judgement
    (hung,), (worker,) = calls(result, "get"), worker_records(result, "pid")
    assert (hung.outcome, exit_of(result).outcome) == ("hung", "died")
    assert result.run_dir is not None
    assert hung.end is not None
    stacks = (result.run_dir / hung.end.value["stacks"]).read_text()
    assert f"process {worker.value['pid']}\n" in stacks
    assert [op.value["by"] for op in worker_records(result, "ended")] == ["guard"]


@pytest.mark.needs_torch
def test_an_agent_whose_rendezvous_fails_ends_with_a_status(runner: Runner) -> None:
    """Its worker's steps are skipped: there never was one."""
    body = "  - {do: num_keys}\nexpect:\n  - {step: rendezvous, is: failed}\n"
    text = (HEAD + body).replace("RESTARTS", "1").replace("size: 1,", "size: 1, world_size: 2, timeout: 1s,")
    (scenario,) = load_text(text.replace("timeout: 5s, ", ""), Path("alone.rdzv.yaml"))
    result = runner.play(scenario)
    assert (lives(result, "num_keys"), exit_of(result).outcome) == ([(1, "skipped")], "failed")
    assert result.status == "passed", result.judgement


def test_a_subject_that_is_not_a_backend_of_torch_is_skipped(tmp_path: Path) -> None:
    """Torchrun cannot use it as its rendezvous."""
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path, jobs=1)) as runner:
        result = play(runner, "  - {do: num_keys}\n")
    assert (result.status, result.judgement.because) == (
        "skipped",
        "world.torchrun: echo is no rendezvous backend of torch; take --subject static",
    )


@pytest.mark.parametrize(
    ("backend", "place", "conf"),
    [
        ("static", ["--node-rank=1"], "timeout=5,read=7"),
        ("static-strict", [], "rank=1,timeout=5,read=7"),
    ],
)
def test_torchrun_gets_the_rank_as_its_backend_needs_it(backend: str, place: list[str], conf: str) -> None:
    """It passes the node's rank to `static` only; others read it from their configuration."""
    plan = HandlerPlan(1, 2, "a=b", 5_000_000_000, "r0", 29500, "r0", 29500, {"read": "7"})
    arguments = torchrun_arguments(Plan(backend, (), 7, (), (), 3), plan, "/logs", ["worker.py", "{}"])
    assert [one for one in arguments if one.startswith("--node-rank")] == place
    assert {"--rdzv-endpoint=r0:29500", "--rdzv-id=a=b", f"--rdzv-conf={conf}", "--max-restarts=3"} <= set(arguments)
    assert arguments[-2:] == ["worker.py", "{}"]
    raw = torchrun_arguments(Plan(backend, (), 7, (), (), 3), replace(plan, endpoint="r0:99999"), "/logs", [])
    assert "--rdzv-endpoint=r0:99999" in raw
