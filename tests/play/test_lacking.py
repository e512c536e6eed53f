"""What this machine lacks for a scenario, before it is played."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from harness.campaign.runner import Runner
from harness.cli import main
from harness.faults.base import FAULTS
from harness.loader import load
from harness.loader.keys.members import needs as needs_in_words
from harness.machine.network import network, network_tools
from harness.play.lacking import Machine
from harness.play.options import AUTO, RunOptions
from harness.play.trial import Trials, answer
from harness.scenario.needs import NEEDS
from harness.scenario.scenario import Fault, Scenario, World
from harness.worlds.base import WORLDS, Isolation

CELL = Scenario(Path("late.rdzv.yaml"), "A late rank joins", World(2, 10**9, kind="namespaces"), steps=(), expect=())
LOSS = Fault("loss", "loss", (1,), {"share": 0.5, "way": "both"})
CUT = Fault("cut", "partition", (1,), {})
SCENARIO = """\
schema: rdzv-scenario/v1
title: Packets are lost
world: {size: 2, timeout: 2s, kind: KIND}
workload: [{do: rendezvous}]
faults: [{inject: loss, ranks: 1, share: 0.5}]
expect: [{step: rendezvous, is: ok}]
"""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with network namespaces and without a program to set them up; nothing is tried in another process."""
    monkeypatch.setattr(network_tools, "find", lambda tool: None)
    monkeypatch.setattr(network, "missing", lambda: "")
    monkeypatch.setattr(Trials, "lacking", lambda self, question: answer(question, Isolation("private")))


@pytest.mark.usefixtures("bare")
def test_a_fault_whose_program_is_missing_is_named_with_the_package_to_install() -> None:
    """A fault that asks for no program is not; nor is a partition of links."""
    (found,) = Machine().lacking(replace(CELL, faults=(LOSS,)), AUTO)
    assert found == ("nft", "there is no nft on this machine; install it: apt-get install nftables")
    assert list(Machine().lacking(replace(CELL, faults=(CUT,)), AUTO)) == []
    pairs = replace(CUT, attributes={"pairs": [[1, 0]]})
    assert [need for need, _ in Machine().lacking(replace(CELL, faults=(pairs,)), AUTO)] == ["nft"]


def test_a_kind_of_world_that_cannot_do_it_is_named_first() -> None:
    """As it is when the cell is played."""
    plain = replace(CELL, world=replace(CELL.world, kind="processes"), faults=(LOSS,))
    need, reason = next(iter(Machine().lacking(plain, AUTO)))
    assert (need, reason.startswith("loss needs hosts, which worlds of processes lack")) == ("world", True)


def test_what_members_declare_are_needs_that_can_be_required() -> None:
    """One list of names for `--require`, `list` and `validate`."""
    declared = {need for family in (FAULTS, WORLDS) for _, it in family.items() for need in it.declaration.needs}
    assert {"nft", "tc", "engine", "world", "sysctl", "delay"} <= declared <= NEEDS.keys()


