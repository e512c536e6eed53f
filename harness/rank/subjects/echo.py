"""A small rendezvous of our own, standard library only: for tutorials, and for testing the harness without torch."""

from __future__ import annotations

import os
import threading
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
from harness.rank.listeners import listening_sockets
from harness.values.endpoint import Endpoint
from harness.values.plan import HandlerPlan
from harness.values.quantity import format_ns


class EchoSubject:
    """Rank 0 serves on the real endpoint, the others ask it."""

    def prepare(self) -> Dict[str, Any]:
        return {}

    def open(self, told: HandlerPlan) -> EchoHandler:
        return EchoHandler(told)


class EchoHandler:
    """Joins by name; keeps its deadlines; each round has keys of its own.

    Raises ValueError for arguments that cannot be meant.
    """

    def __init__(self, told: HandlerPlan) -> None:
        if told.world_size < 1 or not 0 <= told.rank < told.world_size:
            raise ValueError(f"rank {told.rank} is out of range for a world of {told.world_size}")
        if not 0 < told.port < 65536:
            raise ValueError(f"port {told.port} cannot be joined; give a port from 1 to 65535")
        self.store: Optional[EchoStore] = None
        self._told = told
        self._timeout_ns = _timeout_ns(told)
        self._who = f"rank {told.rank} of run {told.run_id!r}"
        self._client = Client(Endpoint(told.host, told.port), self._who)
        self._server: Optional[EchoServer] = None
        self._round = 0
        self._is_shut = False

    def join(self) -> Dict[str, Any]:
        """Raises one of the Rendezvous errors, at the latest when the timeout has passed."""
        if self._is_shut:
            raise RendezvousClosedError(f"{self._who} was shut down")
        begun_ns = clock.now_ns()
        if self._told.rank == 0 and self._server is None:
            self._server = _serve(Endpoint(self._told.host, self._told.port), self._told.run_id, self._who)
        answer = self._ask_to_join(begun_ns)
        self._round = answer["round"]
        self.store = EchoStore(self._client, self._told.run_id, self._round, self._timeout_ns)
        value = {
            "rank": self._told.rank,
            "world_size": self._told.world_size,
            "master_addr": self._told.host,
            "master_port": self._told.port,
            **answer,
        }
        return {**value, "listeners": listening_sockets()} if self._told.rank == 0 else value

    def shutdown(self) -> bool:
        self._is_shut = True
        self.release()
        return True

    def set_closed(self) -> None:
        self._client.ask(self._deadline_ns(), True, "close", run_id=self._told.run_id)

    def is_closed(self) -> bool:
        if self._is_shut:
            return True
        return bool(self._client.ask(self._deadline_ns(), True, "closed", run_id=self._told.run_id))

    def release(self) -> None:
        self._client.close()
        server, self._server = self._server, None
        if server is not None:
            _let_go(server)

    def _deadline_ns(self) -> int:
        return clock.now_ns() + self._timeout_ns

    def _ask_to_join(self, begun_ns: int) -> Dict[str, Any]:
        try:
            answer: Dict[str, Any] = self._client.ask(
                begun_ns + self._timeout_ns,
                True,
                "join",
                run_id=self._told.run_id,
                rank=self._told.rank,
                world_size=self._told.world_size,
                last_round=self._round,
                # A join that is asked again, because its connection was lost, is the same join.
                token=f"{os.getpid()}.{id(self)}.{begun_ns}",
            )
        except RendezvousTimeoutError as error:
            waited = format_ns(clock.now_ns() - begun_ns)
            where = Endpoint(self._told.host, self._told.port)
            raise RendezvousTimeoutError(
                f"{self._who} gave up joining at {where} after {waited} (timeout {format_ns(self._timeout_ns)}): "
                f"{self._awaited(error)}"
            ) from error
        return answer

    def _awaited(self, error: RendezvousError) -> str:
        if self._server is None:
            return str(error)
        missing = self._server.missing(self._told.run_id, self._told.world_size)
        return f"{', '.join(f'rank {rank}' for rank in missing) or 'nobody'} has not joined"


