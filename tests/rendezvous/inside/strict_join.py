"""Who joins: the error of each mistake, and what a round promises."""

import os
import socket
import subprocess
import sys
import unittest

from torch.distributed import DistNetworkError, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from worlds import (
    HOST,
    Call,
    Stopwatch,
    descriptors_left,
    descriptors_now,
    free_port,
    handler,
    has_claimed,
    join,
    other_master,
    until,
    world,
)

from harness.rendezvous.descriptors import can_open


class Identity(unittest.TestCase):
    def test_everybody_is_of_one_round_and_roster(self):
        """Three ranks return with the same roster, which has each of them."""
        handlers = world(3)
        infos = join(handlers)
        self.assertEqual([(info.rank, info.world_size) for info in infos], [(0, 3), (1, 3), (2, 3)])
        self.assertEqual([one.round for one in handlers], [1, 1, 1])
        self.assertEqual(handlers[1].roster, handlers[0].roster)
        self.assertEqual(len(set(handlers[0].roster)), 3)

    def test_who_is_missing_is_named(self):
        """By a worker, whose slot is free again when it has given up; and by a master without workers."""
        port = free_port()
        master = Call(handler(0, 3, port, timeout=60))
        self.names_the_missing(Call(handler(1, 3, port, timeout=2)), "rank 2", 2)
        name, _, number = master.handler._store.get("+=run").decode().split()
        self.assertEqual(master.handler._store.get(f"+{name}.{number}s1"), b"-")
        master.handler.shutdown()
        with self.assertRaises(RendezvousClosedError):
            master.wait()
        self.names_the_missing(Call(handler(0, 3, free_port(), timeout=0.5)), "rank 1, rank 2", 0.5)

    def names_the_missing(self, call, missing, seconds):
        with self.assertRaisesRegex(RendezvousTimeoutError, f"of run 'run'.*for {missing} to join") as caught:
            call.wait()
        self.assertIn(f"timeout {seconds:g} s", str(caught.exception))
        self.assertGreaterEqual(call.elapsed, seconds)
        self.assertLess(call.seconds, seconds + 1)

    def test_a_replaced_join_fails_at_once_and_the_newer_one_joins(self):
        """Of two processes with rank 1, the first one's error says that it is doubled; the second one joins."""
        handlers = world(3)
        master, first = Call(handlers[0]), Call(handlers[1])
        until(lambda: has_claimed(handlers[0], 1))
        second = Call(handler(1, 3, handlers[0].master_port))
        with self.assertRaisesRegex(RendezvousStateError, f"rank 1 is doubled.*{os.getpid()}"):
            first.wait(within=1.5)
        third = Call(handlers[2])
        self.assertEqual([call.wait().rank for call in (master, second, third)], [0, 1, 2])

    def test_another_world_size_fails_at_once(self):
        """The worker's error has both sizes; the master goes on waiting."""
        port = free_port()
        master = Call(handler(0, 2, port))
        with self.assertRaisesRegex(RendezvousStateError, r"world size of 4.*for 2"):
            Call(handler(1, 4, port)).wait(within=2)
        Call(handler(1, 2, port))
        self.assertEqual(master.wait().world_size, 2)

    def test_the_error_for_an_absent_run_has_the_runs_that_are_open(self):
        """It comes at the deadline; a run that is opened before is joined."""
        port = free_port()
        master = handler(0, 1, port, run_id="a b/ü")
        master.next_rendezvous()
        with self.assertRaisesRegex(RendezvousTimeoutError, r"open run 'other'; runs there: 'a b/ü'"):
            handler(1, 2, port, run_id="other", timeout=0.5).next_rendezvous()
        worker = Call(handler(1, 2, port, run_id="late"))
        Call(handler(0, 2, port, run_id="late"))
        self.assertEqual(worker.wait().rank, 1)

    def test_a_port_that_is_taken_on_ipv6_is_an_error_for_an_ipv6_endpoint(self):
        """Torch would listen on IPv4 only, where no worker connects (F36); for an IPv4 endpoint that is right."""
        port = free_port()
        held = f"socket.create_server(('::1', {port}), family=socket.AF_INET6)"
        code = f"import socket; held = {held}; print(1, flush=True); input()"
        other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with other:
            other.stdout.readline()
            with self.assertRaisesRegex(RendezvousConnectionError, f"{port}.*address already in use"):
                handler(0, 2, port, host="::1").next_rendezvous()
            self.assertEqual(len(join(world(2, port))), 2)
            other.stdin.close()

    def test_the_error_for_a_taken_port_has_its_holder(self):
        """It comes at once, with the endpoint and the process."""
        with socket.create_server((HOST, 0)) as found:
            port = found.getsockname()[1]
            code = f"import socket; held = socket.create_server(('{HOST}', {port})); print(1, flush=True); input()"
            found.close()
            other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            with other:
                other.stdout.readline()
                expected = f"{HOST}:{port}.*address already in use, held by process {other.pid}"
                with self.assertRaisesRegex(RendezvousConnectionError, expected):
                    Call(handler(0, 1, port)).wait(within=1)
                other.communicate(b"\n")

    def test_a_restarted_master_is_joined_by_workers_that_waited(self):
        """The worker's slot was lost with the first server; it claims a slot on the second."""
        port = free_port()
        with other_master(port, size=3):
            worker = Call(handler(1, 3, port))
            probe = handler(2, 3, port)
            until(lambda: worker.handler._bounded_store is not None)
        master = Call(handler(0, 3, port))
        last = Call(probe)
        self.assertEqual([call.wait().rank for call in (master, worker, last)], [0, 1, 2])


