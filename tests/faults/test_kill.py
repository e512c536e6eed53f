"""kill: real processes end, their end is announced, and the fault says which ranks it ended."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from fault_context import fault, rank_processes

from harness.faults.base import FAULTS
from harness.machine.process import pidfd, trees
from harness.values.errors import NothingToHit

SLEEPER = "import time; print('ready', flush=True); time.sleep(60)"


def test_it_ends_every_process_it_names_with_sigkill_and_spares_the_others():
    """Ranks 0 and 2 are gone when the fault is in place; rank 1 runs on."""
    with rank_processes(SLEEPER, 0, 1, 2) as context:
        with FAULTS["kill"](fault("kill", 0, 2)).hold(context) as evidence:
            assert evidence().touched is True
            codes = [context.ranks[rank].process.poll() for rank in (0, 1, 2)]
        assert codes == [-signal.SIGKILL, None, -signal.SIGKILL]


def test_the_end_is_announced_before_it_comes():
    """So `no_crash` can tell a killed rank from a crashed one."""
    with rank_processes(SLEEPER, 0, 1) as context, FAULTS["kill"](fault("kill", 0, 1)).hold(context):
        assert context.calls == [("expect_end", 0, "kill"), ("expect_end", 1, "kill")]


def test_the_evidence_tells_the_states_before_and_after():
    """A running process becomes a zombie, which its parent has yet to reap."""
    with rank_processes(SLEEPER, 3) as context:
        with FAULTS["kill"](fault("kill", 3, 4)).hold(context) as evidence:
            facts = evidence().facts
        (victim,) = facts["processes"]
        assert (victim["rank"], victim["life"], victim["pid"]) == (3, 1, context.ranks[3].pid)
        assert victim["before"] in ("R", "S")
        assert victim["after"] == "Z"
        assert facts["missed"] == [4]


def test_the_ranks_that_it_ended_are_known_while_it_is_held_and_after():
    """The nemesis restarts them; rank 1 has no process, so it is not among them."""
    with rank_processes(SLEEPER, 0) as context:
        member = FAULTS["kill"](fault("kill", 0, 1))
        assert member.ended_ranks == ()
        with member.hold(context):
            assert member.ended_ranks == (0,)
        assert (member.restarts_ranks, member.ended_ranks) == (True, (0,))


def test_a_process_that_has_ended_is_nothing_to_hit():
    """Neither an unknown process nor one that is dead but not yet reaped; no end was announced."""
    with rank_processes(SLEEPER, 0) as context:
        context.ranks[0].process.kill()
        os.waitid(os.P_PID, context.ranks[0].pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NothingToHit):
            with FAULTS["kill"](fault("kill", 0, 1)).hold(context):
                pass
        assert context.calls == []


def test_a_paused_process_is_killed_too():
    """SIGKILL works without a SIGCONT before it."""
    with rank_processes(SLEEPER, 0) as context:
        with FAULTS["pause"](fault("pause", 0)).hold(context):
            with FAULTS["kill"](fault("kill", 0)).hold(context):
                assert context.ranks[0].process.wait() == -signal.SIGKILL


def test_a_process_that_ended_by_itself_is_not_touched(monkeypatch: pytest.MonkeyPatch):
    """It was alive at the injection, and its wait status shows that no SIGKILL ended it."""
    monkeypatch.setattr(pidfd.PidfdProcess, "signal", lambda self, number: True)
    with rank_processes("import time; print('ready', flush=True); time.sleep(0.3)", 0) as context:
        with FAULTS["kill"](fault("kill", 0)).hold(context) as evidence:
            found = evidence()
    assert found.touched is False
    assert found.facts["processes"][0]["ended_by_itself"] is True


TREE = """
import os, time
if not os.fork():
    os.fork()
print(os.getpid(), flush=True)
time.sleep(60)
"""
"""Three processes: the rank, its child and that one's child; each prints its pid."""


@pytest.mark.parametrize("whole", [True, False])
def test_a_tree_is_killed_whole_where_that_is_asked_for(whole: bool) -> None:
    """The child and its child end with the rank, and the evidence names them; otherwise both run on."""
    with rank_processes(TREE, 0) as context, contextlib.ExitStack() as stack:
        for _ in range(2):
            context.ranks[0].hear()
        below = trees.descendants(context.ranks[0].pid)
        assert len(below) == 2
        held = [stack.enter_context(pidfd.hold(pid)) for pid in below]
        for one in held:
            stack.callback(one.signal, signal.SIGKILL)
        with FAULTS["kill"](fault("kill", 0, tree=whole)).hold(context) as evidence:
            found = evidence()
            assert [one.ended() for one in held] == [whole, whole]
        assert found.touched is True
        assert found.facts["processes"][0].get("tree", []) == (below if whole else [])
