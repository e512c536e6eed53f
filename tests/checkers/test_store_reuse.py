"""Reuse of the store: histories it accepts, and histories it rejects."""

from __future__ import annotations

from typing import Any

import pytest
from pasts import Past, scenario

from harness.checkers.store_reuse import StoreReuse
from harness.values.history import History
from harness.values.verdict import FAILED, PASSED, VACUOUS, Verdict

RULE = StoreReuse.declaration.summary


def judged(history: History, **parameters: Any) -> Verdict:
    return StoreReuse().check(scenario(), history, parameters)


def listening(*inodes: int, port: int = 29500) -> dict[str, Any]:
    return {"listeners": [{"address": "::", "port": port, "inode": inode} for inode in inodes]}


def test_two_handlers_on_one_socket_are_accepted() -> None:
    """Tenants of one master."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7))
    past.join(0, 1, 1.1, step="own", handler="second", run_id="b", returned=listening(7))
    assert judged(past.whole()) == Verdict("store_reuse", PASSED, "one listening socket served every join", RULE)


def test_a_later_round_on_the_same_socket_is_accepted() -> None:
    """The handler was taken through its second round."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7)).join(0, 1, 1.1, step="again", returned=listening(7))
    assert judged(past.whole()).status == PASSED


def test_a_new_life_may_open_a_new_socket() -> None:
    """It is another process."""
    past = Past(2)
    for life, inode in ((1, 7), (2, 9)):
        past.join(0, life, life + 0.1, life=life, returned=listening(inode))
        past.join(0, life + 0.2, life + 0.3, life=life, step="again", returned=listening(inode))
    assert judged(past.whole()).status == PASSED


def test_listeners_on_other_ports_do_not_count() -> None:
    """Gloo has its own."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7))
    both = {"listeners": [*listening(7)["listeners"], *listening(8, port=40001)["listeners"]]}
    assert judged(past.join(0, 1, 1.1, step="again", returned=both).whole()).status == PASSED


def test_one_join_is_nothing_to_judge() -> None:
    """Nothing was reused."""
    assert judged(Past(2).join(0, 0, 0.1, returned=listening(7)).whole()).status == VACUOUS


def test_handlers_that_are_not_named_are_not_judged() -> None:
    """Of the two named ones only one returned."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7))
    past.join(0, 1, 1.1, step="own", handler="second", returned=listening(8))
    assert judged(past.whole(), handlers=("main", "third")).status == VACUOUS


def test_what_a_worker_listens_on_is_not_judged() -> None:
    """Only the master serves."""
    past = Past(2)
    for inode in (7, 8):
        past.join(1, inode, inode + 0.1, returned=listening(inode, port=29501))
    assert judged(past.whole()).status == VACUOUS


def test_a_second_socket_is_rejected() -> None:
    """The second handler did not share."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7))
    past.join(0, 1, 1.1, step="own", handler="second", returned=listening(7, 9))
    listed = "[::]:29500 (inode 7) and [::]:29500 (inode 9)"
    assert judged(past.whole(), handlers=("main", "second")) == Verdict(
        "store_reuse",
        FAILED,
        f"by the end of rank 0's own, its process had listened on 2 sockets: {listed}",
        RULE,
        listed,
        (2, 3, 4, 5),
    )


def test_a_socket_that_replaced_the_first_is_rejected() -> None:
    """Closed and opened anew is not reused."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7)).join(0, 1, 1.1, step="again", returned=listening(9))
    assert judged(past.whole()).status == FAILED


def test_a_later_join_that_opens_a_socket_at_another_port_is_rejected() -> None:
    """The told port is the old one, but the server of the second round is elsewhere."""
    past = Past(2).join(0, 0, 0.1, returned={**listening(7), "opened": [7]})
    other = {"listeners": [*listening(7)["listeners"], *listening(9, port=40001)["listeners"]], "opened": [9]}
    verdict = judged(past.join(0, 1, 1.1, step="again", returned=other).whole())
    assert verdict.status == FAILED
    assert verdict.happened == "[::]:29500 (inode 7) and [::]:40001 (inode 9)"


def test_a_socket_that_was_opened_between_two_joins_does_not_count() -> None:
    """Gloo has opened it."""
    past = Past(2).join(0, 0, 0.1, returned={**listening(7), "opened": [7]})
    both = {"listeners": [*listening(7)["listeners"], *listening(8, port=40001)["listeners"]], "opened": []}
    assert judged(past.join(0, 1, 1.1, step="again", returned=both).whole()).status == PASSED


def test_a_join_that_raised_reused_nothing() -> None:
    """One return is left, and nothing to compare it with."""
    past = Past(2).join(0, 0, 0.1, returned=listening(7)).join(0, 1, 1.1, "failed", step="again")
    assert judged(past.whole()).status == VACUOUS


def test_without_listening_sockets_there_is_nothing_to_judge() -> None:
    """Where a system does not tell them."""
    assert judged(Past(2).join(0, 0, 0.1).join(0, 1, 1.1, step="again").whole()).status == VACUOUS


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1", "127.0.0.1:any"])
def test_without_a_port_every_listener_counts(endpoint: str) -> None:
    """The history does not say which one the master was to serve."""
    past = Past(2)
    for inode in (7, 8):
        listens = listening(inode, port=29500 + inode)
        past.join(0, inode, inode + 0.1, step=f"join-{inode}", endpoint=endpoint, returned=listens)
    assert judged(past.whole()).status == FAILED


def test_what_the_first_join_opens_at_other_ports_does_not_count() -> None:
    """It opens more than the server; only a later one opens nothing."""
    both = [*listening(7)["listeners"], *listening(8, port=40001)["listeners"]]
    past = Past(2).join(0, 0, 0.1, returned={"listeners": both, "opened": [7, 8]})
    past.join(0, 1, 1.1, step="again", returned={"listeners": both, "opened": []})
    assert judged(past.whole()).status == PASSED