class Rounds(unittest.TestCase):
    def test_a_second_round_waits_for_everybody_and_sees_no_old_key(self):
        """It is on the same TCPStore."""
        handlers = world(2)
        first = join(handlers)
        first[0].store.set("k", "1")
        again = Call(handlers[0])
        until(lambda: handlers[1].num_nodes_waiting() == 0 and has_claimed(handlers[0], 0))
        self.assertTrue(again.is_alive())
        worker = Call(handlers[1]).wait()
        self.assertFalse(worker.store.check(["k"]))
        self.assertIs(type(again.wait().store.underlying_store), type(first[0].store.underlying_store))
        self.assertEqual([one.round for one in handlers], [2, 2])

    def test_ranks_that_wait_for_the_next_round_are_counted(self):
        """By that torchrun restarts the workers of the other nodes."""
        handlers = world(3)
        join(handlers)
        calls = [Call(one) for one in handlers[1:]]
        until(lambda: handlers[0].num_nodes_waiting() == 2)
        Call(handlers[0]).wait()
        self.assertEqual([call.wait().rank for call in calls], [1, 2])
        self.assertEqual(handlers[0].num_nodes_waiting(), 0)

    def test_a_server_that_workers_used_is_replaced_in_the_next_round(self):
        """The new one is at the same port, without the keys of the last attempt's workers (F25)."""
        handlers = world(2)
        first = join(handlers)
        self.assertTrue(all(one.use_agent_store for one in handlers))
        workers = TCPStore(HOST, handlers[0].master_port, is_master=False, wait_for_workers=False)
        workers.set("left", "1")
        second = join(handlers)
        self.assertEqual([one.round for one in handlers], [2, 2])
        workers = TCPStore(HOST, handlers[0].master_port, is_master=False, wait_for_workers=False)
        self.assertFalse(workers.check(["left"]))
        second[0].store.set("k", "2")
        self.assertEqual(second[1].store.get("k"), b"2")
        self.assertRaises(RuntimeError, first[1].store.get, "k")

    def test_a_client_of_a_replaced_server_sees_that_the_master_waits(self):
        """Its agent cannot read the late ranks there, and asks the new server at the endpoint."""
        handlers = world(2)
        join(handlers)
        self.assertTrue(all(one.use_agent_store for one in handlers))
        self.assertEqual(handlers[1].num_nodes_waiting(), 0)
        waiting = Call(handlers[0])
        until(lambda: handlers[1].num_nodes_waiting() == 1)
        handlers[1].next_rendezvous()
        waiting.wait()
        self.assertEqual(handlers[1].num_nodes_waiting(), 0)

    def test_a_first_question_that_meets_the_new_server_sees_that_the_master_waits(self):
        """The new server has no late ranks of the old run: that it has another run says more."""
        handlers = world(2)
        join(handlers)
        self.assertTrue(all(one.use_agent_store for one in handlers))
        waiting = Call(handlers[0])
        until(lambda: handlers[1]._was_reopened())
        until(lambda: handlers[1].num_nodes_waiting() == 1)
        handlers[1].next_rendezvous()
        waiting.wait()

    def test_a_dead_store_is_replaced_in_the_next_round(self):
        """The new store works."""
        handlers = world(2)
        join(handlers)
        handlers[1]._bounded_store.connected.socket.cut()
        infos = join(handlers)
        infos[0].store.set("k", "2")
        self.assertEqual(infos[1].store.get("k"), b"2")

    def test_a_master_whose_first_try_failed_joins_with_the_second(self):
        """The retry opens a new incarnation, on the port that the failure released."""
        handlers = world(2, timeout=0.5)
        with self.assertRaises(RendezvousTimeoutError):
            handlers[0].next_rendezvous()
        self.assertIsNone(handlers[0]._store)
        self.assertEqual([info.rank for info in join(handlers)], [0, 1])

    def test_a_master_short_of_descriptors_says_so_and_joins_when_it_has_some(self):
        """Whether they end before torch's event loop, in it, at the listening socket, or at one of two connections."""
        handlers = world(2, timeout=1)
        for count in range(10):  # torch 2.6 serves with ten, if the process has served before
            watch = Stopwatch()
            with descriptors_left(count), self.assertRaisesRegex(RendezvousConnectionError, ": too many open files"):
                handlers[0].next_rendezvous()
            self.assertLess(watch.seconds, 2)
        self.assertEqual([info.rank for info in join(handlers)], [0, 1])

    def test_the_descriptors_that_can_be_opened_are_counted_and_closed_again(self):
        """Exactly as many as are left."""
        before = descriptors_now()
        with descriptors_left(3):
            self.assertEqual([can_open(count) for count in (1, 3, 4)], [True, True, False])
        self.assertEqual(descriptors_now(), before)