def test_list_and_explain_say_what_a_member_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Of its world, and of the machine; nothing of one that runs everywhere."""
    assert needs_in_words("fault", "loss") == "worlds of containers or namespaces, nft"
    assert needs_in_words("fault", "latency") == needs_in_words("step", "get") == ""
    assert main(["list", "worlds"]) == 0
    assert "[needs a Docker engine]" in capsys.readouterr().out
    assert main(["explain", "loss"]) == 0
    assert "needs: worlds of containers or namespaces, nft (else the cell is skipped)" in capsys.readouterr().out


@pytest.mark.usefixtures("bare")
def test_validate_warns_of_what_would_be_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is sound, so the code is 0 unless `--fail-on-skip` is given."""
    path = tmp_path / "lost.rdzv.yaml"
    path.write_text(SCENARIO.replace("KIND", "namespaces"))
    assert main(["validate", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("lost.rdzv.yaml: ok, 1 cell\n")
    assert said.err == (
        "warning: 1 cell would be skipped here: nft: there is no nft on this machine; "
        "install it: apt-get install nftables\n"
    )
    assert main(["validate", "--fail-on-skip", str(path)]) == 1


# -- validate and run give one answer ---------------------------------------------------------------------------------

BODY = "schema: rdzv-scenario/v1\ntitle: A claim\nworkload: [{do: rendezvous}]\nexpect: [{step: rendezvous, is: ok}]\n"
HOSTS = BODY + "world: {size: 2, timeout: 2s, kind: namespaces}\n"
CASES = {
    "a world that lacks hosts": (
        BODY + "world: {size: 2, timeout: 2s}\nfaults: [{inject: loss, share: 0.5}]\n",
        "world",
    ),
    "containers of ipv6": (BODY + "world: {size: 2, timeout: 2s, kind: containers, family: ipv6}\n", "world"),
    "containers of many": (BODY + "world: {size: 17, timeout: 2s, kind: containers}\n", "world"),
    "no engine": (BODY + "world: {size: 2, timeout: 2s, kind: containers}\n", "engine"),
    "no nft": (HOSTS + "faults: [{inject: loss, share: 0.5}]\n", "nft"),
    "no nft for pairs": (HOSTS + "faults: [{inject: partition, pairs: [[1, 0]]}]\n", "nft"),
    "a kernel without tbf": (HOSTS + "faults: [{inject: rate, rate: 10KB/s}]\n", "tbf"),
    "no way to delay": (HOSTS + "faults: [{inject: delay, delay: 10ms}]\n", "nft"),
    "nothing is missing": (HOSTS + "faults: [{inject: pause, ranks: 1, after: 0s, for: 100ms}]\n", None),
}
"""A file and the need that it is skipped for; None if it is played."""

POOR = """\
import os, shutil
shutil.which = lambda tool, **_: FOLDER + "/" + tool if os.path.exists(FOLDER + "/" + tool) else None
"""
"""For each process of the harness: of all programs it finds a `tc` and an `ip` alone."""


@pytest.fixture
def poor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with namespaces, without nft and Docker, and with a kernel that refuses every discipline."""
    for tool in ("tc", "ip"):
        path = tmp_path / "bin" / tool
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\necho no such discipline >&2\nexit 2\n")
        path.chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(POOR.replace("FOLDER", repr(str(tmp_path / "bin"))))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda tool, **_: None)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


@pytest.mark.usefixtures("poor")
def test_validate_warns_of_what_run_skips_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the kind of world, a program that is missing, or a trial in private namespaces shows it."""
    folder = tmp_path / "cells"
    folder.mkdir()
    for case, (text, _) in CASES.items():
        (folder / f"{case.replace(' ', '-')}.rdzv.yaml").write_text(text.replace("A claim", case))
    with Runner(RunOptions(subject="echo", runs_dir=tmp_path / "runs", jobs=1, seed=1)) as runner:
        results = list(runner.run([cell for file in sorted(folder.iterdir()) for cell in load(file)]))
    skipped = {one.scenario.title: one.judgement.because for one in results if one.status == "skipped"}
    assert {one.scenario.title for one in results if one.status == "passed"} == {"nothing is missing"}
    assert {case: because.partition(":")[0] for case, because in skipped.items()} == {
        case: need for case, (_, need) in CASES.items() if need
    }
    assert main(["validate", str(folder)]) == 0
    warned = re.findall(r"^warning: (\d+) cells? would be skipped here: (.*)$", capsys.readouterr().err, re.MULTILINE)
    assert {reason: int(count) for count, reason in warned} == Counter(skipped.values())


def test_validate_says_which_cells_depend_on_the_torch_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No torch is asked, so that is no warning and no skip."""
    path = tmp_path / "new.rdzv.yaml"
    path.write_text(f"{BODY}world: {{size: 2, timeout: 2s}}\nneeds: {{torch: '>=99'}}\n")
    assert main(["validate", "--fail-on-skip", str(path)]) == 0
    assert capsys.readouterr().err == "note: 1 cell needs torch >=99, else skipped: --python decides\n"


def test_a_run_with_a_skipped_cell_fails_if_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option of the command line, and the sentence that says so."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "many.rdzv.yaml"
    path.write_text(CASES["containers of many"][0])
    words = ["run", str(path), "--subject", "echo"]
    assert main(words) == 0
    assert main([*words, "--fail-on-skip"]) == 1
    assert "--fail-on-skip" in capsys.readouterr().err
