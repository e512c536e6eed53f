"""Each message of the join, with a server of this torch."""

import contextlib
import datetime
import socket
import time
import unittest

from torch.distributed import TCPStore
from worlds import HOST, free_port, peer

from harness.rendezvous.failures import NotAStore, TimedOut, Unreachable
from harness.rendezvous.operations import Add, Append, CompareSet, Delete, Get, MultiGet, MultiSet, Set, Wait
from harness.rendezvous.resolve import numeric
from harness.rendezvous.wire import Wire, connect_any


def soon(seconds=2.0):
    return time.monotonic() + seconds


def as_store(connection, done):
    """Answers a greeting like a store: sends the ping's number back."""
    connection.sendall(connection.recv(64)[-4:])
    done.wait()


@contextlib.contextmanager
def full(host, port):
    """A listener whose backlog is full: a new connection gets no answer."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield port


class WireChecks(unittest.TestCase):
    def setUp(self):
        self.port = free_port()
        timeout = datetime.timedelta(seconds=5)
        self.store = TCPStore(HOST, self.port, None, True, timeout, wait_for_workers=False)
        self.wire = Wire(numeric(HOST)[0], self.port, soon())
        self.addCleanup(self.wire.close)

    def ask(self, *operations):
        return self.wire.ask(operations, soon())

    def test_reads_and_writes(self):
        """Operations sent together are answered in order; it reads what torch's store writes, and vice versa."""
        self.store.set("theirs", "1")
        # A set has no reply; the reply of a later call on its connection shows that the server has it.
        self.store.num_keys()
        replies = self.ask(Get("theirs"), Get("missing"), Set("ours", "ü"), MultiGet(("ours", "missing", "theirs")))
        self.assertEqual(replies, ["1", "", None, ("ü", "", "1")])
        self.assertEqual(self.store.get("ours").decode(), "ü")

    def test_numbers_texts_and_bulk(self):
        """A missing number is 0; several keys go in one message."""
        replies = self.ask(Add("n", 0), Add("n", 5), Get("n"), Append("t", "a "), Append("t", "b "), Get("t"))
        self.assertEqual(replies, [0, 5, "5", None, None, "a b "])
        self.assertEqual(self.ask(MultiSet((("x", "1"), ("y", "2"))), MultiGet(("x", "y"))), [None, ("1", "2")])
        self.assertEqual(self.ask(Delete("x"), Delete("x"), Get("x")), [1, 0, ""])

    def test_compare_set(self):
        """Absent is empty; a missing key for which a value is expected stays missing, and the reply is that value."""
        replies = self.ask(CompareSet("k", "", "a"), CompareSet("k", "", "b"), CompareSet("k", "a", "c"))
        self.assertEqual(replies, ["a", "a", "c"])
        self.assertEqual(self.ask(CompareSet("missing", "x", "y"), Get("missing")), ["x", ""])

    def test_waiting_and_giving_up(self):
        """A wait that ends at the deadline is cancelled, and the connection can be used further."""
        self.wire.send((Wait(("a", "b")),), soon())
        with self.assertRaises(TimedOut):
            self.wire.receive(Wait(("a", "b")), soon(0.05))
        self.assertFalse(self.wire.cancel_wait(soon()))
        self.store.multi_set(["a", "b"], ["1", "2"])
        self.assertEqual(self.ask(Wait(("a", "b"))), [None])
        self.assertEqual(self.ask(Get("b")), ["2"])

    def test_without_libuv_a_missing_key_ends_the_connection(self):
        """So a join, which reads keys before they exist, cannot work with USE_LIBUV=0 (F56)."""
        port = free_port()
        timeout = datetime.timedelta(seconds=5)
        store = TCPStore(HOST, port, None, True, timeout, wait_for_workers=False, use_libuv=False)
        store.set("there", "1")
        with Wire(numeric(HOST)[0], port, soon()) as wire:
            self.assertEqual(wire.ask((Get("there"),), soon()), ["1"])
            with self.assertRaisesRegex(Unreachable, "the connection was closed"):
                wire.ask((Get("missing"),), soon())

    def test_an_address_that_is_silent_leaves_time_for_the_next(self):
        """A name may have several, and the first may be unused or another host's."""
        silent_host = "127.0.0.2"
        with peer(as_store) as port, socket.create_server((silent_host, port)):
            with connect_any(numeric(silent_host) + numeric(HOST), port, soon()) as wire:
                self.assertEqual(wire.address, numeric(HOST)[0])
        with peer(as_store) as port, full(silent_host, port):
            with connect_any(numeric(silent_host) + numeric(HOST), port, soon()) as wire:
                self.assertEqual(wire.address, numeric(HOST)[0])

    def test_a_connection_that_is_not_accepted_has_its_own_limit(self):
        """It is shorter than that of an answer."""
        with full(HOST, free_port()) as port, self.assertRaises(TimedOut):
            begun = time.monotonic()
            Wire(numeric(HOST)[0], port, soon(60), connect_s=0.2)
        self.assertLess(time.monotonic() - begun, 30)

    def test_a_peer_that_is_not_a_store_is_an_error(self):
        """Its first answer shows it."""
        with peer(lambda connection, done: connection.sendall(connection.recv(64))) as port:
            with self.assertRaises(NotAStore):
                Wire(numeric(HOST)[0], port, soon())
        with self.assertRaisesRegex(Unreachable, "refused"):
            Wire(numeric(HOST)[0], free_port(), soon())
