"""Network namespaces held by descriptors: what is in them, and which threads and processes are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from harness.machine.network import netns
from harness.values.errors import HarnessError

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace without a user namespace")

WHERE = "/proc/thread-self/ns/net"


def test_a_new_namespace_has_loopback_up_and_nothing_else() -> None:
    """A connection to 127.0.0.1 works at once, and no other interface is there."""
    descriptor = netns.create()
    try:
        with netns.inside(descriptor):
            assert [name for _, name in socket.if_nameindex()] == ["lo"]
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname(), timeout=5).close()
    finally:
        os.close(descriptor)


def test_a_thread_comes_back_after_a_failure_too() -> None:
    """It is where it was, and the failure reaches the caller."""
    before = os.readlink(WHERE)
    descriptor = netns.create()
    try:
        assert os.readlink(WHERE) == before
        with pytest.raises(FileNotFoundError), netns.inside(descriptor):
            os.stat("/nowhere/at/all")
    finally:
        os.close(descriptor)
    assert os.readlink(WHERE) == before


def test_namespaces_nest() -> None:
    """Leaving the inner one leads back to the outer one."""
    outer, inner = netns.create(), netns.create()
    try:
        with netns.inside(outer):
            there = os.readlink(WHERE)
            with netns.inside(inner):
                assert os.readlink(WHERE) != there
            assert os.readlink(WHERE) == there
    finally:
        os.close(outer)
        os.close(inner)


def test_other_threads_stay_where_they_are() -> None:
    """Only the calling thread enters."""
    descriptor = netns.create()
    seen: list[str] = []
    try:
        with netns.inside(descriptor):
            here = os.readlink(WHERE)
            # A thread starts in its creator's namespace, so this thread leaves first.
        entered, asked = threading.Event(), threading.Event()

        def stay_inside() -> None:
            with netns.inside(descriptor):
                seen.append(os.readlink(WHERE))
                entered.set()
                asked.wait(10)

        thread = threading.Thread(target=stay_inside)
        thread.start()
        assert entered.wait(10)
        assert os.readlink(WHERE) != here
        asked.set()
        thread.join()
    finally:
        os.close(descriptor)
    assert seen == [here]


def test_a_program_started_inside_is_inside_and_can_be_found_by_its_pid() -> None:
    """The namespace of a process is the one in which it was started."""
    descriptor = netns.create()
    try:
        with netns.inside(descriptor):
            program = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
        found = netns.of_process(program.pid)
        assert os.fstat(found).st_ino == os.fstat(descriptor).st_ino
        os.close(found)
        program.communicate(b"\n")
    finally:
        os.close(descriptor)


def test_a_process_that_has_ended_has_no_network() -> None:
    """The error names it."""
    program = subprocess.Popen([sys.executable, "-S", "-c", ""])
    program.wait()
    with pytest.raises(HarnessError, match=f"process {program.pid}"):
        netns.of_process(program.pid)


def test_a_descriptor_of_another_kind_is_refused() -> None:
    """The error names the attempt and ends with what to do."""
    with open(os.devnull) as stream, pytest.raises(HarnessError, match=r"enter a network namespace.*doctor"):
        with netns.inside(stream.fileno()):
            pass
