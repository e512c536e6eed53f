"""The programs that set up a network (`nft`, `tc`, `ip`, `iptables-restore`), run in the networks of hosts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from harness.values.errors import HarnessError, Unsupported

PACKAGES = {
    "nft": "nftables",
    "tc": "iproute2",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
}
"""Where each comes from, by its name in Debian and most others."""

# They take milliseconds; only a machine that stands still needs this long.
TOOL_WITHIN_S = 30
# Ordinary users often do not have the administrator's folders on PATH.
_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")
_SIOCGIFHWADDR = 0x8927


class Host(Protocol):
    """A host as far as its network goes."""

    @property
    def name(self) -> str: ...

    def inside(self) -> AbstractContextManager[None]:
        """Meanwhile this thread's network is the host's."""


class CabledHost(Host, Protocol):
    """A host that is reached by an interface.

    Attributes:
        device: the interface's name inside, `eth0`.
    """

    device: str


@dataclass(frozen=True)
class Task:
    """One program to run in one host's network.

    Attributes:
        words: the program, as `PACKAGES` names it, and its arguments.
        text: what it reads.
    """

    place: Host
    words: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True)
class Done:
    """How it went; `problem` is empty if it went well."""

    task: Task
    said: str
    problem: str


def find(tool: str) -> str | None:
    """Where a program is, looked for in the administrator's folders too; None if nowhere."""
    return shutil.which(tool, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_FOLDERS)))


def path_of(tool: str) -> str:
    """Where a program is; raises Unsupported that names the package to install."""
    found = find(tool)
    if found is None:
        raise Unsupported(tool, f"there is no {tool} on this machine; install it: apt-get install {PACKAGES[tool]}")
    return found


def run_all(tasks: Iterable[Task]) -> list[Done]:
    """Run them side by side, and wait for all: how each went, in their order; raises Unsupported.

    It waits in this thread, so the one reaper of a controller does not meet them.
    """
    with contextlib.ExitStack() as started:
        running = [(task, started.enter_context(_started(task))) for task in tasks]
        return [_waited_for(task, process) for task, process in running]


def run(task: Task) -> str:
    """Run one, and return what it says; raises HarnessError with its complaint."""
    (done,) = run_all([task])
    if done.problem:
        raise HarnessError(explained(done))
    return done.said


def explained(done: Done) -> str:
    """What went wrong, and where."""
    return f"{' '.join(done.task.words)} on {done.task.place.name}: {done.problem}"


@contextlib.contextmanager
def _started(task: Task) -> Iterator[subprocess.Popen[str]]:
    program, *arguments = task.words
    with task.place.inside():
        process = subprocess.Popen(
            [path_of(program), *arguments],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _waited_for(task: Task, process: subprocess.Popen[str]) -> Done:
    try:
        said, complaint = process.communicate(task.text, timeout=TOOL_WITHIN_S)
    except subprocess.TimeoutExpired:
        return Done(task, "", f"not done within {TOOL_WITHIN_S} s; is the machine overloaded?")
    complaint = " ".join(complaint.split())
    return Done(task, said, (complaint or f"exit status {process.returncode}") if process.returncode else "")


def hardware_addresses(places: Sequence[CabledHost]) -> dict[str, str]:
    """By host name the hardware address of its interface: it stays when the host moves to another address."""
    return {place.name: _hardware_address(place) for place in places}


def _hardware_address(place: CabledHost) -> str:
    with place.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16s24x", place.device.encode())
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFHWADDR, request)
        except OSError as error:
            raise HarnessError(f"{place.name} has no interface {place.device}: {error.strerror}") from error
    return answer[18:24].hex(":")
