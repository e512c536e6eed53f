"""Jobs of one's own, played: any program as a rank."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import psutil
import pytest

from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.machine.docker.ranks import RUN
from harness.play.addresses import Addresses
from harness.play.options import Order, RunOptions
from harness.play.plan import filled_in, make_plan
from harness.worlds.containers import ContainerSession

HEAD = "schema: rdzv-scenario/v1\ntitle: A job\n"
Play = Callable[..., Result]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Plays a file of a job with these words behind `--`."""

    def of(text: str, *argv: str, isolation: str = "auto") -> Result:
        options = RunOptions(
            subject="command", command=argv, runs_dir=tmp_path / "runs", jobs=1, seed=1, isolation=isolation
        )
        cells = load_text(HEAD + text, tmp_path / "job.rdzv.yaml", job=True)
        with Runner(options) as runner:
            (result,) = runner.run(cells)
        return result

    return of


def test_only_the_placeholders_of_a_word_are_filled_in() -> None:
    """Braces of a shell or of Python stay."""
    values = {"rank": 1, "world_size": 2, "master_addr": "::1", "master_port": 5, "run_dir": "/r", "python": "/p"}
    assert filled_in("${X} {rank}/{world_size} {master_addr}:{master_port} {'a': 1} {run_dir} {python}", values) == (
        "${X} 1/2 ::1:5 {'a': 1} /r /p"
    )


def test_the_run_directory_in_a_job_s_words_is_the_one_that_ranks_have(tmp_path: Path) -> None:
    """In a container it is mounted elsewhere, as the interpreter is; this machine's path is nowhere in the plan."""
    text = (
        HEAD + "job: {argv: ['{python}', '--out={run_dir}/model']}\nworld: {size: 2}\nexpect: [{step: exit, code: 0}]\n"
    )
    (cell,) = load_text(text, tmp_path / "job.rdzv.yaml")
    order = Order(cell, tmp_path / "run", RunOptions(subject="command"))
    inside = ContainerSession.seen_by_ranks(object.__new__(ContainerSession), order.run_dir)
    assert inside == PurePosixPath(RUN)
    plan = make_plan(order, Addresses(cell, 29500, "127.0.0.1", "127.0.0.1"), inside, "/rdzv/python/bin/python3")
    assert [rank.argv for rank in plan.ranks] == [("/rdzv/python/bin/python3", f"--out={RUN}/model")] * 2
    assert str(tmp_path) not in json.dumps(plan.to_json())


def test_each_rank_of_a_job_runs_its_own_words_and_is_judged_by_its_exit_code(play: Play) -> None:
    """Placeholders are the rank's; a rank may have a program of its own; nobody answers on standard input."""
    script = "import sys; print('words', *sys.argv[1:], repr(sys.stdin.read())); sys.exit(int(sys.argv[1]))"
    result = play(
        "world: {size: 3, timeout: 3s, ranks: {2: {argv: [sh, -c, 'echo own; exit 7']}}}\n"
        "expect:\n  - {step: exit, ranks: 0, code: 0}\n  - {step: exit, ranks: 1, code: 1}\n"
        "  - {step: exit, ranks: 2, is: failed, code: [7, 8]}\n",
        sys.executable, "-c", script, "{rank}", "{world_size}",
    )  # fmt: skip
    assert result.status == "passed", result.judgement.because
    assert result.run_dir is not None
    logs = [(result.run_dir / "logs" / f"rank-{rank}.life-1.log").read_text() for rank in range(3)]
    assert logs[:2] == ["words 0 3 ''\n", "words 1 3 ''\n"]
    assert logs[2] == "own\n"


def test_a_job_is_started_by_the_interpreter_that_was_given(tmp_path: Path) -> None:
    """`{python}` is the one of the ranks, which need not be on PATH."""
    given = tmp_path / "given"
    given.symlink_to(sys.executable)
    text = HEAD + "job: {argv: ['{python}', -c, 'import sys; print(sys.argv, sys.orig_argv[0])']}\n"
    cells = load_text(text + "world: {size: 1}\nexpect: [{step: exit, code: 0}]\n", tmp_path / "job.rdzv.yaml")
    with Runner(RunOptions(subject="command", python=str(given), runs_dir=tmp_path / "runs", jobs=1)) as runner:
        (result,) = runner.run(cells)
    assert result.status == "passed", result.judgement.because
    assert result.run_dir is not None
    assert (result.run_dir / "logs" / "rank-0.life-1.log").read_text() == f"['-c'] {given}\n"


