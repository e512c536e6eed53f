"""The pool of controllers, without processes: when one starts, what is idle, who is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_controllers import FACTS
from fake_pool import CELL, IN_CONTAINERS, MakeMachine

from harness.campaign.pool import LONGEST_WAIT_S, MARGIN_NS, STARTUP_LIMIT_NS
from harness.play.channel import LONGEST_ANSWER_BYTES, Failed, Played, Ready
from harness.scenario.scenario import Step
from harness.schedule.time_limit import longest_ns
from harness.values.errors import HarnessError


@pytest.mark.parametrize(("jobs", "others", "started"), [(4, 0, 1), (4, 2, 3), (4, 9, 4), (1, 9, 1)])
def test_controllers_start_as_there_is_work_for_them(
    machine: MakeMachine, jobs: int, others: int, started: int
) -> None:
    """One for each scenario that waits, and no more than there may be worlds."""
    one = machine(jobs=jobs)
    assert one.pool.free(CELL, [CELL] * others) is None
    assert len(one.controllers.started) == started
    assert one.pool.free(CELL, [CELL] * others) is None
    assert len(one.controllers.started) == started


def test_worlds_of_containers_are_on_the_host_and_few(machine: MakeMachine) -> None:
    """Other scenarios that wait are no reason to start one."""
    one = machine(jobs=8)
    one.pool.free(IN_CONTAINERS, [CELL] * 5 + [IN_CONTAINERS] * 5)
    assert one.controllers.began_with == [("containers", "host")] * 2
    one.pool.free(CELL, [IN_CONTAINERS] * 5)
    assert one.controllers.began_with[2:] == [("processes", "auto")]


def test_with_a_server_at_a_url_every_world_is_on_the_host(machine: MakeMachine) -> None:
    """A server that is not ours lies outside any namespace."""
    one = machine(toxiproxy="http://127.0.0.1:8474")
    one.pool.free(CELL, [])
    assert one.controllers.began_with == [("processes", "host")]


def test_a_controller_is_idle_once_it_is_ready_until_it_plays(machine: MakeMachine) -> None:
    """What it says of its world and its versions is there by then."""
    one = machine(jobs=1)
    assert one.pool.free(CELL, []) is None
    assert (one.pool.has_idle, one.pool.facts) == (False, Ready({}, {}))
    assert one.ended() == []
    assert (one.pool.has_idle, one.pool.facts) == (True, FACTS)
    order = one.play()
    assert (one.pool.has_idle, one.pool.running) == (False, 1)
    assert one.controllers.started[0].orders == [order]


def test_a_play_that_is_over_frees_its_controller(machine: MakeMachine) -> None:
    """The order comes back, and its controller can play again at once."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    order = one.play()
    one.controllers.started[0].says(Played(order.run_dir))
    (ended,) = one.ended()
    assert (ended.order, ended.problem, one.pool.running) == (order, "", 0)
    assert one.pool.free(CELL, []) is ended.member


def test_a_play_without_a_whole_history_says_why(machine: MakeMachine) -> None:
    """Its controller can play again."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    order = one.play()
    one.controllers.started[0].says(Played(order.run_dir, "the disk is full"))
    assert [(ended.order, ended.problem) for ended in one.ended()] == [(order, "the disk is full")]
    assert one.pool.has_idle


def test_a_controller_that_dies_while_it_plays_is_replaced(machine: MakeMachine) -> None:
    """Its play ends with what it said last; the next scenario gets a new controller."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    order = one.play()
    one.controllers.started[0].dies()
    (ended,) = one.ended()
    assert (ended.order, ended.problem) == (order, "controller 1 is gone")
    assert one.controllers.events == ["1 kill"]
    one.pool.free(CELL, [])
    assert len(one.controllers.started) == 2


def test_a_controller_that_says_why_it_failed_is_quoted(machine: MakeMachine) -> None:
    """Before it plays anything that ends the run: the next one would fail too."""
    one = machine(jobs=1, ready=False)
    one.pool.free(CELL, [])
    one.controllers.started[0].says(Failed("no torch"))
    with pytest.raises(HarnessError, match=r"^no torch; `rdzv-harness doctor`"):
        one.ended()
    assert one.controllers.events == ["1 kill"]


def test_a_play_that_finished_while_the_parent_stood_still_is_not_lost(machine: MakeMachine) -> None:
    """The parent is stopped between its look at the connections and its look at the clock."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    order = one.play()
    look = one.pool._wait

    def stopped_after_looking(connections: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        readable = look(connections, timeout_s)
        if one.now_ns == 0:
            one.now_ns = longest_ns(CELL) + MARGIN_NS + 150 * 10**9
            one.controllers.started[0].says(Played(order.run_dir))
        return readable

    one.pool._wait = stopped_after_looking
    (ended,) = one.ended()
    assert (ended.order, ended.problem, one.controllers.events) == (order, "", [])


def test_a_controller_that_dies_while_it_starts_is_replaced(machine: MakeMachine) -> None:
    """Somebody may have killed it. The third in a row ends the run, unless one was ready in between."""
    one = machine(jobs=1, ready=False)
    for number in range(2):
        one.pool.free(CELL, [])
        one.controllers.started[number].dies()
        assert one.ended() == []
    one.pool.free(CELL, [])
    one.controllers.started[2].says(FACTS)
    assert one.ended() == []
    one.controllers.started[2].dies()
    assert one.ended() == []  # idle: it is replaced when another is needed
    for number in (3, 4):
        one.pool.free(CELL, [])
        one.controllers.started[number].dies()
        assert one.ended() == []
    one.pool.free(CELL, [])
    one.controllers.started[5].dies()
    with pytest.raises(HarnessError, match=r"^controller 6 is gone; `rdzv-harness doctor`"):
        one.ended()


def test_a_controller_that_is_not_up_in_time_ends_the_run(machine: MakeMachine) -> None:
    """And not a moment before."""
    one = machine(jobs=1, ready=False)
    one.pool.free(CELL, [])
    one.now_ns = STARTUP_LIMIT_NS
    assert one.ended() == []
    one.now_ns += 1
    with pytest.raises(HarnessError, match=r"^a controller was not up within 120 s"):
        one.ended()


def test_no_wait_is_longer_than_a_poll_can_be(machine: MakeMachine) -> None:
    """A play may last for a month; what is asked of `poll` is an hour, again and again."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    step = Step("nap", "sleep", (0,), {"for": 86_400 * 10**9}, times=100)
    one.play(replace(CELL, steps=(step,)))
    assert one.ended() == []
    assert one.waits_s[-1] == LONGEST_WAIT_S


