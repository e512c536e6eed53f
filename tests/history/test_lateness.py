"""How late the processes of a play were: what counts of what was measured, and how it is told."""

from __future__ import annotations

from random import Random

import pytest
from pasts import SECOND, Past, at

from harness.history import lateness as lateness_module
from harness.history.lateness import Lateness, lateness, ranks_needed, ranks_ran_ns
from harness.values.history import History
from harness.values.quantity import format_ns
from harness.values.stall import CONTROLLER, WAITED

SERVER = "the proxy server"


def total(history: History, since: float, until: float) -> float:
    return lateness(history, (at(since), at(until))).total_ns / SECOND


def test_a_time_in_which_two_were_late_delays_a_call_once() -> None:
    """A machine that stands still for 0.6 s stops both; a controller that is seen in two ways is late once."""
    past = Past(2).stall(1, 1.6).stall(1, 1.6, CONTROLLER)
    assert total(past.so_far(), 0, 4) == 0.6
    assert total(past.stall(2, 2.5, CONTROLLER, WAITED).stall(2.1, 2.5, CONTROLLER, WAITED).so_far(), 0, 4) == 1.1
    assert total(past.so_far(), 1.4, 2.2) == pytest.approx(0.4)


def _most_by_trying(stretches: list[tuple[int, int, int]]) -> int:
    """How many of eight moments can each have a stretch of their own that has not used up its amount."""
    owners: dict[int, int] = {}
    units = [(since, until) for since, until, amount in stretches for _ in range(amount)]

    def finds(unit: int, tried: set[int]) -> bool:
        for moment in set(range(*units[unit])) - tried:
            tried.add(moment)
            if moment not in owners or finds(owners[moment], tried):
                owners[moment] = unit
                return True
        return False

    return sum(finds(unit, set()) for unit in range(len(units)))


def test_what_any_of_them_can_have_been_late_is_what_trying_out_gives() -> None:
    """The greedy choice covers as much as the best one, in 2,000 small cases."""
    random = Random(14)
    for _ in range(2_000):
        starts = [random.randint(0, 7) for _ in range(random.randint(0, 4))]
        spans = [(since, random.randint(since, 8)) for since in starts]
        stretches = [(since, until, random.randint(0, until - since)) for since, until in spans]
        assert lateness_module._one_at_a_time(stretches) == _most_by_trying(stretches), stretches


def test_what_was_late_somewhere_in_a_longer_stretch_counts_beside_another() -> None:
    """A call measures its rank without saying when it was late: that may have been before the proxy server was."""
    past = Past(2).join(1, 0, 2, lag=0.4).stall(0.1, 0.6, how=WAITED).stall(0.5, 0.7, "the name server", WAITED)
    assert total(past.so_far(), 0, 2) == pytest.approx(1.0)  # 0.4 of the rank, and 0.6 of the two others
    assert total(past.so_far(), 0, 0.8) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("window", "late"),
    [
        ((0, 1.5), 0.2),  # all of it may have been in the half that fits
        ((0, 1.1), 0.1),  # no more than fits
        ((2.5, 3), 0),
        ((3.9, 9), 0.6),
        ((4.7, 4.8), 0.1),
        ((5.1, 9), 0),
        ((0, 9), 0.8),
        ((9, 0), 0.8),
    ],
)
def test_what_was_measured_counts_as_far_as_it_fits_into_the_window(window: tuple[float, float], late: float) -> None:
    """A call measures from its begin to its end, a look the time before it; a call that still runs measures nothing."""
    history = Past().call(0, "get", 1, 2, lag=0.2).call(1, "get", 1, None).lag(5, 0.5).lag(4, 0.1).so_far()
    assert total(history, *window) == pytest.approx(late)


