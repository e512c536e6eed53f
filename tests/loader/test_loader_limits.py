"""How large a file, its quantities and its matrix may be: far more than any real one, and refused before it costs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.loader import load_text
from harness.loader.tree import document, limits
from harness.loader.tree.nodes import Listing, Mapping, Node, count
from harness.loader.tree.problems import Problems
from harness.schedule.time_limit import longest_ns
from harness.values.errors import ScenarioError
from harness.values.quantity import LONGEST_NS

SCENARIOS = Path(__file__).parents[2] / "scenarios"
GENEROUS = 10
SOUND = """\
schema: rdzv-scenario/v1
title: A claim
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {id: nap, do: sleep, for: 1s}
faults:
  - {id: slow, inject: latency, stream: both, latency: 1ms}
expect:
  - {step: join, is: ok, within: 1s}
"""


def problem(text: str) -> str:
    """The one problem of a file."""
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f.rdzv.yaml"))
    (only,) = caught.value.problems
    return only


def levels(node: Node) -> int:
    """How deep a tree is."""
    below = [one.node for one in node.entries.values()] if isinstance(node, Mapping) else ()
    below = node.items if isinstance(node, Listing) else below
    return 1 + max(map(levels, below), default=0)


# What is replaced in the sound file, by what, and how the first line of the problem ends.
RANGES = [
    ("for: 1s", "for: 50000min", "6:31: '50000min' is too long"),
    ("for: 1s", "for: 86400s + 1us", "6:31: 86400 s is longer than a day"),
    ("for: 1s", f"for: {'9' * 320}s", "6:31: '9999"),
    ("for: 1s", "for: 1001 * timeout", "6:31: '1001 * timeout' is too long"),
    ("within: 1s", f"within: {'9' * 320}s", "10:34: '9999"),
    ("within: 1s", "within: [0s, 90000s]", "10:34: '90000s' is too long"),
    ("within: 1s", "within: 1s, count: 1000001", "10:45: 1000001 is too large a count"),
    ("within: 1s", "within: 1s, life: 1001", "10:44: `life` cannot be 1001"),
    ("timeout: 2s", "timeout: 86401s", "3:27: '86401s' is too long"),
    ("timeout: 2s", "timeout: 80000s, guard: 2 * timeout", "3:42: 160000 s is longer than a day"),
    ("timeout: 2s", "timeout: 2s, port: 65536", "3:37: `port` cannot be 65536"),
    ("timeout: 2s", "timeout: 2s, world_size: 2147483648", "3:43: `world_size` cannot be 2147483648"),
    ("timeout: 2s", "timeout: 2s, torchrun: {max_restarts: 1001}", "3:56: `max_restarts` cannot be 1001"),
    ("timeout: 2s", "timeout: 2s, ranks: {1: {start: 1441min}}", "3:50: '1441min' is too long"),
    ("latency: 1ms", "latency: 86401s", "8:56: '86401s' is too long"),
    ("latency: 1ms", "latency: 1ms, for: 1e9s", "8:66: '1e9s' is not a duration"),
    (
        "inject: latency, stream: both, latency: 1ms",
        "inject: bandwidth, stream: both, rate: 1001MB/s",
        "8:55: '1001MB/s'",
    ),
    (
        "inject: latency, stream: both, latency: 1ms",
        "inject: limit_data, stream: both, bytes: 1025GiB",
        "8:57: '1025GiB'",
    ),
    ("id: join,", "id: join, times: 100001,", "5:23: `times` cannot be 100001"),
    ("title: A claim", f"title: {'9' * 4400}", "2:8: '9999"),
    ("title: A claim", "title: 9223372036854775808", "2:8: 9223372036854775808 is too large a number"),
    ("title: A claim", "title: 1e400", "2:8: 1e400 is not a finite number"),
    ("title: A claim", "title: .nan", "2:8: .nan is not a finite number"),
    ("title: A claim", 'title: "\\0"', "2:8: this text has the character U+0000"),
    ("title: A claim", 'title: "\\uD800"', "2:8: this text has the character U+D800"),
    ("title: A claim", f"title: {'a' * 16_385}", "2:8: this text has 16385 characters"),
    ("id: slow", f"id: {'a' * 101}", "8:10: 'aaaa"),
    ("timeout: 2s", "timeout: 2s, env: {A=B: x}", "3:36: 'A=B' is not the name of a variable"),
    ("size: 2", "size: 1025", "3:15: `size` cannot be 1025"),
]


@pytest.mark.parametrize(("old", "new", "begin"), RANGES, ids=[f"{new:.40}" for _, new, _ in RANGES])
def test_a_quantity_outside_its_range_is_refused_where_it_stands(old: str, new: str, begin: str) -> None:
    """On every path that a quantity can take, with its place and what to write."""
    found = problem(SOUND.replace(old, new))
    assert found.startswith(f"f.rdzv.yaml:{begin}"), found
    assert re.search(r"\n  .+\Z", found), found


def test_the_longest_times_are_safe_in_all_that_follows() -> None:
    """Milliseconds of any of them fit into 32 bits, which is what `poll` takes; the whole play is a number of ns."""
    day = f"{LONGEST_NS // 10**9}s"
    text = SOUND.replace("for: 1s", f"for: {day}").replace("within: 1s", f"within: {day}")
    text = text.replace("timeout: 2s", f"timeout: {day}").replace("latency: 1ms", f"latency: {day}, after: {day}")
    (scenario,) = load_text(text, Path("f.rdzv.yaml"))
    times = [scenario.world.timeout_ns, scenario.world.ranks[0].guard_ns, scenario.steps[1].arguments["for"]]
    assert max(times) // 10**6 < 2**31
    assert longest_ns(scenario) > LONGEST_NS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"x_a: {'[' * 40}{']' * 40}\n{SOUND}", r":1:45: too much is nested here.*\n.*\n.*\n  write it flatter"),
        (f"x_a: &a {'[' * 30}{']' * 30}\nx_b: {'[' * 20}*a{']' * 20}\n{SOUND}", r"at most 40 levels"),
        (f"x_a: [{'1, ' * 20_000}]\n{SOUND}", r":1:6: this has too many keys and.*\n.*\n.*\n  write at most 20000"),
        (
            f"x_a: &a [{'1, ' * 1000}]\nx_b: [{'*a, ' * 30}]\n{SOUND}",
            r":2:6: this has too many keys and values, aliases written out\n.*\n.*\n  write at most 20000",
        ),
        (
            f"x_a: &a {'a' * 10_000}\nx_b: [{'*a, ' * 200}]\n{SOUND}",
            r":2:6: the texts in this are too long together, aliases written out",
        ),
        (f"{SOUND}tags: [{'a, ' * 1001}]\n", r":11:1: `tags` has 1001 entries\n.*\n.*\n  write at most 1000"),
        (
            SOUND.replace("size: 2", "size: 1024") + "".join(f"  - {{step: join, id: a{n}}}\n" for n in range(50)),
            "",
        ),
        (
            SOUND.replace("size: 2", "size: 1024").replace("\nfaults", "\n  - {do: sleep, for: 1s}" * 60 + "\nfaults"),
            r":5:3: 62 steps in a world of 1024 ranks are too much",
        ),
        (
            SOUND.replace("id: join,", "id: join, times: 100000,").replace("size: 2", "size: 11"),
            r":5:3: the steps make 1100011 calls\n.*\n.*\n  write fewer: one play has at most 1000000",
        ),
        (f"{SOUND}matrix: {{world.ranks.0.env.a: [{', '.join(map(str, range(1001)))}]}}\n", r"a matrix of 1001 cells"),
        (
            f"{SOUND}matrix:\n" + "".join(f"  world.ranks.0.env.a{n}: [1]\n" for n in range(51)),
            r"a matrix of 51 lines is too large",
        ),
        (
            f"{SOUND}tags: [{', '.join('abcdefghij')}{', a' * 500}]\n"
            f"matrix: {{world.run_id: [{', '.join(f'r{n}' for n in range(900))}]}}\n",
            r"900 cells of a file with \d+ keys and values are too much",
        ),
        (
            SOUND.replace("size: 2", "size: 1024")
            + f"matrix: {{world.run_id: [{', '.join(f'r{n}' for n in range(50))}]}}\n",
            r":11:1: the ranks of all cells have more than 50000 steps together",
        ),
    ],
    ids=["levels", "levels-of-aliases", "nodes", "nodes-of-aliases", "characters-of-aliases", "entries", "claims",
         "turns", "calls", "cells", "axes", "nodes-of-cells", "turns-of-cells"],
)  # fmt: skip
def test_a_file_that_is_too_large_is_refused_with_what_is_allowed(text: str, message: str) -> None:
    """Each limit by itself."""
    if message:
        assert re.search(message, problem(text)), problem(text)
    else:
        assert load_text(text, Path("f.rdzv.yaml"))


def test_no_more_problems_are_shown_than_a_person_mends() -> None:
    """Reading ends at the hundredth, and says so."""
    text = "".join(f"k{number}: 1\n" for number in range(5000))
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f.rdzv.yaml"))
    assert len(caught.value.problems) == limits.MOST_PROBLEMS
    assert "reading ended here, after 100 problems; mend these first" in caught.value.problems[-1]


def test_what_a_file_says_is_safe_to_print() -> None:
    """Control characters in keys, labels and values come out as escapes, in the message and in the hint."""
    text = SOUND + 'matrix: {"world.\\e[31mx": [1], "a\\nb": ["\\u202e"]}\n"\\e]0;x\\a": 1\n'
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("f\x1b[2J\n[b].rdzv.yaml"))
    for one in caught.value.problems:
        assert one.startswith("f\\x1b[2J\\n[b].rdzv.yaml:1"), ascii(one)
        assert all(line.isprintable() for line in one.split("\n")), ascii(one)


def test_the_limits_are_generous() -> None:
    """The largest real scenario has a tenth of each limit at most."""
    largest = {"bytes": 0, "nodes": 0, "characters": 0, "cells": 0, "entries": 0, "turns": 0, "of cells": 0}
    for path in SCENARIOS.rglob("*.rdzv.yaml"):
        text = path.read_text(encoding="utf-8")
        tree = document.parse(text, Problems())
        assert tree is not None
        assert levels(tree) * 4 <= limits.DEEPEST, path
        cells = load_text(text, path)
        found = {
            "bytes": len(text),
            "nodes": count(tree),
            "cells": len(cells),
            "entries": max(len(cell.steps) + len(cell.faults) + len(cell.expect) for cell in cells),
            "turns": sum(cell.world.size + sum(len(step.ranks) for step in cell.steps) for cell in cells),
            "characters": len(text),
            "of cells": count(tree) * len(cells),
        }
        largest = {name: max(size, found.get(name, 0)) for name, size in largest.items()}
    allowed = {
        "bytes": limits.LARGEST_FILE_BYTES,
        "nodes": limits.MOST_NODES,
        "characters": limits.MOST_CHARACTERS,
        "cells": limits.MOST_CELLS,
        "entries": limits.MOST_ENTRIES,
        "turns": limits.MOST_TURNS,
        "of cells": limits.MOST_NODES_OF_CELLS,
    }
    assert not {name: (size, allowed[name]) for name, size in largest.items() if size * GENEROUS > allowed[name]}


@pytest.mark.parametrize(
    ("written", "says", "advice"),
    [
        ("3sec", "is a whole number, not the text '3sec'", "write a whole number"),
        ("10k", "is a whole number, not the text '10k'", "write a whole number"),
        ("2.5", "is a whole number, not the number 2.5", "write a whole number"),
        ('"2"', "is a whole number, not the text '2'", "write 2 without quotes"),
        ("0", "cannot be 0", "write at least 1"),
        ("1025", "cannot be 1025", "write at most 1024"),
    ],
)
def test_the_size_of_a_world_is_a_number_of_ranks_and_gets_no_unit_suggested(
    written: str, says: str, advice: str
) -> None:
    """What is suggested for durations and sizes of data does not reach the world's `size`."""
    found = problem(SOUND.replace("size: 2", f"size: {written}"))
    assert found.startswith(f"f.rdzv.yaml:3:15: `size` {says}\n"), found
    assert found.endswith(f"\n  {advice}"), found
