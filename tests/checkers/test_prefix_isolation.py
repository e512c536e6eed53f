"""Isolation: histories it accepts, and histories it rejects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pasts import SECOND, Past, scenario

from harness.checkers.prefix_isolation import PrefixIsolation
from harness.scenario.scenario import HandlerConfig
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = PrefixIsolation.declaration.summary


class Store:
    """Two tenants of one server: rank 0 is of run a, rank 1 of run b; each call takes its place one second on."""

    def __init__(self) -> None:
        self.past = Past(2).join(0, 0, 0.1, run_id="a").join(1, 0, 0.1, run_id="b")
        self._now = 1.0
        self._made = 0

    def call(self, tenant: str, verb: str, returned: Any = None, outcome: str = "ok", **arguments: Any) -> Store:
        """A call of a tenant; run ids other than b are rank 0's."""
        begin, self._now, self._made = self._now, self._now + 1, self._made + 1
        rank = 1 if tenant == "b" else 0
        self.past.call(
            rank, f"{verb}-{self._made}", begin, begin + 0.1, outcome, f=verb, arguments=arguments, value=returned,
            run_id=tenant, handler="main",
        )  # fmt: skip
        return self

    def judged(self) -> Verdict:
        return PrefixIsolation().check(scenario(), self.past.whole(), {})


def test_tenants_that_see_their_own_keys_are_accepted() -> None:
    """The same key in both, each with its own value."""
    store = Store().call("a", "set", key="x", value="1").call("b", "set", key="x", value="2")
    store.call("a", "get", "1", key="x").call("b", "get", "2", key="x").call("b", "check", True, keys=["x"])
    assert store.judged() == Verdict(
        "prefix_isolation", PASSED, "5 calls of 2 run ids and rounds kept to their own keys", RULE
    )


def test_a_key_that_nobody_wrote_is_not_judged() -> None:
    """Torch keeps keys of its own."""
    store = Store().call("a", "set", key="x", value="1").call("b", "check", True, key="init/")
    assert store.judged().status == PASSED


def test_a_foreign_key_that_is_not_seen_is_accepted() -> None:
    """False, and a timeout, are what isolation looks like."""
    store = Store().call("a", "set", key="x", value="1").call("b", "check", False, key="x")
    store.call("b", "get", None, "failed", key="x").call("b", "delete_key", False, key="x")
    store.call("b", "add", 1, key="x", amount=1).call("b", "num_keys", 5)
    assert store.judged().status == PASSED


def test_a_write_whose_outcome_is_unknown_may_explain_what_was_seen() -> None:
    """b's set raised after it began: b may see it."""
    store = Store().call("a", "set", key="x", value="1").call("b", "set", None, "failed", key="x", value="1")
    assert store.call("b", "get", "1", key="x").judged().status == PASSED


def test_a_count_with_unknown_adds_may_be_either() -> None:
    """b's first add raised: 3 and 1 are both its own count."""
    for seen in (3, 1):
        store = Store().call("a", "add", 5, key="n", amount=5).call("b", "add", None, "failed", key="n", amount=2)
        assert store.call("b", "add", seen, key="n", amount=1).judged().status == PASSED


def test_appended_parts_of_one_tenant_are_its_own() -> None:
    """In whatever order they came."""
    store = Store().call("a", "set", key="x", value="?").call("b", "append", key="x", value="p")
    store.call("b", "append", key="x", value="q").call("b", "get", "qp", key="x")
    assert store.judged().status == PASSED


def test_compare_set_that_proves_nothing_is_accepted() -> None:
    """F43: a missing key answers with the expected value; and "" fits a key that is not there."""
    store = Store().call("a", "set", key="x", value="1")
    store.call("b", "compare_set", "e", key="x", expected="e", desired="d")
    store.call("b", "compare_set", "d", key="y", expected="", desired="d").call("b", "get", "d", key="y")
    assert store.judged().status == PASSED


def test_one_tenant_alone_is_nothing_to_judge() -> None:
    """There is nobody to be kept apart from."""
    assert Store().call("a", "set", key="x", value="1").call("a", "get", "1", key="x").judged().status == VACUOUS


def test_a_foreign_value_is_rejected() -> None:
    """b never wrote the key."""
    store = Store().call("a", "set", key="x", value="1").call("b", "get", "1", key="x")
    assert store.judged() == Verdict(
        "prefix_isolation",
        FAILED,
        "rank 1's get-2 (run b, round 1) saw key 'x' = '1', which is not its own:"
        " rank 0's set-1 (run a, round 1) wrote it",
        RULE,
        "saw key 'x' = '1' of run a, round 1",
        (6, 7, 8, 9),
    )