def test_a_play_that_takes_longer_than_it_can_is_lost(machine: MakeMachine) -> None:
    """Its own times and a margin count from its beginning."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    one.now_ns = begun_ns = 5 * STARTUP_LIMIT_NS
    one.play()
    one.now_ns = begun_ns + longest_ns(CELL) + MARGIN_NS
    assert one.ended() == []
    one.now_ns += 1
    assert [ended.problem for ended in one.ended()] == ["the controller missed its deadline and was replaced"]
    assert one.controllers.events == ["1 kill"]


def test_an_idle_controller_has_no_deadline(machine: MakeMachine) -> None:
    """It may wait for its next scenario for as long as others play."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    one.now_ns = 100 * STARTUP_LIMIT_NS
    assert one.ended() == []
    assert one.pool.has_idle


def test_an_idle_controller_that_is_gone_is_replaced_when_there_is_work(machine: MakeMachine) -> None:
    """It played nothing, so nothing is lost, and the run goes on."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    one.controllers.started[0].dies()
    assert one.ended() == []
    one.pool.free(CELL, [])
    one.ended()
    assert (len(one.controllers.started), one.pool.has_idle) == (2, True)


PLAYED = b'{"Played": {"run_dir": "run-0", "problem": ""}}\n'


@pytest.mark.parametrize(
    "sent",
    [
        b"\n",
        b"no JSON\n",
        b"\x80\x04\x95.\n",
        b"{}\n",
        b"null\n",
        b"[" * 30_000 + b"\n",
        b'{"Played":' * 5000 + b"\n",
        b'{"Played": {}}\n',
        b'{"Played": {"run_dir": 5, "problem": ""}}\n',
        b'{"Played": {"run_dir": ["run-0"], "problem": ""}}\n',
        b'{"Played": {"run_dir": "run-1", "problem": ""}}\n',
        b'{"Played": {"run_dir": "/run-0", "problem": ""}}\n',
        b'{"Played": {"run_dir": "run-0", "problem": "", "more": 1}}\n',
        b'{"Played": {"run_dir": "run-0", "problem": null}}\n',
        b'{"Played": {"run_dir": "run-0", "problem": ""}, "Failed": {"reason": "x"}}\n',
        b'{"Order": {"run_dir": "run-0"}}\n',
        b'{"Ready": {"world": {}, "versions": {}}}\n',
        b'{"Ready": {"world": {"a": {"mapping": 1}}, "versions": {}}}\n',
        b'{"Failed": {"reason": {"mapping": {}}}}\n',
        b'{"Failed": {"reason": 9' + b"9" * 6000 + b"}}\n",
        PLAYED + PLAYED,
        PLAYED + b"x",
        b"x" * LONGEST_ANSWER_BYTES + b"x",
    ],
    ids=lambda sent: repr(sent[:45]),
)
def test_a_controller_that_sends_what_none_sends_is_lost(machine: MakeMachine, sent: bytes) -> None:
    """Its play has a reason, and the next scenario gets a new controller."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    order = one.play()
    one.controllers.started[0].sends(sent)
    ended = [*one.ended(), *one.ended()]  # the longest takes two readings
    assert [(one.order, one.problem[:45]) for one in ended] == [
        (order, "the controller sent what no controller sends ")
    ]
    assert one.controllers.events == ["1 kill"]
    one.pool.free(CELL, [])
    assert len(one.controllers.started) == 2


def test_what_a_controller_says_cannot_steer_a_terminal(machine: MakeMachine) -> None:
    """Its reason is cut, and without control characters but for line ends."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    one.play()
    one.controllers.started[0].says(Failed("bad\x1b[2J\nworse" + 9000 * "!"))
    (ended,) = one.ended()
    assert ended.problem.startswith("bad\\x1b[2J\nworse!!")
    assert len(ended.problem) < 5000


def test_an_idle_controller_says_nothing(machine: MakeMachine) -> None:
    """Half an answer would be the begin of the next one."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    one.controllers.started[0].sends(b'{"Played"')
    assert (one.ended(), one.controllers.events, one.pool.has_idle) == ([], ["1 kill"], False)


def test_an_answer_in_pieces_is_waited_for_until_the_deadline(machine: MakeMachine) -> None:
    """Each piece may come alone, and the last one too late."""
    one = machine(jobs=1)
    one.pool.free(CELL, [])
    one.ended()
    order = one.play()
    for piece in (PLAYED[:9], PLAYED[9:20]):
        one.controllers.started[0].sends(piece)
        assert one.ended() == []
    one.controllers.started[0].sends(PLAYED[20:])
    assert [(ended.order, ended.problem) for ended in one.ended()] == [(order, "")]
    one.play()
    one.now_ns = longest_ns(CELL) + MARGIN_NS + 1
    one.controllers.started[0].sends(PLAYED[:9])
    assert [ended.problem for ended in one.ended()] == ["the controller missed its deadline and was replaced"]
