"""What a rank makes of the controller's words: for which life they are, and who reads them."""

import json
import os
import subprocess
import sys

import pytest

from harness.rank.control import CONTROLLER_GONE, Control, ControlUntilBegun


@pytest.fixture
def pipe():
    """(read end, a function that says words on the other end); never closed, for that would end this process."""
    reader, writer = os.pipe()

    def say(*words):
        os.write(writer, b"".join(json.dumps(word).encode() + b"\n" for word in words))

    say.fd = writer
    return reader, say


def test_a_word_for_another_life_is_not_obeyed(pipe):
    """A worker that died may have left words unread in the pipe that the next one reads."""
    reader, say = pipe
    control = Control(reader, life=2)
    control.start()
    say({"skip": 0, "life": 1, "because": "too late"}, {"go": 0, "life": 2})
    assert control.wait_for_step(0) is None


def test_a_gate_that_is_reached_after_the_end_is_open(pipe):
    """Nobody answers any more, so nobody is asked."""
    reader, say = pipe
    control = Control(reader)
    control.start()
    say({"leave": True})
    control.wait_for_leave()
    assert control.wait_for_step(3) == "the play has ended"


def test_what_comes_after_begin_is_left_for_others_to_read(pipe):
    """An agent reads until it may begin, and its worker reads the same pipe."""
    reader, say = pipe
    control = ControlUntilBegun(reader, life=1)
    say({"begin": True}, {"go": 1, "life": 1})
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


def test_an_agent_that_reads_no_more_still_sees_that_its_controller_is_gone(pipe):
    """It ends with the pipe, though there is something in it that it leaves to others."""
    reader, say = pipe
    agent = subprocess.Popen([sys.executable, "-c", WAITS, str(reader)], pass_fds=[reader], stdout=subprocess.PIPE)
    with agent:
        say({"begin": True})
        assert agent.stdout.readline() == b"begun\n"
        say({"go": 1, "life": 1})
        os.close(say.fd)
        assert agent.wait(60) == CONTROLLER_GONE