def test_a_foreign_value_under_a_key_of_its_own_is_rejected() -> None:
    """Both wrote it; the value tells whose it saw."""
    store = Store().call("b", "set", key="x", value="2").call("a", "set", key="x", value="1")
    assert store.call("b", "get", "1", key="x").judged().status == FAILED


def test_other_ways_to_see_a_foreign_key_are_rejected() -> None:
    """check, wait, multi_get, delete_key, queue_pop."""
    for verb, returned in (("check", True), ("wait", None), ("multi_get", ["1"]), ("delete_key", True)):
        store = Store().call("a", "multi_set", values={"x": "1"}).call("b", verb, returned, keys=["x"])
        assert store.judged().status == FAILED, verb
    store = Store().call("a", "queue_push", key="q", value="1").call("b", "queue_pop", "1", key="q")
    assert store.judged().status == FAILED


def test_a_foreign_write_that_may_have_happened_can_be_seen() -> None:
    """a's set raised, and yet b sees the value: it was applied."""
    store = Store().call("a", "set", None, "failed", key="x", value="1").call("b", "get", "1", key="x")
    assert store.judged().status == FAILED


def test_a_foreign_count_is_rejected() -> None:
    """b added 1 and got 6."""
    store = Store().call("a", "add", 5, key="n", amount=5).call("b", "add", 6, key="n", amount=1)
    assert store.judged().happened == "saw key 'n' = 6 of run a, round 1"


def test_a_foreign_swap_is_rejected() -> None:
    """The value that b compared with was a's."""
    store = Store().call("a", "set", key="x", value="1")
    store.call("b", "compare_set", "2", key="x", expected="1", desired="2")
    assert store.judged().status == FAILED


def test_a_foreign_value_that_a_compare_set_shows_is_rejected() -> None:
    """Neither expected nor desired: it is a's."""
    store = Store().call("a", "set", key="x", value="1")
    store.call("b", "compare_set", "1", key="x", expected="", desired="2")
    assert store.judged().status == FAILED


def test_a_foreign_part_of_an_appended_value_is_rejected() -> None:
    """b appended to what a had set."""
    store = Store().call("a", "set", key="x", value="A").call("b", "append", key="x", value="b")
    assert store.call("b", "get", "Ab", key="x").judged().status == FAILED


def test_an_overwritten_key_is_seen_by_its_owner() -> None:
    """b's set changed a's key: a reads b's value."""
    store = Store().call("a", "set", key="x", value="1").call("b", "set", key="x", value="2")
    assert store.call("a", "get", "2", key="x").judged().status == FAILED


def test_run_ids_with_slashes_are_judged_by_the_whole_path() -> None:
    """F48: key b/x of run a is no key x of run a/b."""
    past = Past(2).join(0, 0, 0.1, run_id="a").join(1, 0, 0.1, run_id="a/b")
    past.call(0, "put", 1, 1.1, f="set", arguments={"key": "b/x", "value": "1"}, run_id="a")
    past.call(1, "peek", 2, 2.1, f="check", arguments={"key": "x"}, value=True, run_id="a/b")
    verdict = PrefixIsolation().check(scenario(), past.whole(), {})
    assert verdict.happened == "saw key 'x' of run a, round 1"


def test_keys_of_an_earlier_round_are_rejected() -> None:
    """F25: counted by returns where the subject reports no round."""
    past = Past(2).all_join().call(0, "put", 0.5, 0.6, f="set", arguments={"key": "x", "value": "1"}, run_id="train")
    past.all_join(1, 1.1, step="again").call(
        1, "peek", 2, 2.1, f="get", arguments={"key": "x"}, value="1", run_id="train"
    )
    verdict = PrefixIsolation().check(scenario(), past.whole(), {})
    assert verdict.because == (
        "rank 1's peek (run train, round 2) saw key 'x' = '1', which is not its own:"
        " rank 0's put (run train, round 1) wrote it"
    )


def returned_late(past: Past, writer: int = 0) -> Past:
    """Rank 0's join was judged hung and returned late: the process goes on until it is ended. A rank writes a key."""
    past.join(0, 0, 1, "hung").join(1, 0, 0.1)
    return past.call(writer, "put", 1.1, 1.2, f="set", arguments={"key": "x", "value": "1"}, run_id="train")


def seen_by(past: Past, rank: int) -> Verdict:
    past.call(rank, "peek", 2, 2.1, f="get", arguments={"key": "x"}, value="1", run_id="train")
    return PrefixIsolation().check(scenario(), past.whole(), {})