class EchoStore:
    """The keys of one round, with the methods and the errors of torch's Store.

    A call raises DistNetworkError as soon as its connection is lost: it may or may not have been done. The next call
    makes a new one. DistStoreError at the deadline.
    """

    def __init__(self, client: Client, run_id: str, number: int, timeout_ns: int) -> None:
        self._client = client
        self._space = {"run_id": run_id, "round": number}
        self._timeout_ns = timeout_ns

    def set(self, key: str, value: str) -> None:
        self._ask("set", key=key, value=value)

    def get(self, key: str) -> bytes:
        return _bytes(self._ask("get", key=key))

    def add(self, key: str, amount: int) -> int:
        return int(self._ask("add", key=key, amount=amount))

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        return _bytes(self._ask("compare_set", key=key, expected=expected, desired=desired))

    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        """`timeout` is a timedelta; None means the store's own."""
        timeout_ns = None if timeout is None else int(timeout.total_seconds() * 1e9)
        self._ask("wait", timeout_ns, keys=list(keys))

    def check(self, keys: Sequence[str]) -> bool:
        return bool(self._ask("check", keys=list(keys)))

    def delete_key(self, key: str) -> bool:
        return bool(self._ask("delete_key", key=key))

    def num_keys(self) -> int:
        return int(self._ask("num_keys"))

    def append(self, key: str, value: str) -> None:
        self._ask("append", key=key, value=value)

    def multi_get(self, keys: Sequence[str]) -> List[bytes]:
        return [_bytes(value) for value in self._ask("multi_get", keys=list(keys))]

    def multi_set(self, keys: Sequence[str], values: Sequence[str]) -> None:
        self._ask("multi_set", keys=list(keys), values=list(values))

    def queue_push(self, key: str, value: str) -> None:
        self._ask("queue_push", key=key, value=value)

    def queue_pop(self, key: str) -> bytes:
        return _bytes(self._ask("queue_pop", key=key))

    def _ask(self, verb: str, timeout_ns: Optional[int] = None, **fields: Any) -> Any:
        deadline_ns = clock.now_ns() + (self._timeout_ns if timeout_ns is None else timeout_ns)
        try:
            return self._client.ask(deadline_ns, False, verb, **self._space, **fields)
        except (RendezvousConnectionError, RendezvousClosedError) as error:
            raise DistNetworkError(str(error)) from error
        except RendezvousError as error:
            raise DistStoreError(str(error)) from error


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _timeout_ns(told: HandlerPlan) -> int:
    """The timeout in nanoseconds; `config: {timeout: "0.5"}` is half a second."""
    given = told.config.get("timeout")
    timeout_ns = told.timeout_ns if given is None else round(float(given) * 1e9)
    if timeout_ns <= 0:
        raise ValueError(f"a timeout of {format_ns(timeout_ns)} cannot be kept; give one above 0")
    return timeout_ns


# Several handlers of one process share the server of their endpoint; the last one that lets go stops it.
_SERVERS: Dict[Endpoint, Tuple[EchoServer, int]] = {}
_SERVERS_LOCK = threading.Lock()


def _serve(endpoint: Endpoint, run_id: str, who: str) -> EchoServer:
    with _SERVERS_LOCK:
        server, users = _SERVERS.get(endpoint, (None, 0))
        if server is None:
            try:
                server = EchoServer(endpoint, run_id)
            except OSError as error:
                because = f"{who} cannot listen on {endpoint}: {error.strerror or error}"
                raise RendezvousConnectionError(because) from error
        server.open_run(run_id)
        _SERVERS[endpoint] = (server, users + 1)
        return server


def _let_go(server: EchoServer) -> None:
    with _SERVERS_LOCK:
        for endpoint, (known, users) in list(_SERVERS.items()):
            if known is server and users > 1:
                _SERVERS[endpoint] = (server, users - 1)
            elif known is server:
                del _SERVERS[endpoint]
                server.stop()
