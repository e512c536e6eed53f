"""What the kernel allows, and what a process finds inside its namespaces."""

from __future__ import annotations

import json
import os

import pytest
from users import User, answer

from harness.machine.process import namespaces
from harness.machine.process.namespaces import probe_elsewhere

# A new user namespace has limits of its own: so the kernel really refuses, and no other process is affected.
REFUSED = """
import ctypes, os, sys
user, group = os.getuid(), os.getgid()
def write(path, text):
    fd = os.open(path, os.O_WRONLY); os.write(fd, text.encode()); os.close(fd)
assert ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0
write("/proc/self/setgroups", "deny")
write("/proc/self/uid_map", f"0 {user} 1")
write("/proc/self/gid_map", f"0 {group} 1")
write("/proc/sys/user/max_net_namespaces", "0")
os.execv(sys.argv[1], sys.argv[1:])
"""


def refused(user: User, argv: list[str]) -> list[str]:
    """The command line that runs `argv` where the kernel refuses a network namespace."""
    return [user.python, "-c", REFUSED, *argv]


@pytest.mark.usefixtures("namespaces_allowed")
def test_isolated_process_has_a_network_and_a_process_tree_of_its_own(user: User) -> None:
    """As root and as an ordinary user: pid 1, only loopback, which is up, and no process of the host."""
    inside = answer(user.run_booted("private", user.argv("isolation")))
    assert inside["isolation"] == {"kind": "private", "reason": "", "user_namespace": user.name != "root"}
    assert inside["network"] != os.readlink("/proc/self/ns/net")
    assert inside["tree"] != os.readlink("/proc/self/ns/pid")
    assert inside["interfaces"] == ["lo"]
    assert (inside["pid"], inside["processes"]) == (1, [1])
    assert inside["user"] == 0
    assert inside["resolver"] == os.environ.get("RES_OPTIONS")


@pytest.mark.usefixtures("namespaces_allowed")
def test_files_written_inside_belong_to_the_user_who_started_it(user: User) -> None:
    """An ordinary user is root inside, and still owns what it writes."""
    path = user.folder / "written"
    done = user.run_booted("private", ["/bin/sh", "-c", f"echo text > {path}"])
    assert done.returncode == 0, done.stderr
    assert path.stat().st_uid == user.folder.stat().st_uid


def test_probe_explains_why_the_kernel_refuses_and_what_to_do(user: User) -> None:
    """The reason names the step and the setting."""
    if not probe_elsewhere(as_user=user.become is not None).possible:
        pytest.skip("the kernel refuses namespaces anyway, so none with limits can be made")
    script = str(user.tree / "harness" / "machine" / "process" / "namespaces.py")
    found = answer(user.run(refused(user, [user.python, "-I", "-S", script])))
    assert not found["possible"]
    assert "unshare" in found["reason"]
    assert "sysctl -w user.max_net_namespaces=1000" in found["reason"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become an ordinary user")
def test_root_can_probe_as_an_ordinary_user(user: User) -> None:
    """The result is the same as for that user."""
    script = str(user.tree / "harness" / "machine" / "process" / "namespaces.py")
    own = json.loads(user.run([user.python, "-I", "-S", script]).stdout)
    asked = probe_elsewhere(as_user=user.become is not None)
    assert own == asked._asdict()


def test_probe_leaves_the_caller_where_it_was() -> None:
    """The caller has the same network and the same process tree afterwards."""
    before = (os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/pid"))
    namespaces.probe_elsewhere()
    assert (os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/pid")) == before