def test_a_join_that_returned_late_is_of_the_round_of_the_others() -> None:
    """Each sees what the other wrote: the late one has a store, so its join has returned."""
    assert seen_by(returned_late(Past(2)), 1).status == VACUOUS
    assert seen_by(returned_late(Past(2), writer=1), 0).status == VACUOUS


def test_a_later_join_that_may_have_returned_late_is_of_either_round() -> None:
    """Its second join was judged hung: what it writes may be seen in the second round, and it may see the first."""
    past = Past(2).all_join().call(1, "put", 0.5, 0.6, f="set", arguments={"key": "x", "value": "1"}, run_id="train")
    past.join(0, 1, 2, "hung", step="again").join(1, 1, 1.1, step="again")
    past.call(0, "more", 2.1, 2.2, f="set", arguments={"key": "y", "value": "2"}, run_id="train")
    past.call(1, "look", 3, 3.1, f="get", arguments={"key": "y"}, value="2", run_id="train")
    past.call(0, "peek", 3.1, 3.2, f="get", arguments={"key": "x"}, value="1", run_id="train")
    assert PrefixIsolation().check(scenario(), past.whole(), {}).status == PASSED


def test_a_join_that_returned_late_hides_no_trespass() -> None:
    """Not across rounds: a second join of the reader has returned since; nor what was written before it hung."""
    later = returned_late(Past(2)).join(1, 1.5, 1.6, step="again")
    assert seen_by(later, 1).happened == "saw key 'x' = '1' of run train, round 1"
    before = Past(2).all_join().call(0, "put", 0.5, 0.6, f="set", arguments={"key": "x", "value": "1"}, run_id="train")
    before.join(0, 1, 2, "hung", step="again").join(1, 1, 1.1, step="again")
    assert seen_by(before, 1).happened == "saw key 'x' = '1' of run train, round 1"


def test_a_join_that_returned_late_hides_no_other_run() -> None:
    """Whatever its round, the key is of another run id."""
    past = Past(2).join(0, 0, 1, "hung", run_id="a").join(1, 0, 0.1, run_id="b")
    past.call(0, "put", 1.1, 1.2, f="set", arguments={"key": "x", "value": "1"}, run_id="a")
    past.call(1, "peek", 2, 2.1, f="get", arguments={"key": "x"}, value="1", run_id="b")
    assert PrefixIsolation().check(scenario(), past.whole(), {}).happened == "saw key 'x' = '1' of run a, round 1"


def test_a_reported_round_wins_over_the_count() -> None:
    """Rank 1's second life joined round 2: it may see what rank 0 wrote there."""
    past = Past(2).all_join(returned={"round": 1}).join(0, 1, 1.1, step="again", returned={"round": 2})
    past.join(1, 1, 1.1, life=2, returned={"round": 2})
    past.call(0, "put", 2, 2.1, f="set", arguments={"key": "x", "value": "1"}, run_id="train")
    past.call(1, "old", 0.5, 0.6, f="check", arguments={"key": "x"}, value=False, run_id="train")
    past.call(1, "put-old", 0.6, 0.7, f="set", arguments={"key": "y", "value": "1"}, run_id="train")
    past.call(1, "peek", 3, 3.1, f="get", arguments={"key": "x"}, value="1", run_id="train", life=2)
    assert PrefixIsolation().check(scenario(), past.whole(), {}).status == PASSED


def test_a_run_id_that_the_history_lacks_is_the_scenario_s() -> None:
    """By the handler's name."""
    past = Past(1).call(0, "put", 1, 1.1, f="set", arguments={"key": "x", "value": "1"}, handler="main")
    past.call(0, "peek", 2, 2.1, f="get", arguments={"key": "x"}, value="1", handler="second")
    plan = scenario(size=1, run_ids={"second": "other"})
    assert PrefixIsolation().check(plan, past.whole(), {}).happened == "saw key 'x' = '1' of run train, round 0"


def wired(keys_of_one: dict[str, list[str]], keys_of_other: dict[str, list[str]]) -> Verdict:
    """Workers of two runs that set and read `x` with equal values, and what their links carried."""
    cell, past = scenario(size=2), Past(2)
    runs = ("a", "b")
    for rank, (run, keys) in enumerate(zip(runs, (keys_of_one, keys_of_other), strict=True)):
        past.join(rank, 0, 0.1, run_id=run)
        for verb, more in (("set", {"value": "1"}), ("get", {})):
            past.call(rank, verb, rank + 1, rank + 1.1, f=verb, arguments={"key": "x", **more}, value="1", run_id=run)
        past.link(rank, keys)
    ranks = (replace(cell.world.ranks[0], handlers={"main": HandlerConfig(1, 2, run, SECOND)}) for run in runs)
    return PrefixIsolation().check(replace(cell, world=replace(cell.world, ranks=tuple(ranks))), past.whole(), {})


