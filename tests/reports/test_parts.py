"""What the reports are made of: safe text, operations in a line, stacks, and the block of a red result."""

from __future__ import annotations

from pathlib import Path

import happenings
import pytest
from happenings import error, op

from harness.cli.running import _slim
from harness.reports.parts import facts, red
from harness.reports.parts.operations import describe, since_start
from harness.reports.parts.rows import row
from harness.reports.parts.safe import short_json, shorten
from harness.reports.parts.stacks import FRAMES_SHOWN, THREADS_SHOWN, shortened, stacks_of
from harness.values.history import History
from harness.values.printable import printable
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, SKIPPED, VACUOUS, Judgement, Verdict

PY_SPY = """\
process 12
Name:\tpython
Threads:\t2

Process 12: python zygote.py
Python v3.11.4 (/usr/bin/python3.11)

Thread 12 (idle): "MainThread"
    get (torch/distributed/distributed_c10d.py:77)
    run (/opt/site-packages/harness/rank/steps/store.py:31)
    main (<string>:1)
Thread 13 (idle): "control"
    _listen (harness/rank/control.py:49)
Thread 14 (active): "watchdog"
    poll (selectors.py:415)
"""


@pytest.mark.parametrize("status", [PASSED, KNOWN])
def test_a_result_whose_history_was_dropped_has_the_same_row(status: str) -> None:
    """With --repeat only red runs keep theirs; the JSON report says of a known failure who waited, all the same."""
    result = happenings.result(Judgement(status, "as expected"))
    assert row(result)["waits"]["edges"]
    assert row(_slim(result)) == row(result)


def test_control_characters_become_visible() -> None:
    """Nothing that a process printed may move the cursor, ring a bell, or fake a line of the report."""
    assert printable("a\x1b[31mred\x07\r\nb\u202e\ud800é 你") == "a\\x1b[31mred\\x07\\r\\nb\\u202e\\ud800é 你"


def test_what_is_cut_shows_that_it_was() -> None:
    """An ellipsis stands where text was left out, inside the width."""
    assert [shorten("abcdef", width) for width in (6, 4, 1, 0)] == ["abcdef", "abc…", "…", ""]


def test_a_value_that_is_no_json_is_shown_all_the_same() -> None:
    """A report never fails over a value."""
    assert short_json({"a": {1, 2}}) == "{'a': {1, 2}}"


def test_an_operation_says_what_it_did_in_one_line() -> None:
    """The forms that a proof is made of."""
    lines = [
        op(1, 0, "invoke", "rendezvous", "join", value=happenings.handler_config(0, 29500)),
        op(2, 0, "ok", "rendezvous", "join", value={"rank": 0, "world_size": 2}),
        op(
            3,
            1,
            "fail",
            "get",
            "get",
            call=4,
            error=error("DistStoreError", "timeout\nframe #0: c10"),
        ),
        op(4, 1, "info", "get", "get", value={"outcome": "hung", "because": "guard of 9.00 s"}),
        op(5, 1, "info", "exit", "exit", value={"signal": 9, "by": "guard"}),
        op(6, "controller", "ok", "start"),
    ]
    assert [describe(line) for line in lines] == [
        "join (rendezvous) begins rank 0 of 2, run train, at 127.0.0.1:29500, timeout 2.00 s",
        'join (rendezvous) ok {"rank": 0, "world_size": 2}',
        "get#4 failed DistStoreError: timeout",
        "get hung guard of 9.00 s",
        'exit {"signal": 9, "by": "guard"}',
        "start ok",
    ]


def test_time_counts_from_the_clock_or_from_the_first_operation() -> None:
    """A play that never came to its start has times all the same."""
    unstarted = History.of([op(5, 0, "info", "ready"), op(8, 0, "invoke", "get", "get")])
    assert since_start(happenings.muted(), happenings.ZERO + 5_000_000) == "+0.005 s"
    assert since_start(unstarted, unstarted.ops[1].time_ns) == "+0.003 s"


def test_stacks_are_shortened_to_threads_and_places() -> None:
    """Long paths keep the two parts that show the place; the harness's own thread says nothing."""
    assert shortened(PY_SPY) == (
        'Thread 12 (idle): "MainThread"',
        "  get (distributed/distributed_c10d.py:77)",
        "  run (steps/store.py:31)",
        "  main (<string>:1)",
        'Thread 14 (active): "watchdog"',
        "  poll (selectors.py:415)",
    )


def test_deep_stacks_and_many_threads_are_counted() -> None:
    """What is left out is said."""
    frames = "".join(f"    f{number} (a.py:{number})\n" for number in range(FRAMES_SHOWN + 5))
    many = "".join(f'Thread {number} (idle): "x"\n{frames}' for number in range(THREADS_SHOWN + 2))
    lines = shortened(many)
    assert lines[FRAMES_SHOWN + 1] == "  … 5 more frames"
    assert lines[-1] == "… 2 more threads"


def test_a_dump_without_stacks_says_why() -> None:
    """The reason that the guard wrote stands in the place of the stacks."""
    text = "process 12\nno Python stacks: py-spy is not installed; python -m pip install py-spy\n"
    assert shortened(text) == ("no Python stacks: py-spy is not installed; python -m pip install py-spy",)


