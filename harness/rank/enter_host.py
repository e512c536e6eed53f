"""Move a rank's process into a host: it gets the host's network, host name and name files."""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any, Callable, Dict

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWNET = 0x00020000, 0x04000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18

_NAME_FILES = ("hosts", "resolv.conf", "nsswitch.conf")
# The name service cache would answer with the machine's names instead of the host's files, so its socket is hidden.
_CACHE = "/var/run/nscd"

_libc = ctypes.CDLL(None, use_errno=True)


def enter(host: Dict[str, Any]) -> None:
    """Move this process into a host for good; raises OSError where the kernel refuses a step.

    Args:
        host: its `name`; `network`, a descriptor of its network namespace, which is closed; and `etc`, the folder of
            its name files. They are mounted over the files in /etc; a file that /etc does not have is left out, because
            a bind mount needs a target.
    """
    network: int = host["network"]
    _call("enter the host's network", _libc.setns, network, _CLONE_NEWNET)
    os.close(network)
    _call("leave the machine's mounts and host name", _libc.unshare, _CLONE_NEWNS | _CLONE_NEWUTS)
    socket.sethostname(host["name"])
    _call("make mounts private", _libc.mount, None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    for name in _NAME_FILES:
        _bind_mount(os.path.join(host["etc"], name), f"/etc/{name}")
    _bind_mount(host["etc"], _CACHE)


def _bind_mount(source: str, target: str) -> None:
    if os.path.exists(target):
        what = f"mount {source} over {target}"
        _call(what, _libc.mount, os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_MS_BIND), None)


def _call(what: str, function: Callable[..., int], *arguments: Any) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
