"""pause: every thread of a real process stops, and continues when healed."""

from __future__ import annotations

import os
import select
import signal

import pytest
from fault_context import fault, rank_processes

from harness.faults.base import FAULTS
from harness.machine.process import pidfd
from harness.values.errors import HarnessError, NothingToHit

THREADED_ECHO = """
import sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    print(line.strip(), flush=True)
"""


def test_a_paused_process_answers_only_after_healing():
    """A line sent during the pause is answered by the same process afterwards."""
    with rank_processes(THREADED_ECHO, 0) as context:
        rank = context.ranks[0]
        with FAULTS["pause"](fault("pause", 0)).hold(context):
            rank.process.stdin.write("hello\n")
            rank.process.stdin.flush()
            answered_while_paused, _, _ = select.select([rank.process.stdout], [], [], 0.1)
        assert answered_while_paused == []
        assert rank.hear() == "hello"


def test_every_thread_stands_still_once_it_is_in_place():
    """The evidence has the state T for each of the two threads."""
    with rank_processes(THREADED_ECHO, 0) as context:
        with FAULTS["pause"](fault("pause", 0, 1)).hold(context) as evidence:
            found = evidence()
        assert found.touched is True
        assert [(row["rank"], row["threads"]) for row in found.facts["processes"]] == [(0, "TT")]
        assert found.facts["missed"] == [1]


def test_a_process_that_something_else_resumed_is_not_touched():
    """It was stopped at the injection, and is not any more when the evidence is taken."""
    with rank_processes(THREADED_ECHO, 0) as context:
        with FAULTS["pause"](fault("pause", 0)).hold(context) as evidence:
            context.ranks[0].process.send_signal(signal.SIGCONT)
            assert context.ranks[0].ask("hello") == "hello"
            assert evidence().touched is False


def test_its_guard_is_stopped_and_started_with_it():
    """The context gets both the pause and its end, also when the body raises."""
    with rank_processes(THREADED_ECHO, 0) as context:
        with pytest.raises(RuntimeError, match="midway"):
            with FAULTS["pause"](fault("pause", 0)).hold(context):
                raise RuntimeError("midway")
        assert context.calls == [("paused", 0, True), ("paused", 0, False)]
        assert context.ranks[0].ask("still there") == "still there"


def test_a_rank_that_ends_while_it_is_paused_heals_without_an_error():
    """A process that was killed meanwhile, reaped or not, needs no SIGCONT."""
    with rank_processes(THREADED_ECHO, 0, 1) as context:
        with FAULTS["pause"](fault("pause", 0, 1)).hold(context) as evidence:
            for rank in context.ranks.values():
                rank.process.kill()
            context.ranks[0].process.wait()
            os.waitid(os.P_PID, context.ranks[1].pid, os.WEXITED | os.WNOWAIT)
            assert [row["threads"][0] for row in evidence().facts["processes"]] == ["g", "Z"]
        assert ("paused", 0, False) in context.calls


def test_nobody_alive_is_nothing_to_hit():
    """The process of rank 0 has ended, rank 1 has none; no guard stays stopped."""
    with rank_processes(THREADED_ECHO, 0) as context:
        context.ranks[0].process.kill()
        context.ranks[0].process.wait()
        with pytest.raises(NothingToHit):
            with FAULTS["pause"](fault("pause", 0, 1)).hold(context):
                pass
        assert context.calls[-1:] in ([], [("paused", 0, False)])


def test_a_process_that_does_not_stop_is_an_error_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch):
    """If the second does not stop, the first is continued and no process stays paused."""
    with rank_processes(THREADED_ECHO, 0, 1) as context:
        stubborn = context.ranks[1].pid
        stop = pidfd.PidfdProcess.await_stop
        monkeypatch.setattr(
            pidfd.PidfdProcess,
            "await_stop",
            lambda held, stopped, limit_ns: not (stopped and held.pid == stubborn) and stop(held, stopped, limit_ns),
        )
        with pytest.raises(HarnessError, match=r"rank 1 .* did not stop"):
            with FAULTS["pause"](fault("pause", 0, 1)).hold(context):
                pass
        assert [context.ranks[rank].ask("here") for rank in (0, 1)] == ["here", "here"]
        assert context.calls[-2:] == [("paused", 1, False), ("paused", 0, False)]
