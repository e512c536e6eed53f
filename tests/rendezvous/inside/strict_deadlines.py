"""No call lasts longer than its timeout and a second, and nothing is left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from worlds import (
    HOST,
    Call,
    Stopwatch,
    descriptors_now,
    dripping,
    free_port,
    frozen,
    handler,
    join,
    other_master,
    peer,
    silent,
    threads_now,
    until,
    world,
)

from harness.rendezvous import construct, resolve
from harness.rendezvous.construct import make_store
from harness.rendezvous.descriptors import Descriptor, connected_to, sockets
from harness.rendezvous.resolve import numeric
from harness.rendezvous.wire import Wire

TIMEOUT = 1.0


class Deadlines(unittest.TestCase):
    def ends_in_time(self, one, error, message):
        call = Call(one)
        with self.assertRaisesRegex(error, message) as caught:
            call.wait()
        self.assertGreaterEqual(call.elapsed, TIMEOUT)
        self.assertLess(call.seconds, TIMEOUT + 1)
        self.assertIsNotNone(caught.exception.__cause__)

    def test_refused(self):
        """A connection error that says so."""
        self.ends_in_time(handler(1, 2, free_port(), timeout=TIMEOUT), RendezvousConnectionError, "refused")

    def test_unresolvable(self):
        """A connection error that names the host."""
        one = handler(1, 2, 90, timeout=TIMEOUT, host="no-such-host.invalid")
        self.ends_in_time(one, RendezvousConnectionError, "'no-such-host.invalid' does not resolve")

    def test_an_address_that_cannot_exist_here(self):
        """A connection error for a scope that is not an interface, and for an IPv4 address with a scope."""
        one = handler(1, 2, 90, timeout=TIMEOUT, host="fe80::1%nowhere")
        self.ends_in_time(one, RendezvousConnectionError, "'nowhere' is not a network interface here")
        one = handler(1, 2, 90, timeout=TIMEOUT, host="127.0.0.1%lo")
        self.ends_in_time(one, RendezvousConnectionError, "'127.0.0.1%lo' does not resolve")

    def test_a_resolver_that_never_answers(self):
        """The helper process that waits for it is killed."""
        with mock.patch.object(resolve, "_LOOK_UP", "import time; time.sleep(600)"):
            one = handler(1, 2, 90, timeout=TIMEOUT, host="somewhere.invalid")
            self.ends_in_time(one, RendezvousTimeoutError, "'somewhere.invalid' to be resolved")

    def test_a_silent_listener(self):
        """It accepts, and never answers."""
        with peer(silent) as port:
            self.ends_in_time(handler(1, 2, port, timeout=TIMEOUT), RendezvousTimeoutError, "an answer")

    def test_a_slow_drip(self):
        """Its bytes are not an answer to the greeting."""
        with peer(dripping) as port:
            one = handler(1, 2, port, timeout=TIMEOUT)
            self.ends_in_time(one, (RendezvousTimeoutError, RendezvousStateError), f"{HOST}:{port}")

    def test_a_master_that_is_frozen(self):
        """Its kernel goes on accepting."""
        port = free_port()
        with other_master(port) as process, frozen(process):
            self.ends_in_time(handler(1, 2, port, timeout=TIMEOUT), RendezvousTimeoutError, "an answer")

    def test_a_master_that_freezes_in_the_join(self):
        """After the slot was claimed."""
        port = free_port()
        with other_master(port, size=3) as process:
            worker = handler(1, 3, port, timeout=TIMEOUT)
            call = Call(worker)
            until(lambda: worker._bounded_store is not None)
            with frozen(process), self.assertRaisesRegex(RendezvousTimeoutError, "run 'run'"):
                call.wait()
        self.assertLess(call.seconds, TIMEOUT + 1)

    def test_an_interrupt_ends_a_masters_join_at_once(self):
        """F18: while it waits for its workers, and serves already."""
        port = free_port()
        self.is_interrupted(0, port, lambda: _answers(port))

    def test_an_interrupt_ends_a_workers_join_at_once(self):
        """F18: while it waits for an answer."""
        met = threading.Event()

        def silent_once_met(connection, done):
            met.set()
            silent(connection, done)

        with peer(silent_once_met) as port:
            self.is_interrupted(1, port, met.is_set)

    def is_interrupted(self, rank, port, has_begun):
        # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
        code = (
            "import signal\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from harness.rendezvous.static import StaticTCPRendezvous as Handler\n"
            "try:\n"
            f"    Handler({HOST!r}, {port}, {rank}, 2, 'run', 60).next_rendezvous()\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', flush=True)\n"
        )
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            until(has_begun, within=60)
            watch = Stopwatch()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.stdout.readline(), "interrupted\n")
            self.assertLess(watch.seconds, 1)
        finally:
            process.kill()
            process.communicate()

    def test_torchs_constructor_is_cut_when_its_greeting_is_not_answered(self):
        """A store that became silent after the join connected to it."""
        with peer(silent) as port:
            watch = Stopwatch()
            with self.assertRaises(RuntimeError):
                deadline = time.monotonic() + 0.5
                make_store(numeric(HOST)[0], port, construct.datetime.timedelta(seconds=9), deadline, 2.0)
            self.assertLess(watch.seconds, 1.5)

    def test_cutting_a_call_leaves_other_connections_to_the_endpoint_alone(self):
        """That of a second handler, and one that appeared during the call and whose greeting was answered."""
        port = free_port()
        with other_master(port, size=1) as process:
            address = numeric(HOST)[0]
            old = TCPStore(HOST, port, wait_for_workers=False)
            with mock.patch.object(construct, "appeared", side_effect=_with_newcomer(port)):
                before = {}
                construct._cut_unanswered(address, port, before)
            self.assertEqual(old.num_keys() > 0, True)
            self.assertEqual(_newcomers[-1].num_keys() > 0, True)
            self.assertIsNone(process.poll())

    def test_a_joins_own_connection_is_never_taken_for_a_stores(self):
        """Not even if it is new."""
        port = free_port()
        with other_master(port, size=1), Wire(numeric(HOST)[0], port, time.monotonic() + 5) as wire:
            store = TCPStore(HOST, port, wait_for_workers=False)
            new = [Descriptor(*one) for one in sockets().items()]
            self.assertIn(wire._inode, [one.inode for one in new])
            connected = connected_to(HOST, port, new)
            self.assertNotIn(wire._inode, [one.inode for one in connected])
            own = construct._socket_of(store, numeric(HOST)[0], port, new)
            before = own.written_bytes()
            store.num_keys()
            self.assertGreater(own.written_bytes(), before)


def _answers(port):
    with contextlib.suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False


_newcomers = []


def _with_newcomer(port):
    real = construct.appeared

    def look(*arguments):
        _newcomers.append(TCPStore(HOST, port, wait_for_workers=False))
        return real(*arguments)

    return look


class NothingLeft(unittest.TestCase):
    def test_failed_joins_leave_no_thread_and_no_descriptor(self):
        """Those of a worker and of a master, against each kind of peer."""
        threads, descriptors = threads_now(), descriptors_now()
        with peer(silent) as port:
            for one in (handler(1, 2, port, timeout=0.2), handler(1, 2, free_port(), timeout=0.2)):
                with self.assertRaises(RendezvousError):
                    one.next_rendezvous()
        for one in world(2, timeout=0.2)[:1]:
            with self.assertRaises(RendezvousError):
                one.next_rendezvous()
        until(lambda: threads_now() <= threads, within=1)
        until(lambda: descriptors_now() <= descriptors, within=1)

    def test_dropped_worlds_leave_no_thread_and_no_descriptor(self):
        """Twenty of them, joined and used."""
        join(world(2))
        threads, descriptors = threads_now(), descriptors_now()
        for _ in range(20):
            infos = join(world(2))
            infos[0].store.set("k", "1")
            del infos
        until(lambda: threads_now() <= threads, within=1)
        until(lambda: descriptors_now() <= descriptors, within=1)

    def test_no_process_is_left_of_a_look_up(self):
        """The helper process has ended when the call ends."""
        with self.assertRaises(RendezvousError):
            handler(1, 2, 90, timeout=0.2, host="no-such-host.invalid").next_rendezvous()
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
