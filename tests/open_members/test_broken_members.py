"""Members that cannot be used are named with their package, and everything else works."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import Command, Program, install

SCENARIO = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 2, timeout: 4s, route: direct}
workload:
  - {do: rendezvous}
faults: []
expect:
  - {step: rendezvous, is: ok}
"""
ADVICE = "update or uninstall ruin"


@pytest.fixture
def ruin(tmp_path: Path) -> Path:
    """A package none of whose members can be used: a dependency is missing, or the kind is taken."""
    site = tmp_path / "ruin"
    groups = ("faults", "steps", "checkers", "reports", "worlds")
    broken = {f"rdzv_harness.{group}": {f"ruined_{group}": "ruined"} for group in groups}
    broken["rdzv_harness.steps"]["set"] = "ruined"
    broken["rdzv_harness.faults"]["kill"] = "ruined"
    install(site, "ruin", {"ruined": "import no_such_module"}, broken)
    return site


def test_the_list_names_them_and_shows_the_rest(command: Command, ruin: Path, sample: Path) -> None:
    """Exit code 0, no traceback."""
    done = command("list", sites=(ruin, sample))
    assert (done.returncode, done.stderr) == (0, "")
    listed, _, broken = done.stdout.partition("\nnot loaded\n")
    assert "ruin" not in listed
    assert "rdzv-sample 1.2" in listed
    for family, kind in (("fault", "faults"), ("step", "steps"), ("check", "checkers"), ("world", "worlds")):
        problem = (
            f"the {family} 'ruined_{kind}' of ruin 1.0 could not be imported: ModuleNotFoundError: No module named"
        )
        assert f"  {problem} 'no_such_module'; {ADVICE}\n" in broken
    for family, kind in (("fault", "kill"), ("step", "set")):
        problem = f"the {family} {kind!r} of ruin 1.0 is not used: harness has a {family} of that name"
        assert f"  {problem}; {ADVICE}\n" in broken


def test_a_list_of_one_family_names_its_own(command: Command, ruin: Path) -> None:
    """And no other's."""
    said = command("list", "reports", sites=(ruin,)).stdout
    assert ("'ruined_reports'" in said, "'ruined_faults'" in said) == (True, False)


def test_the_doctor_has_a_line_for_them(python: Program, ruin: Path, sample: Path) -> None:
    """Good with what works, bad with what does not."""
    line = "from harness.cli import doctor; print(*dict(doctor.examinations('python'))['packages']().__dict__.values())"
    assert python(line, sites=(sample,)).startswith(
        "packages True rdzv-sample 1.2 (step queue_limit, fault signal_queu"
    )
    bad = python(line, sites=(ruin, sample))
    assert bad.startswith("packages False the step 'ruined_steps' of ruin 1.0 could not be imported: ")
    assert bad.endswith(f" {ADVICE}\n")


def test_a_scenario_that_names_them_gets_the_reason(command: Command, ruin: Path, tmp_path: Path) -> None:
    """In place of a near miss, at the place where each kind stands."""
    path = tmp_path / "a-claim.rdzv.yaml"
    text = SCENARIO.replace("size: 2", "size: 2, kind: ruined_worlds").replace("do: rendezvous", "do: ruined_steps")
    text = text.replace("faults: []", "faults:\n  - {inject: ruined_faults, ranks: 0}")
    path.write_text(f"{text}  - {{check: ruined_checkers}}\n")
    done = command("validate", path, sites=(ruin,))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    lines = done.stderr.splitlines()
    for line, family, kind in (
        (3, "world", "worlds"),
        (5, "step", "steps"),
        (7, "fault", "faults"),
        (10, "check", "checkers"),
    ):
        problem = f"the {family} 'ruined_{kind}' of ruin 1.0 could not be imported: ModuleNotFoundError"
        (place,) = [number for number, text in enumerate(lines) if problem in text]
        assert lines[place].startswith(f"{path}:{line}:")
        assert lines[place + 3] == f"  {ADVICE}"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["explain", "ruined_faults"], "fault 'ruined_faults'"),
        (["run", ".", "--world", "ruined_worlds"], "world 'ruin"),
    ],
)
def test_words_of_the_command_line_are_answered_likewise(
    words: list[str], kind: str, command: Command, ruin: Path, tmp_path: Path
) -> None:
    """One line, exit code 2."""
    (tmp_path / "a-claim.rdzv.yaml").write_text(SCENARIO)
    done = command(*words, sites=(ruin,))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"the {kind}" in done.stderr
    assert ADVICE in done.stderr


def test_a_scenario_of_other_members_is_played(command: Command, ruin: Path, tmp_path: Path) -> None:
    """A broken package stops nobody who does not use it."""
    path = tmp_path / "a-claim.rdzv.yaml"
    path.write_text(SCENARIO.replace("faults: []", "faults: [{inject: kill, ranks: 1, after: rendezvous}]"))
    done = command("run", path, "--subject", "echo", sites=(ruin,))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_step_that_does_not_load_in_a_rank_says_why(command: Command, tmp_path: Path) -> None:
    """It loads in the parent, and the play is an error."""
    module = """
import sys
if "harness.rank.worker" in sys.modules:
    import no_such_module
from harness.rank.steps.base import step
from harness.values.attribute import Declaration

@step(Declaration("peer", "Looks at its peers."))
def peer(context, arguments): ...
"""
    install(tmp_path / "site", "wide", {"wide_steps": module}, {"rdzv_harness.steps": {"peer": "wide_steps"}})
    path = tmp_path / "a-claim.rdzv.yaml"
    path.write_text(SCENARIO.replace("{do: rendezvous}", "{do: rendezvous}\n  - {do: peer}"))
    done = command("run", path, "--subject", "echo", sites=(tmp_path / "site",))
    assert done.returncode == 3
    assert "the steps of wide_steps cannot be loaded in a rank" in done.stdout, done.stdout
