"""Network namespaces without names, held by descriptors: the kernel removes each with the last process that holds it.

Nothing here touches `/run/netns`, so nothing is left when a controller is killed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.machine.process import namespaces
from harness.machine.process.namespaces import CLONE_NEWNET
from harness.values.errors import HarnessError

_ADVICE = "; be root, or allow user namespaces (see `rdzv-harness doctor`)"

_libc = ctypes.CDLL(None, use_errno=True)


def create() -> int:
    """A descriptor of a new network namespace with nothing but loopback, which is up; the caller closes it.

    Raises HarnessError where the kernel refuses.
    """
    with _coming_back():
        _do("make a network namespace", _libc.unshare, CLONE_NEWNET)
        try:
            namespaces.lo_up()
        except OSError as exc:
            raise HarnessError(f"cannot {exc.strerror}{_ADVICE}") from exc
        return own()


def own() -> int:
    """A descriptor of the calling thread's network namespace; the caller closes it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def of_process(pid: int) -> int:
    """A descriptor of a process's network namespace; the caller closes it.

    `pid` is a number of this process tree, whatever tree /proc shows. Raises HarnessError if the process has ended or
    the kernel refuses: it needs Linux 5.8, and root in the user namespace that owns the network.
    """
    try:
        process = os.pidfd_open(pid)
    except OSError as exc:
        raise HarnessError(f"cannot enter the network of process {pid}: {exc.strerror}; start it again") from exc
    try:
        with _coming_back():
            _do(f"enter the network of process {pid}", _libc.setns, process, CLONE_NEWNET)
            return own()
    finally:
        os.close(process)


@contextmanager
def inside(descriptor: int) -> Iterator[None]:
    """Put the calling thread into that network namespace for the block: sockets and programs that it makes are there.

    Sockets stay where they were made, and other threads are not affected. Takes 20 us. Raises HarnessError.
    """
    with _coming_back():
        _do("enter a network namespace", _libc.setns, descriptor, CLONE_NEWNET)
        yield


@contextmanager
def _coming_back() -> Iterator[None]:
    before = own()
    try:
        yield
    finally:
        try:
            _do("come back from a network namespace", _libc.setns, before, CLONE_NEWNET)
        finally:
            os.close(before)


def _do(what: str, call: Callable[..., int], *arguments: int) -> None:
    if call(*arguments) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HarnessError(f"cannot {what}: {reason}{_ADVICE}")
