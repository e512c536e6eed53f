"""A private Docker engine for tests and CI, with its own data and socket; nothing is left when it has ended."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness import clock
from harness.machine.network.network_tools import find
from harness.values.errors import HarnessError, UsageError

UP_WITHIN_NS = 60_000_000_000
"""It is up in 1 to 8 s; on a machine busy with other tests it may take longer."""

END_GRACE_S = 20
"""It ends in about a second once its containers are gone."""

POOL = "198.19.0.0/16"
"""Networks that ask for no addresses get a /28 of this range, which is reserved for tests."""

_RANGES = {"iptables": "198.18.0.0/15", "ip6tables": "2001:2::/48"}
_LONGEST_SOCKET_PATH = 100
_LOOK_EVERY_NS = 20_000_000
_OURS = ("dockerd", "containerd")
_CGROUPS = Path("/sys/fs/cgroup")
_PRIVATE = ("/run/containerd", "/run/docker")

# In a mount namespace of its own: the kernel removes every mount when the last of its processes ends. A tmpfs hides the
# system's containerd, which dockerd would use in place of its own, and the sockets of shims of other engines.
_SCRIPT = 'for place in {places}; do mkdir -p $place && mount -t tmpfs none $place || exit 1; done; exec "$@"'


@dataclass(frozen=True)
class PrivateEngine:
    """A private Docker engine that is up.

    Attributes:
        root: the folder that holds all its files.
        pid: of dockerd.
    """

    root: Path
    pid: int

    @property
    def url(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{_socket_path(self.root)}"


def start(root: Path) -> PrivateEngine:
    """Start a Docker engine whose data, state and socket lie in `root`, and return when it answers.

    Removes first what a killed one left there. It makes no bridge before a network needs one, leaves the machine's
    firewall and forwarding as they are (but see `_open_firewall`), pulls from registries where they can be reached, and
    gives its containers no route out of this machine.

    Raises UsageError where it cannot run (not root, no `dockerd`, a path too long for a socket, one that runs there
    already), HarnessError if it does not come up; the text ends with its log.
    """
    root = root.absolute()
    _check(root)
    stop(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / "daemon.json").write_text("{}\n")  # in place of the machine's own settings
    _open_firewall(root)
    with open(root / "log", "ab") as log:
        process = subprocess.Popen(
            _command(root), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=root, start_new_session=True
        )
    try:
        _await_up(root, process)
    except BaseException:
        process.kill()
        process.wait()
        stop(root)
        raise
    return PrivateEngine(root, process.pid)


@contextlib.contextmanager
def running(root: Path) -> Iterator[PrivateEngine]:
    """A private engine for the block."""
    engine = start(root)
    try:
        yield engine
    finally:
        stop(root)


def stop(root: Path) -> None:
    """End the Docker engine of `root` and remove all that it made.

    These are containers, networks, processes, bridges, control groups, its firewall rule, and `root` with its images.
    It works for a killed one too, and does nothing where there is none. Raises HarnessError if something stays.
    """
    root = root.absolute()
    if not (root / "daemon.json").is_file():
        return
    if _is_up(root):
        _empty(root)
    for process in _processes(root, ("dockerd",)):
        _end(process)
    _kill_all(root)
    _remove_bridges(root)
    _remove_groups(root)
    _close_firewall(root)
    for place in _PRIVATE:
        with contextlib.suppress(OSError):
            os.rmdir(place)  # the empty mount point; not empty if another engine uses it
    shutil.rmtree(root)


# -- starting ------------------------------------------------------------------------------------------------------


def _check(root: Path) -> None:
    if os.geteuid() != 0:
        raise UsageError("a private Docker engine needs root; run as root, or name a running one in DOCKER_HOST")
    for tool in ("dockerd", "containerd", "unshare", "ip"):
        if find(tool) is None:
            raise UsageError(f"there is no {tool}; install it (Debian: apt-get install docker.io iproute2)")
    if len(str(_socket_path(root))) > _LONGEST_SOCKET_PATH:
        raise UsageError(f"{root} is too long for the path of a socket; choose a shorter folder")
    if _is_up(root):
        raise UsageError(f"a Docker engine runs in {root} already; stop it first, or use it: DOCKER_HOST={_url(root)}")


def _command(root: Path) -> list[str]:
    script = _SCRIPT.format(places=" ".join(_PRIVATE))
    return [
        *("unshare", "--mount", "--propagation", "slave", "--", "sh", "-c", script, "sh"),
        find("dockerd") or "dockerd",
        f"--config-file={root / 'daemon.json'}",
        f"--data-root={root / 'data'}",
        f"--exec-root={root / 'exec'}",
        f"--pidfile={root / 'pid'}",
        f"--host={_url(root)}",
        f"--cgroup-parent={group_of(root)}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--bridge=none",
        "--iptables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        "--userland-proxy=false",
        f"--default-address-pool=base={POOL},size=28",
    ]


def _socket_path(root: Path) -> Path:
    return root / "docker.sock"


def _url(root: Path) -> str:
    return f"unix://{_socket_path(root)}"


def _await_up(root: Path, process: subprocess.Popen[bytes]) -> None:
    deadline_ns = clock.now_ns() + UP_WITHIN_NS
    while not _is_up(root):
        if process.poll() is not None:
            raise HarnessError(f"the private Docker engine ended at its start; its log: {_log_tail(root)}")
        if clock.now_ns() > deadline_ns:
            raise HarnessError(f"the private Docker engine was not up within 60 s; its log: {_log_tail(root)}")
        clock.sleep_ns(_LOOK_EVERY_NS)


def _log_tail(root: Path) -> str:
    lines = (root / "log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-5:]) or "nothing"


def _is_up(root: Path) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("localhost", timeout=3)
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(3)
            connection.sock.connect(str(_socket_path(root)))
            connection.request("GET", "/_ping")
            return connection.getresponse().read() == b"OK"
    return False


# -- ending --------------------------------------------------------------------------------------------------------


def _empty(root: Path) -> None:
    """Remove containers, then networks: bridges of existing networks would outlive dockerd."""
    from docker import DockerClient
    from docker.errors import APIError

    client = DockerClient(_url(root), timeout=60)
    with contextlib.closing(client):
        for container in client.containers.list(all=True):
            # One that cannot be removed is killed later, with its control group.
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)
        for network in client.networks.list():
            with contextlib.suppress(APIError):
                if network.name not in ("bridge", "host", "none"):
                    network.remove()


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(END_GRACE_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(END_GRACE_S)


def _processes(root: Path, names: tuple[str, ...] = _OURS) -> list[psutil.Process]:
    """dockerd, its containerd and its shims, recognized by their names and a path of its state in their arguments."""
    mark = str(root / "exec")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith(names) and any(_is_below(word, mark) for word in process.cmdline()):
                found.append(process)
    return found


def _is_below(word: str, mark: str) -> bool:
    """Whether a word of a command line is that path or one below it, also as `--option=path`."""
    place = word.rpartition("=")[2]
    return place == mark or place.startswith(f"{mark}/")


def _kill_all(root: Path) -> None:
    """Send SIGKILL, by pid, to what is left of it and to the processes of its containers, which may outlive it."""
    deadline_ns = clock.now_ns() + END_GRACE_S * 1_000_000_000
    dying: set[psutil.Process] = set()
    while left := {*_processes(root), *_in_groups(root), *filter(_is_alive, dying)}:
        if clock.now_ns() > deadline_ns:
            raise HarnessError(
                f"processes of the private Docker engine in {root} do not end: {[one.pid for one in left]}; end them"
            )
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        dying |= left
        clock.sleep_ns(_LOOK_EVERY_NS)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


# -- control groups ------------------------------------------------------------------------------------------------


def group_of(root: Path) -> str:
    """The control group of all its containers, below the root of each hierarchy."""
    return f"/rdzv-engine-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"


def _groups(root: Path) -> list[Path]:
    """Its control group in each hierarchy: one in version 2, one for each controller in version 1."""
    return [place for place in (_CGROUPS / group_of(root)[1:], *_CGROUPS.glob(f"*{group_of(root)}")) if place.is_dir()]


def _in_groups(root: Path) -> list[psutil.Process]:
    found = []
    for pid in {pid for group in _groups(root) for file in group.rglob("cgroup.procs") for pid in _pids(file)}:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def _pids(file: Path) -> list[int]:
    try:
        return [int(line) for line in file.read_text().split()]
    except OSError:
        return []


def _remove_groups(root: Path) -> None:
    for group in _groups(root):
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(folder)


# -- network -------------------------------------------------------------------------------------------------------


def _remove_bridges(root: Path) -> None:
    """Remove the bridges of networks that are still in its database: it was killed before they could be removed."""
    database = root / "data" / "network" / "files" / "local-kv.db"
    known = database.read_bytes() if database.is_file() else b""
    for interface in os.listdir("/sys/class/net"):
        # Named by the first 12 digits of the network's id.
        if interface.startswith("br-") and interface.removeprefix("br-").encode() in known:
            _output_of([find("ip") or "ip", "link", "delete", interface])


def _open_firewall(root: Path) -> None:
    """Let traffic inside its networks pass where the machine drops forwarded packets, as another Docker configures it.

    A bridge's traffic counts as forwarded there. One rule, only for addresses of the range reserved for tests.
    """
    for tool, addresses in _RANGES.items():
        if "-P FORWARD DROP" in _output_of([find(tool) or tool, "-S", "FORWARD"]):
            _output_of([find(tool) or tool, "-w", "-I", "FORWARD", *_rule(root, addresses)])


def _close_firewall(root: Path) -> None:
    for tool, addresses in _RANGES.items():
        if group_of(root) in _output_of([find(tool) or tool, "-S", "FORWARD"]):
            _output_of([find(tool) or tool, "-w", "-D", "FORWARD", *_rule(root, addresses)])


def _rule(root: Path, addresses: str) -> list[str]:
    return ["-s", addresses, "-d", addresses, "-m", "comment", "--comment", group_of(root), "-j", "ACCEPT"]


def _output_of(command: list[str]) -> str:
    """The output of a program; empty where it is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
