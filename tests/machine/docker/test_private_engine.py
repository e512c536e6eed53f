"""A private Docker engine serves one run, does not disturb others, and leaves nothing, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from harness.machine.docker import engine, private_engine
from harness.machine.docker.private_engine import PrivateEngine
from harness.machine.network.network_tools import find
from harness.values.errors import HarnessError, UsageError

CONTAINER = {"command": ["/toxiproxy", "-host=0.0.0.0"], "detach": True}


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder with a path short enough for a socket; skipped where no private engine can be started."""
    if os.geteuid() != 0:
        pytest.skip("a private engine needs root")
    if find("dockerd") is None:
        pytest.skip("there is no dockerd; install Debian's docker.io")
    with TemporaryDirectory(prefix="rdzv-engine-") as folder:
        yield Path(folder) / "engine"
        private_engine.stop(Path(folder) / "engine")


def rules_about(*words: str) -> list[str]:
    """The machine's firewall rules that contain one of these words; others are not this test's."""
    if shutil.which("iptables-save") is None:
        return []
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    return [line for line in rules.splitlines() if any(word in line for word in words)]


def bridges() -> set[str]:
    return {name for name in os.listdir("/sys/class/net") if name.startswith("br-")}


def busy(made: PrivateEngine, program: Path, tmp_path: Path) -> tuple[int, str]:
    """Run a container on a network of its own; returns (pid of its process, name of the network's bridge)."""
    from docker.types import IPAMConfig, IPAMPool

    tar = tmp_path / "image.tar"
    with tarfile.open(tar, "w") as archive:
        archive.add(program, "toxiproxy")
    with engine.connect({"DOCKER_HOST": made.url}) as client:
        client.api.import_image_from_file(str(tar), repository="alone", tag="latest")
        addresses = IPAMConfig(pool_configs=[IPAMPool(subnet="198.18.255.224/28")])
        network = client.networks.create("alone", ipam=addresses)
        options: dict[str, Any] = {**CONTAINER, "network": network.id}
        container = client.containers.run("alone:latest", **options)
        container.reload()
        return int(container.attrs["State"]["Pid"]), f"br-{str(network.id)[:12]}"


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def left_of(made: PrivateEngine) -> list[str]:
    """Everything with its name: processes, mounts, control groups."""
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    name = private_engine.group_of(made.root).removeprefix("/")
    groups = [str(path) for path in Path("/sys/fs/cgroup").rglob(name)]
    return [line for line in [*commands, *mounts] if str(made.root) in line] + groups


def test_it_works_and_leaves_nothing(root: Path, real_server: Path, tmp_path: Path) -> None:
    """It ends with a container and a network still there, and removes them; it makes no rules for its networks."""
    made = private_engine.start(root)
    assert engine.find({"DOCKER_HOST": made.url}).url == f"unix://{root}/docker.sock"
    pid, bridge = busy(made, real_server, tmp_path)
    assert bridge in bridges()
    assert rules_about(bridge, "198.18.255.224") == []
    private_engine.stop(root)
    assert not runs(pid)
    assert bridge not in bridges()
    assert left_of(made) == rules_about(private_engine.group_of(root)) == []
    assert not root.exists()


def test_nothing_is_left_of_a_killed_one(root: Path, real_server: Path, tmp_path: Path) -> None:
    """The container outlives a killed dockerd; `stop` finds the container, the bridge and the rest."""
    made = private_engine.start(root)
    pid, bridge = busy(made, real_server, tmp_path)
    os.kill(made.pid, signal.SIGKILL)
    os.waitpid(made.pid, 0)
    assert runs(pid)
    private_engine.stop(root)
    assert not runs(pid)
    assert bridge not in bridges()
    assert (left_of(made), root.exists()) == ([], False)


def test_two_cannot_share_a_folder(root: Path) -> None:
    """The second is refused, and the first goes on."""
    with private_engine.running(root) as made:
        with pytest.raises(UsageError, match=r"runs in .* already; stop it first"):
            private_engine.start(root)
        assert engine.find({"DOCKER_HOST": made.url})
    assert not root.exists()


def test_a_start_that_fails_shows_the_log(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves no process and no folder."""
    monkeypatch.setattr(private_engine, "POOL", "no addresses")
    with pytest.raises(HarnessError, match=r"ended at its start; its log: (.|\n)*no addresses"):
        private_engine.start(root)
    assert not root.exists()


def test_a_path_too_long_for_a_socket_is_refused(root: Path) -> None:
    """Before anything is started."""
    with pytest.raises(UsageError, match="choose a shorter folder"):
        private_engine.start(root / ("x" * 100))


def test_stopping_another_folder_touches_nothing(tmp_path: Path) -> None:
    """The files of a folder without a private engine stay."""
    (tmp_path / "mine").write_text("mine")
    private_engine.stop(tmp_path)
    private_engine.stop(tmp_path / "nothing")
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="this is root")
def test_it_needs_root(tmp_path: Path) -> None:
    """The reason names the other way."""
    with pytest.raises(UsageError, match="DOCKER_HOST"):
        private_engine.start(tmp_path)
