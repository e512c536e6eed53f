"""Runs the programs that configure a network (`nft`, `tc`, `ip`, `iptables-restore`) in the networks of hosts."""

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
"""The package of each program, as Debian and most other distributions name it."""

# They take milliseconds; only on a machine that stands still they take this long.
TOOL_WITHIN_S = 30
# Ordinary users often do not have the administrator's folders on PATH.
_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")
_SIOCGIFHWADDR = 0x8927


class Host(Protocol):
    """A host, seen as a network."""

    @property
    def name(self) -> str: ...

    def inside(self) -> AbstractContextManager[None]:
        """Put this thread into the host's network for the block."""


class CabledHost(Host, Protocol):
    """A host with a network interface.

    Attributes:
        device: the interface's name on the host, `eth0`.
    """

    device: str


@dataclass(frozen=True)
class Task:
    """One program to run in one host's network.

    Attributes:
        words: the program, as `PACKAGES` names it, and its arguments.
        text: its standard input.
    """

    host: Host
    words: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True)
class Done:
    """The result of a task; `problem` is empty if it succeeded."""

    task: Task
    output: str
    problem: str


def find(tool: str) -> str | None:
    """The path of a program, which may be in an administrator's folder; None if there is none."""
    return shutil.which(tool, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_FOLDERS)))


def path_of(tool: str) -> str:
    """The path of a program; raises Unsupported, which names the package to install."""
    found = find(tool)
    if found is None:
        raise Unsupported(tool, f"there is no {tool} on this machine; install it: apt-get install {PACKAGES[tool]}")
    return found


def run_all(tasks: Iterable[Task]) -> list[Done]:
    """Run tasks in parallel and wait for all; returns their results in order. Raises Unsupported.

    It waits in this thread, so a controller's reaper never sees these processes.
    """
    with contextlib.ExitStack() as started:
        running = [(task, started.enter_context(_started(task))) for task in tasks]
        return [_waited_for(task, process) for task, process in running]


def run(task: Task) -> str:
    """Run one task and return its output; raises HarnessError with its error output."""
    (done,) = run_all([task])
    if done.problem:
        raise HarnessError(explained(done))
    return done.output


def explained(done: Done) -> str:
    """What went wrong, and on which host."""
    return f"{' '.join(done.task.words)} on {done.task.host.name}: {done.problem}"


@contextlib.contextmanager
def _started(task: Task) -> Iterator[subprocess.Popen[str]]:
    program, *arguments = task.words
    with task.host.inside():
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
        output, errors = process.communicate(task.text, timeout=TOOL_WITHIN_S)
    except subprocess.TimeoutExpired:
        return Done(task, "", f"not done within {TOOL_WITHIN_S} s; is the machine overloaded?")
    errors = " ".join(errors.split())
    return Done(task, output, (errors or f"exit status {process.returncode}") if process.returncode else "")


def hardware_addresses(hosts: Sequence[CabledHost]) -> dict[str, str]:
    """By host name, the hardware address of its interface, which stays when the host gets another IP address."""
    return {host.name: _hardware_address(host) for host in hosts}


def _hardware_address(host: CabledHost) -> str:
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16s24x", host.device.encode())
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFHWADDR, request)
        except OSError as error:
            raise HarnessError(
                f"{host.name} has no interface {host.device} ({error.strerror}); has another fault removed it?"
            ) from error
    return answer[18:24].hex(":")
