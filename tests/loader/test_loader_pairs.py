"""Pairs of ranks in a fault: how they are written, what they mean, and what is reported of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.loader import load
from harness.values.errors import ScenarioError

FILE = """\
schema: rdzv-scenario/v1
title: Pairs
world: {{size: 4, kind: namespaces{world}}}
workload:
  - {{do: rendezvous}}
faults:
  - {{inject: partition, {fault}}}
expect:
  - {{step: rendezvous, is: ok}}
"""


def read(tmp_path: Path, fault: str, world: str = ""):
    """The fault of a file that says so."""
    path = tmp_path / "pairs.rdzv.yaml"
    path.write_text(FILE.format(fault=fault, world=world))
    (scenario,) = load(path)
    return scenario.faults[0]


@pytest.mark.parametrize(
    ("written", "pairs", "ranks"),
    [
        ("[[1, 0]]", (((1,), (0,)),), (0, 1)),
        ("[[1, 0], [3, 0]]", (((1,), (0,)), ((3,), (0,))), (0, 1, 3)),
        ("[[[0, 1], [2, 3]]]", (((0, 1), (2, 3)),), (0, 1, 2, 3)),
        ("[[workers, 0]]", (((1, 2, 3), (0,)),), (0, 1, 2, 3)),
        ("[[1-2, 3]]", (((1, 2), (3,)),), (1, 2, 3)),
    ],
)
def test_each_side_of_a_pair_is_a_choice_of_ranks(tmp_path: Path, written: str, pairs: object, ranks: object):
    """The fault hits all ranks that the pairs name."""
    fault = read(tmp_path, f"pairs: {written}")
    assert (fault.attributes["pairs"], fault.ranks) == (pairs, ranks)


def test_pairs_work_without_links_and_links_without_pairs(tmp_path: Path):
    """`route: direct` has no links, but it has hosts."""
    assert read(tmp_path, "pairs: [[1, 0]]", ", route: direct").ranks == (0, 1)
    assert (read(tmp_path, "ranks: 1").ranks, read(tmp_path, "ranks: 1").attributes["pairs"]) == ((1,), None)
    with pytest.raises(ScenarioError, match="'partition' works on links, and `route: direct` has none"):
        read(tmp_path, "ranks: 1", ", route: direct")


@pytest.mark.parametrize(
    ("written", "problem", "hint"),
    [
        ("pairs: [1, 0]", "1 is not a pair", "write a list of pairs, [[1, 0]], or of groups, [[[0, 1], [2, 3]]]"),
        ("pairs: 1", "1 is not a list of pairs", "[[1, 0]]"),
        ("pairs: []", "[] is not a list of pairs", "[[1, 0]]"),
        ("pairs: [[1, 0, 2]]", "[1, 0, 2] is not a pair", "[[1, 0]]"),
        ("pairs: [[1, none]]", "'none' is not a choice of ranks", "write 2, [0, 3], 1-6, workers or all"),
        ("pairs: [[1, 4]]", "there is no rank 4 in a world of size 4", "ranks are 0 to 3"),
        ("pairs: [[1, 1-2]]", "rank 1 stands on both sides of a pair", "name it on one side"),
        ("pairs: [[1, 0]], ranks: 1", "the pairs already say which ranks are meant", "take `ranks` out, or `pairs`"),
    ],
)
def test_what_is_wrong_with_pairs_is_reported_with_what_to_write(tmp_path: Path, written: str, problem: str, hint: str):
    """Ranks that do not exist, malformed pairs, and ranks given twice."""
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, written)
    (text,) = caught.value.problems
    assert problem in text
    assert hint in text
