"""The calls of a Docker engine that worlds of containers need: made, watched, limited, cut off and taken away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import clock
from harness.machine.docker.mounts import Bind
from harness.values.errors import HarnessError

CALL_WITHIN_S = 60
"""A start takes 0.1 to 0.5 s; with many at once on a busy machine it was seen to take ten."""

REMOVED_WITHIN_NS = 20_000_000_000
"""A throttled container took 10 s until the engine gave up killing it, and went a moment later."""

FULL_PERIOD_US = 100_000
"""The engine's own period of processor quotas, in microseconds."""

_LOOK_AGAIN_NS = 50_000_000
_GONE, _CONFLICT, _REFUSED = 404, 409, 403


class Overlap(HarnessError):
    """The addresses are somebody else's network already."""


@dataclass(frozen=True)
class Recipe:
    """What a container is made of; it runs with a read-only root, without capabilities or new privileges.

    Attributes:
        binds: read-only mounts; `shared` ones can be written to.
        network, address, hostname: of a container with a network of its own; without one there is loopback only.
        joins: id of a container whose network, host name and process tree it shares instead.
        memory_bytes, pids, processors: its limits; swap counts as memory.
    """

    name: str
    image: str
    command: Sequence[str]
    user: str
    labels: Mapping[str, str]
    memory_bytes: int
    pids: int
    processors: float = 1.0
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: Sequence[Bind] = ()
    shared: Sequence[Bind] = ()
    network: str = ""
    address: str = ""
    hostname: str = ""
    joins: str = ""


@dataclass(frozen=True)
class State:
    """What the engine says of a container; `pid` is this machine's number of its first process, 0 once it has ended."""

    running: bool
    paused: bool
    pid: int
    exit_code: int
    oom_killed: bool


@dataclass(frozen=True)
class Throttling:
    """How many periods of processor quota a container has run in, in how many it was stopped, and for how long."""

    periods: int
    throttled_periods: int
    throttled_ns: int


