"""How a rank handles the controller's messages: which life they are for, and which process reads them."""

import json
import os
import subprocess
import sys

import pytest

from harness.rank.control import CONTROLLER_GONE, Control, ControlUntilBegun


@pytest.fixture
def pipe():
    """(read end, a function that sends messages on the other end); never closed, since that would end this process."""
    reader, writer = os.pipe()

    def send(*messages):
        os.write(writer, b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    send.fd = writer
    return reader, send


def test_a_message_for_another_life_is_ignored(pipe):
    """A worker that died may have left messages unread in the pipe that the next one reads."""
    reader, send = pipe
    control = Control(reader, life=2)
    control.start()
    send({"skip": 0, "life": 1, "because": "too late"}, {"go": 0, "life": 2})
    assert control.wait_for_step(0) is None


def test_a_gate_that_is_reached_after_the_end_is_open(pipe):
    """No more messages come, so the step is skipped at once."""
    reader, send = pipe
    control = Control(reader)
    control.start()
    send({"leave": True})
    control.wait_for_leave()
    assert control.wait_for_step(3) == "the play has ended"


def test_messages_after_begin_are_left_for_others_to_read(pipe):
    """An agent reads until it may begin, and its worker reads the same pipe."""
    reader, send = pipe
    control = ControlUntilBegun(reader, life=1)
    send({"begin": True}, {"go": 1, "life": 1})
    control.start()
    assert control.wait_for_begin()
    assert json.loads(os.read(reader, 4096)) == {"go": 1, "life": 1}


WAITS = """
import os, sys
from harness.rank.control import ControlUntilBegun
control = ControlUntilBegun(int(sys.argv[1]))
control.start()
control.wait_for_begin()
print("begun", flush=True)
control.wait_for_leave()
"""


def test_an_agent_that_has_stopped_reading_still_sees_that_its_controller_is_gone(pipe):
    """It ends with the pipe, although a message for others is still in it."""
    reader, send = pipe
    agent = subprocess.Popen([sys.executable, "-c", WAITS, str(reader)], pass_fds=[reader], stdout=subprocess.PIPE)
    with agent:
        send({"begin": True})
        assert agent.stdout.readline() == b"begun\n"
        send({"go": 1, "life": 1})
        os.close(send.fd)
        assert agent.wait(60) == CONTROLLER_GONE
