"""How a process becomes a resident of a host: the host's network, name and name files replace those it had."""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any, Callable, Dict

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWNET = 0x00020000, 0x04000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18

_NAME_FILES = ("hosts", "resolv.conf", "nsswitch.conf")
# Who asks the name service cache gets the answers of the machine around, whatever its own files say; so it finds none.
_CACHE = "/var/run/nscd"

_libc = ctypes.CDLL(None, use_errno=True)


def enter(host: Dict[str, Any]) -> None:
    """Move this process into a host, for good; raises OSError where the kernel refuses a step.

    Args:
        host: its `name`, a descriptor of its `network`, which is closed, and `etc`, the folder of its name files. Those
            lie over the ones in /etc; one that /etc has not is left out, because a mount needs something to lie on.
    """
    network: int = host["network"]
    _do("enter its network", _libc.setns, network, _CLONE_NEWNET)
    os.close(network)
    _do("leave the mounts and the host name", _libc.unshare, _CLONE_NEWNS | _CLONE_NEWUTS)
    socket.sethostname(host["name"])
    _do("make mounts private", _libc.mount, None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    for name in _NAME_FILES:
        _lay(os.path.join(host["etc"], name), f"/etc/{name}")
    _lay(host["etc"], _CACHE)


def _lay(path: str, over: str) -> None:
    if os.path.exists(over):
        what = f"lay {path} over {over}"
        _do(what, _libc.mount, os.fsencode(path), os.fsencode(over), None, ctypes.c_ulong(_MS_BIND), None)


def _do(what: str, call: Callable[..., int], *arguments: Any) -> None:
    if call(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
