"""Members of another package: they are listed, explained, validated and played like the harness's own."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from packages import Command, Program

from harness.machine.docker.engine import DockerEngine

SCENARIO = """\
schema: rdzv-scenario/v1
title: The limit is there while the fault is, and gone when it is healed
world: {size: 2, kind: labelled, timeout: 4s, route: direct}
workload:
  - {do: rendezvous}
  - {id: during, do: queue_limit, ranks: 1, after: {fault: few, is: injected}}
  - {id: afterwards, do: queue_limit, ranks: 1, after: {fault: few, is: healed}}
faults:
  - {id: few, inject: signal_queue, ranks: 1, most: 17, after: rendezvous, until: during}
expect:
  - {step: during, is: ok, value: {limit: 17, imported: false}}
  - {check: limit_healed, most: 17}
"""
ONE_STEP = """\
schema: rdzv-scenario/v1
title: A step of another package runs in every kind of rank
world: {size: 2, timeout: 20s, route: direct%s}
workload:
  - {do: rendezvous}
  - {do: queue_limit}
expect:
  - {step: queue_limit, is: ok}
"""
MEMBERS = {
    "steps": "queue_limit",
    "faults": "signal_queue",
    "checks": "limit_healed",
    "invariants": "ends_follow_begins",
    "worlds": "labelled",
    "reports": "tally",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "a-claim.rdzv.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_list_says_where_each_member_comes_from(command: Command, sample: Path) -> None:
    """A distribution with its version, or the harness."""
    listed: dict[str, dict[str, list[str]]] = {}
    family = ""
    for line in command("list", sites=(sample,)).stdout.splitlines():
        if line.startswith("  "):
            kind, *words = line.split()
            listed[family][kind] = words[:2]
        else:
            family = line
            listed[family] = {}
    for family, kind in MEMBERS.items():
        assert listed[family].pop(kind) == ["rdzv-sample", "1.2"]
        assert {origin for origin, _ in listed[family].values()} == {"harness"}


def test_each_member_is_explained_with_its_origin(python: Program, sample: Path) -> None:
    """As a page of its own; those of the harness say so too."""
    kinds = [*MEMBERS.values(), "kill"]
    program = f"from harness.reference import explain; print(*(explain(kind) for kind in {kinds}), sep='@')"
    *theirs, ours = python(program, sites=(sample,)).split("@")
    assert all("comes with: rdzv-sample 1.2" in page for page in theirs)
    assert "comes with: harness" in ours


def test_the_schema_knows_them_and_the_committed_one_does_not(command: Command, python: Program, sample: Path) -> None:
    """Editors complete what is installed; a checkout is the same on every machine."""
    printed = json.loads(command("schema", sites=(sample,)).stdout)["$defs"]
    program = "from harness.reference.json_schema import written; print(written())"
    committed = json.loads(python(program, sites=(sample,)))["$defs"]
    for name, selector, kind in (
        ("Step", "do", "queue_limit"),
        ("Fault", "inject", "signal_queue"),
        ("Check", "check", "limit_healed"),
    ):
        assert kind in printed[name]["properties"][selector]["enum"]
        assert kind not in committed[name]["properties"][selector]["enum"]
    assert "most" in printed["SignalQueueFault"]["properties"]
    assert ("labelled" in printed["WorldKind"]["enum"], "labelled" in committed["WorldKind"]["enum"]) == (True, False)
    page = "from harness.reference.reference import pages; print(*pages().values())"
    assert "signal_queue" not in python(page, sites=(sample,))


MISTAKES = (
    ("signal_queue", "signal_qeue", "there is no fault 'signal_qeue'"),
    ("queue_limit", "queue_limits", "there is no step 'queue_limits'"),
    ("limit_healed", "limits_healed", "there is no check 'limits_healed'"),
    ("labelled", "labeled", "there is no world 'labeled'"),
    ("most: 17, after", "least: 17, after", "fault 'signal_queue' has no key 'least'"),
    ("most: 17, after", "most: -1, after", "`most` cannot be -1"),
)


def test_mistakes_are_found_with_near_misses(command: Command, sample: Path, tmp_path: Path) -> None:
    """A mistyped kind, key or value is named at its place, as for the harness's own members."""
    for number, (right, wrong, _) in enumerate(MISTAKES):
        (tmp_path / f"{number}.rdzv.yaml").write_text(SCENARIO.replace(right, wrong, 1))
    done = command("validate", ".", sites=(sample,))
    assert done.returncode == 2
    for number, (right, _, problem) in enumerate(MISTAKES):
        shown = [part for part in done.stderr.split("\n\n") if f"{number}.rdzv.yaml:" in part and problem in part]
        assert shown, problem
        if "there is no" in problem:
            assert f"did you mean '{right}'?" in shown[0]


