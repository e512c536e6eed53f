"""The files of examples/campaigns, which need clusters: each is read, and plays all shards, each once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from harness.cli import shards
from harness.cli.app import app

FOLDER = Path(__file__).parents[2] / "examples" / "campaigns"
RUN: Any = typer.main.get_command(app)


def _yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(FOLDER / name)


def _check_options(command: str) -> None:
    """Every long option is one of `rdzv-harness run`."""
    known = {option for one in RUN.commands["run"].params for option in one.opts}
    assert set(re.findall(r"--[a-z-]+", command)) - known == set()


def _shard(command: str, **environment: str) -> str:
    """What stands behind `--shard` once a shell has read it."""
    (words,) = re.findall(r"--shard (\S+(?: [^-\s]\S*)*?)(?= \\?\s*--)", command)
    echoed = subprocess.run(["sh", "-c", f"echo {words}"], capture_output=True, text=True, env=environment, check=True)
    return echoed.stdout.strip()


def test_pods_play_all_shards() -> None:
    """The index is from 0; and as many pods as shards."""
    job = _yaml("kubernetes.yaml")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    (command,) = container["args"]
    _check_options(command)
    found = [_shard(command, JOB_COMPLETION_INDEX=str(index)) for index in range(job["completions"])]
    assert [str(shards.parse(text)) for text in found] == [f"{number}/8" for number in range(1, 9)]
    assert job["completionMode"] == "Indexed"


def test_pods_have_the_rights_of_the_manual() -> None:
    """The seccomp profile, no capability, no right to gain any; every mount has its volume."""
    pod = _yaml("kubernetes.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["securityContext"]["seccompProfile"]["localhostProfile"] == "rdzv-harness.json"
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_an_array_of_slurm_plays_all_shards(tmp_path: Path) -> None:
    """The script is run with a harness that prints its arguments."""
    script = FOLDER / "slurm.sh"
    harness = tmp_path / "rdzv-harness"
    harness.write_text('#!/bin/sh\necho "$@"\n')
    harness.chmod(0o755)
    (first, last) = re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", script.read_text(), re.MULTILINE)[0]
    found = []
    for index in range(int(first), int(last) + 1):
        slurm = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_TASK_COUNT": last, "SLURM_JOB_ID": "77"}
        environment = {**slurm, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        _check_options(done.stdout)
        found += re.findall(r"--shard (\S+)", done.stdout)
    assert [str(shards.parse(text)) for text in found] == [f"{number}/8" for number in range(1, 9)]


def test_a_matrix_plays_all_shards_and_merges_them() -> None:
    """Also if a shard is red."""
    jobs = _yaml("github.yaml")["jobs"]
    numbers = jobs["shard"]["strategy"]["matrix"]["shard"]
    (command,) = [step["run"] for step in jobs["shard"]["steps"] if "--shard" in step.get("run", "")]
    _check_options(command)
    found = [
        shards.parse(re.findall(r"--shard (\S+)", command.replace("${{ matrix.shard }}", str(one)))[0])
        for one in numbers
    ]
    assert [(one.number, one.count) for one in found] == [(number, 4) for number in range(1, 5)]
    assert jobs["shard"]["strategy"]["fail-fast"] is False
    assert jobs["merge"]["needs"] == "shard"


def test_replicas_of_torchx_play_all_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The component is called, with a `torchx.specs` that keeps what it gets."""
    specs = ModuleType("torchx.specs")
    specs.macros = SimpleNamespace(replica_id="${replica_id}")  # type: ignore[attr-defined]
    for name in ("AppDef", "Role", "Resource"):
        setattr(specs, name, SimpleNamespace)
    torchx = ModuleType("torchx")
    torchx.specs = specs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchx", torchx)
    monkeypatch.setitem(sys.modules, "torchx.specs", specs)
    code = compile((FOLDER / "torchx_campaign.py").read_text(), "torchx_campaign.py", "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    (role,) = names["campaign"](image="x", shards=3).roles
    command = role.args[1]
    _check_options(command)
    found = [_shard(command.replace("${replica_id}", str(replica))) for replica in range(role.num_replicas)]
    assert found == ["1/3", "2/3", "3/3"]
