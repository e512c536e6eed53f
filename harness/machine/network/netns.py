"""Network namespaces without names, held by descriptors: the kernel ends each with the last process that holds it.

Nothing here touches `/run/netns`, so nothing is left behind when a controller is killed.
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
    """A descriptor of a new network namespace in which only loopback is, and up; the caller closes it.

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
    """A descriptor of the network namespace that the calling thread is in; the caller closes it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def of_process(pid: int) -> int:
    """A descriptor of the network namespace that a process is in; the caller closes it.

    `pid` is a number of this process tree, whatever tree /proc shows. Raises HarnessError if the process has ended, or
    the kernel refuses (it can from 5.8 on, and for root of the user namespace that owns the network).
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
    """Meanwhile the calling thread is in that network namespace, and so are the sockets and programs it makes.

    Sockets stay where they were made, and other threads notice nothing. Takes 20 us. Raises HarnessError.
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
