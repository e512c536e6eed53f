"""Signatures of violations: what varies does not enter, what tells failures apart does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from explore.drafts import LARGE
from pasts import Past, at, scenario

from harness.explore.edits import without
from harness.explore.observation import Signature
from harness.explore.signature import cause_key, principal, signatures, template
from harness.judge.judge import judge
from harness.loader import load_text
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op
from harness.values.verdict import FAILED, PASSED, Judgement, Verdict, Violation
from harness.values.wire import CUT, KEPT, QUERY, REPLY, Wire, WireMessage
from harness.values.wire import PASSED as SENT

RECORDED = Path(__file__).parents[1] / "history" / "recorded"

STACKS = """process 7
fd 1: /runs/x/logs/rank-1.life-1.log

Thread 7 (idle): "MainThread"
    create_tcp_store (torch/distributed/elastic/rendezvous/utils.py:88)
    next_rendezvous (torch/distributed/elastic/rendezvous/static_tcp_rendezvous.py:60)
    rendezvous (harness/rank/steps/join.py:61)
    StepRun._call (harness/rank/worker.py:243)
Thread 8 (idle): "control"
    Control._listen (harness/rank/control.py:55)
"""


def _failed(name: str, *violations: Violation, evidence: tuple[int, ...] = ()) -> Judgement:
    return Judgement(FAILED, "", (Verdict(name, FAILED, "", evidence=evidence, violations=violations),))


def _evidence(history: History, step: str, *ranks: int) -> tuple[int, ...]:
    return tuple(index for call in history.calls_of(step) if call.rank in ranks for index in call.evidence)


def _message(number: int, seconds: float, side: str, kind: str, fate: str = SENT, rank: int = 1) -> WireMessage:
    return WireMessage(number, at(seconds), rank, 1, side, kind, fate=fate)


# -- which call, and what of it -----------------------------------------------------------------------------------


def test_a_failed_call() -> None:
    """Its check, verb, role, outcome, error and message, and the last message of its link before it ended."""
    past = Past(2).all_join()
    past.call(
        1, "hear", 1.0, 3.0, "failed", f="get", error=ErrorInfo("DistStoreError", (), "wait timeout after 2000ms")
    )
    wire = Wire((_message(1, 0.5, REPLY, "get"), _message(2, 1.1, QUERY, "wait"), _message(3, 4.0, QUERY, "ping")))
    history = replace(past.whole(), wire=wire)
    judgement = _failed("deadline", Violation("deadline", "late", _evidence(history, "hear", 1)))
    assert signatures(scenario(), history, judgement) == {
        Signature(
            "deadline", "get", "worker", "failed", "DistStoreError", "wait timeout after <time>", "query wait passed"
        )
    }


def test_a_hung_call_has_frames() -> None:
    """Of its own thread, innermost first, up to the step; without the text of the stacks there are none."""
    stacks = "stacks/rank-1.life-1.txt"
    past = Past(2).join(0, 0.001, 0.01).join(1, 0.001, 9.0, "hung")
    history = past.ends(1, None, 9.1, signal=9, by="guard", stacks=stacks).whole()
    judgement = _failed("no_hang", Violation("no_hang", "hung", _evidence(history, "join", 1)))
    (found,) = signatures(scenario(), history, judgement, {stacks: STACKS}.__getitem__)
    assert (found.outcome, found.frames) == ("hung", ("create_tcp_store", "next_rendezvous"))
    assert signatures(scenario(), history, judgement) == {replace(found, frames=())}


def test_each_violation_counts_once() -> None:
    """Two workers that fail alike are one signature, the master is another; a verdict that holds has none."""
    past = Past(3)
    for rank in range(3):
        past.join(rank, 0.001, 1.0, "failed")
    history = past.whole()
    violations = [Violation("error_contract", "", _evidence(history, "join", rank)) for rank in range(3)]
    judgement = _failed("contract", *violations)
    judgement = replace(judgement, verdicts=(*judgement.verdicts, Verdict("no_hang", PASSED)))
    found = signatures(scenario(size=3), history, judgement)
    assert sorted((one.check, one.role) for one in found) == [
        ("error_contract", "master"),
        ("error_contract", "worker"),
    ]


def test_the_process_that_was_given_rank_0_is_the_master() -> None:
    """Whatever the number of its process."""
    history = Past(2).join(0, 0.001, 1.0, "failed", as_rank=1).join(1, 0.001, 1.0, "failed", as_rank=0).whole()
    judgement = _failed("contract", Violation("contract", "", _evidence(history, "join", 1)))
    (found,) = signatures(scenario(), history, judgement)
    assert found.role == "master"


def test_a_violation_of_several_calls_of_one_verb() -> None:
    """Their roles and outcomes together, in one order, whichever was first."""
    history = Past(2).join(0, 0.001, 1.0).join(1, 0.001, 2.0, "failed").whole()
    judgement = _failed("together", evidence=(*_evidence(history, "join", 1), *_evidence(history, "join", 0)))
    assert signatures(scenario(), history, judgement) == {
        Signature("together", "rendezvous", "master+worker", "failed+ok", "DistNetworkError")
    }


def test_a_violation_of_calls_of_several_verbs() -> None:
    """The last in the evidence is the one that cannot be; what stands before it proves that."""
    past = Past(2).all_join().call(0, "tell", 1.0, 1.1, f="set").call(1, "hear", 2.0, 2.1, f="get", value="?")
    history = past.whole()
    evidence = (*_evidence(history, "tell", 0), *_evidence(history, "hear", 1))
    (found,) = signatures(scenario(), history, _failed("linearizable", evidence=evidence))
    assert (found.verb, found.role, found.outcome) == ("get", "worker", "ok")


def test_a_violation_without_a_call() -> None:
    """The check, and what the harness looked for."""
    history = Past(2).all_join().whole()
    left = next(op.index for op in history.ops if op.f == "left_behind")
    assert signatures(scenario(), history, _failed("nothing_left_behind", evidence=(left,))) == {
        Signature("nothing_left_behind", "left_behind")
    }
    assert signatures(scenario(), history, _failed("claim")) == {Signature("claim")}


@pytest.mark.parametrize("fate", [CUT, KEPT])
def test_what_became_of_a_lost_message_does_not_matter(fate: str) -> None:
    """Whether it was still held, or its connection had ended, depends on when the play ended."""
    history = replace(
        Past(2).all_join().call(1, "get", 1.0, 9.0, "hung").whole(), wire=Wire((_message(1, 1.1, QUERY, "get", fate),))
    )
    (found,) = signatures(scenario(), history, _failed("no_hang", evidence=_evidence(history, "get", 1)))
    assert found.wire == "query get lost"


def test_two_threads_have_no_last_message() -> None:
    """While two threads of a rank make calls, which of them sent the last message is a race."""
    past = Past(2).all_join().call(1, "get", 1.0, 3.0, "failed").call(1, "set", 2.0, 2.1, thread="second")
    history = replace(past.whole(), wire=Wire((_message(1, 2.05, QUERY, "set"),)))
    (found,) = signatures(scenario(), history, _failed("claim", evidence=_evidence(history, "get", 1)))
    assert found.wire == ""


def test_an_error_says_nothing() -> None:
    """A play that says nothing about the subject has no signatures, whatever its verdicts are."""
    judgement = replace(_failed("claim"), status="error")
    assert signatures(scenario(), Past(2).whole(), judgement) == frozenset()


# -- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("wait timeout after 1000ms, keys: /train/ready", "wait timeout after <time>, keys: <path>"),
        ("wait timeout after 2000ms, keys: /other/a, /other/b", "wait timeout after <time>, keys: <path>"),
        (
            "Timed out after 2 seconds waiting for clients. 2/3 clients joined.",
            "Timed out after <time> waiting for clients. <n>/<n> clients joined.",
        ),
        (
            "The client socket has timed out after 0ms while trying to connect to (127.0.0.1, 29500).",
            "The client socket has timed out after <time> while trying to connect to <address>.",
        ),
        (
            "The client socket has timed out after 5000ms while trying to connect to (localhost, 1234).",
            "The client socket has timed out after <time> while trying to connect to <address>.",
        ),
        ("invalid literal for int() with base 10: '0.5'", "invalid literal for int() with base <n>: <name>"),
        (
            "rank 0 of run 'train' at 127.0.0.1:29500: gave up waiting for ranks 1, 2 and 3 to join (1.0 s elapsed)",
            "rank <n> of run <name> at <address>: gave up waiting for rank <n> to join (<time> elapsed)",
        ),
        (
            "rank 2 of run 'a' at [::1]:4000: gave up waiting for rank 1 to join (0.5 s elapsed)",
            "rank <n> of run <name> at <address>: gave up waiting for rank <n> to join (<time> elapsed)",
        ),
        ("add: the connection to localhost:39641 was cut", "add: the connection to <address> was cut"),
        ("Broken pipe", "connection lost"),
        ("Connection reset by peer", "connection lost"),
        ("Failed to recv, got 0 bytes. Connection was likely closed. Did the remote server crash?", "connection lost"),
        ("Bad\nException raised from recv at /pytorch/x.cpp:1 (most recent call first):\nframe 0: f", "Bad"),
        ("the run my-run is closed", "the run <name> is closed"),
        ("", ""),
    ],
)
def test_templates(line: str, expected: str) -> None:
    """Numbers, times, addresses, ports, paths, keys, quoted names and run ids are replaced; C++ stacks are cut."""
    assert template(line, ["my-run"]) == expected


# -- the same over repeats ----------------------------------------------------------------------------------------


def _recorded(name: str) -> tuple[Any, tuple[Op, ...]]:
    (cell,) = load_text((RECORDED / f"{name}.yaml").read_text(), Path(f"{name}.rdzv.yaml"))
    rows = [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]
    return cell, tuple(map(Op.from_json, rows))


def _moved(op: Op, seconds: float) -> Op:
    """The operation at a later time, with other numbers in its error."""
    error = op.error
    if error is not None:
        message = error.message.replace("29500", "31234").replace("1000ms", "2000ms").replace("train", "other")
        error = replace(error, message=message)
    return replace(op, time_ns=round(op.time_ns * 1.001) + at(seconds), error=error)


@pytest.mark.parametrize(
    "name",
    ["blocked-by-its-own-get", "cancel-not-answered", "chain-to-a-missing-rank", "deleted-key-and-killed-writer"],
)
def test_recorded_histories_keep_their_signatures(name: str) -> None:
    """A recorded failure has the same signatures at other times, and with other ports, run ids and timeouts."""
    cell, ops = _recorded(name)
    before = History.of(ops)
    judged = judge(replace(cell, known=()), before)
    found = signatures(cell, before, replace(judged, status=FAILED))
    assert found
    after = History.of(_moved(op, 3.0) for op in ops)
    again = judge(replace(cell, known=()), after)
    assert signatures(cell, after, replace(again, status=FAILED)) == found


# -- causes -------------------------------------------------------------------------------------------------------


def test_the_key_of_a_cause() -> None:
    """What fails, of whom, under which fault at which kind of moment: no rank, count or time."""
    hung = Signature("no_hang", "get", "worker", "hung", wire="query get lost", frames=("recv",))
    document = without(LARGE, faults=[0, 2])
    key = "hung.get.worker--blackhole.downstream@query-add"
    assert cause_key(hung, document) == key
    assert cause_key(replace(hung, check="deadline", frames=(), wire=""), document) == key
    assert cause_key(hung, without(LARGE, faults=[0, 1, 2])) == "hung.get.worker--no-fault"
    raised = Signature("look+hear", "get", "worker", "failed", "DistNetworkError", "connection lost")
    assert cause_key(raised, document) == "DistNetworkError.get.worker--blackhole.downstream@query-add"
    assert cause_key(Signature("linearizable", "get", "worker", "ok"), document).startswith("linearizable.get.worker--")


def test_the_order_of_faults_does_not_matter() -> None:
    """Faults are a multiset: two equal ones count twice, and their order and names are nothing."""
    document = {**LARGE, "faults": LARGE["faults"][:2]}
    turned = {**LARGE, "faults": [{**fault, "id": f"x{place}"} for place, fault in enumerate(LARGE["faults"][1::-1])]}
    signature = Signature("together", "rendezvous", "worker", "ok")
    assert cause_key(signature, document) == cause_key(signature, turned)
    twice = {**LARGE, "faults": [LARGE["faults"][0], LARGE["faults"][0]]}
    assert cause_key(signature, twice).count("latency") == 2


def test_a_long_key_stays_short_and_its_own() -> None:
    """A key is the name of a folder: a long one ends with a digest of the whole."""
    faults = [{**LARGE["faults"][1], "id": str(number)} for number in range(4)]
    one = cause_key(Signature("together"), {**LARGE, "faults": faults})
    other = cause_key(Signature("together"), {**LARGE, "faults": faults[:3]})
    assert len(one) == len(other) == 100
    assert one != other


def test_the_principal_signature() -> None:
    """Of several violations of one run the most severe outcome comes first: a hang before a late error."""
    late = Signature("deadline", "get", "worker", "failed")
    hung = Signature("no_hang", "get", "worker", "hung")
    assert principal([late, hung, Signature("claim")]) == hung
    assert principal([]) is None
