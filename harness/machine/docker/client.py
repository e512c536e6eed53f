"""The calls to Docker that worlds of containers need: start, watch, limit, disconnect and remove containers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import clock
from harness.machine.docker.mounts import Bind
from harness.values.errors import HarnessError

CALL_WITHIN_S = 60
"""A start takes 0.1 to 0.5 s; with many at once on a busy machine it has taken ten."""

REMOVED_WITHIN_NS = 20_000_000_000
"""Docker tried for 10 s to kill a throttled container and gave up; it was gone a moment later."""

FULL_PERIOD_US = 100_000
"""Docker's default period of processor quotas, in microseconds."""

_LOOK_AGAIN_NS = 50_000_000
_GONE, _CONFLICT, _REFUSED = 404, 409, 403


class Overlap(HarnessError):
    """Another network already has these addresses."""


@dataclass(frozen=True)
class Recipe:
    """The settings of a container; it runs with a read-only root, without capabilities or new privileges.

    Attributes:
        binds: read-only mounts.
        shared: writable mounts.
        network, address, hostname: of a container with a network of its own; without one it has loopback only.
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
    """The state of a container; `pid` is this machine's number of its first process, 0 once it has ended."""

    running: bool
    pid: int
    oom_killed: bool


class Client:
    """A client of one Docker engine, usable from several threads; every error is a HarnessError."""

    def __init__(self, url: str, api: str = "auto") -> None:
        from docker import APIClient

        with _as_harness_error(f"answer at {url}"):
            self._api: Any = APIClient(base_url=url, version=api, timeout=CALL_WITHIN_S)
        self.url = url

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    # -- networks ------------------------------------------------------------------------------------------------

    def make_network(self, name: str, subnet: str, gateway: str, labels: Mapping[str, str]) -> str:
        """Make a bridge network without a route outside; returns its id. Raises Overlap if the addresses are in use."""
        from docker.types import IPAMConfig, IPAMPool

        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)])
        with _as_harness_error(f"make the network {name}"):
            # Without the check Docker makes a second network of the same name, and neither can be removed by name.
            made: dict[str, Any] = self._api.create_network(
                name, driver="bridge", ipam=pool, check_duplicate=True, internal=True, labels=dict(labels)
            )
        return str(made["Id"])

    def remove_network(self, network: str) -> None:
        """Remove it, and try again while containers still leave it; one that is gone is no error."""
        self._until_gone(f"remove the network {network[:12]}", lambda: self._api.remove_network(network))

    def disconnect(self, network: str, container: str) -> None:
        """Disconnect a container from the network: its interface is removed."""
        with _as_harness_error(f"disconnect {container[:12]}"):
            self._api.disconnect_container_from_network(container, network)

    def connect(self, network: str, container: str, address: str, name: str) -> None:
        """Connect a container again, under its old address and name, which Docker does not remember."""
        with _as_harness_error(f"connect {container[:12]}"):
            self._api.connect_container_to_network(container, network, ipv4_address=address, aliases=[name])

    # -- containers ----------------------------------------------------------------------------------------------

    def start(self, recipe: Recipe) -> str:
        """Make and start a container; returns its id. Nothing is left if that fails."""
        with _as_harness_error(f"make the container {recipe.name}"):
            container = str(self._api.create_container(**self._creation(recipe))["Id"])
        try:
            self.start_again(container)
        except BaseException:
            self.remove(container)
            raise
        return container

    def start_again(self, container: str) -> None:
        """Start a container that was made already, or has ended."""
        with _as_harness_error(f"start the container {container[:12]}"):
            self._api.start(container)

    def state(self, container: str) -> State:
        with _as_harness_error(f"inspect the container {container[:12]}"):
            state = self._api.inspect_container(container)["State"]
        return State(state["Running"], state["Pid"], state["OOMKilled"])

    def wait(self, container: str) -> int:
        """Wait for its end; its exit code: 128 plus the signal's number where a signal ended it."""
        with _as_harness_error(f"report the exit code of the container {container[:12]}"):
            return int(self._api.wait(container)["StatusCode"])

    def kill(self, container: str) -> None:
        """Send it SIGKILL; one that has ended is no error."""
        with _as_harness_error(f"kill the container {container[:12]}"), _forgiving(_GONE, _CONFLICT):
            self._api.kill(container)

    def remove(self, container: str, throttled: bool = False) -> None:
        """Kill and remove it; returns when it is gone, and one that is gone is no error.

        Args:
            throttled: whether its processor quota may be so small that it cannot even be killed.
        """
        if throttled:
            # Docker refuses while another client removes it; only the removal below counts.
            with contextlib.suppress(HarnessError):
                self.unthrottle(container)
        self._until_gone(
            f"remove the container {container[:12]}",
            lambda: self._api.remove_container(container, force=True, v=True),
        )

    def unthrottle(self, container: str) -> None:
        """Give it all processors; one that is gone is no error."""
        with _as_harness_error(f"unthrottle {container[:12]}"), _forgiving(_GONE, _CONFLICT):
            self._api.update_container(container, cpu_period=FULL_PERIOD_US, cpu_quota=-1)

    def unpause(self, container: str) -> None:
        """Resume it; one that is not paused, or gone, is no error."""
        with _as_harness_error(f"unpause {container[:12]}"), _forgiving(_GONE, _CONFLICT, 500):
            self._api.unpause(container)

    def limit_processor(self, container: str, quota_us: int, period_us: int) -> None:
        """Allow so many microseconds of processor time per period; the kernel accepts 1 ms to 1 s for either."""
        with _as_harness_error(f"limit the processor of {container[:12]}"):
            self._api.update_container(container, cpu_period=period_us, cpu_quota=quota_us)

    def limit_memory(self, container: str, limit_bytes: int) -> None:
        """Limit memory and swap together; a kernel with cgroup v1 refuses less than is in use."""
        with _as_harness_error(f"limit the memory of {container[:12]}"):
            self._api.update_container(container, mem_limit=limit_bytes, memswap_limit=limit_bytes)

    def memory_bytes(self, container: str) -> int:
        """The memory that it uses now, including caches."""
        with _as_harness_error(f"read the memory of {container[:12]}"):
            return int(self._stats(container)["memory_stats"].get("usage", 0))

    def throttled_ns(self, container: str) -> int:
        """For how long its processor quota has kept it from running, in total."""
        with _as_harness_error(f"read the throttling of {container[:12]}"):
            throttling = self._stats(container)["cpu_stats"].get("throttling_data") or {}
        return int(throttling.get("throttled_time", 0))

    def run_beside(self, container: str, command: Sequence[str]) -> None:
        """Start a process in a running container, without waiting for it."""
        with _as_harness_error(f"run a process in {container[:12]}"):
            made = self._api.exec_create(container, list(command), stdout=False, stderr=False)
            self._api.exec_start(made["Id"], detach=True)

    def output(self, container: str) -> bytes:
        """All that it has printed."""
        with _as_harness_error(f"read what {container[:12]} printed"):
            return bytes(self._api.logs(container))

    def follow(self, container: str, take: Callable[[bytes], Any]) -> None:
        """Pass what it prints to `take`, from its start to its end; blocks until then."""
        with _as_harness_error(f"follow what {container[:12]} prints"):
            for piece in self._api.attach(container, stream=True, logs=True):
                take(piece)

    # -- by label ------------------------------------------------------------------------------------------------

    def containers(self, label: str) -> dict[str, dict[str, str]]:
        """Ids and labels of all containers with this label (`name` or `name=value`), in any state."""
        with _as_harness_error("list containers"):
            return {one["Id"]: one["Labels"] for one in self._api.containers(all=True, filters={"label": label})}

    def networks(self, label: str) -> dict[str, dict[str, str]]:
        """Ids and labels of all networks with this label."""
        with _as_harness_error("list networks"):
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
        """Remove something, and try again while Docker refuses."""
        deadline_ns = clock.now_ns() + REMOVED_WITHIN_NS
        while True:
            try:
                with _as_harness_error(what), _forgiving(_GONE):
                    remove()
                return
            except HarnessError:
                if clock.now_ns() > deadline_ns:
                    raise
                clock.sleep_ns(_LOOK_AGAIN_NS)


@contextlib.contextmanager
def _as_harness_error(what: str) -> Iterator[None]:
    """Raise Docker's errors, and those of the connection to it, as HarnessErrors."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:  # the SDK lets errors of requests, urllib3 and the socket module through
        explanation = str(getattr(error, "explanation", None) or error)
        text = f"Docker cannot {what}: {explanation}; run `rdzv-harness doctor`"
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
