"""Who waits for whom in histories recorded with torch 2.15.0: the right answers, written from the scenarios.

`recorded/NAME.yaml` is the scenario that was played, `recorded/NAME.jsonl` its operations without those that no answer
depends on (lags, links, what was left behind).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from harness.archive import read_ops
from harness.history.waiting import Waits, waiting, who_waits
from harness.history.waiting.stuck import Stuck, stuck_calls
from harness.judge.judge import judge
from harness.loader import load_text
from harness.reports.parts.waits import lines, of_history
from harness.scenario.scenario import Scenario
from harness.values.history import History

RECORDED = Path(__file__).parent / "recorded"

# Rank and step of the call, why it waited, the key, for whom, by which ranks, how sure.
Answer = tuple[int, str, str, str, str, tuple[int, ...], str]
ANSWERS: dict[str, list[Answer]] = {
    "agent-at-a-held-port": [
        (0, "rendezvous", "port taken", "", "nobody", (), "likely"),
        (0, "rendezvous", "rank never began", "", "ranks", (1,), "certain"),
    ],
    "agents-workers-wait": [
        (0, "first", "key never set", "never", "nobody", (), "certain"),
        (1, "stuck", "key set too late", "ready", "ranks", (0,), "certain"),
    ],
    "blocked-by-its-own-get": [
        (1, "reader", "write not finished", "late", "ranks", (1,), "likely"),
    ],
    "cancel-not-answered": [
        (1, "hit", "reply swallowed", "", "proxy", (), "likely"),
        (1, "hit", "key never set", "missing", "nobody", (), "certain"),
    ],
    "chain-to-a-missing-rank": [
        (0, "join", "rank never began", "", "ranks", (3,), "certain"),
        (1, "second", "key set too late", "ready", "ranks", (2,), "certain"),
        (2, "first", "key never set", "go", "ranks", (3,), "certain"),
    ],
    "cycle-of-keys": [
        (0, "first", "key set too late", "b", "ranks", (1,), "certain"),
        (1, "second", "key set too late", "a", "ranks", (0,), "certain"),
    ],
    "deleted-key-and-killed-writer": [
        (1, "stuck", "key deleted", "ready", "ranks", (0,), "certain"),
        (1, "other", "key never set", "late", "ranks", (2,), "certain"),
    ],
    "duplicate-rank": [
        (0, "join", "rank given to nobody", "", "nobody", (), "certain"),
        (2, "join", "rank given to nobody", "", "nobody", (), "certain"),
    ],
    "fine-after-a-frozen-master": [],
    "fine-agents": [],
    "fine-join": [],
    "fine-late-worker": [],
    "frozen-master": [
        (1, "stuck", "frozen", "", "ranks", (0,), "certain"),
    ],
    "gate-and-frozen-writer": [
        (1, "stuck", "key set too late", "a", "ranks", (0,), "certain"),
        (1, "stuck", "key set too late", "b", "ranks", (2,), "certain"),
    ],
    "key-of-another-run": [
        (1, "read", "key never set", "k", "nobody", (), "likely"),
    ],
    "late-key": [
        (1, "stuck", "key set too late", "ready", "ranks", (0,), "certain"),
    ],
    "late-master": [
        (1, "join", "rank began too late", "", "ranks", (0,), "certain"),
        (0, "join", "rank gave up", "", "ranks", (1,), "certain"),
    ],
    "late-worker": [
        (0, "join", "rank began too late", "", "ranks", (2,), "certain"),
        (2, "join", "rank gave up", "", "ranks", (0,), "certain"),
    ],
    "master-died-behind-a-quiet-link": [
        (1, "stuck", "store gone", "", "ranks", (0,), "certain"),
    ],
    "master-killed-before-the-join": [
        (2, "join", "rank died", "", "ranks", (0,), "certain"),
        (1, "join", "rank died", "", "ranks", (0,), "certain"),
    ],
    "master-killed-in-the-join": [
        (1, "join", "rank died", "", "ranks", (0,), "likely"),
    ],
    "master-of-a-larger-world": [
        (0, "join", "rank given to nobody", "", "nobody", (), "certain"),
    ],
    "master-restarted": [],
    "missing-master": [
        (2, "join", "rank never began", "", "ranks", (0,), "certain"),
        (1, "join", "rank never began", "", "ranks", (0,), "certain"),
    ],
    "missing-worker-echo": [
        (0, "join", "rank never began", "", "ranks", (2,), "certain"),
        (3, "join", "rank never began", "", "ranks", (2,), "certain"),
        (1, "join", "rank never began", "", "ranks", (2,), "certain"),
    ],
    "missing-worker-stock": [
        (0, "join", "rank never began", "", "ranks", (2,), "certain"),
    ],
    "missing-worker-strict": [
        (0, "join", "rank never began", "", "ranks", (2,), "certain"),
        (3, "join", "rank never began", "", "ranks", (2,), "certain"),
        (1, "join", "rank never began", "", "ranks", (2,), "certain"),
    ],
    "one-way-cut": [
        (0, "join", "link torn", "", "ranks", (2,), "likely"),
        (2, "join", "link torn", "", "ranks", (0,), "likely"),
    ],
    "own-set-comes-after": [
        (1, "stuck", "key set too late", "mine", "ranks", (1,), "certain"),
    ],
    "query-lost": [
        (1, "hit", "query dropped", "", "proxy", (), "likely"),
    ],
    "rank-whose-moment-never-comes": [
        (0, "join", "rank given to nobody", "", "nobody", (), "certain"),
        (1, "stuck", "key never set", "ready", "ranks", (2,), "certain"),
    ],
    "reply-lost": [
        (1, "hit", "reply swallowed", "", "proxy", (), "likely"),
    ],
    "retried-after-the-master-gave-up": [
        (0, "join", "rank never began", "", "ranks", (2,), "certain"),
        (1, "join", "rank never began", "", "ranks", (2,), "certain"),
        (1, "retry", "rank gave up", "", "ranks", (0,), "certain"),
        (1, "retry", "rank never began", "", "ranks", (2,), "certain"),
    ],
    "set-that-the-proxy-swallows": [
        (1, "stuck", "query dropped", "ready", "proxy", (2,), "likely"),
    ],
    "silence-in-the-join": [
        (0, "join", "link torn", "", "proxy", (1,), "likely"),
        (1, "join", "link torn", "", "proxy", (0,), "likely"),
    ],
    "silent-link": [
        (1, "stuck", "link torn", "", "proxy", (0,), "certain"),
    ],
    "silent-links-of-workers": [
        (0, "join", "link torn", "", "proxy", (1, 2), "certain"),
        (2, "join", "link torn", "", "proxy", (0,), "certain"),
        (1, "join", "link torn", "", "proxy", (0,), "certain"),
    ],
    "sliced-join": [
        (0, "rendezvous", "link slow", "", "proxy", (1,), "likely"),
        (1, "rendezvous", "link slow", "", "proxy", (0,), "likely"),
    ],
    "slow-answer": [
        (1, "late", "link slow", "", "proxy", (0,), "likely"),
    ],
    "stranger-on-the-masters-port": [
        (0, "join", "port taken", "", "nobody", (), "likely"),
        (0, "join", "rank never began", "", "ranks", (1,), "certain"),
    ],
    "two-jobs": [
        (0, "rendezvous", "rank given to nobody", "", "nobody", (), "certain"),
        (2, "rendezvous", "rank gave up", "", "ranks", (1,), "likely"),
    ],
    "worker-of-another-size": [
        (0, "join", "another world size", "", "ranks", (1,), "likely"),
    ],
}
SENTENCES = {
    "agents-workers-wait": (
        'rank 1 waits in wait("ready") for rank 0, which had not set it: it was in get("never"), and its set began'
        ' 1.65 s later; rank 0 waits in get("never"): no rank sets the key'
    ),
    "cycle-of-keys": (
        'rank 0 waits in get("b") for rank 1, which had not set it: it was in get("a"), and its set began 3 ms later;'
        ' rank 1 waits in get("a") for rank 0, which had not set it: it was in get("b"), and its set began 2 ms before:'
        " a cycle"
    ),
    "deleted-key-and-killed-writer": (
        'rank 1 waits in get("ready"): rank 0 had deleted the key, and nobody set it again (and 1 more wait)'
    ),
    "duplicate-rank": (
        "ranks 0 and 2 wait in their joins: no step of the scenario joins as rank 2 of 3 in run train;"
        " ranks 1 and 2 joined as rank 1"
    ),
    "fine-join": "",
    "frozen-master": (
        'rank 1 waits in get("ready"): rank 0, which serves the store, was frozen by the fault frozen (pause) from'
        " +0.12 s to +3.12 s"
    ),
    "late-key": (
        'rank 1 waits in get("ready") for rank 0, which had not set it: it was in think (sleep), and its set began'
        " 1.01 s later"
    ),
    "late-worker": "rank 0 waits in its join for rank 2, which began to join 471 ms later (and 1 more wait)",
    "master-died-behind-a-quiet-link": (
        'rank 1 waits in add("n") for rank 0, which served the store: it was killed by the fault killed at +0.10 s'
    ),
    "missing-master": "ranks 1 and 2 wait in their joins for rank 0, which never began",
    "set-that-the-proxy-swallows": (
        'rank 1 waits in get("ready") for rank 2\'s set: the fault lost (x_drop_query) swallowed a query on the link of'
        " rank 2 (likely)"
    ),
    "silent-links-of-workers": (
        "ranks 0, 1 and 2 wait in their joins: the fault mute (partition) let nothing pass on the links of ranks 1 and"
        " 2 from the start on"
    ),
}


@cache
def history(name: str) -> History:
    return History.of(read_ops(RECORDED / f"{name}.jsonl"))


@cache
def plan(name: str) -> Scenario:
    """The cell that was played; not named *.rdzv.yaml, so that nobody plays it again."""
    cells = load_text((RECORDED / f"{name}.yaml").read_text(), Path(f"{name}.rdzv.yaml"))
    (played,) = [cell for cell in cells if dict(cell.cell) == history(name).begin["cell"]]
    return played


@cache
def waits(name: str) -> Waits:
    return who_waits(plan(name), history(name))


def test_every_recorded_history_has_an_answer() -> None:
    """And every answer a history; there are many of them."""
    assert {path.stem for path in RECORDED.glob("*.jsonl")} == set(ANSWERS)
    assert len(ANSWERS) >= 40


@pytest.mark.parametrize("name", ANSWERS)
def test_the_edges_of_a_recorded_history_are_the_right_ones(name: str) -> None:
    """All of them and no other, in the order of the calls."""
    edges = [
        (
            edge.call.rank,
            edge.call.step,
            edge.cause.why,
            edge.cause.key,
            edge.cause.whom,
            edge.cause.by,
            edge.cause.sure,
        )
        for edge in waits(name).edges
    ]
    assert edges == ANSWERS[name]


@pytest.mark.parametrize("name", SENTENCES)
def test_the_sentence_says_what_a_person_should_know_first(name: str) -> None:
    """The call that no other waits for, the chain behind it, and how many more waits there are."""
    assert waits(name).sentence == SENTENCES[name]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_judgement_has_the_sentence_as_a_note(name: str) -> None:
    """Exactly where there is one."""
    sentence = waits(name).sentence
    assert (sentence in judge(plan(name), history(name)).notes) == bool(sentence)


@pytest.mark.parametrize("name", ANSWERS)
def test_waits_pass_through_json(name: str) -> None:
    """With the sentence, and evidence that exists."""
    said = json.loads(json.dumps(waits(name).to_json()))
    assert said["sentence"] == waits(name).sentence
    assert len(said["edges"]) == len(ANSWERS[name])
    assert all(0 <= index < len(history(name)) for edge in said["edges"] for index in edge["evidence"])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_run_that_was_cut_short_names_the_same_missing_ranks_or_none(name: str) -> None:
    """Half of a history gives no answer about what came later: whom it names as missing had not returned by then."""
    whole = history(name)
    half = History.of(whole.ops[: len(whole.ops) // 2])
    returned = {call.rank for call in half.rendezvous_calls if call.outcome == "ok"}
    for edge in who_waits(plan(name), half).edges:
        if edge.call.f == "rendezvous" and edge.cause.why in ("rank never began", "rank died", "rank gave up"):
            assert not returned.intersection(edge.cause.by), edge.text


def test_the_judgement_and_the_reports_find_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They ask for the same scenario and history, and a large world takes a while."""
    name = "deleted-key-and-killed-writer"
    past = History.of(read_ops(RECORDED / f"{name}.jsonl"))
    asked: list[History] = []

    def counted(scenario: Scenario, history: History) -> Iterator[Stuck]:
        asked.append(history)
        return stuck_calls(scenario, history)

    monkeypatch.setattr(waiting, "stuck_calls", counted)
    notes = judge(plan(name), past).notes
    assert of_history(plan(name), past).sentence in notes
    assert [*lines(plan(name), past)]
    assert len(asked) == 1
    of_history(replace(plan(name), title="another"), past)
    assert len(asked) == 2, "of another scenario it is found anew"


def test_a_sentence_about_some_operations_begins_with_their_call() -> None:
    """And is empty if their call did not wait."""
    found = waits("deleted-key-and-killed-writer")
    other = found.edges[1]
    assert found.sentence_about(set(other.call.evidence)).startswith('rank 1 waits in get("late") for rank 2')
    assert found.sentence_about({0}) == ""
