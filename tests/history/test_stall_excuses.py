"""Which parts of the harness that stood still can explain what a run shows, and which cannot."""

from __future__ import annotations

import pytest
from pasts import SECOND, Past, at

from harness.history.lateness import Lateness, lateness
from harness.history.stalls import STARVED_NS, describe_stall, excuse, explanation, stood_still
from harness.values.history import History
from harness.values.stall import STOPPED, WAITED, Stall

STARVED = STARVED_NS / SECOND


def stalled(since: float, until: float, how: str = STOPPED) -> History:
    return Past().stall(since, until, how=how).so_far()


@pytest.mark.parametrize(
    ("window", "how", "fits"),
    [
        ((0, 0.9), STOPPED, False),  # over before it
        ((0, 1), STOPPED, True),
        ((1.5, 1.6), STOPPED, True),
        ((20, 21), STOPPED, True),  # later calls may miss what it made fail
        ((0, 0.9), WAITED, False),
        ((0, 1), WAITED, True),
        ((2, 3), WAITED, True),
        ((2.1, 3), WAITED, False),  # a busy machine explains only what it overlaps
    ],
)
def test_what_a_stall_explains(window: tuple[float, float], how: str, fits: bool) -> None:
    """It lasted from 1 to 2 s; either end of the window may come first."""
    history = stalled(1, 2, how)
    for ends in ((at(window[0]), at(window[1])), (at(window[1]), at(window[0]))):
        assert (explanation(history, ends) is not None) == fits


@pytest.mark.parametrize(
    ("since", "until", "how", "counts"),
    [
        (1, 1 + STARVED, WAITED, True),
        (1, 0.999 + STARVED, WAITED, False),  # everyday
        (1, 1.025, STOPPED, True),
        (-9, -1, STOPPED, False),  # over before the clock started
        (-9, 0.1, STOPPED, True),
    ],
)
def test_what_counts_as_standing_still(since: float, until: float, how: str, counts: bool) -> None:
    """Any stop, and a wait that a timeout does not leave room for, while the clock ran."""
    assert bool(stood_still(stalled(since, until, how))) == counts


def test_a_lag_that_names_no_part_explains_nothing() -> None:
    """Histories of older releases: a bound is longer by it."""
    history = Past().lag(3, 2).so_far()
    assert (history.stalls, explanation(history, (at(0), at(9)))) == ((), None)
    assert lateness(history, (at(0), at(9))) == Lateness((("the controller", 2 * SECOND),), most_ns=2 * SECOND)


@pytest.mark.parametrize(("cpu", "counts"), [(0.1, True), (1.2, False)])
def test_a_wait_while_the_ranks_themselves_ran_is_no_stall(cpu: float, counts: bool) -> None:
    """It may have been for them; a stop was not."""
    busy = Past().join(0, 0, 2, cpu=cpu)
    assert bool(stood_still(busy.stall(0.5, 1.4, how=WAITED).so_far())) == counts
    assert stood_still(Past().join(0, 0, 2, cpu=cpu).stall(0.5, 1.4).so_far())


def test_only_some_kinds_of_stalls_may_be_asked_for() -> None:
    """A wait does not explain what only a stop can."""
    waited, stopped = stalled(1, 2, WAITED), stalled(1, 2)
    assert explanation(waited, (at(0), at(9)), (STOPPED,)) is None
    assert explanation(stopped, (at(0), at(9)), (STOPPED,)) is not None


def test_the_longest_is_named() -> None:
    """With its duration, and when it began."""
    history = Past().stall(1, 2, "the controller").stall(2, 8, "the proxy server").so_far()
    found = explanation(history, (at(0), at(9)))
    assert found == Stall("the proxy server", STOPPED, at(2), at(8), 6 * SECOND)
    assert describe_stall(history, found) == "the proxy server stood still for 6.00 s, from 2.00 s on"
    assert excuse(history, found).endswith(", which can explain it; find out what stopped it, and play it again")
