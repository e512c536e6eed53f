"""What an import has left in this process that a clone of it must not have: threads and sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import traceback
from typing import Callable, List

from harness.rank.listeners import own_sockets


def other_threads() -> List[str]:
    """Names of all threads but the main one, from the kernel: Python does not know torch's native threads."""
    names = []
    for thread in os.listdir("/proc/self/task"):
        # Where /proc shows the outer process tree, our folder there has another number than our pid.
        if thread == os.path.basename(os.readlink("/proc/self")):
            continue
        try:
            with open(f"/proc/self/task/{thread}/comm") as stream:
                names.append(stream.read().strip())
        except OSError:
            continue
    return sorted(names)


def listening_descriptors() -> List[int]:
    """The descriptors of this process's listening sockets."""
    return [number for number in _sockets() if _is_listening(number)]


def leaves_nothing(what: str, import_it: Callable[[], object]) -> bool:
    """Whether an import works and leaves neither threads nor sockets; a child finds out, and prints why not.

    Args:
        what: the name of what is imported, for the reason.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    try:
        before = set(_sockets())
        import_it()
        left = [*other_threads(), *(f"socket {number}" for number in sorted(set(_sockets()) - before))]
        if left:
            print(f"each rank imports {what} itself, because its import leaves {', '.join(left)}", flush=True)
        os._exit(1 if left else 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


def _sockets() -> List[int]:
    return [descriptor for descriptor, _ in own_sockets()]


def _is_listening(descriptor: int) -> bool:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as probe:
        return bool(probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False
