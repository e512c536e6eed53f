"""The ledger of a campaign: what is on disk, what counts, and what a crash may leave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.campaign.ledger import Ledger
from harness.values.errors import HarnessError, UsageError

HEAD = '{"schema":"rdzv-ledger/v1","seed":7}\n'


def _rows(path: Path) -> list[Any]:
    with Ledger(path, 1) as ledger:
        return list(ledger.rows())


def test_the_first_row_of_a_play_counts(tmp_path: Path) -> None:
    """In one call, in the next, and when it is read again."""
    path = tmp_path / "new" / "ledger.jsonl"
    with Ledger(path, 7) as ledger:
        assert ledger.add([{"play": "a", "n": 1}, {"play": "a", "n": 2}, {"play": "b"}]) == [
            {"play": "a", "n": 1},
            {"play": "b"},
        ]
        assert ledger.add([{"play": "a", "n": 3}]) == []
    assert path.read_text() == HEAD + '{"play":"a","n":1}\n{"play":"b"}\n'
    with open(path, "a") as file:
        file.write('{"play":"a","n":4}\n')
    assert _rows(path) == [{"play": "a", "n": 1}, {"play": "b"}]


def test_the_seed_of_an_old_ledger_stays(tmp_path: Path) -> None:
    """A campaign that goes on plays what it would have played."""
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, 7):
        pass
    with Ledger(path, 8) as ledger:
        assert ledger.seed == 7


@pytest.mark.parametrize("torn", ['{"pl', '{"play":"b"}', "\0" * 9])
def test_a_last_line_without_its_end_is_removed(tmp_path: Path, torn: str) -> None:
    """It was never told to anybody; what is added then begins a line of its own."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(HEAD + '{"play":"a"}\n' + torn)
    with Ledger(path, 1) as ledger:
        assert ledger.dropped == len(torn)
        assert [row["play"] for row in ledger.rows()] == ["a"]
        ledger.add([{"play": "c"}])
    assert path.read_text() == HEAD + '{"play":"a"}\n{"play":"c"}\n'


@pytest.mark.parametrize("size", [0, 1, 20, len(HEAD) - 1])
def test_a_ledger_whose_first_line_was_cut_is_begun_anew(tmp_path: Path, size: int) -> None:
    """Its driver was killed before anything was played."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(HEAD[:size])
    assert _rows(path) == []
    assert json.loads(path.read_text())["seed"] == 1


@pytest.mark.parametrize("text", ["a file of mine", "a file\nof mine\n", '{"schema": "rdzv-report/v1"}\n', "[]\n"])
def test_another_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    """Not a byte of it changes."""
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(HarnessError, match=r"mine\.txt:1: "):
        Ledger(path, 1)
    assert path.read_text() == text


@pytest.mark.parametrize("line", ["{", "[]", '{"play": 7}', "{}", "\udcff"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """With its number, and with what to do."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes((HEAD + '{"play":"a"}\n' + line + '\n{"play":"b"}\n').encode(errors="surrogateescape"))
    with pytest.raises(HarnessError, match=r"ledger\.jsonl:3: .*; the ledger is damaged: delete this line"):
        _rows(path)


def test_two_campaigns_never_write_one_ledger(tmp_path: Path) -> None:
    """The second says so; when the first is killed, the ledger is free."""
    path = tmp_path / "ledger.jsonl"
    hold = "import sys; from pathlib import Path; from harness.campaign.ledger import Ledger\n"
    hold += "ledger = Ledger(Path(sys.argv[1]), 7); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="a campaign that runs now"):
            Ledger(path, 7)
        other.kill()
        other.wait()
    assert _rows(path) == []


def test_a_row_is_on_disk_before_anybody_is_told(tmp_path: Path) -> None:
    """A driver that is killed after `add` has lost nothing of it."""
    path = tmp_path / "ledger.jsonl"
    die = "import os, signal, sys; from pathlib import Path; from harness.campaign.ledger import Ledger\n"
    die += "Ledger(Path(sys.argv[1]), 7).add([{'play': 'a'}]); os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", die, str(path)], check=False).returncode == -9
    assert path.read_text() == HEAD + '{"play":"a"}\n'


def test_a_full_disk_is_an_error_that_says_so() -> None:
    """No row counts that could not be written."""
    with pytest.raises(HarnessError, match=r"cannot write the ledger /dev/full \(No space left on device\); free some"):
        Ledger(Path("/dev/full"), 7)
