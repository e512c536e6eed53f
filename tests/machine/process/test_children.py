"""One reaper collects the status of every child, and leaves no process behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

from users import User

from harness.machine.process.children import Children, describe_status

LONG_NS = 30_000_000_000


def test_statuses_show_exit_codes_and_signals(me: User) -> None:
    """No other code collects a status, not even the destructor of the Popen that started the child."""
    assert me.ask("statuses") == [{"status": 3}, {"signal": 9}, {"status": 0}, False]


def test_a_child_of_other_code_is_known_even_if_it_ended_before_it_was_adopted(me: User) -> None:
    """A zygote's reply with a pid may come after that process's end."""
    assert me.ask("strangers") == [True, False, 4 << 8]


def test_a_child_gets_sigterm_and_then_sigkill(me: User) -> None:
    """SIGTERM ends one, SIGKILL those that ignore SIGTERM or are stopped; one that has ended gets no signal."""
    assert me.ask("stubborn") == [{"signal": 15}, {"signal": 9}, {"signal": 9}, False]


def test_descendants_are_seen_and_ended(me: User) -> None:
    """Including orphans of a child that has ended; `end_all` ends all of them."""
    seen = me.ask("family")
    assert seen["before"] == 2
    assert all("time.sleep(600)" in command for command in seen["commands"])
    assert seen["after"] == []
    assert seen["eof"]


def test_closing_ends_only_known_children() -> None:
    """In a test process other children belong to other code, for example a warm world."""
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            with Children() as children:
                own = children.spawn(["sleep", "600"], env=os.environ)
            assert children.status_of(own) == signal.SIGKILL
            assert Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] in "SR"
        finally:
            other.kill()


def test_an_end_that_was_seen_on_the_way_is_still_to_be_reaped() -> None:
    """A poll for ends wakes for one that a wait or a signal has seen before, and not after it was reaped."""
    with Children() as children:
        first = children.spawn(["true"], env=os.environ)
        assert children.wait(first, LONG_NS) == 0
        assert select.select([children], [], [], 0)[0]
        assert children.reap() == [(first, 0)]
        assert not select.select([children], [], [], 0)[0]
        second = children.spawn(["true"], env=os.environ)
        select.select([children], [], [])
        assert not children.kill(second)
        assert select.select([children], [], [], 0)[0]
        assert children.reap() == [(second, 0)]


def test_a_missing_program_is_named(me: User) -> None:
    """In an OSError for the caller, not as a child that ends at once."""
    assert "/no/such/program" in me.ask("missing")


def test_wait_status_as_a_mapping() -> None:
    """An exit code or a signal, never both."""
    assert describe_status(3 << 8) == {"status": 3}
    assert describe_status(6) == {"signal": 6}
    assert describe_status(0) == {"status": 0}
