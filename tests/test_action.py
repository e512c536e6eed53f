"""The GitHub Action and the hook of pre-commit do what their files say, whatever their inputs are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.cli import main
from harness.loader import builtin

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "action.yml")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
INPUTS = {name: str(one["default"]) for name, one in ACTION["inputs"].items()}
# A program that stands for pip, Python and the harness, and writes down how it was called.
RECORDER = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv))\n"


def run(step: str, home: Path, **inputs: str) -> list[list[str]]:
    """Run a step as GitHub's runner does; how each program of the environment was called."""
    programs = home / "rdzv-harness" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("pip", "python", "rdzv-harness"):
        (programs / name).write_text(RECORDER)
        (programs / name).chmod(0o755)
    (home / "fake").mkdir(exist_ok=True)
    (home / "fake" / "python3").write_text("#!/bin/sh\n")  # the environment is there already
    (home / "fake" / "python3").chmod(0o755)
    values = {**INPUTS, **inputs}
    given = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: values[match[1]], text)
        for name, text in STEPS[step]["env"].items()
    }
    environment = {
        **os.environ,
        "PATH": f"{home / 'fake'}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(home),
        "GITHUB_STEP_SUMMARY": str(home / "a summary.md"),
        **given,
        **({"SOURCE": str(ROOT)} if "SOURCE" in given else {}),
    }
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", STEPS[step]["run"]]
    ran = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_no_input_is_part_of_a_script() -> None:
    """A title of a pull request, for instance, that somebody passes on, would be run."""
    assert [step["name"] for step in ACTION["runs"]["steps"] if "${{" in step["run"]] == []
    assert all(step["shell"] == "bash" for step in ACTION["runs"]["steps"])


def test_without_inputs_all_built_in_scenarios_meet_the_python_on_path(tmp_path: Path) -> None:
    """With annotations on standard output, and the summary in the file that the runner names."""
    (called,) = run("play", tmp_path)
    assert called[1:] == [
        "run", "--subject", "static", "--python", "python",
        "--report", "github=-", "--report", f"summary={tmp_path / 'a summary.md'}",
    ]  # fmt: skip


def test_inputs_are_words_and_nothing_more(tmp_path: Path) -> None:
    """Paths are split at spaces, arguments as a shell does; no command, variable or pattern in them is one."""
    (tmp_path / "file").touch()
    hostile = "$(touch {0}) `touch {0}` ; touch {0} * $HOME".format(tmp_path / "touched")
    (called,) = run("play", tmp_path, paths="a/b builtin:wire *", subject=hostile, args=f"-k 'x and y' \"{hostile}\"")
    assert called[1:5] == ["run", "a/b", "builtin:wire", "*"]
    assert called[called.index("--subject") + 1] == hostile
    assert called[-3:] == ["-k", "x and y", hostile]
    assert not (tmp_path / "touched").exists()


def test_torch_of_the_action_is_what_ranks_run_with(tmp_path: Path) -> None:
    """Installed beside the harness, unless another interpreter is named."""
    own = str(tmp_path / "rdzv-harness" / "bin" / "python")
    (called,) = run("play", tmp_path, torch="torch numpy")
    assert called[called.index("--python") + 1] == own
    (called,) = run("play", tmp_path, torch="torch numpy", python="/other/python")
    assert called[called.index("--python") + 1] == "/other/python"


def test_the_harness_is_that_of_the_action_in_tested_versions(tmp_path: Path) -> None:
    """From its own folder, with every version of the lock file; then torch, if it is asked for."""
    own, torch = run("install rdzv-harness", tmp_path, torch="torch==2.15.0 numpy")
    constraints = tmp_path / "rdzv-harness" / "constraints.txt"
    assert own[-3:] == ["--constraint", str(constraints), str(ROOT)]
    assert torch[-2:] == ["torch==2.15.0", "numpy"]
    locked = re.findall(r"^([a-z0-9.-]+==\S+)", (ROOT / ".ci" / "requirements.txt").read_text(), re.MULTILINE)
    assert [line.split(" ")[0] for line in constraints.read_text().splitlines()] == locked
    assert len(run("install rdzv-harness", tmp_path)) == 1


def test_our_own_workflow_uses_the_action() -> None:
    """As it is in the same commit, with inputs that it has and scenarios that there are."""
    jobs = YAML(typ="safe", pure=True).load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    (used,) = [step for job in jobs.values() for step in job["steps"] if step.get("uses") == "./"]
    assert used["with"].keys() <= INPUTS.keys()
    assert builtin.names(used["with"]["paths"])


def test_the_hook_checks_the_files_that_the_harness_reads(capsys: pytest.CaptureFixture[str]) -> None:
    """Its pattern fits every scenario and no other file; its command is one that takes files."""
    (hook,) = YAML(typ="safe", pure=True).load(ROOT / ".pre-commit-hooks.yaml")
    fits = re.compile(hook["files"]).search
    assert all(fits(f"scenarios/{path.name}") for path in (ROOT / "scenarios").rglob("*.rdzv.yaml"))
    assert not any(map(fits, ["a.yaml", "rdzv.yaml", "a.rdzv.yaml.orig", "a-rdzv.yaml", ".github/workflows/tests.yml"]))
    program, *words = hook["entry"].split()
    assert (program, hook["language"]) == ("rdzv-harness", "python")
    assert main([*words, str(builtin.file_of("builtin:a-late-worker-is-waited-for"))]) == 0
    assert capsys.readouterr().out.endswith(": ok, 1 cell\n")
