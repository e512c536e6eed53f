"""`reproduce` on the command line: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.entry import main
from harness.loader import written

SCENARIOS = Path(__file__).parents[2] / "scenarios"
PLAIN = str(SCENARIOS / "store_reuse/a-closed-rendezvous-cannot-be-joined.rdzv.yaml")
CELLS = str(SCENARIOS / "dropped_masters/a-frozen-master-costs-a-call-its-timeout-at-most.rdzv.yaml")

Captured = pytest.CaptureFixture[str]


def test_a_script_is_written_and_not_run(tmp_path: Path, capsys: Captured) -> None:
    """With --no-run, which needs no torch."""
    target = tmp_path / "mine.py"
    assert main(["reproduce", PLAIN, "-o", str(target), "--no-run"]) == 0
    assert capsys.readouterr().out == f"{target}: written, and not run\n"
    assert 'FOUND = ("says-so", "closed")' in target.read_text()
    assert not target.with_suffix(".md").exists()


def test_a_bug_report_has_the_script(tmp_path: Path) -> None:
    """Beside the script, with --issue."""
    target = tmp_path / "mine.py"
    assert main(["reproduce", PLAIN, "-o", str(target), "--no-run", "--issue"]) == 0
    report = target.with_suffix(".md").read_text()
    for part in ("## What happens", "## What is expected", "## Versions", "```python\n#!/usr/bin/env python3"):
        assert part in report


def test_one_cell_is_chosen(tmp_path: Path, capsys: Captured) -> None:
    """Of several the names are listed; -k chooses one."""
    target = tmp_path / "mine.py"
    assert main(["reproduce", CELLS, "-o", str(target), "--no-run"]) == 2
    assert "3 cells: a-frozen-master-costs-a-call-its-timeout-at-most[stuck=num_keys]" in capsys.readouterr().err
    chosen = "a-frozen-master-costs-a-call-its-timeout-at-most[stuck=add]"
    assert main(["reproduce", CELLS, "-k", chosen, "-o", str(target), "--no-run"]) == 0
    assert '.add("count", 1)' in target.read_text()


def test_a_finding_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file says which check is broken."""
    folder = tmp_path / ".rdzv" / "findings" / "lost-reply"
    folder.mkdir(parents=True)
    keys = {
        "schema": "rdzv-scenario/v1",
        "title": "All join",
        "world": {"size": 2, "timeout": "1s"},
        "workload": [{"id": "join", "do": "rendezvous"}],
        "expect": [{"step": "join", "is": "ok"}],
    }
    (folder / "minimal.rdzv.yaml").write_text(written(keys))
    (folder / "finding.json").write_text(json.dumps({"signature": {"check": "together"}, "breaks": ["invariants"]}))
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "lost-reply", "--no-run"]) == 0
    source = (tmp_path / "repro.py").read_text()
    assert 'FOUND = ("together",)' in source
    assert '"together": together' in source


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reproduce", "no-such-finding", "--no-run"], "neither a scenario file"),
        (["reproduce", PLAIN, "--subject", "echo", "--no-run"], "the subject echo"),
        (["reproduce", PLAIN, "-k", "nothing", "--no-run"], "no cell fits"),
        (["reproduce", PLAIN, "-o", "/no/such/folder/repro.py", "--no-run"], "choose another place with -o"),
        (["reproduce", PLAIN, "-o", "/dev/null", "--python", "/no/such/python"], "/no/such/python cannot be run"),
        (["reproduce", PLAIN, "--runs", "0"], "--runs"),
    ],
)
def test_wrong_input_gets_a_sentence(words: list[str], said: str, capsys: Captured) -> None:
    """And exit code 2."""
    assert main(words) == 2
    assert said in capsys.readouterr().err
