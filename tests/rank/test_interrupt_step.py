"""Ctrl-C in a rank: it ends the call of the main thread, and nothing else; and what the steps beside it lack."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from rank_world import handler_plan, step

from harness.rank.steps import STEPS
from harness.rank.subjects.echo import EchoStore

HOUR = 3_600_000_000_000


@pytest.fixture
def ctrl_c_is_ignored() -> Iterator[None]:
    """As in the background of a shell: what is started meanwhile inherits it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_ignored")
def test_an_interrupt_ends_the_call_of_the_main_thread_and_not_the_rank(ranks: Any, port: int) -> None:
    """Also where Ctrl-C is ignored. One that comes between two calls does nothing: the next call is not ended."""
    steps = [
        step(0, "sleep", name="first", **{"for": HOUR}),
        step(1, "sleep", name="next", gated=True, **{"for": 1_000_000}),
        step(2, "interrupt", name="now", thread="user", gated=True),
        step(3, "interrupt", name="late", thread="user", gated=True),
    ]
    world = ranks(steps, [handler_plan(0, 1, port)])
    world.begin()
    world.await_fact(lambda: world.begun(0, "first"))
    world.tell(0, go=2)
    ended = world.await_end(0, "first")
    assert (ended.type, ended.error.kind) == ("fail", "KeyboardInterrupt")
    world.tell(0, go=3)
    assert world.await_end(0, "late").type == "ok"
    world.tell(0, go=1)
    assert world.await_end(0, "next").type == "ok"
    world.leave()
    assert world.await_statuses() == {0: 0}


@pytest.mark.parametrize("verb", ["set_timeout", "uses_libuv"])
def test_a_store_that_is_not_torchs_lacks_the_settings_of_torchs(verb: str) -> None:
    """Then the step is skipped with the reason, and no call of a method that is not there fails."""
    store = EchoStore(None, "train", 1, 1)  # type: ignore[arg-type]
    context: Any = SimpleNamespace(store=store)
    assert "not torch's" in STEPS[verb].lacks(context)
    torchs: Any = SimpleNamespace(store=type("Store", (), {"__module__": "torch._C._distributed_c10d"})())
    assert STEPS[verb].lacks(torchs) == ""