class Client:
    """One engine, to be called from several threads; every error is a HarnessError."""

    def __init__(self, url: str, api: str = "auto") -> None:
        from docker import APIClient

        with _told(f"answer at {url}"):
            self._api: Any = APIClient(base_url=url, version=api, timeout=CALL_WITHIN_S)
        self.url = url

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()

    def has_image(self, name: str) -> bool:
        with _told(f"look for the image {name}"):
            return bool(self._api.images(name, quiet=True))

    # -- networks ------------------------------------------------------------------------------------------------

    def make_network(self, name: str, subnet: str, gateway: str, labels: Mapping[str, str]) -> str:
        """A bridge without a way out; its id. Raises Overlap if somebody has these addresses."""
        from docker.types import IPAMConfig, IPAMPool

        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)])
        with _told(f"make the network {name}"):
            # Without the check a second network of one name is made, and then neither can be removed by it.
            made: dict[str, Any] = self._api.create_network(
                name, driver="bridge", ipam=pool, check_duplicate=True, internal=True, labels=dict(labels)
            )
        return str(made["Id"])

    def remove_network(self, network: str) -> None:
        """Take it away, trying again while containers are still letting go of it; one that is gone is no error."""
        self._until_gone(f"remove the network {network[:12]}", lambda: self._api.remove_network(network))

    def disconnect(self, network: str, container: str) -> None:
        """Take the network out of a container: its interface is gone."""
        with _told(f"disconnect {container[:12]}"):
            self._api.disconnect_container_from_network(container, network)

    def connect(self, network: str, container: str, address: str, name: str) -> None:
        """Put it back under its old address and name, neither of which the engine remembers."""
        with _told(f"connect {container[:12]}"):
            self._api.connect_container_to_network(container, network, ipv4_address=address, aliases=[name])

    # -- containers ----------------------------------------------------------------------------------------------

    def start(self, recipe: Recipe) -> str:
        """Make and start a container; its id. Nothing is left if that fails."""
        with _told(f"make the container {recipe.name}"):
            container = str(self._api.create_container(**self._creation(recipe))["Id"])
        try:
            self.start_again(container)
        except BaseException:
            self.remove(container)
            raise
        return container

    def start_again(self, container: str) -> None:
        """Start one that was made already, or has ended."""
        with _told(f"start the container {container[:12]}"):
            self._api.start(container)

    def state(self, container: str) -> State:
        with _told(f"look at the container {container[:12]}"):
            told = self._api.inspect_container(container)["State"]
        return State(told["Running"], told["Paused"], told["Pid"], told["ExitCode"], told["OOMKilled"])

    def wait(self, container: str) -> int:
        """Its exit code, once it has ended: 128 and the signal's number where a signal ended it."""
        with _told(f"tell how the container {container[:12]} ended"):
            return int(self._api.wait(container)["StatusCode"])

    def kill(self, container: str) -> None:
        """SIGKILL to all of it; one that has ended is no error."""
        with _told(f"kill the container {container[:12]}"), _forgiving(_GONE, _CONFLICT):
            self._api.kill(container)

    def remove(self, container: str, throttled: bool = False) -> None:
        """Kill it and take it away; returns when it is gone, and one that is gone is no error.

        Args:
            throttled: whether its processor quota may be so small that it cannot even be killed.
        """
        if throttled:
            # Refused while another is taking it away; whether it goes is what counts.
            with contextlib.suppress(HarnessError):
                self.unthrottle(container)
        self._until_gone(
            f"remove the container {container[:12]}",
            lambda: self._api.remove_container(container, force=True, v=True),
        )

    def unthrottle(self, container: str) -> None:
        """Give it all processors; one that is gone is no error."""
        with _told(f"unthrottle {container[:12]}"), _forgiving(_GONE, _CONFLICT):
            self._api.update_container(container, cpu_period=FULL_PERIOD_US, cpu_quota=-1)

    def unpause(self, container: str) -> None:
        """Let it go on; one that is not paused, or gone, is no error."""
        with _told(f"unpause {container[:12]}"), _forgiving(_GONE, _CONFLICT, 500):
            self._api.unpause(container)

    def limit_processor(self, container: str, quota_us: int, period_us: int) -> None:
        """So many microseconds of processor in each period; the kernel takes 1 ms to 1 s for either."""
        with _told(f"limit the processor of {container[:12]}"):
            self._api.update_container(container, cpu_period=period_us, cpu_quota=quota_us)

    def limit_memory(self, container: str, limit_bytes: int) -> None:
        """Memory and swap together; a kernel with cgroup v1 refuses less than is in use."""
        with _told(f"limit the memory of {container[:12]}"):
            self._api.update_container(container, mem_limit=limit_bytes, memswap_limit=limit_bytes)

    def memory_bytes(self, container: str) -> int:
        """What it uses now, caches among it."""
        with _told(f"read the memory of {container[:12]}"):
            return int(self._stats(container)["memory_stats"].get("usage", 0))

    def throttling(self, container: str) -> Throttling:
        with _told(f"read the throttling of {container[:12]}"):
            told = self._stats(container)["cpu_stats"].get("throttling_data") or {}
        return Throttling(told.get("periods", 0), told.get("throttled_periods", 0), told.get("throttled_time", 0))

    def run_beside(self, container: str, command: Sequence[str]) -> None:
        """Start a process in a running container, and leave it to itself."""
        with _told(f"run a process in {container[:12]}"):
            made = self._api.exec_create(container, list(command), stdout=False, stderr=False)
            self._api.exec_start(made["Id"], detach=True)

    def output(self, container: str) -> bytes:
        """What it has printed."""
        with _told(f"read what {container[:12]} printed"):
            return bytes(self._api.logs(container))

    def follow(self, container: str, take: Callable[[bytes], Any]) -> None:
        """Hand on what it prints, from its start to its end: blocks so long."""
        with _told(f"follow what {container[:12]} prints"):
            for piece in self._api.attach(container, stream=True, logs=True):
                take(piece)

    # -- by label ------------------------------------------------------------------------------------------------

    def containers(self, label: str) -> dict[str, dict[str, str]]:
        """Ids and labels of all containers with this label (`name` or `name=value`), in any state."""
        with _told("list containers"):
            return {one["Id"]: one["Labels"] for one in self._api.containers(all=True, filters={"label": label})}

    def networks(self, label: str) -> dict[str, dict[str, str]]:
        """Ids and labels of all networks with this label."""
        with _told("list networks"):
            return {one["Id"]: one["Labels"] for one in self._api.networks(filters={"label": label})}

    # -- inside --------------------------------------------------------------------------------------------------

    def _creation(self, recipe: Recipe) -> dict[str, Any]:
        from docker.types import Mount

        mounts = [Mount(bind.target, bind.source, type="bind", read_only=True) for bind in recipe.binds]
        mounts += [Mount(bind.target, bind.source, type="bind") for bind in recipe.shared]
        limits = {
            "mem_limit": recipe.memory_bytes,
            "memswap_limit": recipe.memory_bytes,
            "pids_limit": recipe.pids,
            "cpu_period": FULL_PERIOD_US,
            "cpu_quota": int(FULL_PERIOD_US * recipe.processors),
        }
        host = self._api.create_host_config(
            mounts=mounts,
            read_only=True,
            tmpfs={"/tmp": "mode=1777"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            **limits,
            **self._place(recipe),
        )
        return {
            "image": recipe.image,
            "command": list(recipe.command),
            "name": recipe.name,
            "user": recipe.user,
            "labels": dict(recipe.labels),
            "environment": dict(recipe.environment),
            "hostname": recipe.hostname or None,
            "host_config": host,
            "networking_config": self._networking(recipe),
        }

    def _place(self, recipe: Recipe) -> dict[str, str]:
        if not recipe.joins:
            return {"network_mode": recipe.network or "none"}
        return {"network_mode": f"container:{recipe.joins}", "pid_mode": f"container:{recipe.joins}"}

    def _networking(self, recipe: Recipe) -> Any:
        if not recipe.network:
            return None
        endpoint = self._api.create_endpoint_config(ipv4_address=recipe.address, aliases=[recipe.hostname])
        return self._api.create_networking_config({recipe.network: endpoint})

    def _stats(self, container: str) -> dict[str, Any]:
        stats: dict[str, Any] = self._api.stats(container, stream=False, one_shot=True)
        return stats

    def _until_gone(self, what: str, remove: Callable[[], Any]) -> None:
        """Remove something, and again while the engine is not done with it."""
        deadline_ns = clock.now_ns() + REMOVED_WITHIN_NS
        while True:
            try:
                with _told(what), _forgiving(_GONE):
                    remove()
                return
            except HarnessError:
                if clock.now_ns() > deadline_ns:
                    raise
                clock.sleep_ns(_LOOK_AGAIN_NS)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """The engine's errors, and those of the way to it, as HarnessErrors."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:  # the SDK lets errors of requests, urllib3 and the socket module through
        explanation = str(getattr(error, "explanation", None) or error)
        text = f"the engine cannot {what}: {explanation}; `rdzv-harness doctor` tells what is there"
        if _status(error) == _REFUSED and "overlap" in explanation.lower():
            raise Overlap(text) from error
        raise HarnessError(text) from error


@contextlib.contextmanager
def _forgiving(*statuses: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _status(error) not in statuses:
            raise


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
