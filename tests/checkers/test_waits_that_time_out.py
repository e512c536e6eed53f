"""Linearizable, as an invariant: a wait that timed out has found a key missing, if nothing was in its way."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import Past, scenario

from harness.checkers.linearizable import Linearizable
from harness.values.verdict import FAILED, PASSED, VACUOUS

STRICT: dict[str, Any] = {"subject": "static-strict"}
SECOND = 1_000_000_000


def world(**begin: Any) -> Past:
    return Past(3, **{**STRICT, **begin}).all_join()


def written(past: Past, rank: int = 1, **more: Any) -> Past:
    """A text that is there from 0.6 s on."""
    return past.call(rank, "set", 0.5, 0.6, arguments={"key": "a", "value": "x"}, **more)


def reads(past: Past, f: str = "get", end: float = 3.0, **arguments: Any) -> Past:
    """Rank 2 waits from 1 s on, and raises."""
    return past.call(2, "read", 1, end, "failed", f=f, arguments=arguments or {"key": "a"})


def judged(past: Past) -> Any:
    return Linearizable().explore(scenario(size=3), past.whole())


def test_a_key_that_is_lost_is_found_missing() -> None:
    """It was written, and the read of it timed out."""
    verdict = judged(reads(written(world())))
    assert verdict.status == FAILED
    assert verdict.because.startswith("rank 2's read found 'a' missing, which no order of the calls on key 'a' allows")


@pytest.mark.parametrize(
    ("f", "arguments"),
    [("wait", {"keys": ["a"]}), ("multi_get", {"keys": ["a"]}), ("wait", {"key": "a", "timeout": SECOND})],
)
def test_other_waits_see_it_too(f: str, arguments: dict[str, Any]) -> None:
    """With a timeout of their own as well."""
    assert judged(reads(written(world()), f, **arguments)).status == FAILED


def test_one_of_several_keys_may_be_the_missing_one() -> None:
    """Nobody wrote `b`."""
    assert judged(reads(written(world()), "multi_get", keys=["a", "b"])).status == PASSED


@pytest.mark.parametrize(
    "past",
    [
        reads(world()),  # nobody wrote it
        reads(world().call(1, "set", 1.1, 1.2, arguments={"key": "a", "value": "x"})),  # it was not there at first
        reads(written(world()).call(0, "delete", 0.7, 0.8, f="delete_key", value=True, arguments={"key": "a"})),
    ],
)
def test_a_key_that_was_missing_for_a_moment_may_be_found_missing(past: Past) -> None:
    """The server looks when it is asked, and then at what is written."""
    assert judged(past).status == PASSED


@pytest.mark.parametrize(
    "past",
    [
        reads(written(world().fault("cut", 1.5, None, ranks=(2,)))),
        reads(written(world().fault("frozen", 1.5, 1.6, ranks=(0,), kind="pause"))),
        reads(written(world().ends(0, 0.8, 2.0))),
        reads(written(world().call(0, "shutdown", 0.7, 0.8, value=True))),
        reads(written(world()), end=1.9),  # it may have ended by something else
        reads(written(world()), "wait", key="a", timeout=SECOND - 1),  # the server may be slower
        reads(written(world()).call(2, "other", 1.1, 1.2, f="check", value=True, thread="second")),
        reads(written(world()).stall(1.0, 1.5)),
        written(world()).call(
            2, "read", 1, 2.1, "failed", f="wait", arguments={"key": "a", "timeout": SECOND}, lag=0.6
        ),
    ],
)
def test_what_may_have_been_disturbed_says_nothing(past: Past) -> None:
    """A fault, an end, another call of the process, or a machine that stood still."""
    assert judged(past).status in (PASSED, VACUOUS)


def test_a_fault_of_another_rank_does_not_matter() -> None:
    """Not even of the one that wrote the key, since its write was acknowledged."""
    assert judged(reads(written(world().fault("cut", 0.7, None, ranks=(1,))))).status == FAILED


def test_a_stock_write_counts_once_it_is_confirmed() -> None:
    """Torch does not acknowledge it; a later answer to the same connection does."""
    past = written(Past(3).all_join())
    assert judged(reads(past)).status == PASSED
    confirmed = written(Past(3).all_join()).call(1, "ask", 0.7, 0.8, f="check", value=True, arguments={"key": "b"})
    assert (
        judged(reads(confirmed.call(0, "put", 0.2, 0.3, f="set", arguments={"key": "b", "value": "y"}))).status
        == FAILED
    )


def test_a_claim_judges_results_only() -> None:
    """Written by hand, `linearizable` is of what calls returned."""
    past = reads(written(world()))
    assert Linearizable().check(scenario(size=3), past.whole(), {}).status == VACUOUS
