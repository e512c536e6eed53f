"""What every kind of world must do alike: one suite, and the same verdict from each world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.judge.result import Result
from harness.machine.toxiproxy import server as proxy_server

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_toxiproxy]

Play = Callable[[str], Result]

PAIR = "world: {size: 2, timeout: 4s}\n"
JOIN = "workload:\n  - {id: join, do: rendezvous}\n"
JOINS = "expect:\n  - {step: join, is: ok}\n"
CONTAINERS_AT_NIGHT = pytest.mark.parametrize(
    "kind", ["processes", "namespaces", pytest.param("containers", marks=pytest.mark.nightly)], indirect=True
)
"""A world of containers takes seconds to make. What does not depend on how it ends its ranks is tried at night."""


def returned(result: Result, step: str) -> list[Any]:
    """What the calls of a step returned, by rank."""
    calls = sorted(result.history.calls_of(step), key=lambda call: call.rank)
    return [call.returned for call in calls]


# -- ranks ---------------------------------------------------------------------------------------------------------


def test_ranks_start_and_join(play: Play) -> None:
    """Four processes of the chosen interpreter, each with its own rank; all leave with status 0."""
    result = play("world: {size: 4, timeout: 5s}\n" + JOIN + JOINS + "  - {step: exit, is: ok}\n")
    assert (result.status, result.judgement.because) == ("passed", result.judgement.because)
    assert [value["rank"] for value in returned(result, "join")] == [0, 1, 2, 3]


@CONTAINERS_AT_NIGHT
def test_the_begin_of_a_history_names_the_world(play: Play, kind: str) -> None:
    """It has kind, isolation and how names are resolved, so a report can say where its verdict was found."""
    begin = play(PAIR + JOIN + JOINS).history.begin
    assert begin["world"]["kind"] == kind
    assert begin["world"]["isolation"]
    assert begin["world"]["lookups"]
    assert begin["proxy"].startswith("toxiproxy-server 2." if proxy_server.candidates() else "embedded engine ")


@CONTAINERS_AT_NIGHT
def test_an_exit_status_is_seen(play: Play) -> None:
    """It is the status of the process, and `ok` only for 0."""
    result = play(
        PAIR
        + JOIN
        + "  - {id: leave, do: exit, ranks: 1, code: 3, after: join}\n"
        + "expect:\n  - {step: exit, ranks: 1, is: failed}\n  - {step: exit, ranks: 0, is: ok}\n"
    )
    assert result.status == "passed", result.judgement.because
    assert [call.error.message for call in result.history.calls_of("exit") if call.error] == [
        "the process ended with 3"
    ]


def test_a_crash_is_seen_with_its_signal(command: Callable[..., Result]) -> None:
    """A rank that ends by a signal without a kill, here because its link is missing, breaks `no_crash`."""
    result = command(
        *("bash", "-c", "test $RANK = 0 || (exec 3<>/dev/tcp/$MASTER_ADDR/$MASTER_PORT) || kill -SEGV $$"),
        body=PAIR + JOIN + "faults:\n  - {inject: down, ranks: 1}\nexpect:\n  - {step: exit, ranks: 1, is: died}\n",
    )
    assert result.status == "failed"
    assert [verdict.name for verdict in result.judgement.broken] == ["no_crash"]
    (died,) = [call for call in result.history.calls_of("exit") if call.outcome == "died"]
    assert (died.rank, died.end.value["signal"]) == (1, 11)


@CONTAINERS_AT_NIGHT
def test_output_of_each_rank_is_a_log(command: Callable[..., Result]) -> None:
    """Both streams go to one file for each rank and life."""
    result = command(
        "sh", "-c", "echo I am $RANK; echo aside >&2", body=PAIR + JOIN + "expect:\n  - {step: exit, is: ok}\n"
    )
    assert result.status == "passed", result.judgement.because
    assert result.run_dir is not None
    for rank in range(2):
        log = (result.run_dir / "logs" / f"rank-{rank}.life-1.log").read_text()
        assert sorted(log.split("\n")) == ["", f"I am {rank}", "aside"]


def test_a_hung_call_is_ended_by_its_guard_and_its_stacks_are_kept(play: Play) -> None:
    """Stacks are read from outside, whatever isolates the rank; the world goes on."""
    result = play(
        "world: {size: 2, timeout: 1s, guard: 3s}\n"
        + JOIN
        + "  - {id: stuck, do: get, ranks: 1, key: never, after: mute}\n"
        + "faults:\n  - {id: mute, inject: blackhole, ranks: 1, stream: downstream, after: join}\n"
        + "expect:\n  - {step: stuck, is: failed}\n"
    )
    assert result.status == "failed"
    assert "no_hang" in [verdict.name for verdict in result.judgement.broken]
    (stuck,) = result.history.calls_of("stuck")
    assert stuck.outcome == "hung"
    assert result.run_dir is not None
    stacks = (result.run_dir / stuck.end.value["stacks"]).read_text()
    assert "store.py" in stacks


@CONTAINERS_AT_NIGHT
def test_a_fresh_rank_sees_what_is_read_at_import(play: Play) -> None:
    """It is a new interpreter with its own environment."""
    result = play(
        "world: {size: 2, timeout: 20s, guard: 60s, ranks: {1: {env: {TORCH_CPP_LOG_LEVEL: INFO}}}}\n" + JOIN + JOINS
    )
    assert result.status == "passed", result.judgement.because


# -- links ---------------------------------------------------------------------------------------------------------


@CONTAINERS_AT_NIGHT
def test_a_link_slows_its_rank_alone(play: Play) -> None:
    """Each link is a separate way to the endpoint."""
    result = play(
        "world: {size: 3, timeout: 5s}\n"
        + JOIN
        + "  - {id: ask, do: check, key: ready, ranks: workers, after: slow}\n"
        + "faults:\n  - {id: slow, inject: latency, ranks: 1, stream: downstream, latency: 600ms, after: join}\n"
        + "expect:\n  - {step: ask, ranks: 1, is: ok, within: [600ms, 3s]}\n"
        + "  - {step: ask, ranks: 2, is: ok, within: 500ms}\n"
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_a_link_that_is_down_refuses(play: Play) -> None:
    """The evidence counts the refused connections."""
    result = play(
        "world: {size: 2, timeout: 1s, ranks: {1: {start: {step: join, ranks: 0, is: begun}}}}\n"
        + JOIN
        + "faults:\n  - {inject: down, ranks: 1}\n"
        + "expect:\n  - {step: join, ranks: 1, is: failed, error: DistNetworkError}\n"
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_a_direct_route_joins_without_a_proxy(play: Play) -> None:
    """All ranks get the endpoint itself."""
    result = play("world: {size: 3, timeout: 5s, route: direct}\n" + JOIN + JOINS)
    assert result.status == "passed", result.judgement.because
    assert result.history.begin["proxy"] == "none (direct)"


# -- what is done to ranks -------------------------------------------------------------------------------------------


def test_a_killed_rank_is_no_crash_and_starts_again(play: Play) -> None:
    """A fault killed it, so `no_crash` holds; its next life takes the steps from the first."""
    result = play(
        "world: {size: 2, timeout: 6s}\n"
        + JOIN
        + "faults:\n  - {inject: kill, ranks: 1, after: join, for: 200ms}\n"
        + "expect:\n  - {step: join, ranks: 1, life: 2, is: ok}\n  - {step: exit, ranks: 1, life: 1, is: died}\n"
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_a_paused_master_answers_when_it_goes_on(play: Play) -> None:
    """Nothing is lost between pause and continue."""
    result = play(
        "world: {size: 2, timeout: 5s}\n"
        + JOIN
        + "  - {id: ask, do: check, key: ready, ranks: 1, after: frozen}\n"
        + "faults:\n  - {id: frozen, inject: pause, ranks: 0, after: join, for: 1s}\n"
        + "expect:\n  - {step: ask, is: ok, within: [500ms, 4s]}\n"
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_an_occupied_port_is_refused_to_the_master(play: Play) -> None:
    """The fault listens on the master's address."""
    result = play(
        "world: {size: 1, timeout: 2s, route: direct}\n"
        + JOIN
        + "faults:\n  - {inject: occupy_port, address: 0.0.0.0}\n"
        + 'expect:\n  - {step: join, is: failed, message: "address already in use"}\n'
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_an_impostor_is_met_by_workers(play: Play) -> None:
    """They connect through links to a server on the endpoint that answers HTTP."""
    result = play(
        "world: {size: 2, timeout: 2s, ranks: {0: {start: never}}}\n"
        + JOIN
        + "faults:\n  - {inject: impostor, answers: http}\n"
        + "expect:\n  - {step: join, ranks: 1, is: failed}\n"
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_a_store_of_another_run_is_a_process_of_the_world(play: Play) -> None:
    """The helper runs on the master's host, with torch, and is gone afterwards."""
    result = play(
        "world: {size: 2, timeout: 2s, ranks: {0: {start: never}}}\n"
        + JOIN
        + "faults:\n  - {inject: impostor, answers: store}\n"
        + "expect:\n  - {step: join, ranks: 1}\n"
    )
    assert result.status == "passed", result.judgement.because


@CONTAINERS_AT_NIGHT
def test_two_masters_of_one_endpoint_share_a_host(play: Play) -> None:
    """Masters are on the endpoint's host, so a port conflict is one in every world."""
    result = play(
        "world:\n  size: 2\n  timeout: 2s\n  ranks:\n"
        "    0: {as_rank: 0, world_size: 1}\n"
        "    1: {as_rank: 0, world_size: 1, start: {step: join, ranks: 0, is: ok}}\n"
        + JOIN
        + 'expect:\n  - {step: join, ranks: 1, is: failed, message: "address already in use"}\n'
    )
    assert result.status == "passed", result.judgement.because


# -- clean-up ------------------------------------------------------------------------------------------------------


def test_a_world_that_was_broken_off_leaves_the_next_one_alone(play: Play) -> None:
    """Ranks hang, are killed and muted in one world; the next one joins cleanly on the same endpoint."""
    play(
        "world: {size: 3, timeout: 1s, guard: 3s}\n"
        + JOIN
        + "  - {do: get, ranks: 1, key: never, after: mute}\n"
        + "faults:\n  - {id: mute, inject: blackhole, ranks: 1, stream: downstream, after: join}\n"
        + "  - {inject: kill, ranks: 0, after: {fault: mute, plus: 500ms}}\n"
        + "expect:\n  - {step: join}\n"
    )
    result = play("world: {size: 3, timeout: 5s}\n" + JOIN + JOINS)
    assert result.status == "passed", result.judgement.because
    (left,) = [op.value for op in result.history if op.f == "left_behind"]
    assert not left["processes"]
    assert not left["sockets"]


def test_the_run_directory_is_ours_to_delete(play: Play, tmp_path: Path) -> None:
    """Also what a rank under another user wrote there."""
    import shutil

    result = play(PAIR + JOIN + JOINS)
    assert result.run_dir is not None
    shutil.rmtree(result.run_dir)
    assert not result.run_dir.exists()
