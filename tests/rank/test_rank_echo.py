"""The subject `echo` does what a correct rendezvous must: tests of the harness use it instead of torch."""

import json
import socket
import threading

import pytest
from rank_world import handler_plan, step

from harness import clock
from harness.rank.echo_client import (
    DistNetworkError,
    DistStoreError,
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from harness.rank.subjects.echo import EchoHandler

VERBS = {
    "set": {"key": "a", "value": "1"},
    "append": {"key": "a", "value": "2"},
    "get": {"key": "a"},
    "add": {"key": "n", "amount": 5},
    "compare_set": {"key": "new", "expected": "", "desired": "x"},
    "multi_set": {"values": {"b": "1", "c": "2"}},
    "multi_get": {"keys": ["b", "c"]},
    "wait": {"keys": ["b"], "timeout": 1_000_000_000},
    "check": {"keys": ["b", "missing"]},
    "queue_push": {"key": "q", "value": "first"},
    "queue_pop": {"key": "q"},
    "delete_key": {"key": "a"},
    "num_keys": {},
}
RETURNED = {
    "set": None,
    "append": None,
    "get": "12",
    "add": 5,
    "compare_set": "x",
    "multi_set": None,
    "multi_get": ["1", "2"],
    "wait": None,
    "check": False,
    "queue_push": None,
    "queue_pop": "first",
    "delete_key": True,
    "num_keys": 4,
}

NONSENSE = (b"GET / HTTP/1.0\r\n\r\n", b"\x00\xff\n", b'{"ask": "join"}\n', b"[]\n", b'{"ask": "_x", "run_id": 1}\n')


@pytest.fixture
def handlers():
    """Builds handlers in this process, and releases them."""
    built = []

    def build(*args, **kwargs):
        built.append(EchoHandler(handler_plan(*args, **kwargs)))
        return built[-1]

    yield build
    for handler in built:
        handler.release()


def _in_thread(work):
    """Run it in a thread; the returned function waits for it and gives what it returned or raised."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result():
        thread.join()
        return outcome[0]

    return result


def _await_join(master, run_id="train", rank=0, world_size=2):
    """Wait until the rank has joined at the master's server."""
    while master._server is None or rank in master._server.missing(run_id, world_size):
        clock.sleep_ns(1_000_000)


def _join_all(*handlers):
    return [result() for result in [_in_thread(handler.join) for handler in handlers]]


def test_every_verb_does_what_torch_documents(ranks, port):
    """One rank, all verbs, and the value that each returned."""
    steps = [step(0, "rendezvous")]
    steps += [step(index, verb, **arguments) for index, (verb, arguments) in enumerate(VERBS.items(), 1)]
    world = ranks(steps, [handler_plan(0, 1, port)])
    world.play()
    ends = {op.step: op for op in world.ends(0) if op.step in VERBS}
    assert {name: op.type for name, op in ends.items()} == dict.fromkeys(VERBS, "ok")
    assert {name: op.value for name, op in ends.items()} == RETURNED


def test_eight_ranks_join_and_agree(ranks, port):
    """All return the same round and roster, each its own rank."""
    world = ranks([step(0, "rendezvous", ranks=range(8))], [handler_plan(rank, 8, port) for rank in range(8)])
    world.play()
    values = [world.ends(rank)[0].value for rank in range(8)]
    assert [value["rank"] for value in values] == list(range(8))
    assert {(value["round"], tuple(value["roster"])) for value in values} == {(1, tuple(range(8)))}


def test_a_missing_rank_is_named_at_the_deadline(handlers, port):
    """Not earlier, and the error names the missing ranks."""
    master = handlers(0, 3, port, timeout_s=0.3)
    begun_ns = clock.now_ns()
    with pytest.raises(RendezvousTimeoutError, match=r"rank 0 of run 'train'.*rank 1, rank 2 has not joined"):
        master.join()
    assert clock.now_ns() - begun_ns >= 300_000_000


def test_an_absent_master_is_a_lost_connection(handlers, port):
    """The worker tries until its deadline, and the last refusal is the cause."""
    worker = handlers(1, 2, port, timeout_s=0.2)
    begun_ns = clock.now_ns()
    with pytest.raises(RendezvousConnectionError, match="refused") as raised:
        worker.join()
    assert isinstance(raised.value.__cause__, ConnectionRefusedError)
    assert clock.now_ns() - begun_ns >= 200_000_000


def test_a_worker_waits_for_a_late_master(handlers, port):
    """Its first connections are refused, and it joins nevertheless."""
    worker = _in_thread(handlers(1, 2, port).join)
    assert handlers(0, 2, port).join()["rank"] == 0
    assert worker()["rank"] == 1


def test_a_retried_join_counts_once(handlers, port):
    """A rank that joined, gave up and joined again is one rank: the world still waits for the third."""
    master = handlers(0, 3, port, timeout_s=3)
    joining = _in_thread(master.join)
    _await_join(master, world_size=3)
    for _ in range(2):
        with pytest.raises(RendezvousTimeoutError):
            handlers(1, 3, port, timeout_s=0.3).join()
    assert "rank 1, rank 2 has not joined" in str(joining())


def test_a_doubled_rank_fails_at_once(handlers, port):
    """The newer one joins; the older one's error says that its rank is doubled."""
    master = handlers(0, 3, port, timeout_s=3)
    rest = _in_thread(master.join)
    older = _in_thread(handlers(1, 3, port).join)
    _await_join(master, rank=1, world_size=3)
    newer = _in_thread(handlers(1, 3, port, timeout_s=1).join)
    error = older()
    assert isinstance(error, RendezvousStateError)
    assert "rank 1 of run 'train' is doubled" in str(error)
    assert isinstance(newer(), RendezvousTimeoutError)
    assert isinstance(rest(), RendezvousTimeoutError)


def test_another_run_on_the_port_is_not_joined(handlers, port):
    """The stranger waits to its deadline, and its error names the runs that are served."""
    master = handlers(0, 2, port, run_id="a", timeout_s=2)
    joining = _in_thread(master.join)
    _await_join(master, "a")
    stranger = handlers(1, 2, port, run_id="b", timeout_s=0.5)
    with pytest.raises(RendezvousTimeoutError, match="serves no run 'b'; run ids here: 'a'"):
        stranger.join()
    assert isinstance(joining(), RendezvousTimeoutError)


def test_another_world_size_is_refused_at_once(handlers, port):
    """The error says both sizes."""
    master = handlers(0, 3, port, timeout_s=2)
    joining = _in_thread(master.join)
    _await_join(master)
    with pytest.raises(RendezvousStateError, match=r"the world sizes differ: rank 1 says 2, run 'train' has 3"):
        handlers(1, 2, port).join()
    assert isinstance(joining(), RendezvousTimeoutError)


@pytest.mark.parametrize(("rank", "size", "at"), [(2, 2, 20000), (-1, 2, 20000), (0, 0, 20000), (0, 1, 0)])
def test_invalid_arguments_are_refused(rank, size, at):
    """Rank out of range, an empty world, port 0."""
    with pytest.raises(ValueError):
        EchoHandler(handler_plan(rank, size, at))


def test_a_timeout_in_the_config_counts_in_seconds(handlers, port):
    """It is passed on as text and takes precedence."""
    handler = handlers(0, 2, port, timeout_s=60, config={"timeout": "0.2"})
    with pytest.raises(RendezvousTimeoutError, match="timeout 200 ms"):
        handler.join()


def test_a_second_round_cannot_see_the_first(handlers, port):
    """The round grows by one, and a key of the first is not there."""
    both = handlers(0, 2, port), handlers(1, 2, port)
    assert [value["round"] for value in _join_all(*both)] == [1, 1]
    both[0].store.set("k", "1")
    assert both[1].store.get("k") == b"1"
    assert [value["round"] for value in _join_all(*both)] == [2, 2]
    assert both[1].store.check(["k"]) is False


def test_a_restarted_master_does_not_repeat_a_round(handlers, port):
    """Its server is new, but the workers know their last round."""
    first, worker = handlers(0, 2, port), handlers(1, 2, port)
    _join_all(first, worker)
    first.release()
    assert [value["round"] for value in _join_all(handlers(0, 2, port), worker)] == [2, 2]


def test_run_ids_with_slashes_do_not_mix(handlers, port):
    """`a` with the key `b/k` is not `a/b` with the key `k`."""
    short, long = handlers(0, 1, port, run_id="a"), handlers(0, 1, port, run_id="a/b")
    short.join()
    long.join()
    short.store.set("b/k", "1")
    assert long.store.check(["k"]) is False


def test_a_store_call_keeps_its_deadline(handlers, port):
    """A get of a key that is never set ends at the store's timeout, not before."""
    handler = handlers(0, 1, port, timeout_s=0.3)
    handler.join()
    begun_ns = clock.now_ns()
    with pytest.raises(DistStoreError, match="'get'"):
        handler.store.get("never")
    assert clock.now_ns() - begun_ns >= 300_000_000


def test_a_silent_listener_costs_one_timeout(handlers, port):
    """The listener accepts and never answers."""
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(RendezvousTimeoutError, match="did not answer 'join'"):
            handlers(1, 2, port, timeout_s=0.2).join()


def test_a_listener_with_another_protocol_is_not_a_store(handlers, port):
    """Its answer is in the message, and the error has a cause."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        joining = _in_thread(handlers(1, 2, port).join)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            error = joining()
    assert isinstance(error, RendezvousStateError)
    assert "HTTP/1.1 400" in str(error)
    assert error.__cause__ is not None


def test_strangers_do_not_disturb_the_server(handlers, port):
    """The connection of a scanner that sends nonsense is closed, and the join goes on."""
    master, worker = handlers(0, 2, port), handlers(1, 2, port)
    joining = _in_thread(master.join)
    _await_join(master)
    for nonsense in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x00\xff\n",
        b'{"ask": "join"}\n',
        b"[]\n",
        b'{"ask": "_x", "run_id": 1}\n',
    ):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(nonsense)
            stranger.shutdown(socket.SHUT_WR)
            assert stranger.recv(1) == b""
    assert worker.join()["round"] == 1
    assert joining()["round"] == 1


def test_a_taken_port_fails_at_once(handlers, port):
    """With the endpoint in the error, long before the timeout."""
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(RendezvousConnectionError, match=f"127.0.0.1:{port}: Address already in use"):
            handlers(0, 2, port, timeout_s=60).join()


def test_a_lost_connection_is_replaced(handlers, port):
    """A store call after the connection was cut succeeds."""
    master, worker = handlers(0, 2, port), handlers(1, 2, port)
    _join_all(master, worker)
    for connection in list(worker._client._open):
        connection._socket.shutdown(socket.SHUT_RDWR)
    worker.store.set("k", "1")
    assert master.store.get("k") == b"1"


def test_a_call_whose_master_is_gone_ends_at_once(handlers, port):
    """Both the call that waits and the next one, long before the timeout."""
    master, worker = handlers(0, 2, port, timeout_s=60), handlers(1, 2, port, timeout_s=60)
    _join_all(master, worker)
    waiting = _in_thread(lambda: worker.store.get("never"))
    while not any(store.waiting for store in list(master._server._stores.values())):
        clock.sleep_ns(1_000_000)
    master.release()
    assert isinstance(waiting(), DistNetworkError)
    with pytest.raises(DistNetworkError, match="refused"):
        worker.store.get("never")


def test_a_join_whose_answer_was_lost_gets_it_again(handlers, port):
    """The round was complete, but the worker did not learn it; the repeated join is answered with the same round."""
    master = handlers(0, 2, port)
    master_joins = _in_thread(master.join)
    _await_join(master)
    request = {"ask": "join", "run_id": "train", "rank": 1, "world_size": 2, "last_round": 0, "token": "same"}
    rounds = []
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rw") as lines:
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            assert "notice" in json.loads(lines.readline())
            rounds.append(json.loads(lines.readline())["answer"]["round"])
    assert rounds == [1, 1]
    assert master_joins()["round"] == 1


def test_a_counter_does_not_wrap_around(handlers, port):
    """A sum beyond 64 bits is refused, and the counter keeps its value."""
    handler = handlers(0, 1, port)
    handler.join()
    assert handler.store.add("n", 2**63 - 1) == 2**63 - 1
    with pytest.raises(DistStoreError, match="64 bits"):
        handler.store.add("n", 1)
    assert handler.store.add("n", 0) == 2**63 - 1


def test_a_compare_set_of_a_missing_key_returns_nothing(handlers, port):
    """It returns neither the expected nor the desired text."""
    handler = handlers(0, 1, port)
    handler.join()
    assert handler.store.compare_set("k", "x", "y") == b""
    assert handler.store.check(["k"]) is False


def test_shutdown_frees_the_port_and_closes_the_handler(handlers, port):
    """Another process may take the port, and no join is possible any more."""
    master = handlers(0, 1, port)
    master.join()
    assert master.shutdown() is True
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert master.is_closed() is True
    with pytest.raises(RendezvousClosedError):
        master.join()


def test_a_closed_run_refuses_and_releases_joins(handlers, port):
    """A join that waits fails at once, and so does a later one."""
    master, worker = handlers(0, 2, port), handlers(1, 2, port)
    _join_all(master, worker)
    assert master.is_closed() is False
    waiting = _in_thread(master.join)
    _await_join(master)
    worker.set_closed()
    assert isinstance(waiting(), RendezvousClosedError)
    assert master.is_closed() is True
    with pytest.raises(RendezvousClosedError, match="run 'train' is closed"):
        worker.join()


def test_the_last_handler_of_a_process_stops_the_server(handlers, port):
    """Two handlers share it; it serves until both have released it."""
    first, second = handlers(0, 1, port, run_id="a"), handlers(0, 1, port, run_id="b")
    first.join()
    second.join()
    first.release()
    assert second.store.add("n", 1) == 1
    second.release()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_large_values_pass(handlers, port):
    """More than a socket buffer holds, in both directions."""
    handler = handlers(0, 1, port)
    handler.join()
    handler.store.set("k", "x" * 3_000_000)
    assert len(handler.store.get("k")) == 3_000_000
