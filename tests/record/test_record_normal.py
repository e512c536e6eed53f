"""Messages of errors without the marks of one play."""

from __future__ import annotations

import pytest

from harness.record.normal import normal


@pytest.mark.parametrize(
    ("message", "as_kept"),
    [
        (
            "The client socket has timed out after 3000ms while trying to connect to (127.0.0.1, 29500).",
            "The client socket has timed out after <time> while trying to connect to <address>.",
        ),
        (
            "Timed out after 2 seconds waiting for clients. 3/4 clients joined.",
            "Timed out after <time> waiting for clients. 3/4 clients joined.",
        ),
        (
            "failed to listen on any local network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE",
            "failed to listen on any local network address. port: <port>, useIpv6: false, code: -98, name: EADDRINUSE",
        ),
        (
            "SocketImpl(fd=13, addr=[localhost]:38022, remote=[::1]:29500): Connection reset by peer",
            "SocketImpl(fd=<fd>, addr=<address>, remote=<address>): Connection reset by peer",
        ),
        ("connect to [fe80::1%eth0]", "connect to <address>"),
        ("c10::Error: std::bad_alloc", "c10::Error: std::bad_alloc"),
        ("no answer from node-0.cluster:29500 within 0:00:03", "no answer from <address> within <time>"),
        ("at /pytorch/torch/csrc/distributed/c10d/TCPStore.cpp:123 in 0x7f001234", "at <path> in <pointer>"),
        ("TCPStore.cpp:123 failed", "TCPStore.cpp:<line> failed"),
        ('File "/usr/lib/python3/x.py", line 12, in get', 'File "<path>", line <line>, in get'),
        ("process 4711 has ended, pid=17, PID: 18", "process <pid> has ended, pid=<pid>, PID: <pid>"),
        ("key /rank-0/round of run 3f2a99c01d4e", "key /rank-0/round of run <id>"),
        ("timeout after 2.5s, keys: /torch.rdzv.train.0/a", "timeout after <time>, keys: /torch.rdzv.train.0/a"),
        ("the first line\nException raised from listen at socket.cpp:1", "the first line"),
        ("", ""),
    ],
)  # fmt: skip
def test_marks_of_a_play_are_replaced(message: str, as_kept: str) -> None:
    """Addresses, ports, pids, pointers, paths, lines, durations and random names; keys and counts stay."""
    assert normal(message) == as_kept


def test_case_is_kept() -> None:
    """A failure upstream turned on "address" and "Address"."""
    assert normal("Address already in use") != normal("address already in use")


@pytest.mark.parametrize("message", ["<address> 12 s at 10.0.0.1:29500", "a 0x12 /tmp/x.py:3 b"])
def test_a_normal_form_is_its_own(message: str) -> None:
    """Normalising twice changes nothing."""
    assert normal(normal(message)) == normal(message)