def test_a_scenario_of_nothing_but_their_members_is_played_and_passes(
    command: Command, sample: Path, tmp_path: Path
) -> None:
    """The fault's effect is seen in the rank, which has the step and not its package; the world tells of itself."""
    path, runs = written(tmp_path, SCENARIO), tmp_path / "runs"
    done = command("run", path, "--subject", "echo", "--runs-dir", runs, "--json", "r.json", sites=(sample,))
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads((tmp_path / "r.json").read_text())["results"]
    judged = {verdict["name"]: verdict["status"] for verdict in result["verdicts"]}
    assert judged.items() >= {"during": "passed", "limit_healed": "passed", "ends_follow_begins": "passed"}.items()
    (history,) = runs.glob("*/history.jsonl")
    begin = next(op for op in map(json.loads, history.read_text().splitlines()) if op["f"] == "begin")
    assert begin["value"]["world"]["kind"] == "labelled"


def test_the_checker_fails_where_its_property_does_not_hold(command: Command, sample: Path, tmp_path: Path) -> None:
    """A limit that no call saw."""
    path = written(tmp_path, SCENARIO.replace("check: limit_healed, most: 17", "check: limit_healed, most: 18"))
    done = command("run", path, "--subject", "echo", sites=(sample,))
    assert (done.returncode, "limit_healed: the limits were [17, " in done.stdout) == (1, True)


def test_the_report_is_written(python: Program, sample: Path, tmp_path: Path) -> None:
    """The registry of reports gives it under its kind."""
    program = """
        from pathlib import Path
        from types import SimpleNamespace
        from harness.reports.base import REPORTS
        report = REPORTS["tally"].to(Path("PATH"))
        report.closed([SimpleNamespace(status="passed"), SimpleNamespace(status="passed")], interrupted=False)
    """
    python(dedent(program).replace("PATH", str(tmp_path / "tally.txt")), sites=(sample,))
    assert (tmp_path / "tally.txt").read_text() == "passed 2\n"


@pytest.mark.parametrize("world", ["", ", fresh: true", ", kind: namespaces"])
def test_its_steps_run_in_clones_in_new_interpreters_and_on_hosts(
    world: str, command: Command, sample: Path, tmp_path: Path
) -> None:
    """The plan carries their source text, so nothing need be installed there."""
    done = command("run", written(tmp_path, ONE_STEP % world), "--subject", "echo", sites=(sample,))
    if "1 skipped" in done.stdout:
        pytest.skip(done.stdout)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_its_steps_run_in_containers(
    docker_engine: DockerEngine, command: Command, sample: Path, tmp_path: Path
) -> None:
    """Whose image has neither the package nor the file."""
    path = written(tmp_path, ONE_STEP % ", kind: containers")
    done = command("run", path, "--subject", "echo", sites=(sample,))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.needs_torch
def test_its_steps_run_in_torchrun_workers(rank_python: str, command: Command, sample: Path, tmp_path: Path) -> None:
    """Which are started by an agent and not by the controller."""
    path = written(tmp_path, ONE_STEP % ", torchrun: {max_restarts: 0}")
    done = command("run", path, "--python", rank_python, sites=(sample,))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_its_fault_and_step_are_explored(sample: Path, python: Program) -> None:
    """Drafts with the package's fault and its step are drawn as soon as it is installed, and load."""
    program = """
from harness.explore import workloads
from harness.explore.draft import Profile
from harness.explore.draws import Draws
from harness.explore.generate import uniform
from harness.checkers.base import CHECKERS
if "invariants" not in CHECKERS:
    workloads.INVARIANTS = {"check": "deadline"}
with_step = with_fault = None
for seed in range(2000):
    draft = workloads.workload(Draws(seed))
    if with_step is None and "queue_limit" in str(draft.document):
        with_step = draft
    if with_fault is None and draft.workload == "cycle":
        drawn = uniform(Draws(seed), draft, Profile())
        with_fault = drawn if "signal_queue" in str(drawn.document) else None
    if with_step and with_fault:
        break
print(sorted({step.do for step in with_step.scenario.steps} & {"queue_limit"}))
print([fault.attributes["most"] >= 0 for fault in with_fault.scenario.faults if fault.kind == "signal_queue"])
"""
    step, fault = python(program, sites=(sample,)).splitlines()
    assert step == "['queue_limit']"
    assert set(fault.strip("[]").split(", ")) == {"True"}


EXPLORED = """\
from harness.explore.draft import Anchor, Profile
from harness.explore.draws import Draws
from harness.explore.generate import systematic
from harness.explore.workloads import workload

clean = next(one for one in map(workload, map(Draws, range(200))) if "do: queue_limit" in one.text)
joined = Anchor({"step": clean.document["workload"][0]["id"], "is": "ended"}, "step rendezvous ended", 1, "worker")
drafts = systematic(clean, Profile((joined,)))
draft = next(one for one in drafts if any(fault.kind == "signal_queue" for fault in one.scenario.faults))
print(*sorted({step.do for step in draft.scenario.steps} & {"queue_limit"}), draft.cells)
"""


def test_members_of_another_package_are_explored(sample: Path, python: Program) -> None:
    """Exploration draws the step in its workloads and the fault in its drafts, which load, from what they declare."""
    assert python(EXPLORED, sites=(sample,)).startswith("queue_limit ('signal_queue||")
