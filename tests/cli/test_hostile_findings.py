"""What `findings list` and `findings show` print of a finding whose texts are somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import LONG, TEXTS, shown
from stored_findings import CAUSE, new_finding

from harness.cli.entry import main
from harness.explore.finding import folder_name
from harness.explore.findings import FINDING, MINIMAL, TIMELINE, Findings

Put = Callable[[dict[str, Any], str], Any]

ALL = "::error::zqz " + " ".join(TEXTS.values()) + "\n::add-mask::a\n"
MOST_SHOWN = 30_000

_OF_SIGNATURE = ("check", "verb", "role", "outcome", "error", "message", "wire")
_TRIED = {"subject": "static", "torch": "2.15.0", "failed": 1, "of": 20, "breaks": []}


def _own(name: str) -> Put:
    return lambda stored, text: stored.update({name: text})


def _signature(name: str) -> Put:
    return lambda stored, text: stored["signature"].update({name: text})


FIELDS: dict[str, Put] = {
    **{name: _own(name) for name in ("subject", "torch", "python", "harness", "engine", "explained_by")},
    **{name: _signature(name) for name in _OF_SIGNATURE},
    "cause": _own("cause"),
    "frames": lambda stored, text: stored["signature"].update(frames=[text, text]),
    "breaks": lambda stored, text: stored.update(breaks=[text]),
    "ancestry": lambda stored, text: stored.update(ancestry=[text]),
    "found with": lambda stored, text: stored.update(found_with=[text]),
    "also tried": lambda stored, text: stored.update(tried=[{**_TRIED, "subject": text, "torch": text}]),
    "last seen": _own("last_seen"),
    "a field of another type": lambda stored, text: stored.update(seed=text),
}

FILES = {
    "scenario": (MINIMAL, lambda text: f"title: {json.dumps(text)}\n# {text}\n"),
    "time line": (TIMELINE, lambda text: text),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finding, all whose texts are harmless."""
    folder = tmp_path_factory.mktemp("stored")
    Findings(folder / "findings").add(new_finding(folder / "runs"))
    return folder / "findings" / CAUSE


def changed(stored: Path, folder: Path, put: Put, text: str) -> str:
    """A finding in the folder with another text; returns its name."""
    finding = json.loads((stored / FINDING).read_text("utf-8"))
    put(finding, text)
    name = folder_name(finding["cause"])
    (folder / name).mkdir(parents=True)
    for file in (MINIMAL, TIMELINE):
        (folder / name / file).write_bytes((stored / file).read_bytes())
    (folder / name / FINDING).write_text(json.dumps(finding), encoding="utf-8")
    return name


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["findings", *words])
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("command", ["list", "show"])
def test_a_terminal_shows_a_field_and_does_nothing_else(
    command: str, field: str, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does a CI service; where a field is shown at all, it is there, escaped."""
    outputs = {}
    for text in ("zqz", ALL, LONG):
        folder = tmp_path / str(len(outputs))
        name = changed(stored, folder, FIELDS[field], text)
        words = ["list"] if command == "list" else ["show", name]
        outputs[text] = printed(capsys, *words, "--findings", str(folder))
        shown(outputs[text])
    assert "zqz" not in outputs["zqz"] or "zqz" in outputs[ALL]
    assert len(outputs[LONG]) <= MOST_SHOWN


@pytest.mark.parametrize(
    ("which", "text"),
    [
        ("scenario", ALL),
        ("scenario", "y" * 50_000),
        ("scenario", "x\n" * 5_000),
        ("time line", ALL),
        ("time line", LONG),
        ("time line", "x\n" * 500_000),
    ],
    ids=lambda value: f"{len(value)} characters" if len(value) > 10 else value,
)
def test_a_terminal_shows_a_file_and_does_nothing_else(
    which: str, text: str, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scenario and the time line of a finding are files, which may be damaged or somebody else's."""
    name = changed(stored, tmp_path, lambda finding, text: None, "")
    file, made = FILES[which]
    (tmp_path / name / file).write_bytes(made(text).encode("utf-8", "surrogatepass"))
    output = printed(capsys, "show", name, "--findings", str(tmp_path))
    shown(output)
    assert len(output) <= MOST_SHOWN