def test_a_call_may_have_needed_every_process_one_after_another() -> None:
    """So all count; of a time in which several were late, it needed one at each moment."""
    past = Past(3).join(0, 0, 2, lag=0.1).join(1, 0, 2, lag=0.2).stall(1, 1.3, how=WAITED).stall(1.4, 1.5, how=WAITED)
    found = lateness(past.stall(0.5, 1.5, "the name server").so_far(), (at(0), at(2)))
    assert (found.total_ns, found.of(SERVER), found.of("rank 2")) == (13 * SECOND // 10, 4 * SECOND // 10, 0)
    assert str(found) == (
        "the name server stood still for 1.00 s and the proxy server waited 400 ms, rank 1 200 ms and rank 0 100 ms for"
        " a processor"
    )


def test_a_process_with_two_threads_is_measured_once() -> None:
    """Each of its calls measures all of it; two lives of a rank are two processes."""
    past = Past().call(0, "get", 0, 2, lag=0.3, cpu=0.4).call(0, "set", 0, 2, lag=0.3, cpu=0.4, thread="other")
    assert ranks_ran_ns(past.so_far(), (at(0), at(2))) == 4 * SECOND // 10
    past.call(0, "get", 2.1, 3, life=2, cpu=0.2)
    assert ranks_ran_ns(past.so_far(), (at(0), at(3))) == 6 * SECOND // 10
    past = Past().call(0, "get", 0, 2, lag=0.3).call(0, "set", 0, 2, lag=0.3, thread="other")
    assert total(past.call(0, "get", 2.1, 3, life=2, lag=0.2).so_far(), 0, 3) == 0.5


def test_waits_count_without_the_time_for_which_the_ranks_ran() -> None:
    """What waited may have waited for them; a stop is another's act."""
    past = Past(2).join(0, 0, 2, lag=0.5, cpu=0.2).join(1, 0, 2, lag=0.3, cpu=0.2).stall(1, 1.45, how=WAITED)
    found = lateness(past.stall(0.5, 0.6, "the name server").so_far(), (at(0), at(2)))
    assert found.waited == (("rank 0", SECOND // 10), (SERVER, SECOND // 20))
    assert found.stopped == (("the name server", SECOND // 10),)


def test_of_a_call_that_is_partly_in_the_window_its_share_ran() -> None:
    """Half of its time, half of what it ran."""
    history = Past().call(0, "get", 0, 4, cpu=2).so_far()
    assert ranks_ran_ns(history, (at(2), at(4))) == SECOND
    assert ranks_ran_ns(history, (at(4.5), at(5))) == 0


def test_eight_ranks_that_spin_on_two_processors_were_not_late() -> None:
    """Each runs a quarter of the time and waits for the rest of it, for the others."""
    past = Past(8)
    for rank in range(8):
        past.join(rank, 0, 4, lag=3, cpu=1)
    assert lateness(past.so_far(), (at(0), at(4))) == Lateness()


def test_the_controller_is_measured_once_in_histories_of_older_releases() -> None:
    """They recorded how late it woke beside its waits."""
    past = Past().lag(1, 0.3).stall(0.6, 1, "the controller", WAITED).lag(2, 0.3)
    assert lateness(past.so_far(), (at(0), at(3))).waited == (("the controller", 6 * SECOND // 10),)


def test_nothing_is_said_of_what_was_not_late() -> None:
    """An empty text, and no time."""
    found = lateness(Past().all_join().so_far(), (at(0), at(3)))
    assert (found, str(found), found.total_ns) == (Lateness(), "", 0)


def test_more_than_three_are_counted_together() -> None:
    """The longest are named."""
    found = Lateness(tuple((f"rank {rank}", (5 - rank) * SECOND) for rank in range(5)))
    assert str(found) == (
        "rank 0 waited 5.00 s, rank 1 4.00 s, rank 2 3.00 s and 2 more " + format_ns(3 * SECOND) + " for a processor"
    )


def needed(outcome: str, f: str) -> set[int] | None:
    """The ranks that rank 2's call needed; rank 1's process was given rank 0."""
    past = Past(4).join(1, 0, 1, as_rank=0).call(2, "it", 2, 3, outcome, f=f)
    ranks = ranks_needed(past.so_far(), past.so_far().calls_of("it")[0])
    return None if ranks is None else set(ranks)


@pytest.mark.parametrize("f", ["rendezvous", "get", "wait", "queue_pop", "barrier"])
def test_a_call_that_returned_may_have_waited_for_any_rank(f: str) -> None:
    """The last one that joined, or the one that set the key."""
    assert needed("ok", f) is None


@pytest.mark.parametrize(("outcome", "f"), [("failed", "rendezvous"), ("hung", "get"), ("ok", "set"), ("ok", "check")])
def test_a_call_that_waited_for_nobody_needs_its_own_rank_and_the_master(outcome: str, f: str) -> None:
    """What it waited for did not come, or is answered at once; how late other ranks were does not excuse it."""
    assert needed(outcome, f) == {1, 2}


def test_only_ranks_that_took_part_are_late() -> None:
    """Parts of the harness always are."""
    history = Past(2).join(0, 0, 2, lag=0.1).join(1, 0, 2, lag=0.2).stall(1, 1.3, how=WAITED).so_far()
    assert lateness(history, (at(0), at(2)), (1,)).waited == ((SERVER, 3 * SECOND // 10), ("rank 1", SECOND // 5))
