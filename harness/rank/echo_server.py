"""The server of the subject `echo`: it joins ranks by run and rank, and keeps a key-value store for each round."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Set, Tuple

from harness.values.endpoint import Endpoint

Request = Mapping[str, Any]
_RECEIVE_BYTES = 65536
_LARGEST_NUMBER = 2**63 - 1
_WAIT = object()


class EchoServer:
    """Listens on an endpoint and answers in one daemon thread, until it is stopped.

    A request and an answer are one JSON line each: `{"ask": VERB, ...}` and `{"answer": VALUE}` or
    `{"error": KIND, "message": TEXT}`. Before its answer a request may get `{"notice": TEXT}`.
    """

    def __init__(self, endpoint: Endpoint, run_id: str) -> None:
        """Serve this run first; raises OSError if the server cannot listen on the endpoint."""
        self.runs: Dict[str, Run] = {}
        self._opened: Set[str] = {run_id}
        self._stores: Dict[Tuple[str, int], RoundStore] = {}
        self._listener = _listen(endpoint)
        self._stop, stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(stopped, selectors.EVENT_READ, None)
        self._stopped = stopped
        self._thread = threading.Thread(target=self._serve, name="echo", daemon=True)
        self._thread.start()

    def open_run(self, run_id: str) -> None:
        """Serve another run, whose master is in this process too."""
        self._opened.add(run_id)

    def missing(self, run_id: str, world_size: int) -> List[int]:
        """The ranks that have not joined the open round."""
        run = self.runs.get(run_id)
        joined = set(run.joined) if run is not None else set()
        return [rank for rank in range(world_size) if rank not in joined]

    def stop(self) -> None:
        """Close the port and the connections, and end the thread."""
        self._stop.shutdown(socket.SHUT_RDWR)  # close alone has no effect while a forked child has it too
        self._stop.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            for key, events in self._selector.select():
                if key.data is None:
                    self._close()
                    return
                key.data(events)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _accept(self, _events: int) -> None:
        with suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(accepted, self._selector, self._answer, self._forget)
            self._selector.register(accepted, selectors.EVENT_READ, peer.on_event)

    def _forget(self, peer: Peer) -> None:
        for run in self.runs.values():
            run.forget(peer)
        for store in self._stores.values():
            store.waiting = [waiter for waiter in store.waiting if waiter[0] is not peer]

    def _answer(self, peer: Peer, request: Request) -> None:
        if request["ask"] in ("join", "close", "closed"):
            run = self.runs.setdefault(request["run_id"], Run(request["run_id"]))
            if request["ask"] == "join":
                peer.send({"notice": self._notice(request["run_id"])})
            run.answer(peer, request)
            return
        self._stores.setdefault((request["run_id"], request["round"]), RoundStore()).answer(peer, request)

    def _notice(self, run_id: str) -> str:
        """What a join gets at once: the text of its error if no answer follows."""
        if run_id in self._opened:
            return "joined, but others are missing"
        runs = ", ".join(repr(opened) for opened in sorted(self._opened)) or "none"
        return f"this server serves no run {run_id!r}; run ids here: {runs}"


class Peer:
    """One connection, non-blocking in both directions."""

    def __init__(
        self,
        connection: socket.socket,
        selector: selectors.BaseSelector,
        answer: Callable[[Peer, Request], None],
        forget: Callable[[Peer], None],
    ) -> None:
        self._socket = connection
        self._selector = selector
        self._answer = answer
        self._forget = forget
        self._received = b""
        self._unsent = b""

    def on_event(self, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._flush()
            if events & selectors.EVENT_READ:
                self._receive()
        except (OSError, ValueError, KeyError, TypeError):
            # Closed, or not an echo client: scanners and health checks end up here.
            self._close()

    def send(self, line: Mapping[str, Any]) -> None:
        self._unsent += (json.dumps(line) + "\n").encode()
        with suppress(OSError):
            # A lost connection shows when it is read.
            self._flush()

    def _flush(self) -> None:
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._socket, events, self.on_event)

    def _receive(self) -> None:
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            self._close()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._answer(self, json.loads(line))

    def _close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()
        self._forget(self)


class Run:
    """One run id: who has joined its open round, and whether it is closed."""

    def __init__(self, run_id: str) -> None:
        self.joined: Dict[int, Peer] = {}
        self._run_id = run_id
        self._world_size = 0
        self._round = 0
        self._closed = False
        self._tokens: Dict[int, str] = {}
        # The answers of the last complete round, by the token of each join: an answer may have been lost.
        self._answered: Dict[str, Dict[str, Any]] = {}

    def answer(self, peer: Peer, request: Request) -> None:
        if request["ask"] == "closed":
            peer.send({"answer": self._closed})
        elif request["ask"] == "close":
            self._closed = True
            self._refuse_all()
            peer.send({"answer": None})
        else:
            self._join(peer, request)

    def forget(self, peer: Peer) -> None:
        """Forget the join of a connection that ended before its round was complete."""
        self.joined = {rank: joined for rank, joined in self.joined.items() if joined is not peer}

    def _join(self, peer: Peer, request: Request) -> None:
        rank, world_size = request["rank"], request["world_size"]
        if request["token"] in self._answered:
            peer.send(self._answered[request["token"]])
        elif self._closed:
            peer.send(_error("RendezvousClosedError", f"run {self._run_id!r} is closed"))
        elif self.joined and world_size != self._world_size:
            sizes = f"rank {rank} says {world_size}, run {self._run_id!r} has {self._world_size}"
            peer.send(_error("RendezvousStateError", f"the world sizes differ: {sizes}"))
        else:
            replaced = self.joined.get(rank)
            if replaced is not None and self._tokens[rank] != request["token"]:
                message = f"rank {rank} of run {self._run_id!r} is doubled: another process joined as it"
                replaced.send(_error("RendezvousStateError", message))
            self._world_size = world_size
            self._round = max(self._round, request["last_round"])
            self.joined[rank], self._tokens[rank] = peer, request["token"]
            self._complete()

    def _complete(self) -> None:
        if len(self.joined) == self._world_size:
            self._round += 1
            joined, self.joined = self.joined, {}
            answer = {"answer": {"round": self._round, "roster": sorted(joined)}}
            self._answered = {self._tokens[rank]: answer for rank in joined}
            for peer in joined.values():
                peer.send(answer)

    def _refuse_all(self) -> None:
        joined, self.joined = self.joined, {}
        for peer in joined.values():
            peer.send(_error("RendezvousClosedError", f"run {self._run_id!r} was closed"))


class RoundStore:
    """The keys of one round of one run, isolated from all others."""

    def __init__(self) -> None:
        self.waiting: List[Tuple[Peer, Request]] = []
        self._values: Dict[str, str] = {}
        self._queues: Dict[str, Deque[str]] = {}

    def answer(self, peer: Peer, request: Request) -> None:
        if not self._try(peer, request):
            self.waiting.append((peer, request))
            return
        self.waiting = [waiter for waiter in self.waiting if not self._try(*waiter)]

    def _try(self, peer: Peer, request: Request) -> bool:
        """Answer the request if that is possible now; whether it was answered."""
        try:
            value = getattr(self, f"_{request['ask']}")(request)
        except (ValueError, AttributeError) as error:
            peer.send(_error("RendezvousStateError", str(error)))
            return True
        if value is not _WAIT:
            peer.send({"answer": value})
        return value is not _WAIT

    def _set(self, request: Request) -> None:
        self._values[request["key"]] = request["value"]

    def _append(self, request: Request) -> None:
        self._values[request["key"]] = self._values.get(request["key"], "") + request["value"]

    def _multi_set(self, request: Request) -> None:
        for index, key in enumerate(request["keys"]):
            self._values[key] = request["values"][index]

    def _get(self, request: Request) -> Any:
        return self._values.get(request["key"], _WAIT)

    def _multi_get(self, request: Request) -> Any:
        return [self._values[key] for key in request["keys"]] if self._check(request) else _WAIT

    def _wait(self, request: Request) -> Any:
        return None if self._check(request) else _WAIT

    def _check(self, request: Request) -> bool:
        return all(key in self._values for key in request["keys"])

    def _add(self, request: Request) -> int:
        number = int(self._values.get(request["key"], "0")) + int(request["amount"])
        if abs(number) > _LARGEST_NUMBER:
            raise ValueError(f"{request['key']!r} cannot hold {number}: a counter has 64 bits")
        self._values[request["key"]] = str(number)
        return number

    def _compare_set(self, request: Request) -> str:
        current: Optional[str] = self._values.get(request["key"])
        if current == request["expected"] or (current is None and request["expected"] == ""):
            current = self._values[request["key"]] = request["desired"]
        return "" if current is None else current

    def _delete_key(self, request: Request) -> bool:
        return self._values.pop(request["key"], None) is not None

    def _num_keys(self, _request: Request) -> int:
        return len(self._values)

    def _queue_push(self, request: Request) -> None:
        self._queues.setdefault(request["key"], deque()).append(request["value"])

    def _queue_pop(self, request: Request) -> Any:
        queue = self._queues.get(request["key"])
        return queue.popleft() if queue else _WAIT


def _error(kind: str, message: str) -> Dict[str, str]:
    return {"error": kind, "message": message}


def _listen(endpoint: Endpoint) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(*endpoint.connectable, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
