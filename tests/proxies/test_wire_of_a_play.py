"""The messages of a play with torch are in its history, as many as the links counted, each with its fate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from served_engines import served

from harness.archive import read_run
from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.play.options import RunOptions
from harness.values.ops import LINK
from harness.values.verdict import PASSED
from harness.values.wire import CUT, DROPPED, QUERY, REPLY
from harness.values.wire import PASSED as SENT_ON

pytestmark = pytest.mark.needs_torch

TEXT = """\
schema: rdzv-scenario/v1
title: A cut is noticed, and so is a reply that is late
world: {size: 3, timeout: 3s}
workload:
  - {id: join, do: rendezvous}
  - {id: lost, do: set, ranks: 1, key: k, value: "1", after: drop}
  - {id: late, do: add, ranks: 1, key: n, after: lost}
  - {id: hit, do: add, ranks: 2, key: n, after: late}
faults:
  - {id: drop, inject: x_drop_query, query: set, ranks: 1, after: join}
  - {id: slow, inject: x_hold, reply: add, duration: 100ms, ranks: 1, after: drop}
  - {id: cut, inject: x_cut, reply: add, ranks: 2, how: rst, after: slow}
expect:
  - {step: late, is: ok}
  - {step: hit, is: failed}
"""


def played(python: str, runs_dir: Path, toxiproxy: str) -> Result:
    options = RunOptions(python=python, toxiproxy=toxiproxy, runs_dir=runs_dir, jobs=1)
    with Runner(options) as runner:
        return runner.play(load_text(TEXT, Path("a-claim.rdzv.yaml"))[0])


@pytest.mark.parametrize("given", [False, True])
def test_each_message_of_a_play_is_in_its_history(rank_python: str, tmp_path: Path, given: bool) -> None:
    """Through an engine of our own and one that somebody else started: exactly the messages that the faults meant have
    another fate, and the links have counted as many of each kind."""
    if given:
        with served() as url:
            result = played(rank_python, tmp_path, url)
    else:
        result = played(rank_python, tmp_path, "embedded")
    assert result.status == PASSED, result.judgement.because
    assert result.run_dir is not None
    stored = read_run(result.run_dir).history
    assert stored == result.history
    wire = stored.wire
    assert wire is not None
    assert wire.is_complete
    assert stored.begin["no_wire"] == ""
    assert [message.number for message in wire.messages] == list(range(1, len(wire.messages) + 1))
    hit = [(one.rank, one.side, one.kind, one.fate, one.by.rpartition("-")[0]) for one in wire.messages if one.by]
    assert hit == [
        (1, QUERY, "set", DROPPED, "drop"), (1, REPLY, "add", SENT_ON, "slow"), (2, REPLY, "add", CUT, "cut"),
    ]  # fmt: skip
    assert {one.fate for one in wire.messages if not one.by} == {SENT_ON}
    for one in wire.messages:
        assert (one.held_ns >= 100_000_000) == (one.by.startswith("slow"))
        if one.side == REPLY:
            assert one.answers is not None
            asked = wire.messages[one.answers - 1]
            assert (asked.side, asked.kind, asked.connection) == (QUERY, one.kind, one.connection)
            assert (asked.sent_ns or 0) <= one.time_ns
    links = [op.value for op in stored if op.f == LINK]
    assert sorted(link["rank"] for link in links) == [1, 2]
    for link in links:
        counted: Counter[str] = sum((Counter(one.get("messages", {})) for one in link["connections"]), Counter())
        assert Counter(f"{one.side} {one.kind}" for one in wire.messages if one.rank == link["rank"]) == counted