def test_the_stacks_of_what_a_job_has_started_stand_below_its_own(tmp_path: Path) -> None:
    """The history names the job's file only; of many processes the first few are shown and the others counted."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    names = ["rank-1.life-1.txt", *(f"rank-1.life-1.pid-{pid}.txt" for pid in range(20, 30)), "rank-1.life-10.txt"]
    for name in names:
        (folder / name).write_text("Thread 1 (idle)\n    wait (job.py:1)\n")
    ended = happenings.op(30, 1, "info", "exit", "exit", value={"stacks": "stacks/rank-1.life-1.txt"})
    history = History.of([*happenings.muted(), ended])
    assert [stack.path.name for stack in stacks_of(history, tmp_path)] == names[:-1]
    lines = red.body(happenings.result(happenings.red_judgement(), history, run_dir=tmp_path))
    shown = [line for line in lines if "stacks   " in line]
    assert len(shown) == red.STACKS_SHOWN + 1
    assert shown[-1].endswith("… of 3 more processes, in the same folder")


def test_stacks_that_cannot_be_read_name_their_file(tmp_path: Path) -> None:
    """A run directory that lost a file still reports."""
    (stack,) = stacks_of(happenings.muted(), tmp_path)
    assert (stack.path, stack.lines) == (tmp_path / "stacks/rank-1.life-1.txt", ())


def test_stacks_are_found_where_the_history_was_cut_short(tmp_path: Path) -> None:
    """Without the completion of `exit`, the files of the folder are taken."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/rank-0.life-1.txt").write_text(PY_SPY)
    assert [stack.path.name for stack in stacks_of(History(), tmp_path)] == ["rank-0.life-1.txt"]


def test_a_red_result_tells_its_whole_story(tmp_path: Path) -> None:
    """Claim, both sides, proof, faults, stacks, notes, the run, and the command for just this one."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/rank-1.life-1.txt").write_text(PY_SPY)
    text = red.text(happenings.result(happenings.red_judgement(), run_dir=tmp_path, command="rdzv-harness run x"))
    assert text.replace(str(tmp_path), "RUN") == GOLDEN


GOLDEN = """\
FAILED  scenarios/timeouts/a-muted-link-costs-one-timeout.rdzv.yaml  9.20 s
  title      A muted link costs its rank one timeout at most
  because    no_hang is broken
  claim      in-time: failed   scenarios/timeouts/a-muted-link-costs-one-timeout.rdzv.yaml:10
             - {id: in-time, step: get, is: failed, within: [0s, timeout + 1s]}
  expected   failed within 0 s to 3.00 s
  happened   rank 1: get hung after 9.00 s
  why        get of rank 1 hung
  proof        +0.009 s  rank 1  get begins {"key": "ready"}
               +9.009 s  rank 1  get hung no answer within its guard of 9.00 s
  claim      no_hang: failed   standing invariant
             every call ends within its guard
  expected   every call ends
  happened   get of rank 1 hung
  why        1 call hung
  proof        +9.009 s  rank 1  get hung no answer within its guard of 9.00 s
  waits      rank 1 waits in get("ready"): the fault mute (blackhole) was in place on the link of \
rank 1 from +0.01 s on (likely)
  fault      mute (blackhole) on rank 1: in place +0.008 s, healed +9.021 s, touched {"connections": 1, "bytes": 44}
  stacks     RUN/stacks/rank-1.life-1.txt
               Thread 12 (idle): "MainThread"
                 get (distributed/distributed_c10d.py:77)
                 run (steps/store.py:31)
                 main (<string>:1)
               Thread 14 (active): "watchdog"
                 poll (selectors.py:415)
  note       mute: unproven
  run        RUN
  again      rdzv-harness run x"""


def test_evidence_that_is_not_there_is_left_out() -> None:
    """A verdict about a shorter history does not break the report."""
    verdict = Verdict("in-time", FAILED, evidence=(10, 999, -1))
    assert "proof        +0.009 s" in red.text(happenings.result(Judgement(FAILED, "x", (verdict,))))


def test_much_evidence_is_cut_and_counted() -> None:
    """More than a dozen operations are for the time line."""
    history = History.of([op(number, 0, "ok", "add", "add", call=number) for number in range(1, 21)])
    lines = list(red.evidence(history, range(20)))
    assert len(lines) == red.EVIDENCE_SHOWN + 1
    assert lines[-1].startswith("… 8 more operations")


def test_every_status_is_counted_and_zeros_are_shown() -> None:
    """Silence is never the signal."""
    statuses = [PASSED, PASSED, KNOWN, FAILED, ERROR, SKIPPED]
    results = [happenings.result(Judgement(status, "x")) for status in statuses]
    assert facts.counts([VACUOUS]) == {"passed": 0, "known": 0, "failed": 0, "vacuous": 1, "error": 0, "skipped": 0}
    assert facts.summary(results, 1.25) == (
        "6 cells: 2 passed, 1 known, 1 failed, 0 vacuous, 1 error, 1 skipped in 1.2 s"
    )


def test_two_proxies_are_both_named() -> None:
    """Where cells differ, the top of the report hides neither."""
    direct = {**happenings.BEGIN, "proxy": "none (route: direct)"}
    other = happenings.result(history=History.of([op(0, "controller", "ok", "begin", value=direct)]))
    rows = dict(facts.headline([facts.about(happenings.result()), facts.about(other)]))
    assert rows["proxy"] == "toxiproxy-server 2.12.0 (found on PATH); none (route: direct)"
    assert rows["torch"] == "2.15.0"
