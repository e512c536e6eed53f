"""A job of one's own in place of a workload, as a file says it and as the command line does."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.loader import load, load_text
from harness.scenario.moment import SeenMoment
from harness.scenario.scenario import Job, Scenario, StepClaim
from harness.values.errors import ScenarioError

HEAD = "schema: rdzv-scenario/v1\ntitle: A job ends well\n"
WORLD = "world: {size: 2, timeout: 3s}\n"
EXPECT = "expect:\n  - {step: exit, is: ok}\n"
STEPS = "workload:\n  - {id: join, do: rendezvous}\n  - {do: shutdown}\n"


def one(text: str, job: bool = False) -> Scenario:
    (scenario,) = load_text(text, Path("f.rdzv.yaml"), job)
    return scenario


def problems(text: str, job: bool = False) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f.rdzv.yaml"), job)
    return str(caught.value)


def test_a_file_may_say_that_its_ranks_are_a_program() -> None:
    """It has no steps then, and the words of the program are kept as they are written."""
    scenario = one(HEAD + 'job: {argv: [python, train.py, "{rank}"]}\n' + WORLD + EXPECT)
    assert scenario.job == Job(("python", "train.py", "{rank}"))
    assert scenario.steps == ()
    assert one(HEAD + "job: {}\n" + WORLD + EXPECT).job == Job()


def test_a_file_without_a_workload_is_a_job_where_the_subject_is_a_command(tmp_path: Path) -> None:
    """The same file is an error for any other subject, and the message says both ways out."""
    text = HEAD + WORLD + EXPECT
    path = tmp_path / "f.rdzv.yaml"
    path.write_text(text)
    assert load(path, job=True)[0].job == Job()
    said = problems(text)
    assert "f.rdzv.yaml:1:1: a scenario needs `workload`" in said
    assert "job: {}" in said


def test_each_step_of_a_job_is_refused_where_it_stands() -> None:
    """With its column, whether the file says `job` or the command line does."""
    by_line = problems(HEAD + WORLD + STEPS + EXPECT, job=True)
    by_file = problems(HEAD + WORLD + STEPS + EXPECT + "job: {}\n")
    for said in (by_line, by_file):
        assert "f.rdzv.yaml:5:20: `rendezvous` makes no sense for a job" in said
        assert "f.rdzv.yaml:6:10: `shutdown` makes no sense for a job" in said


def test_what_a_job_cannot_have_is_refused_where_it_stands() -> None:
    """Agents of the harness; and words of a program where there is no job."""
    said = problems(HEAD + "job: {}\nworld: {size: 2, torchrun: {max_restarts: 1}}\n" + EXPECT)
    assert "f.rdzv.yaml:4:18: a job has no agents of the harness" in said
    said = problems(HEAD + "world: {size: 2, ranks: {1: {argv: [sh]}}}\n" + STEPS + EXPECT)
    assert "f.rdzv.yaml:3:30: `argv` is the program of a job" in said
    assert "a program is missing" in problems(HEAD + "job: {argv: []}\n" + WORLD + EXPECT)
    assert "did you mean 'argv'?" in problems(HEAD + "job: {agrv: [sh]}\n" + WORLD + EXPECT)


def test_a_rank_of_a_job_may_have_a_program_of_its_own() -> None:
    """The others keep that of all."""
    scenario = one(HEAD + "job: {argv: [sh]}\nworld: {size: 2, ranks: {1: {argv: [cat, x]}}}\n" + EXPECT)
    assert [rank.argv for rank in scenario.world.ranks] == [(), ("cat", "x")]


def test_a_job_has_minutes_and_a_guard_of_its_own_counts() -> None:
    """How long it runs does not depend on the timeout of a rendezvous."""
    assert one(HEAD + "job: {}\n" + WORLD + EXPECT).world.ranks[0].guard_ns == 300 * 10**9
    scenario = one(HEAD + "job: {}\nworld: {size: 2, timeout: 3s, guard: 40s}\n" + EXPECT)
    assert scenario.world.ranks[0].guard_ns == 40 * 10**9
    assert scenario.steady_state().world.ranks[0].guard_ns == 40 * 10**9


def test_a_claim_may_name_exit_codes() -> None:
    """One or several; only a process has one, and it must fit the outcome."""
    base = HEAD + "job: {}\n" + WORLD + "expect:\n"
    claim = one(base + "  - {step: exit, code: [1, 3]}\n").expect[0]
    assert isinstance(claim, StepClaim)
    assert claim.codes == (1, 3)
    said = problems(base + "  - {step: exit, is: ok, code: 1}\n")
    assert "f.rdzv.yaml:6:26: `code` contradicts `is`: a process that ends with 1 is failed" in said
    assert "write at most 255" in problems(base + "  - {step: exit, code: 256}\n")
    said = problems(HEAD + WORLD + STEPS + "expect:\n  - {step: join, code: 1}\n")
    assert "only `exit` has one" in said


def test_the_signs_of_a_job_are_moments() -> None:
    """Of a log, a file and a port, with what may be added; a mistyped key gets the nearest one."""
    base = HEAD + "job: {}\n" + WORLD + EXPECT + "faults:\n"
    faults = one(
        base + "  - {inject: kill, after: {log: loss=, ranks: 1, nth: 3, plus: 1s}}\n"
        "  - {inject: pause, ranks: 0, after: {file: '{run_dir}/x'}, until: {port: 29501}}\n"
    ).faults
    assert faults[0].after == SeenMoment("log", "loss=", (1,), 3, 10**9)
    assert faults[1].after == SeenMoment("file", "{run_dir}/x")
    assert faults[1].until == SeenMoment("port", "29501")
    assert "did you mean 'log'?" in problems(base + "  - {inject: kill, after: {lgo: loss=}}\n")
    assert "did you mean 'nth'?" in problems(base + "  - {inject: kill, after: {log: loss=, nht: 2}}\n")
    assert "write at most 65535" in problems(base + "  - {inject: kill, after: {port: 65536}}\n")
    assert "no line contains a line break" in problems(base + '  - {inject: kill, after: {log: "a\\nb"}}\n')


@pytest.mark.parametrize("moment", ["{log: loss=}", "{file: x}", "{port: 1}"])
def test_the_signs_of_a_job_are_refused_where_there_is_none(moment: str) -> None:
    """Where they stand: the ranks of a workload are processes of the harness."""
    text = HEAD + WORLD + STEPS + EXPECT + f"faults:\n  - {{inject: kill, ranks: 1, after: {moment}}}\n"
    assert "f.rdzv.yaml:10:38: a moment of a" in problems(text)
