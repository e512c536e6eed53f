"""`record run --cluster`: the same command, whose plays are played by machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.campaign.asking import Answer, Answers
from harness.cli import main, record_clustering
from harness.cli.recording import Request
from harness.play.options import RunOptions

Captured = pytest.CaptureFixture[str]
NAME = "builtin:timeouts/a-missing-worker-is-named"
TEXT = """\
schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {id: all-join, step: join, is: ok}
"""


class Machines:
    """A runner whose machines have these answers; playing is interrupted."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    @contextmanager
    def open(self) -> Iterator[Any]:
        yield self

    def ask(self, orders: Mapping[str, Any]) -> Answers:
        return self.answers

    def play(self, *_: Any) -> Iterator[Any]:
        raise KeyboardInterrupt


def _run(folder: Path, answers: Answers) -> int:
    request = Request((Path(NAME),), ("static",), folder, 1, cluster="local:1")
    torches = record_clustering.Torches(("torch:2.9.1",), 7)
    return record_clustering.run(request, RunOptions(), torches, Machines(answers).open())


def test_a_torch_that_no_machine_can_have_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    """By name, with the reason of each machine."""
    assert _run(tmp_path, Answers(missing={"torch:2.9.1": {"a": "no uv", "b": "no room"}})) == 3
    assert "error: no machine can play torch:2.9.1: a: no uv; b: no room" in capsys.readouterr().err


def test_ctrl_c_says_that_the_same_call_goes_on(tmp_path: Path, capsys: Captured) -> None:
    """With its exit code."""
    assert _run(tmp_path, Answers({"torch:2.9.1": Answer("2.9.1+cu128", "a")})) == 130
    assert f"what was played is in {tmp_path}, and the same call goes on from there" in capsys.readouterr().err


def test_versions_are_for_the_machines() -> None:
    """Nothing is installed or examined here; each is named once."""
    chosen = record_clustering.torches(["/there/python"], ["2.9.1,2.8.0", "2.9.1"], "20GB")
    assert chosen.pythons == ("torch:2.9.1", "torch:2.8.0", "/there/python")
    assert chosen.limit == 20_000_000_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ledger", "l.jsonl"], "--ledger keeps the results of a campaign; give --cluster too"),
        (["--cluster", "local:1", "--toxiproxy", "http://127.0.0.1:1"], "with --cluster each machine starts its own"),
        (["--cluster", "dusk://a:1"], "--cluster dusk://a:1: there is no cluster 'dusk'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, capsys: Captured, words: list[str], said: str) -> None:
    """Before a machine is asked."""
    assert main(["--no-config", "record", "run", NAME, "--torch", "2.9.1", "--record", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err


def test_without_a_torch_it_says_that_paths_are_of_the_machines(capsys: Captured) -> None:
    """As without a cluster, but for the paths."""
    assert main(["--no-config", "record", "run", NAME, "--cluster", "local:1"]) == 2
    assert "--python PATH, a path on the machines" in capsys.readouterr().err


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.parametrize("cluster", ["local:2", "dask:local:2"])
def test_the_record_of_real_machines_is_that_of_one(tmp_path: Path, cluster: str) -> None:
    """To the byte, for plays whose outcomes are always the same; a next call plays nothing."""
    (tmp_path / "two-ranks-join.rdzv.yaml").write_text(TEXT)
    words = ["--python", sys.executable, "--subject", "static", "--subject", "static-strict", "--repeat", "3"]

    def play(record: str, *more: str) -> dict[str, str]:
        files = ["--record", str(tmp_path / record), "--runs-dir", str(tmp_path / "runs"), "--jobs", "2"]
        scenario = str(tmp_path / "two-ranks-join.rdzv.yaml")
        assert main(["--no-config", "record", "run", scenario, *words, *files, *more]) == 0
        there = (tmp_path / record).rglob("*.json")
        return {str(file.relative_to(tmp_path / record)): file.read_text() for file in there}

    one = play("one")
    assert len(one) == 2
    ledger = tmp_path / "ledger.jsonl"
    assert play("many", "--cluster", cluster, "--ledger", str(ledger)) == one
    assert len(ledger.read_text().splitlines()) == 1 + 2 * 3
    assert play("many", "--cluster", cluster, "--ledger", str(ledger)) == one
    assert len(ledger.read_text().splitlines()) == 1 + 2 * 3
