"""What this machine lacks for a scenario, before it is played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli import main
from harness.faults.base import FAULTS
from harness.loader.keys.members import needs as needs_in_words
from harness.machine.network import network_tools
from harness.play import lacking
from harness.play.lacking import Machine
from harness.play.options import AUTO
from harness.scenario.needs import NEEDS
from harness.scenario.scenario import Fault, Scenario, World
from harness.worlds.base import WORLDS

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
    """A machine with network namespaces and without a program to set them up."""
    monkeypatch.setattr(network_tools, "find", lambda tool: None)
    monkeypatch.setattr(lacking, "probe_elsewhere", lambda: SimpleNamespace(possible=True, reason=""))


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
