"""A small rendezvous in the standard library only: for tutorials, and for tests of the harness without torch."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

from harness import clock
from harness.rank.echo_client import (
    Client,
    DistNetworkError,
    DistStoreError,
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
)
from harness.rank.echo_server import EchoServer
from harness.rank.listeners import inodes_now, listeners_since
from harness.values.endpoint import Endpoint
from harness.values.plan import HandlerPlan
from harness.values.quantity import format_ns


class EchoSubject:
    """Rank 0 serves on the real endpoint; the other ranks are its clients."""

    def prepare(self) -> Dict[str, Any]:
        return {}

    def open(self, plan: HandlerPlan) -> EchoHandler:
        """Raises ValueError for invalid arguments."""
        if plan.endpoint is not None:
            given = Endpoint.parse(plan.endpoint)
            plan = replace(plan, host=given.host, port=given.port)
        return EchoHandler(plan)


class EchoHandler:
    """Joins by rank, run and round; keeps its deadlines; gives each round its own keys.

    Raises ValueError for invalid arguments.
    """

    def __init__(self, plan: HandlerPlan) -> None:
        if plan.world_size < 1 or not 0 <= plan.rank < plan.world_size:
            raise ValueError(f"rank {plan.rank} is out of range for a world of {plan.world_size}")
        if not 0 < plan.port < 65536:
            raise ValueError(f"port {plan.port} cannot be joined; give a port from 1 to 65535")
        self.store: Optional[EchoStore] = None
        self._plan = plan
        self._timeout_ns = _timeout_ns(plan)
        self._who = f"rank {plan.rank} of run {plan.run_id!r}"
        self._client = Client(Endpoint(plan.host, plan.port), self._who)
        self._server: Optional[EchoServer] = None
        self._round = 0
        self._is_shut_down = False

    def join(self) -> Dict[str, Any]:
        """Raises one of the Rendezvous errors, at the latest when the timeout has passed."""
        if self._is_shut_down:
            raise RendezvousClosedError(f"{self._who} was shut down")
        begun_ns, before = clock.now_ns(), inodes_now() if self._plan.rank == 0 else frozenset()
        if self._plan.rank == 0 and self._server is None:
            self._server = _serve(Endpoint(self._plan.host, self._plan.port), self._plan.run_id, self._who)
        answer = self._request_join(begun_ns)
        self._round = answer["round"]
        self.store = EchoStore(self._client, self._plan.run_id, self._round, self._timeout_ns)
        value = {
            "rank": self._plan.rank,
            "world_size": self._plan.world_size,
            "master_addr": self._plan.host,
            "master_port": self._plan.port,
            **answer,
        }
        return {**value, **listeners_since(before)} if self._plan.rank == 0 else value

    def shutdown(self) -> bool:
        self._is_shut_down = True
        self.release()
        return True

    def set_closed(self) -> None:
        self._client.call(self._deadline_ns(), True, "close", run_id=self._plan.run_id)

    def is_closed(self) -> bool:
        if self._is_shut_down:
            return True
        return bool(self._client.call(self._deadline_ns(), True, "closed", run_id=self._plan.run_id))

    def release(self) -> None:
        self._client.close()
        server, self._server = self._server, None
        if server is not None:
            _release(server)

    def _deadline_ns(self) -> int:
        return clock.now_ns() + self._timeout_ns

    def _request_join(self, begun_ns: int) -> Dict[str, Any]:
        try:
            answer: Dict[str, Any] = self._client.call(
                begun_ns + self._timeout_ns,
                True,
                "join",
                run_id=self._plan.run_id,
                rank=self._plan.rank,
                world_size=self._plan.world_size,
                last_round=self._round,
                # A join that is sent again because its connection was lost is the same join.
                token=f"{os.getpid()}.{id(self)}.{begun_ns}",
            )
        except RendezvousTimeoutError as error:
            waited = format_ns(clock.now_ns() - begun_ns)
            where = Endpoint(self._plan.host, self._plan.port)
            raise RendezvousTimeoutError(
                f"{self._who} gave up joining at {where} after {waited} (timeout {format_ns(self._timeout_ns)}): "
                f"{self._what_is_missing(error)}"
            ) from error
        return answer

    def _what_is_missing(self, error: RendezvousError) -> str:
        if self._server is None:
            return str(error)
        missing = self._server.missing(self._plan.run_id, self._plan.world_size)
        return f"{', '.join(f'rank {rank}' for rank in missing) or 'nobody'} has not joined"


class EchoStore:
    """The keys of one round, with the methods and the errors of torch's Store.

    A call raises DistNetworkError as soon as its connection is lost: the server may or may not have done it. The next
    call opens a new connection. A call raises DistStoreError at its deadline.
    """

    def __init__(self, client: Client, run_id: str, round_number: int, timeout_ns: int) -> None:
        self._client = client
        self._round_fields = {"run_id": run_id, "round": round_number}
        self._timeout_ns = timeout_ns

    def set(self, key: str, value: str) -> None:
        self._call("set", key=key, value=value)

    def get(self, key: str) -> bytes:
        return _bytes(self._call("get", key=key))

    def add(self, key: str, amount: int) -> int:
        return int(self._call("add", key=key, amount=amount))

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        return _bytes(self._call("compare_set", key=key, expected=expected, desired=desired))

    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        """`timeout` is a timedelta; None means the store's own."""
        timeout_ns = None if timeout is None else int(timeout.total_seconds() * 1e9)
        self._call("wait", timeout_ns, keys=list(keys))

    def check(self, keys: Sequence[str]) -> bool:
        return bool(self._call("check", keys=list(keys)))

    def delete_key(self, key: str) -> bool:
        return bool(self._call("delete_key", key=key))

    def num_keys(self) -> int:
        return int(self._call("num_keys"))

    def append(self, key: str, value: str) -> None:
        self._call("append", key=key, value=value)

    def multi_get(self, keys: Sequence[str]) -> List[bytes]:
        return [_bytes(value) for value in self._call("multi_get", keys=list(keys))]

    def multi_set(self, keys: Sequence[str], values: Sequence[str]) -> None:
        self._call("multi_set", keys=list(keys), values=list(values))

    def queue_push(self, key: str, value: str) -> None:
        self._call("queue_push", key=key, value=value)

    def queue_pop(self, key: str) -> bytes:
        return _bytes(self._call("queue_pop", key=key))

    def _call(self, verb: str, timeout_ns: Optional[int] = None, **fields: Any) -> Any:
        deadline_ns = clock.now_ns() + (self._timeout_ns if timeout_ns is None else timeout_ns)
        try:
            return self._client.call(deadline_ns, False, verb, **self._round_fields, **fields)
        except (RendezvousConnectionError, RendezvousClosedError) as error:
            raise DistNetworkError(str(error)) from error
        except RendezvousError as error:
            raise DistStoreError(str(error)) from error


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _timeout_ns(plan: HandlerPlan) -> int:
    """The timeout in nanoseconds; `config: {timeout: "0.5"}` is half a second."""
    given = plan.config.get("timeout")
    timeout_ns = plan.timeout_ns if given is None else round(float(given) * 1e9)
    if timeout_ns <= 0:
        raise ValueError(f"a timeout of {format_ns(timeout_ns)} cannot be kept; give one above 0")
    return timeout_ns


# The handlers of one process share the server of their endpoint; the last one that releases it stops it.
_SERVERS: Dict[Endpoint, Tuple[EchoServer, int]] = {}
_SERVERS_LOCK = threading.Lock()


def _serve(endpoint: Endpoint, run_id: str, who: str) -> EchoServer:
    with _SERVERS_LOCK:
        server, users = _SERVERS.get(endpoint, (None, 0))
        if server is None:
            try:
                server = EchoServer(endpoint, run_id)
            except OSError as error:
                message = f"{who} cannot listen on {endpoint}: {error.strerror or error}"
                raise RendezvousConnectionError(message) from error
        server.open_run(run_id)
        _SERVERS[endpoint] = (server, users + 1)
        return server


def _release(server: EchoServer) -> None:
    with _SERVERS_LOCK:
        for endpoint, (known, users) in list(_SERVERS.items()):
            if known is server and users > 1:
                _SERVERS[endpoint] = (server, users - 1)
            elif known is server:
                del _SERVERS[endpoint]
                server.stop()
