"""file_limit: a real process can open exactly as many more files as it was left."""

from __future__ import annotations

import pytest
from fault_context import fault, rank_processes

from harness.faults.base import FAULTS
from harness.faults.file_limit import limit_for
from harness.values.errors import NothingToHit

# Has gaps among its descriptors, as a process with many closed files has; opens or closes one file for each line.
OPENER = """
import os, sys
null = os.open("/dev/null", os.O_RDONLY)
os.dup2(null, 20), os.dup2(null, 9)
print("ready", flush=True)
files = []
for line in sys.stdin:
    try:
        if line.strip() == "open":
            files.append(os.open("/dev/null", os.O_RDONLY))
        else:
            os.close(files.pop())
        print("ok", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
"""
REFUSED = "Too many open files"


def limited(spare: int, *ranks: int):
    return FAULTS["file_limit"](fault("file_limit", *ranks, spare=spare))


@pytest.mark.parametrize("spare", [0, 1, 3])
def test_exactly_the_spare_descriptors_can_be_opened_and_more_after_healing(spare: int):
    """The next open fails, and works once the limit is restored."""
    with rank_processes(OPENER, 0) as context:
        rank = context.ranks[0]
        with limited(spare, 0).hold(context):
            answers = [rank.ask("open") for _ in range(spare + 1)]
        assert answers == ["ok"] * spare + [REFUSED]
        assert rank.ask("open") == "ok"


def test_the_limit_counts_the_gaps_below_it():
    """A limit is a highest number plus one, and the lowest unused number is taken first."""
    assert limit_for(frozenset({0, 1, 2, 3, 9, 20}), 0) == 4
    assert limit_for(frozenset({0, 1, 2, 3, 9, 20}), 5) == 10
    assert limit_for(frozenset({0, 1, 2}), 3) == 6


def test_only_the_ranks_it_names_are_limited():
    """Rank 1 can open what rank 0 cannot."""
    with rank_processes(OPENER, 0, 1) as context, limited(0, 0).hold(context):
        assert [context.ranks[rank].ask("open") for rank in (0, 1)] == [REFUSED, "ok"]


def test_a_process_that_opened_more_was_touched():
    """The evidence has its numbers of descriptors before and now, and how many are left."""
    with rank_processes(OPENER, 0) as context, limited(2, 0).hold(context) as evidence:
        context.ranks[0].ask("open")
        found = evidence()
    (look,) = found.facts["processes"]
    assert found.touched is True
    assert (look["open"] - look["open_before"], look["free"], look["in_force"]) == (1, 1, True)


def test_a_process_at_its_limit_from_the_start_was_touched():
    """It could open nothing at all while the limit was in force."""
    with rank_processes(OPENER, 0) as context, limited(0, 0).hold(context) as evidence:
        assert evidence().touched is True


def test_whether_it_ran_into_the_limit_and_let_go_again_is_unproven():
    """As many descriptors as before prove neither that it did nor that it did not."""
    with rank_processes(OPENER, 0) as context, limited(1, 0).hold(context) as evidence:
        answers = [context.ranks[0].ask(word) for word in ("open", "open", "close")]
        assert answers == ["ok", REFUSED, "ok"]
        assert evidence().touched is None


def test_a_rank_that_ended_needs_no_healing():
    """Its evidence is unproven, and no other process gets its limit."""
    with rank_processes(OPENER, 0) as context, limited(1, 0).hold(context) as evidence:
        context.ranks[0].process.kill()
        context.ranks[0].process.wait()
        assert evidence().touched is None


def test_nobody_alive_is_nothing_to_hit():
    """A rank without a process cannot be limited."""
    with rank_processes(OPENER) as context, pytest.raises(NothingToHit):
        with limited(1, 0).hold(context):
            pass
