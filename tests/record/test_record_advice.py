"""The page of one torch: its failures worst first, what helps, what it does not have, and what nobody has played."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from record_parts import TEXT, error, results, scenario

from harness.record.advice import HAS, MAY_HAVE, standings
from harness.record.advice_page import WIDTH, Commands, page
from harness.record.document import Results
from harness.record.named import named
from harness.record.record import Record
from harness.record.words import KEPT, NOT_APPLICABLE, UNTESTED
from harness.reference.failures import HARMS, failures
from harness.scenario.scenario import Scenario

TORCHES = ("2.6.0+cu124", "2.7.1+cu126", "2.8.0", "2.9.0")
COMMANDS = Commands("rdzv-harness record run --torch X", "rdzv-harness doctor --torch X")


def shows(number: str, needs: str = "") -> Scenario:
    """A scenario that shows one failure, and no other."""
    text = TEXT.replace("[F02, F12]", f"[{number}]").replace("[F02]", f"[{number}]").replace('    torch: "<2.9"\n', "")
    return scenario(text.replace("title:", f"{needs}title:"), f"it-shows-{number.lower()}")


CELLS = {number: shows(number) for number in ("F01", "F02", "F05", "F12", "F27", "F32")}
NEWER = shows("F17", 'needs: {torch: ">=2.14"}\n')


def played(cell: Scenario, subject: str, broken: Mapping[str, int]) -> list[Results]:
    """By torch, how many of three plays broke the claim."""
    return [
        results(
            torch, {seed: (["in-time"] if seed <= count else [], error(), 2.0) for seed in (1, 2, 3)}, cell, subject
        )
        for torch, count in broken.items()
    ]


def on_each(*counts: int) -> dict[str, int]:
    """Of the torches that are there, oldest first."""
    return dict(zip(TORCHES, counts, strict=True))


def record() -> Record:
    """Seven cells on four torches; F01 is untested, and F02 on the second and the last."""
    parts = [
        *played(CELLS["F02"], "static", {TORCHES[0]: 3, TORCHES[2]: 3}),
        *played(CELLS["F05"], "static", on_each(3, 3, 3, 3)),
        *played(CELLS["F05"], "static-strict", on_each(0, 0, 0, 0)),
        *played(CELLS["F12"], "static", on_each(3, 2, 0, 0)),
        *played(CELLS["F12"], "static-strict", on_each(3, 3, 0, 0)),
        *played(CELLS["F27"], "static", on_each(0, 3, 0, 3)),
        *played(CELLS["F32"], "static", on_each(3, 0, 0, 3)),
    ]
    return Record(_together(parts), [*CELLS.values(), NEWER])


def _together(parts: list[Results]) -> list[Results]:
    """One for each torch and subject."""
    found: dict[tuple[str, str], Results] = {}
    for part in parts:
        key = (part.torch, part.subject)
        held = found.get(key)
        found[key] = part if held is None else held.model_copy(update={"cells": {**held.cells, **part.cells}})
    return list(found.values())


def lines(version: str) -> list[str]:
    """The page of a version."""
    them = record()
    return page(them, failures(), named(them.torches, version), "the record", COMMANDS)


HELD = """\
torch 2.7.1: what the record knows of it
  12 plays of static, 6 plays of static-strict, with torch 2.7.1+cu126

It has 3 failures, worst first

  wrong: the job goes on with a wrong world or wrong data
  ✗ F05  A retried or restarted join is counted twice
      broken in 3 of 3 plays
      what helps: `static-strict`, which counts ranks and not connections
      static-strict: does not have it, in 3 plays
      upgrade: does not help, up to torch 2.9.0

  fails: the job ends although it could go on
  ✗ F27  A worker's own store is taken for the agent's
      broken in 3 of 3 plays; introduced in (2.6.0, 2.7.1]
      what helps: Torch 2.15, or `TORCHELASTIC_USE_AGENT_STORE=False` for the
        worker
      static-strict: untested
      upgrade: torch 2.8.0 does not have it, but torch 2.9.0 has it again

  late: the job is slower than it says
  ✗ F12  Connecting outlasts its timeout
      broken in 2 of 3 plays (flaky)
      what helps: Expect up to twice the timeout; `static-strict` keeps it
      static-strict: has this failure too
      upgrade: torch 2.8.0 does not have it, nor has a later one

It does not have one failure: kept in every play
  ✓ F32  The error does not name the missing workers: fixed in (2.6.0, 2.7.1],
         but torch 2.9.0 has it

Untested, so nothing is known of: F01 F02

