"""Any file at all is read or refused: with places that exist, in little time and memory, and never with a traceback."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_mutations import NASTY, mutated

from harness.loader.tree.limits import LARGEST_FILE_BYTES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = sorted((HERE / "corpus" / "files").iterdir())
FILES_PER_CHILD = 1000
SEED = int(os.environ.get("RDZV_FUZZ_SEED") or random.SystemRandom().randrange(2**31))
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}

# One process, bounded in memory, for many words of the command line.
COMMANDS = """\
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from harness.cli.entry import main
for words in json.load(sys.stdin):
    print(json.dumps(words), file=sys.stderr)
    code = main(words)
    print(f"exit code {code}", file=sys.stderr)
"""


def read_in_child(seed: int, first: int, count: int, paths: list[Path]) -> Iterator[dict[str, Any]]:
    """What became of each file; of the one that ended the child, how the child ended."""
    argv = [sys.executable, str(HERE / "file_child.py"), str(seed), str(first), str(count), *map(str, paths)]
    child = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    begun = None
    for line in child.stdout.splitlines():
        row = json.loads(line)
        begun = row["number"] if "begins" in row else None
        if "outcome" in row:
            yield row
    if child.returncode or begun is not None:
        yield {"number": begun, "outcome": "broken", "problem": f"{child.returncode}: {child.stderr[-2000:]}"}


@pytest.mark.parametrize("count", [40, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_drawn_files_are_read_or_refused(count: int) -> None:
    """Each with a place in the file, and what is read can be planned and timed; RDZV_FUZZ_SEED draws the same again."""
    print(f"seed {SEED}: RDZV_FUZZ_SEED={SEED} draws the same files")
    rows = [
        row
        for first in range(0, count, FILES_PER_CHILD)
        for row in read_in_child(SEED, first, min(FILES_PER_CHILD, count - first), [])
    ]
    for row in rows:
        if row["outcome"] == "broken":
            pytest.fail(
                f"file {row['number']} of seed {SEED}: {row['problem']}\n{mutated(SEED, row['number'])!r:.3000}"
            )
    assert len(rows) == count
    assert {row["outcome"] for row in rows} == {"loaded", "refused"}


def test_what_was_found_stays_found() -> None:
    """Every file of the corpus is read or refused, as its name says it is."""
    rows = list(read_in_child(0, 0, len(CORPUS), CORPUS))
    found = {path.name: (row["outcome"], row["problem"]) for path, row in zip(CORPUS, rows, strict=True)}
    assert found == {path.name: (path.name.split("-")[0], "") for path in CORPUS}


def test_a_bomb_of_aliases_takes_no_memory(tmp_path: Path) -> None:
    """Both kinds: aliases of aliases, and many aliases of one large value; each a file of a quarter of a megabyte."""
    many, texts = 11_000, 14
    wide = f"x_a: &a [{', '.join(['a' * 15_000] * texts)}]\nx_b: [{'*a, ' * many}]\n"
    high = "x_0: &b0 [x, x]\n" + "".join(f"x_{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 3000))
    paths = [tmp_path / "wide", tmp_path / "high"]
    for path, text in zip(paths, (wide, high), strict=True):
        path.write_text(text)
        assert 230_000 < len(text) <= LARGEST_FILE_BYTES
    assert [(row["outcome"], row["problem"]) for row in read_in_child(0, 0, 2, paths)] == [("refused", "")] * 2


def run_commands(commands: list[list[str]], folder: Path) -> list[tuple[str, int]]:
    """The words and the exit code of each command; fails if one prints a traceback, or that it found a bug."""
    child = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        env=ENVIRONMENT,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        cwd=folder,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    for bad in ("Traceback", "this is a bug", "\x1b"):
        assert bad not in child.stderr + child.stdout, child.stderr[-3000:]
    lines = child.stderr.splitlines()
    words = [line for line in lines if line.startswith("[")]
    codes = [int(line.removeprefix("exit code ")) for line in lines if line.startswith("exit code ")]
    return list(zip(words, codes, strict=True))


def test_validate_says_what_is_wrong_with_what_was_found(tmp_path: Path) -> None:
    """On the command line too: 0 or 2, and nothing that a terminal would obey."""
    names = [f"{number}\x1b[31m\n[bold]\udcff.rdzv.yaml" for number in range(len(CORPUS))]
    for path, name in zip(CORPUS, names, strict=True):
        shutil.copy(path, tmp_path / name)
    codes = [code for _, code in run_commands([["validate", name] for name in names] + [["validate", "."]], tmp_path)]
    assert codes == [0 if path.name.startswith("loaded") else 2 for path in CORPUS] + [2]


def test_explain_knows_a_word_or_says_that_it_does_not(tmp_path: Path) -> None:
    """Whatever the word is."""
    words = [word for word in NASTY if "\0" not in word and len(word) < 1000]
    found = run_commands([["explain", word] for word in words], tmp_path)
    assert {code for _, code in found} <= {0, 2}
