"""`run --cluster`: the same command, whose plays are played by machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main

Captured = pytest.CaptureFixture[str]
TEXT = """\
schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {id: all-join, step: join, is: IS}
"""


def _run(folder: Path, *words: str) -> int:
    file = folder / "two-ranks-join.rdzv.yaml"
    if not file.exists():
        file.write_text(TEXT.replace("IS", "ok"))
    runs = ["--runs-dir", str(folder / "runs"), "--subject", "echo"]
    return main(["--no-config", "run", str(file), *runs, *words])


def test_a_campaign_is_reported_as_a_run_is_and_can_go_on(tmp_path: Path, capsys: Captured) -> None:
    """Two machines play four repetitions; the next call has all their results, and plays nothing."""
    ledger, report = tmp_path / "ledger.jsonl", tmp_path / "report.json"
    words = ["--cluster", "local:2", "--repeat", "4", "--ledger", str(ledger), "--json", str(report)]
    assert _run(tmp_path, *words) == 0
    output = capsys.readouterr()
    assert "4 runs: 4 passed" in output.out
    assert "campaign: 2 machines, 4 of 4 results" in output.err
    rows = json.loads(report.read_text())["results"]
    assert sorted(row["attempt"] for row in rows) == [1, 2, 3, 4]
    assert len({row["play"] for row in rows}) == 4
    assert len(ledger.read_text().splitlines()) == 5
    assert _run(tmp_path, *words) == 0
    again = json.loads(report.read_text())["results"]
    assert sorted(row["play"] for row in again) == sorted(row["play"] for row in rows)
    assert len(ledger.read_text().splitlines()) == 5


def test_a_red_run_directory_can_be_shown(tmp_path: Path, capsys: Captured) -> None:
    """It lies where it would, had this machine played."""
    (tmp_path / "two-ranks-join.rdzv.yaml").write_text(TEXT.replace("IS", "failed"))
    assert _run(tmp_path, "--cluster", "local:1") == 1
    capsys.readouterr()
    assert main(["show", "latest", "--runs-dir", str(tmp_path / "runs")]) == 0
    assert "all-join: rank 0's join returned after" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "dusk://a:1"], "--cluster dusk://a:1: there is no cluster 'dusk'; did you mean 'dask'?"),
        (["--cluster", "local"], "--cluster local:: write how many machines"),
        (["--ledger", "l.jsonl"], "--ledger keeps the results of a campaign; give --cluster too"),
        (["--cluster", "local:1", "--toxiproxy", "http://127.0.0.1:1"], "with --cluster each machine starts its own"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, capsys: Captured, words: list[str], said: str) -> None:
    """Before anything is played."""
    assert _run(tmp_path, *words) == 2
    assert said in capsys.readouterr().err