Their scenarios are about other versions of torch: F17
"""


def test_the_page_of_a_torch_that_the_record_holds() -> None:
    """Line by line, as people read it."""
    found = lines("2.7.1")
    shown = "\n".join(found)
    assert shown.startswith(HELD)
    assert found[-3:] == ["To play what is untested:", f"  {COMMANDS.play}", f"  {COMMANDS.again}"]


NEIGHBOURS = """\
torch 2.8.1: the record does not hold it
  the nearest that it holds: torch 2.8.0 before it and torch 2.9.0 after it
  what both have, or both keep, is likely true of it too; nobody has played it

To record it:
  rdzv-harness record run --torch X
  rdzv-harness doctor --torch X

Both have one failure

  wrong: the job goes on with a wrong world or wrong data
  ✗ F05  A retried or restarted join is counted twice
      torch 2.8.0: broken in 3 of 3 plays; torch 2.9.0: broken in 3 of 3 plays
      what helps: `static-strict`, which counts ranks and not connections
      static-strict: does not have it, in 6 plays

One of both has 3 failures, which torch 2.8.1 may have
  ? F02  A silent peer is waited for without a deadline
      torch 2.8.0: broken in 3 of 3 plays; torch 2.9.0: untested
"""


def test_the_page_of_a_torch_that_the_record_has_not() -> None:
    """Its neighbours, what both have, what one has, what neither has, and the command that records it."""
    shown = "\n".join(lines("2.8.1"))
    assert shown.startswith(NEIGHBOURS)
    assert "\nNeither has one failure: kept in every play\n  ✓ F12  Connecting outlasts its timeout" in shown
    assert "\nUntested, so nothing is known of: F01\n" in shown


@pytest.mark.parametrize(
    ("version", "said", "failures"),
    [
        ("2.16.0", "the nearest that it holds: torch 2.9.0 before it", 3),
        ("2.6.0a0+git12", "the nearest that it holds: torch 2.6.0 after it", 4),
    ],
)
def test_beyond_the_ends_of_the_record_there_is_one_neighbour(version: str, said: str, failures: int) -> None:
    """Which is not taken for the torch itself."""
    shown = "\n".join(lines(version))
    assert said in shown
    assert "need not be true of it" in shown
    assert f"\nThat one has {failures} failures, worst first\n" in shown


def test_the_newest_torch_has_no_upgrade_and_says_so_once() -> None:
    """Not below each failure."""
    shown = "\n".join(lines("2.9.0"))
    assert "  it is the newest that this record has, so no upgrade is known" in shown
    assert "upgrade:" not in shown


def test_a_record_without_any_torch_is_said_to_have_none() -> None:
    """And which command would fill it."""
    empty = Record([], list(CELLS.values()))
    shown = "\n".join(page(empty, failures(), named((), "2.9.1"), "the record", COMMANDS))
    assert "the nearest that it holds: none" in shown
    assert COMMANDS.play in shown
    assert "worst first" not in shown


@pytest.mark.parametrize("version", ["2.6.0", "2.7.1", "2.7.1+rocm6.4", "2.8.1", "2.9", "2.30.0", "2.7.0.dev20250101"])
def test_every_line_fits_a_terminal(version: str) -> None:
    """Of 80 columns; the commands are the only lines that nobody breaks."""
    assert [line for line in lines(version) if len(line) > WIDTH] == []


def test_a_broken_play_of_either_neighbour_makes_a_failure_possible() -> None:
    """And only plays of both make it sure, or sure not to be there."""
    them = record()
    kinds = {one.number: one.kind for one in standings(them, failures(), ["2.8.0", "2.9.0"])}
    assert kinds == {
        "F05": HAS, "F27": MAY_HAVE, "F32": MAY_HAVE, "F02": MAY_HAVE, "F12": KEPT, "F01": UNTESTED,
        "F17": NOT_APPLICABLE,
    }  # fmt: skip


def test_what_is_worst_comes_first() -> None:
    """By harm; of one harm what breaks every play before what is flaky; then by number."""
    cells = [shows(number) for number in ("F03", "F02", "F05", "F06", "F51", "F13")]
    broken = {"F03": 1, "F02": 3, "F05": 2, "F06": 3, "F51": 3, "F13": 3}
    parts = [part for cell in cells for part in played(cell, "static", {"2.8.0": broken[cell.refs[0]]})]
    found = standings(Record(_together(parts), cells), failures(), ["2.8.0"])
    assert [one.number for one in found] == ["F06", "F05", "F02", "F03", "F13", "F51"]
    assert [one.failure.harm for one in found] == sorted((one.failure.harm for one in found), key=list(HARMS).index)
