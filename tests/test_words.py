"""The project speaks plain engineering English: words that were riddles or metaphors do not come back."""

from __future__ import annotations

from pathlib import Path

import pytest
import words

PLANTED = [
    ("harness/play/play.py", "class _Performance:\n    pass\n", 1, "_Performance"),
    ("harness/cli/app.py", "x = 1\nx.stirred()\n", 2, "stirred"),
    ("harness/play/a.py", "from harness.play.cast import Cast as c\n", 1, "Cast"),
    ("tests/play/a.py", "def f(told):\n    pass\n", 1, "told"),
    ("harness/a.py", "f(1, told=2)\n", 1, "told"),
    ("harness/a.py", 'x = f"{told}"\n', 1, "told"),
    ("harness/a.py", "from harness.rank import residence\n", 1, "residence"),
    ("harness/history/wording.py", "def whose(call):\n    pass\n", 1, "whose"),
    ("harness/rank/residence.py", "", 1, "residence.py"),
    ("docs/a.md", "See `Happened`.\n", 1, "Happened"),
    ("docs/a.md", "See [DNS](names.md).\n", 1, "names.md"),
    ("docs/a.md", "one\n\nIt lets go\nof the port.\n", 3, "lets go of"),
    ("benchmarks/a.py", "# it lets go\n# of the port\n", 1, "lets go of"),
    ("harness/a.py", 'x = ("it lets go "\n     f"of {x}")\n', 1, "lets go of"),
    ("scenarios/x/a.rdzv.yaml", "title: A reply to Whoever asks\n", 1, "whoever"),
    (".ci/run", "# the Nursery\n", 1, "nursery"),
    ("docker/rank/Dockerfile", "# in vain\n", 1, "in vain"),
]

SOUND = [
    ("harness/a.py", "class Broadcast:\n    forecast = Castle = None\n"),
    ("harness/a.py", "class FaultMember:\n    withheld = HeldProcesses = neverending = None\n"),
    ("harness/a.py", '"""Never raises. Come back later, as told. Tell it."""\n# Come, Born, Wanted\nx = "Cast"\n'),
    ("harness/history/joins.py", "how = more = 1\ndef ending(): pass\n"),
    ("harness/history/joins.py", "# a key unless that is None\n"),
    ("docs/a.md", "Let it go off. The lesson is an earnest one. `never` is a name; `retold` too.\n"),
    ("docs/a.md", "[hostnames.md](hostnames.md), `near.pyi`\n"),
    ("tests/checkers/recorded/run.jsonl", '{"because": "told rank 0"}\n'),
]


def test_no_text_says_a_word_that_went() -> None:
    """Every finding has its file, its line and the word to use instead."""
    problems = list(words.everywhere())
    assert not problems, "\n".join(["words that went have come back:", *problems])


@pytest.mark.parametrize(("name", "text", "line", "word"), PLANTED)
def test_a_planted_word_is_found(tmp_path: Path, name: str, text: str, line: int, word: str) -> None:
    """In code, comments, strings, pages, scenarios and scripts, and across the end of a line."""
    _plant(tmp_path, name, text)
    known = {**words.NAMES, **words.FILES, **words.FUNCTIONS, **words.PHRASES}
    assert list(words.everywhere(tmp_path)) == [f"{name}:{line}: {word!r}: say {known[word]}"]


@pytest.mark.parametrize(("name", "text"), SOUND)
def test_a_word_is_no_part_of_another(tmp_path: Path, name: str, text: str) -> None:
    """Names are matched whole and in code only, phrases as whole words; stored runs are not read."""
    _plant(tmp_path, name, text)
    assert list(words.everywhere(tmp_path)) == []


def test_every_place_that_is_searched_has_texts() -> None:
    """A folder that moves would be searched no more, and nothing would say so."""
    names = {path.relative_to(words.ROOT).as_posix() for path in words.texts(words.ROOT)}
    assert [place for place in words.PLACES if not any(name.startswith(place) for name in names)] == []


def test_an_exception_is_still_needed() -> None:
    """An exception for a word that is not there any more would hide its coming back."""
    for (name, word), reason in words.ALLOWED.items():
        path = words.ROOT / name
        hits = words.found(name, path.read_text(encoding="utf-8"))
        assert word in [hit[1] for hit in hits], (name, word)
        assert reason


def _plant(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
