"""Words that must not come back, what to say instead, and the search for them in every text of the project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

PLACES = (
    "harness", "tests", "benchmarks", "docs", "scenarios", "examples", "docker", ".github",
    ".ci/run", ".ci/lock", "README.md", "SECURITY.md", "CONTRIBUTING.md", "conftest.py", "pyproject.toml",
)  # fmt: skip
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".toml", "")
"""Texts that people write; stored runs, which tests judge again, keep the words that they were recorded with."""

NAMES: Mapping[str, str] = {
    "_Performance": "_Play",
    "Cast": "Ranks",
    "Performer": "CallOwner",
    "strike": "close",
    "Happened": "Progress",
    "stirred": "mark_activity",
    "_bury": "_reap",
    "Born": "LaunchedRank",
    "Wanted": "LaunchRequest",
    "Told": "HandlerConfig",
    "Telling": "HandlerBuilder",
    "Teller": "ConfigResolver or JoinErrors",
    "Tell": "ReportProblem, Report",
    "told": "what the value is: answer, reply, settings, config, facts, record",
    "HeldProcess": "PidfdProcess",
    "Come": "Reached",
    "Never": "Impossible",
    "Surroundings": "FaultContext or ConnectionContext",
    "STARTING_AGAIN": "an attribute of the fault's class",
    "residence": "enter_host",
    "memory_killer": "oom",
}
"""Names in code, and what they are called now."""

FILES: Mapping[str, str] = {
    "near.py": "suggest.py",
    "residence.py": "enter_host.py",
    "memory_killer.py": "oom.py",
    "below-tcp.md": "network-faults.md",
    "names.md": "dns-faults.md",
}
"""Names of files, and what they are called now."""

FUNCTIONS: Mapping[str, str] = {
    "whose": "describe_call",
    "ending": "describe_end",
    "how": "outcome_phrase",
    "more": "and_n_more",
}
"""Names in a module `wording`, once of functions. In other modules these names are sound."""

PHRASES: Mapping[str, str] = {
    "theatre": "PlayResources, play",
    "nursery": "RankLauncher, launcher",
    "memory killer": "out-of-memory killer",
    "bury": "reap",
    "buries": "reaps",
    "buried": "reaped",
    "how-manieth": "the n-th match, from 1",
    "what is none": "None if malformed",
    "that is none": "that is not one",
    "which is none": "which is not one",
    "by several hands": "safe for concurrent writers",
    "let go of": "release, released",
    "lets go of": "releases",
    "letting go of": "releasing",
    "below TCP": "network faults",
    "faults of names": "DNS faults",
    "who is told": "that is given, that gets",
    "told rank": "given rank; the master, if it is rank 0",
    "whoever": "the process that, each client that",
    "hears of": "gets, receives",
    "in silence": "silently, without an error",
    "in vain": "without effect",
    "in the hands of": "held by",
    "whatever became of": "whatever happened to",
    "whatever becomes of": "whatever happens to",
    "stands in for": "replaces, is counted in place of",
    "made anew": "made again",
    "hitherto": "until now",
    "lest": "so that ... not",
    "thereof": "of it",
    "whence": "from which",
    "whereof": "of which",
}
"""Turns of phrase, in any case and across the end of a line, and what to say instead."""

ALLOWED: Mapping[tuple[str, str], str] = {}
"""File and word, with the reason why it may stand there."""

LISTS = ("tests/words.py", "tests/test_words.py")
"""The list itself, and the texts that plant its words."""


# Between the words of a phrase a line, a comment or a piece of a string may end.
_BETWEEN = re.compile(r"""(?:[\s#]|["'])+(?:f["'])?""")
_EACH_PHRASE = [_BETWEEN.pattern.join(map(re.escape, phrase.split())) for phrase in PHRASES]
_ANY_PHRASE = re.compile(
    rf"(?<!\w)(?:{'|'.join(_EACH_PHRASE).replace('none', '(?-i:none)')})(?!\w)",  # but None is a value
    re.IGNORECASE,
)


def everywhere(root: Path = ROOT) -> Iterator[str]:
    """What is wrong in every text below `root`: `file:line: 'word': say ...`."""
    for path in texts(root):
        name = path.relative_to(root).as_posix()
        if name in LISTS:
            continue
        if path.name in FILES:
            yield _problem(name, 1, path.name, FILES[path.name])
        for line, word, instead in found(name, path.read_text(encoding="utf-8")):
            if (name, word) not in ALLOWED:
                yield _problem(name, line, word, instead)


def texts(root: Path) -> Iterator[Path]:
    """Every text that people write, each once: a link's target is read where it lies."""
    for place in PLACES:
        under = root / place
        for path in [under] if under.is_file() else sorted(under.rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES and _is_own(path, root):
                yield path


def _is_own(path: Path, root: Path) -> bool:
    linked = any(part.is_symlink() for part in (path, *path.parents) if root in part.parents)
    return not linked and "__pycache__" not in path.parts and "corpus" not in path.parts


def found(name: str, text: str) -> list[tuple[int, str, str]]:
    """Line, word and what to say instead, in the order of the text of the file of this name."""
    hits = [*_phrases(text), *_quoted(text)]
    if name.endswith(".py"):
        hits += _names(text, NAMES)
    if name.endswith("/wording.py"):
        hits += _names(text, FUNCTIONS)
    return sorted(hits)


def _phrases(text: str) -> Iterator[tuple[int, str, str]]:
    for match in _ANY_PHRASE.finditer(text):
        phrase = " ".join(_BETWEEN.sub(" ", match[0]).split())
        phrase = next(known for known in PHRASES if known.lower() == phrase.lower())
        yield _line(text, match.start()), phrase, PHRASES[phrase]


def _quoted(text: str) -> Iterator[tuple[int, str, str]]:
    """Names that prose quotes: a whole name between backquotes, or a file's."""
    for match in re.finditer(r"`([\w.]+)`", text):
        for word in match[1].split("."):
            if word in NAMES and word != "told":
                yield _line(text, match.start()), word, NAMES[word]
    for file, instead in FILES.items():
        for match in re.finditer(rf"(?<![\w.-]){re.escape(file)}(?![\w-])", text):
            yield _line(text, match.start()), file, instead


def _names(source: str, words: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """Names in code, whole; words inside strings and comments are prose."""
    if not re.search(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", source):
        return  # reading a source as code takes most of the time
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 1)
        yield from ((line, name, words[name]) for name in _named(node) if name in words)


def _named(node: ast.AST) -> Iterator[str]:
    """What a piece of code names: what it defines, uses, imports, or passes by keyword."""
    for field in ("id", "attr", "arg", "name", "asname", "module"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield from value.split(".")


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _problem(name: str, line: int, word: str, instead: str) -> str:
    return f"{name}:{line}: {word!r}: say {instead}"
