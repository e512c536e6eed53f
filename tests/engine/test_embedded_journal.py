"""The event log is bounded in events and in what they hold."""

from __future__ import annotations

from harness.engine.journal import KEPT_KEY_CHARACTERS, Journal
from harness.engine.wire.decoder import Message
from harness.engine.wire.log import LoggedMessage


def test_the_oldest_events_go_first():
    """They are counted, and the numbers go on."""
    journal = Journal(3)
    for _ in range(5):
        journal.note("accept")
    assert [event["number"] for event in journal.since(0)] == [3, 4, 5]
    assert (journal.last, journal.dropped) == (5, 2)


def test_events_with_many_keys_do_not_fill_the_memory():
    """Each message may name a megabyte of keys; others are not dropped because of one such message."""
    journal, message = Journal(), Message("query", "check", ("k" * (1 << 20),))
    journal.note("accept")
    fits = KEPT_KEY_CHARACTERS >> 20
    for _ in range(fits):
        journal.add(LoggedMessage("link", 1, message, 0, 0))
    assert journal.dropped == 0
    journal.add(LoggedMessage("link", 1, message, 0, 0))
    assert journal.dropped == 2
    assert sum(len(event["keys"][0]) for event in journal.since(0)) == KEPT_KEY_CHARACTERS