class Closing(unittest.TestCase):
    def test_a_closed_run_fails_joins_that_wait_and_later_ones(self):
        """It may be closed by any rank."""
        handlers = world(3)
        join(handlers)
        waiting = Call(handlers[1])
        until(lambda: has_claimed(handlers[0], 1))
        handlers[2].set_closed()
        with self.assertRaisesRegex(RendezvousClosedError, "run 'run' was closed"):
            waiting.wait(within=1)
        self.assertTrue(handlers[0].is_closed())
        for one in handlers:
            with self.assertRaises(RendezvousClosedError):
                Call(one).wait(within=1)

    def test_a_shut_down_master_has_freed_its_port_and_joins_no_more(self):
        """Although its store is still referenced; calls of connected clients fail at once."""
        handlers = world(2)
        infos = join(handlers)
        self.assertTrue(handlers[0].shutdown())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, handlers[0].master_port))
            probe.listen()
        watch = Stopwatch()
        for info in infos:
            with self.assertRaises(DistNetworkError):
                info.store.check(["k"])
        self.assertLess(watch.seconds, 1)
        with self.assertRaisesRegex(RendezvousClosedError, "shut down"):
            handlers[0].next_rendezvous()

    def test_one_of_two_runs_on_a_port_may_be_shut_down(self):
        """The other run goes on."""
        port = free_port()
        a, b = world(2, port, run_id="a"), world(2, port, run_id="b")
        kept = join(a)
        infos = join(b)
        a[0].shutdown()
        infos[0].store.set("k", "1")
        self.assertEqual(infos[1].store.get("k"), b"1")
        self.assertEqual(len(kept), 2)
        b[0].shutdown()