def test_keys_on_the_wire_are_further_proof() -> None:
    """Equal values hide whose they are; the wire shows that each run has a key of its own."""
    verdict = wired({"/a/x": ["get", "set"], "init/": ["add"]}, {"/b/x": ["get", "set"], "init/": ["add"]})
    assert verdict.status == PASSED
    assert verdict.because.endswith("and each of 2 keys on the wire is of one run only")


def test_a_key_that_two_runs_name_on_the_wire_is_rejected() -> None:
    """Byte for byte the same key, which one of them wrote: whatever the values were."""
    verdict = wired({"/x": ["get", "set"]}, {"/x": ["get", "set"]})
    assert verdict.status == FAILED
    assert "named key '/x' on the wire" in verdict.because


def test_what_a_join_keeps_in_the_store_is_not_judged() -> None:
    """No call names it, so two runs may share it as far as calls are concerned."""
    assert wired({"/a/x": ["set"], "init/": ["add"]}, {"/b/x": ["set"], "init/": ["add"]}).status == PASSED


def test_what_comes_later_explains_and_proves_nothing() -> None:
    """b's own write came after it had seen the key; a's came after b had looked."""
    store = Store().call("a", "set", key="x", value="1").call("b", "get", "1", key="x")
    assert store.call("b", "set", key="x", value="1").judged().status == FAILED
    store = Store().call("b", "get", "1", key="x").call("a", "set", key="x", value="1")
    assert store.judged().status == PASSED


def test_a_key_that_both_have_may_be_there() -> None:
    """Without a value it is not known whose was seen."""
    store = Store().call("a", "set", key="x", value="1").call("b", "set", key="x", value="2")
    assert store.call("b", "check", True, keys=["x"]).judged().status == PASSED


def test_a_count_beside_own_texts_or_deletes_is_not_judged() -> None:
    """From what b's add counted on is not known, if its delete may have been done."""
    for verb, outcome, more in (("set", "ok", {"value": "5"}), ("delete_key", "failed", {})):
        store = Store().call("a", "add", 5, key="n", amount=5).call("b", verb, None, outcome, key="n", **more)
        assert store.call("b", "add", 6, key="n", amount=1).judged().status == PASSED


def test_adds_at_the_same_time_may_count_in_any_order() -> None:
    """Neither of b's had ended when the other began."""
    for seen in (1, 2):
        past = Past(2).join(0, 0, 0.1, run_id="a").join(1, 0, 0.1, run_id="b")
        past.call(0, "first", 1, 1.1, f="add", arguments={"key": "n", "amount": 5}, value=5, run_id="a")
        for step, value in (("one", 3 - seen), ("two", seen)):
            given = {"arguments": {"key": "n", "amount": 1}, "value": value, "run_id": "b", "thread": step}
            past.call(1, step, 2, 3, f="add", **given)
        assert PrefixIsolation().check(scenario(), past.whole(), {}).status == PASSED, seen


def test_the_writer_of_the_very_value_is_named() -> None:
    """Not the last one that wrote the key."""
    store = Store().call("a", "set", key="x", value="1").call("a", "set", key="x", value="2")
    assert "rank 0's set-1 (run a, round 1) wrote it" in store.call("b", "get", "1", key="x").judged().because


def test_a_link_of_several_runs_is_no_proof() -> None:
    """Which of them named a key is not known; what a process serves itself crosses no link of its own."""
    keys = {"/x": ["get", "set"]}
    cell, past = scenario(size=2, run_ids={"second": "b"}), Past(2)
    for rank, run in enumerate(("a", "b")):
        past.join(rank, 0, 0.1, run_id=run)
        past.call(rank, "set", rank + 1, rank + 1.1, arguments={"key": "x", "value": "1"}, run_id=run).link(rank, keys)
    both = {name: HandlerConfig(1, 2, run, SECOND) for name, run in (("main", "a"), ("second", "b"))}

    def judged(first: dict[str, HandlerConfig]) -> str:
        ranks = (replace(cell.world.ranks[0], handlers=one) for one in (first, {"main": both["second"]}))
        return (
            PrefixIsolation()
            .check(replace(cell, world=replace(cell.world, ranks=tuple(ranks))), past.whole(), {})
            .status
        )

    assert judged(both) == PASSED
    assert judged({**both, "second": replace(both["second"], rank=0)}) == FAILED
