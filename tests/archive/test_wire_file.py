"""The messages of a play are stored beside its history, read back as they were, and refused when they are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from everybody_joins import ONE_CELL as TEXT
from pasts import Past

from harness import archive
from harness.archive import layout, writing
from harness.archive.layout import CHECKED, CHECKSUMS
from harness.loader import load_text
from harness.values.errors import HarnessError, UsageError
from harness.values.ops import CONTROLLER, OK, WIRE_LOG, Op, Process
from harness.values.wire import CUT, QUERY, REPLY, Wire, WireMessage

WIRE = Wire(
    (
        WireMessage(1, 10, 1, 7, QUERY, "add", ("/n", "/\u00fc\U0001f600"), sent_ns=11, held_ns=1, by="slow-upstream"),
        WireMessage(2, 12, 1, 7, REPLY, "add", ("/n",), sent_ns=13, answers=1),
        WireMessage(3, 14, 1, 7, QUERY, "getnumkeys", fate=CUT),
    ),
    dropped=2,
    undecoded=1,
)


def stored(run_dir: Path, wire: Wire = WIRE) -> Path:
    """The directory of a run whose play stored these messages."""
    kept = archive.write_wire(run_dir, wire)
    facts = {"messages": len(kept.messages), "dropped": kept.dropped, "undecoded": kept.undecoded}
    ops = list(Past().all_join().whole())
    archive.write_history(run_dir, [*ops, Op(ops[-1].time_ns, Process(None, CONTROLLER), OK, WIRE_LOG, value=facts)])
    return run_dir


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The directory of a run that has only begun."""
    (scenario,) = load_text(TEXT, Path("here/everybody-joins.rdzv.yaml"))
    return archive.create_run(tmp_path / "runs", scenario, {"subject": "static"})


@pytest.fixture
def played(run_dir: Path) -> Path:
    """The directory of a run that was played."""
    return stored(run_dir)


def test_the_messages_are_part_of_the_history(played: Path) -> None:
    """With the number of those that are missing; also of a history that is read before the run is judged."""
    assert archive.read_run(played).history.wire == WIRE
    assert archive.read_history(played).wire == WIRE
    assert not WIRE.is_complete


def test_a_steady_state_has_messages_of_its_own(played: Path) -> None:
    """Its file is in the list of checksums of its run."""
    scenario = archive.read_run(played).scenario
    archive.fill_run(played / archive.STEADY, scenario, {})
    stored(played / archive.STEADY, Wire(WIRE.messages[:1]))
    steady = archive.read_run(played).steady
    assert steady is not None
    assert steady.wire == Wire(WIRE.messages[:1])
    assert f"{archive.STEADY}/{archive.WIRE}" in (played / CHECKSUMS).read_text()


def test_a_history_that_does_not_speak_of_messages_has_none(run_dir: Path) -> None:
    """As with a real proxy server, and as older releases stored it."""
    archive.write_history(run_dir, Past().all_join().whole())
    assert archive.read_run(run_dir).history.wire is None


def test_a_run_that_was_cut_short_has_its_messages(played: Path) -> None:
    """If they were stored before it ended."""
    text = (played / archive.HISTORY).read_text()
    (played / "ops" / "controller.jsonl").write_text(text)
    (played / archive.HISTORY).unlink()
    assert archive.read_history(played).wire == WIRE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [lines[0], "{", *lines[2:]], r"wire\.jsonl:2: not a message"),
        (lambda lines: [lines[0], lines[1].replace('"reply"', '"answer"'), lines[2]], r"wire\.jsonl:2: .*side is 'ans"),
        (lambda lines: [lines[0], lines[2], lines[1]], r"wire\.jsonl:2: message 3 in place of 2"),
        (lambda lines: lines[1:], r"wire\.jsonl:1: message 2 in place of 1"),
        (lambda lines: [*lines, lines[-1]], r"wire\.jsonl:4: message 3 in place of 4"),
        (lambda lines: lines[:2], r"wire\.jsonl: 2 messages in place of 3"),
        (lambda lines: [lines[0].replace('"rank":1', '"rank":9'), *lines[1:]], r"wire\.jsonl"),
        (
            lambda lines: [lines[0].replace("upstream", "downstream"), *lines[1:]],
            r"wire\.jsonl: its content is not what",
        ),
    ],
)
def test_damage_is_named_with_its_line(played: Path, change: Callable[[list[str]], list[str]], says: str) -> None:
    """A message that is lost, moved, doubled or changed is refused like an operation."""
    path = played / archive.WIRE
    lines = change(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(HarnessError, match=says):
        archive.read_run(played)


def test_a_rank_of_another_world_is_refused(run_dir: Path) -> None:
    """Also where no checksum shows it."""
    stored(run_dir, Wire((WireMessage(1, 1, 5, 1, QUERY, "add"),)))
    (run_dir / CHECKSUMS).unlink()
    about = json.loads((run_dir / archive.META).read_text())
    (run_dir / archive.META).write_text(json.dumps({**about, CHECKED: False}))
    with pytest.raises(HarnessError, match=r"wire\.jsonl:1: rank 5 of a world of 2"):
        archive.read_run(run_dir)


def test_a_file_that_is_missing_or_too_large_is_refused(played: Path) -> None:
    """The history says that there is one."""
    path = played / archive.WIRE
    with path.open("r+b") as file:
        file.truncate(layout.MOST_BYTES + 1)
    with pytest.raises(HarnessError, match=r"wire\.jsonl: it has more than"):
        archive.read_run(played)
    path.unlink()
    with pytest.raises(UsageError, match=r"not a complete run directory \(there is no .*wire\.jsonl"):
        archive.read_run(played)


def test_no_larger_file_is_stored_than_is_read(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest messages are left out and counted; the others are numbered from 1 and know their queries."""
    size = len(json.dumps(WIRE.messages[1].to_json())) + len(json.dumps(WIRE.messages[2].to_json()))
    monkeypatch.setattr(writing, "MOST_BYTES", size)
    stored(run_dir)
    wire = archive.read_run(run_dir).history.wire
    assert wire is not None
    assert [(one.number, one.kind, one.answers) for one in wire.messages] == [(1, "add", None), (2, "getnumkeys", None)]
    assert (wire.dropped, wire.undecoded) == (3, 1)
