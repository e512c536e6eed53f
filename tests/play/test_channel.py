"""The channel between a run and a controller, over a real pair of sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pasts import scenario

from harness.play import channel
from harness.play.channel import Answer, ControllerEnd, Failed, ParentEnd, Played, Ready
from harness.play.options import ORDER_VERSION, Order, RunOptions

ORDER = Order(scenario(), Path("/runs/1"), RunOptions(subject="echo", require=frozenset({"torch", "proxy"})), 7)
LONG = replace(ORDER, scenario=replace(ORDER.scenario, text="x" * 900_000))


@pytest.fixture
def ends() -> Iterator[tuple[ParentEnd, ControllerEnd]]:
    parent, controller = socket.socketpair()
    with closing(ParentEnd(parent)) as ours, controller:
        yield ours, ControllerEnd(controller)


def test_an_order_arrives_as_it_was_sent(ends: tuple[ParentEnd, ControllerEnd]) -> None:
    """One after another."""
    parent, controller = ends
    for order in (ORDER, replace(ORDER, seed=8)):
        parent.send(order)
        assert controller.receive() == order


@pytest.mark.parametrize(
    "answer",
    [
        Ready({"kind": "processes", "private_network": True}, {"torch": "2.15.0"}),
        Played(Path("/runs/1")),
        Played(Path("/runs/1"), "no disk"),
        Failed("no"),
    ],
)
def test_an_answer_arrives_as_it_was_sent(ends: tuple[ParentEnd, ControllerEnd], answer: Answer) -> None:
    """And then there is nothing to read."""
    parent, controller = ends
    assert parent.receive() is None
    controller.send(answer)
    assert parent.receive() == answer
    assert parent.receive() is None


def test_the_longest_reason_is_an_answer(ends: tuple[ParentEnd, ControllerEnd]) -> None:
    """It is cut to what the parent takes, whatever its characters are in JSON."""
    parent, controller = ends
    controller.send(Failed("\U0001f600" * 100_000))
    assert parent.receive() == Failed("\U0001f600" * channel.LONGEST_REASON)


def test_an_order_of_any_size_reaches_a_controller_that_reads(ends: tuple[ParentEnd, ControllerEnd]) -> None:
    """One of a megabyte too, which no socket's buffer holds."""
    parent, controller = ends
    sender = threading.Thread(target=parent.send, args=(LONG,))
    sender.start()
    assert controller.receive() == LONG
    sender.join()


def test_a_controller_that_does_not_read_is_given_up(
    ends: tuple[ParentEnd, ControllerEnd], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent waits for a limited time, and then its controller counts as gone."""
    parent, controller = ends
    monkeypatch.setattr(channel, "SEND_LIMIT_SECONDS", 0.01)
    parent.send(LONG)
    with pytest.raises(EOFError):
        parent.receive()
    with pytest.raises(EOFError):  # of an order that was cut short nothing is played
        controller.receive()


def test_both_ends_see_that_the_other_is_gone(ends: tuple[ParentEnd, ControllerEnd]) -> None:
    """An order to a controller that is gone is no error of its own."""
    parent, controller = ends
    controller._socket.close()
    controller._lines.close()
    parent.send(ORDER)
    with pytest.raises((EOFError, OSError)):
        parent.receive()
    there, here = socket.socketpair()
    there.close()
    with here, pytest.raises(EOFError):
        ControllerEnd(here).receive()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", "an order has a version and an order"),
        ("{}", "an order has a version and an order"),
        (
            json.dumps({"version": ORDER_VERSION + 1, "order": {}}),
            f"version {ORDER_VERSION + 1} of an order in place of {ORDER_VERSION}",
        ),
        (json.dumps({"version": ORDER_VERSION, "order": {}}), "Order: missing or unknown: options, run_dir"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_an_order_of_another_form_is_refused(text: str, message: str) -> None:
    """Also one of another version, whose fields might mean something else."""
    with pytest.raises(ValueError, match=f"^{message}"):
        Order.from_json(text)