def test_another_exit_code_than_claimed_is_named(play: Play) -> None:
    """The claim fails, and says which code it was."""
    result = play("world: {size: 1}\nexpect:\n  - {step: exit, is: failed, code: 3}\n", "sh", "-c", "exit 4")
    assert result.status == "failed"
    assert "the process of rank 0 ended with 4, expected 3" in result.judgement.because


def test_a_job_is_skipped_for_any_other_subject(tmp_path: Path) -> None:
    """By name, with what to give."""
    cells = load_text(HEAD + "job: {argv: [x]}\nworld: {size: 1}\nexpect: [{step: exit}]\n", tmp_path / "j.rdzv.yaml")
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=1)) as runner:
        (result,) = runner.run(cells)
    assert result.status == "skipped"
    assert "give --subject command" in result.judgement.because


def test_what_a_job_has_started_ends_with_it_when_its_guard_does(play: Play) -> None:
    """Nothing is left behind by a job that hangs, whatever it has started."""
    result = play(
        "world: {size: 1, timeout: 1s, guard: 1s}\nexpect:\n  - {step: exit, is: died, within: 30s, since: 0s}\n",
        "sh", "-c", "sh -c 'sleep 60 & wait' & wait",
    )  # fmt: skip
    (look,) = (op for op in result.history if op.f == "left_behind")
    assert look.value["processes"] == []
    assert "no_hang" in result.judgement.because


# -- without namespaces: the job's processes are among those of everybody -------------------------------------------

TREE = "sh -c 'sleep 60 & echo below=$!; wait' & echo below=$!; wait"
"""Two processes below the rank's, which print their numbers."""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else, which runs what the job runs; the job's processes know nothing of it."""
    with subprocess.Popen(["sh", "-c", TREE], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        below = [psutil.Process(int(other.stdout.readline().partition(b"=")[2])) for _ in range(2)]
        yield other
        other.kill()
        for one in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def whole(process: subprocess.Popen[bytes]) -> int:
    """How many processes live in its tree."""
    return 1 + len(psutil.Process(process.pid).children(recursive=True)) if process.poll() is None else 0


def living(result: Result) -> list[int]:
    """Those of the numbers that rank 0 printed that are still processes."""
    assert result.run_dir is not None
    log = (result.run_dir / "logs" / "rank-0.life-1.log").read_text()
    below = [int(line.partition("=")[2]) for line in log.splitlines()]
    assert len(below) == 2
    return [pid for pid in below if psutil.pid_exists(pid)]


ENDINGS = {
    "killed": (
        "faults:\n  - {inject: kill, tree: true, after: {log: below=, nth: 2}}\n"
        "expect:\n  - {step: exit, is: died, within: 30s, since: {log: below=, nth: 2}}\n",
        "passed",
    ),
    "hung": ("expect:\n  - {step: exit, is: died, within: 30s, since: 0s}\n", "failed"),
}


@pytest.mark.parametrize("ending", ["killed", pytest.param("hung", marks=pytest.mark.nightly)])
def test_without_namespaces_the_tree_of_a_job_ends_and_no_stranger_does(
    ending: str, play: Play, stranger: subprocess.Popen[bytes]
) -> None:
    """Killed by a fault or by its guard; who runs the same elsewhere runs on."""
    rest, status = ENDINGS[ending]
    guard = "2s" if ending == "hung" else "60s"
    result = play(f"world: {{size: 1, timeout: 1s, guard: {guard}}}\n{rest}", "sh", "-c", TREE, isolation="host")
    assert result.status == status, result.judgement.because
    (begin,) = (op for op in result.history if op.f == "begin")
    assert begin.value["world"]["private_network"] is False
    (look,) = (op for op in result.history if op.f == "left_behind")
    assert look.value["processes"] == []
    assert living(result) == []
    assert whole(stranger) == 3
