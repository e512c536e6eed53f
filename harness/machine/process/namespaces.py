"""A private network, process tree and mounts, made with the kernel's namespaces where it allows.

Standard library only and no import of the harness: `boot.py` loads this file by its path.
Nothing here forks a process that may have threads: call `probe` in a small process, `probe_elsewhere` from any other.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import struct
import sys
from collections import namedtuple

# Every world's start waits for these imports: `typing` and `dataclasses` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 0x4000, 1 << 18, 2, 4, 8
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_AF_INET, _SOCK_DGRAM, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 2, 2, 0x8913, 0x8914, 1
NOBODY = 65534
# A probe takes about 2 ms, and a new interpreter some 20 ms; only a machine that stands still takes longer than this.
PROBE_WITHIN_S = 30

_libc = ctypes.CDLL(None, use_errno=True)


class Isolation(namedtuple("Isolation", "possible as_root reason", defaults=("",))):
    """What the kernel allows this user.

    Attributes:
        possible: whether a private network, process tree and mounts can be made.
        as_root: whether they are made with real privilege, without a user namespace.
        reason: why they cannot be made, ending with what to do; empty if they can.
    """

    possible: bool
    as_root: bool
    reason: str


class Refused(OSError):
    """The kernel refused a step; the text names the step."""


def enter(user_namespace: bool) -> None:
    """Leave the host's network, mounts and, for children to come, its process tree.

    The next fork makes pid 1 of the new tree, and every fork fails once that process has ended: so fork once, and call
    `settle` in the child. With `user_namespace` this user becomes root of a user namespace: mapped to its own number it
    would lose its capabilities at the next exec. Raises Refused.
    """
    user, group = os.geteuid(), os.getegid()
    _do("unshare", _libc.unshare, CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | (CLONE_NEWUSER if user_namespace else 0))
    if user_namespace:
        # In this order: without "deny" an ordinary user may not write gid_map.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")


def settle() -> None:
    """Finish the namespaces from inside, as pid 1: private mounts, a /proc of this process tree, loopback up.

    Where parts of /proc are masked (in a container) the kernel refuses to mount it. Then /proc still shows the outer
    process ids, which `Children.others` translates. Raises Refused.
    """
    _do("make mounts private", _libc.mount, b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    _libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC), None)
    lo_up()


def lo_up() -> None:
    """Bring the loopback interface of this network namespace up, without the `ip` command; raises Refused."""
    any_socket = _libc.socket(_AF_INET, _SOCK_DGRAM, 0)
    try:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", answer)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))
    except OSError as exc:
        raise Refused(exc.errno, f"bring loopback up: {exc.strerror}") from exc
    finally:
        _libc.close(any_socket)


def end_with_parent() -> None:
    """Have the kernel SIGKILL this process when the thread that forked it ends.

    Check `os.getppid()` after this call: a parent that ended before it causes no signal.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def become_subreaper() -> None:
    """Orphaned descendants become children of this process."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)


def probe() -> Isolation:
    """Try `enter` and `settle` in a child process; about 2 ms.

    The caller must be single-threaded, because this forks.
    """
    reasons = []
    for user_namespace in (False, True) if os.geteuid() == 0 else (True,):
        reason = _output_of_child(lambda write, wanted=user_namespace: _try(wanted, write))  # type: ignore[misc]
        if not reason:
            return Isolation(True, not user_namespace)
        reasons.append(reason)
    return Isolation(False, False, "; ".join(dict.fromkeys(reasons)) + _advice())


def probe_as_user(uid: int = NOBODY) -> Isolation:
    """`probe` as an ordinary user; the caller must be root and single-threaded."""

    def as_user(write: Callable[[str], None]) -> None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # After a change of user root owns /proc/self; a dumpable process may write its maps again.
        _libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0)
        write(json.dumps(probe()._asdict()))

    answer = _output_of_child(as_user)
    return Isolation(**json.loads(answer)) if answer.startswith("{") else Isolation(False, False, answer)


def probe_elsewhere(as_user: bool = False) -> Isolation:
    """`probe` or `probe_as_user` in a new interpreter, so that processes with threads may call it; about 20 ms."""
    command = [sys.executable, "-I", "-S", __file__, "--as-user" if as_user else "--as-me"]
    # boot.py loads this file too, and must not wait for this import.
    import subprocess

    done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_WITHIN_S)
    if done.returncode:
        return Isolation(False, False, f"the probe itself failed: {done.stderr.strip()[-300:]}")
    return Isolation(**json.loads(done.stdout))


def _try(user_namespace: bool, write: Callable[[str], None]) -> None:
    """The sequence of boot; writes why it failed, or nothing."""
    try:
        enter(user_namespace)
        write(_output_of_child(lambda _: settle()))
    except OSError as exc:
        write(_text_of(exc))


def _output_of_child(act: Callable[[Callable[[str], None]], None]) -> str:
    """Run `act(write)` in a forked child; returns what it wrote, or why it failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            act(lambda text: _write_all(writer, text))
        except BaseException as exc:
            _write_all(writer, _text_of(exc))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return text


def _write_all(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode())


def _text_of(exc: BaseException) -> str:
    return str(exc.strerror or exc) if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"


def _do(what: str, call: Callable[..., int], *arguments: object) -> None:
    if call(*arguments) != 0:
        number = ctypes.get_errno()
        raise Refused(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    # Not open().write(): that reports the kernel's refusal only when it is closed, and a destructor swallows it.
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise Refused(exc.errno, f"write {path}: {exc.strerror}") from exc


# Kernel settings that forbid namespaces: path, the value that does, the setting that allows them.
_SETTINGS = (
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=1000"),
    ("/proc/sys/user/max_net_namespaces", "0", "user.max_net_namespaces=1000"),
)


def _advice() -> str:
    remedies: list[str] = []
    for path, forbidding, remedy in _SETTINGS:
        try:
            with open(path) as stream:
                if stream.read().strip() == forbidding:
                    remedies.append(remedy)
        except OSError:
            continue
    if remedies:
        return f" (to allow it: sysctl -w {' '.join(remedies)})"
    return " (in a container: allow unshare and mount, or give it CAP_SYS_ADMIN; else worlds use the host's network)"


if __name__ == "__main__":
    print(json.dumps((probe_as_user() if "--as-user" in sys.argv else probe())._asdict()))
