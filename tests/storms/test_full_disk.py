"""A disk that is full at each file that a run writes: no result is lost, and nothing is charged to the subject."""

from __future__ import annotations

import json
import random
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_disks
from leftovers import await_none, environment

SECOND = 1.0
PASSES = """
schema: rdzv-scenario/v1
title: Two ranks join through a slow link
world: {size: 2, timeout: 5s}
workload:
  - {do: rendezvous}
faults:
  - {inject: latency, latency: 2ms, stream: both}
expect:
  - {step: rendezvous, is: ok}
"""
FAILS = """
schema: rdzv-scenario/v1
title: A claim that is broken, so that the steady state is played
world: {size: 2, timeout: 5s}
workload:
  - {do: rendezvous}
faults:
  - {inject: latency, latency: 2ms, stream: both}
expect:
  - {step: rendezvous, is: failed}
"""
SAMPLE = 2
"""Of each kind of limit, on every push; all of them at night."""

KINDS = {
    "scenario.rdzv.yaml", "run.json", "plan.json", "controller.jsonl", "history.jsonl", "wire.jsonl", "verdict.json",
    "proxy.log", "log or operations of a rank", "folder of logs",
}  # fmt: skip
"""What must have been refused at some limit."""


@pytest.fixture
def scenarios(tmp_path: Path) -> list[str]:
    paths = []
    for name, text in (("passes", PASSES), ("fails", FAILS)):
        path = tmp_path / f"{name}.rdzv.yaml"
        path.write_text(text)
        paths.append(str(path))
    return paths


@dataclass(frozen=True)
class Run:
    """A run on a small disk: how it went, and the status of each cell in the report, which is on another disk.

    Attributes:
        said: what it printed, and the reasons of its results.
    """

    done: small_disks.OnDisk
    statuses: Mapping[str, str]
    said: str


def run(scenarios: Sequence[str], tmp_path: Path, options: str) -> Run:
    """Play on a disk with these options."""
    report, mark = tmp_path / "report.json", uuid.uuid4().hex
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "harness.cli", "run", *scenarios, "--subject", "echo", "--toxiproxy", "embedded"]
    argv += ["--jobs", "1", "--runs-dir", str(tmp_path / "disk" / "runs"), "--json", str(report)]
    try:
        done = small_disks.run(tmp_path / "disk", options, argv, environment(mark))
    except LookupError as refused:
        pytest.skip(str(refused))
    assert await_none(mark, SECOND) == []
    rows = json.loads(report.read_text())["results"] if report.exists() else []
    said = "\n".join([done.out, done.err, *(row["because"] for row in rows)])
    return Run(done, {row["id"]: row["status"] for row in rows}, said)


def kind(path: str) -> str:
    """A file by its name; a run directory by what it is."""
    return "run directory" if Path(path).parent.name == "runs" else Path(path).name


def problems(full: Run, clean: Run) -> list[str]:
    """What is wrong with a run on a disk that was too small."""
    wrong = [f"it says {word!r}" for word in ("Traceback", "is a bug", "crashed") if word in full.said]
    if full.done.code != 3:
        wrong.append(f"exit code {full.done.code}")
    if not re.search(r"free some space|its disk full", full.said):
        wrong.append("nothing says what to do")
    others = {cell: status for cell, status in full.statuses.items() if status not in (clean.statuses[cell], "error")}
    wrong += [f"{cell} is {status}" for cell, status in others.items()]
    return [f"{one}:\n{full.said[-1500:]}" for one in wrong]


def refused_in(said: str) -> set[str]:
    """The kinds of file that a run says it could not write."""
    named = re.findall(r"cannot (?:write|create) (\S+) \(", said)
    ranks = {"log or operations of a rank"} if "could not write its log" in said else set()
    logs = {"folder of logs"} if "cannot start a controller" in said else set()
    return {kind(path) for path in named} | ranks | logs


def play_all(scenarios: Sequence[str], tmp_path: Path, chance: random.Random | None) -> None:
    """Play with every limit below what a clean run needs, or with a sample that is drawn."""
    clean = run(scenarios, tmp_path, "size=8m")
    assert (clean.done.code, clean.statuses) == (1, {"passes": "passed", "fails": "failed"})
    limits = [f"size={pages * small_disks.PAGE}" for pages in range(1, clean.done.pages)]
    # One node is the disk's root; the logs beside the run directories are gone at the end.
    limits += [f"size=8m,nr_inodes={nodes}" for nodes in range(2, clean.done.nodes + 1)]
    if chance is not None:
        limits = chance.sample(limits, SAMPLE)
    refused: dict[str, list[str]] = {}
    wrong: list[str] = []
    for limit in limits:
        full = run(scenarios, tmp_path, limit)
        wrong += [f"{limit}: {problem}" for problem in problems(full, clean)]
        for name in refused_in(full.said):
            refused.setdefault(name, []).append(limit)
    for name, where in sorted(refused.items()):
        print(f"{name}: refused with {len(where)} limits, {where[0]} the first")
    print(f"{len(limits)} limits, {len(wrong)} problems; a clean run has {len(clean.done.files)} files")
    assert not wrong, "\n".join(wrong)
    assert chance is not None or set(refused) >= KINDS, f"never refused: {KINDS - set(refused)}"


def test_a_sample_of_full_disks_loses_no_result(scenarios: list[str], tmp_path: Path) -> None:
    """Sizes and numbers of files drawn from a seed that is printed."""
    seed = random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    play_all(scenarios, tmp_path, random.Random(seed))


@pytest.mark.nightly
def test_a_disk_that_is_full_at_each_file_loses_no_result(scenarios: list[str], tmp_path: Path) -> None:
    """Page after page and file after file, so that each file is the one that is refused."""
    play_all(scenarios, tmp_path, None)
