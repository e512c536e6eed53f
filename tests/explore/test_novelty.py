"""Features: the same for equal runs, others for other faults, and nothing in them that differs from run to run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from pasts import NETWORK, Past, at, scenario, step
from wires import Links

from harness.explore.novelty import LONGEST_FEATURE, MOST_FEATURES, Noise, features
from harness.scenario.scenario import Fault
from harness.values.history import History
from harness.values.ops import ErrorInfo
from harness.values.wire import DROPPED, QUERY, Wire

STEPS = (step("join", 0, 1, 2), step("tell", 0, do="set"), step("hear", 1, 2, do="get"))


def found(past: Past, links: Links | None = None, *faults: Fault) -> frozenset[str]:
    history = past.whole() if links is None else links.of(past)
    return features(scenario(*STEPS, size=3, faults=faults), history)


def joined(**begin: Any) -> Past:
    return Past(3, **begin).all_join(0.01, 0.02)


def of(kind: str, given: frozenset[str]) -> set[str]:
    return {one.removeprefix(f"{kind} ") for one in given if one.startswith(f"{kind} ")}


@pytest.mark.parametrize(
    ("took", "bucket"), [(0.4, "<T/4"), (0.6, "<T"), (1.99, "<T"), (2.0, "<T+1"), (2.9, "<T+1"), (3.0, "later")]
)
def test_a_call_says_how_it_ended_and_after_how_many_timeouts(took: float, bucket: str) -> None:
    """Verb, outcome, class of the error, and its time in parts of the timeout of 2 s."""
    past = joined().call(1, "hear", 1, 1 + took, "failed", f="get", error=NETWORK, arguments={"key": "k"})
    assert f"worker get failed DistNetworkError {bucket}" in of("call", found(past))


def test_the_timeout_is_that_of_the_call() -> None:
    """A `wait` that was given 400 ms of its own and took 300 ms took most of it."""
    past = joined().call(1, "hear", 1, 1.3, f="wait", arguments={"keys": ["k"], "timeout": 400_000_000})
    assert "worker wait ok <T" in of("call", found(past))


def test_what_did_not_go_smoothly_is_paired_with_its_neighbours() -> None:
    """A failed call is seen with what came before and after it; two calls that went smoothly make no pair."""
    past = joined().call(1, "hear", 1, 1.1, f="get").call(1, "hear", 2, 2.1, "failed", f="get", number=2)
    past.call(1, "hear", 3, 3.1, f="set", number=3).call(1, "hear", 4, 4.1, f="add", number=4)
    assert of("calls", found(past)) == {
        "worker get ok <T/4 > get failed DistNetworkError <T/4",
        "worker get failed DistNetworkError <T/4 > set ok <T/4",
    }


def test_calls_that_never_began_or_never_ended_have_no_time() -> None:
    """Skipped, died and hung calls are features; a hung one is as long as it was watched."""
    past = joined().call(1, "hear", None, 1, "skipped", f="get").call(2, "hear", 1, 2, "died", f="get")
    past.call(0, "tell", 1, 9, "hung", f="set")
    assert {"worker get skipped", "worker get died <T", "master set hung later"} <= of("call", found(past))


def test_a_second_life_is_told_apart() -> None:
    """A join of a rank that was started again is another feature."""
    past = joined().join(1, 2, 2.1, life=2)
    assert "worker rendezvous ok <T/4 again" in of("call", found(past))


def links() -> Links:
    return Links().asked(1, 0.011, "validate").asked(1, 0.1, "get", "/train/ready").asked(2, 0.012, "validate", on=2)


HOLE = Fault("f", "blackhole", (1,), {}, stream="upstream")


def test_messages_are_pairs_on_one_connection_with_marks_of_faults() -> None:
    """Begin, injection, healing and end stand among the messages of a connection of the rank that the fault hits."""
    past = joined().fault("f", 0.05, 0.105, ranks=(1,))
    assert of("wire", found(past, links(), HOLE)) == {
        "^ > query validate",
        "query validate > reply validate",
        "reply validate > inject blackhole upstream",
        "inject blackhole upstream > query get",
        "query get > reply get",
        "reply get > heal blackhole upstream",
        "heal blackhole upstream > $",
        "reply validate > $",
    }


def test_a_connection_that_begins_under_a_fault_says_so() -> None:
    """Its beginning names the faults that were in place."""
    past = joined().fault("f", 0.05, 5, ranks=(1,))
    assert "^ under blackhole upstream > query get" in of("wire", found(past, Links().asked(1, 0.1, "get", on=9), HOLE))


def test_what_became_of_a_message_is_seen() -> None:
    """A dropped query differs from one that passed."""
    past = joined()
    assert "^ > query set dropped" in of("wire", found(past, Links().sent(1, 0.1, QUERY, "set", fate=DROPPED)))


def test_a_fault_is_a_cell_with_its_place_and_its_effect() -> None:
    """Kind, stream, role, the last message before it, and the first call that did not end well afterwards."""
    past = joined().fault("f", 0.05, 0.5, ranks=(1,)).call(1, "hear", 0.1, 2.1, "failed", f="get")
    past.call(2, "hear", 0.1, 2.1, "failed", f="get")
    assert of("fault", found(past, links(), HOLE)) == {
        "blackhole upstream worker after reply validate then get failed DistNetworkError"
    }


def test_what_waits_while_a_fault_is_injected_comes_after_it() -> None:
    """A reply that had arrived before, and was sent on afterwards, is not the last message before the fault."""
    history = Links().asked(1, 0.1, "add").of(joined().fault("f", 0.2, 0.5, ranks=(1,)))
    assert history.wire is not None
    query, reply = history.wire.messages
    held = Wire((query, replace(reply, sent_ns=at(0.3))))
    given = features(scenario(*STEPS, size=3, faults=(HOLE,)), replace(history, wire=held))
    assert "blackhole upstream worker after query add then ok" in of("fault", given)
    assert "inject blackhole upstream > reply add" in of("wire", given)


def test_a_fault_at_the_master_sees_the_messages_of_all_links() -> None:
    """The master has no link; what was last on any link stands in its cell."""
    past = joined().fault("f", 0.1005, None, kind="kill", ranks=(0,))
    kill = Fault("f", "kill", (0,), {})
    assert of("fault", found(past, links(), kill)) == {"kill master after query get then ok"}


def test_a_fault_that_did_nothing_or_was_refused_says_so() -> None:
    """Untouched and refused faults are features of their own."""
    untouched = joined().fault("f", 0.05, 0.5, touched=False)
    assert "blackhole upstream untouched" in of("fault", found(untouched, None, HOLE))
    assert of("fault", found(joined().fault("f", None, None), None, HOLE)) == {"blackhole upstream refused"}


def strict_links() -> Links:
    keys = ("/+?", "/+=train", "/+1a2b3c.1v", "/+1a2b3c.1s1", "/+1a2b3c.12tdeadbeef", "/+1a2b3c.1adeadbeef",
            "/+1a2b3c.1cdeadbeef", "/+1a2b3c.x", "/train+1a2b3c.1/ready", "/+1a2b3cr")  # fmt: skip
    made = Links()
    for number, key in enumerate(keys):
        made.asked(1, 0.011 + number / 500, "get", key)
    return made


def test_a_static_strict_join_shows_the_stages_of_joiner_and_keeper() -> None:
    """A joiner's stage is the kind of key that it asks for, the keeper's the state of its own join."""
    past = Past(3, subject="static-strict").join(0, 0.012, 0.02).join(1, 0.01, 0.03)
    assert of("stages", found(past, strict_links())) == {
        "keeper absent joiner get runs",
        "keeper joining joiner get record",
        "keeper joining joiner get version",
        "keeper joining joiner get slot",
        "keeper joining joiner get call",
        "keeper joined ok joiner get answer",
        "keeper joined ok joiner get decision",
        "keeper joined ok joiner get closed",
    }
    assert not of("stages", found(Past(3).all_join(), strict_links()))


def test_nothing_that_differs_between_equal_runs_enters() -> None:
    """Other ranks, times, keys, run ids, names of steps, ports and connections give the same features."""

    def run(rank: int, later: float, key: str, name: str, run_id: str, port: int) -> frozenset[str]:
        past = Past(3, subject="static-strict")
        for one in range(3):
            past.join(one, 0.01 + later, 0.02 + later, run_id=run_id, endpoint=f"127.0.0.1:{port}")
        past.fault("f", 0.05 + later, 0.5 + later, ranks=(rank,))
        error = replace(NETWORK, message=f"reset by {run_id}:{port}")
        past.call(rank, name, 0.1 + later, 2.2 + later, "failed", f="get", arguments={"key": key}, error=error)
        wires = Links().asked(rank, 0.011 + later, "get", f"/+{port:x}.1s{rank}", on=port)
        wires.asked(rank, 0.1 + later, "get", f"/{run_id}/{key}", on=port)
        steps = (step("join", 0, 1, 2), step(name, 1, 2, do="get"))
        hole = replace(HOLE, ranks=(rank,))
        return features(scenario(*steps, size=3, faults=(hole,)), wires.of(past))

    first, second = run(1, 0, "ready", "hear", "train", 29501), run(2, 0.003, "leader", "look", "other", 40211)
    assert first == second
    assert len(first) > 8
    assert not [one for one in first if re.search(r"ready|hear|train|2950|\d\d", one)]


def test_different_faults_give_different_features() -> None:
    """Kind, stream, moment and outcome each make a difference."""
    failed = ("failed", "get")
    runs = [
        found(joined(), links()),
        found(joined().fault("f", 0.05, 0.5, ranks=(1,)), links(), HOLE),
        found(joined().fault("f", 0.05, 0.5, ranks=(1,)), links(), replace(HOLE, stream="downstream")),
        found(joined().fault("f", 0.1005, 0.5, ranks=(1,)), links(), HOLE),
        found(joined().fault("f", 0.05, 0.5, ranks=(1,), kind="latency"), links(), replace(HOLE, kind="latency")),
        found(joined().fault("f", 0.05, 0.5, ranks=(1,)).call(1, "hear", 0.1, 2, *failed[:1], f="get"), links(), HOLE),
    ]
    assert len(set(runs)) == len(runs)


def test_features_are_few_and_short_whatever_the_subject_does() -> None:
    """A class name of any length, and any number of them, is bounded."""
    past = joined()
    for number in range(MOST_FEATURES + 50):
        kind = f"E{number}" + "x" * 300
        past.call(
            1, "hear", 1 + number, 1.1 + number, "failed", f="get", number=number + 1, error=ErrorInfo(kind, (), "")
        )
    given = found(past)
    assert len(given) == MOST_FEATURES
    assert max(map(len, given)) == LONGEST_FEATURE


def test_an_empty_history_has_no_features() -> None:
    """Nor has one of a play that was cut short before its first call an error."""
    assert features(scenario(*STEPS, size=3), History()) == frozenset()
    assert features(scenario(*STEPS, size=3), Past(3).so_far()) == frozenset()


def test_noise_is_what_is_seen_in_under_half_of_the_replays() -> None:
    """2 of 5 is noise, 3 of 6 is not; what was never replayed is not; a draft without it does not count."""
    noise = Noise()
    noise.learn([{"a", "rare"}, {"a", "rare"}, {"a"}, {"a", "half"}, {"a", "half"}])
    assert [noise.is_noise(one) for one in ("a", "rare", "never")] == [False, True, False]
    assert noise.is_noise("half")
    noise.learn([{"half"}] * 5)
    noise.learn([set()] * 50)
    assert not noise.is_noise("half")
    assert noise.without({"a", "rare", "never"}) == {"a", "never"}
    noise.learn([{"once"}])
    assert not noise.is_noise("once")
