"""The handler outside a join: what it says when it is closed, shut down or waited for, and how long that takes."""

import resource
import socket
import time
import unittest

from torch.distributed import DistNetworkError, PrefixStore
from torch.distributed.elastic.rendezvous import RendezvousClosedError, RendezvousTimeoutError
from worlds import (
    HOST,
    Call,
    Stopwatch,
    descriptors_now,
    free_port,
    frozen,
    handler,
    has_claimed,
    join,
    other_master,
    until,
)
from worlds import world as world_of

HAS_CLONES = hasattr(PrefixStore, "clone")


class Closed(unittest.TestCase):
    def test_a_handler_that_was_shut_down_is_closed_and_the_run_is_not(self):
        """Whether it had joined or not; a second shutdown is true too, and the others go on."""
        handlers = world_of(2)
        infos = join(handlers)
        for one in (handlers[1], handler(1, 2, free_port())):
            self.assertEqual((one.is_closed(), one.shutdown(), one.shutdown()), (False, True, True))
            self.assertEqual((one.is_closed(), one.num_nodes_waiting(), one._store), (True, 0, None))
            one.set_closed()
            with self.assertRaisesRegex(RendezvousClosedError, "the handler was shut down"):
                one.next_rendezvous()
        self.assertEqual((handlers[0].is_closed(), handlers[0].num_nodes_waiting()), (False, 0))
        infos[0].store.set("k", "1")

    def test_a_run_that_others_closed_is_closed_for_those_whose_first_join_it_ended(self):
        """The master too, which has given up its server then."""
        port = free_port()
        master, worker = Call(handler(0, 3, port)), Call(handler(1, 3, port))
        until(lambda: has_claimed(master.handler, 1))
        handler(2, 3, port).set_closed()
        for call in (worker, master):
            with self.assertRaisesRegex(RendezvousClosedError, "run 'run' was closed"):
                call.wait(within=2)
            self.assertTrue(call.handler.is_closed())

    def test_a_handler_closes_the_run_while_it_joins_for_the_first_time(self):
        """Called by another thread, on either side."""
        for rank in (0, 1):
            with self.subTest(rank):
                port = free_port()
                calls = [Call(handler(0, 3, port)), Call(handler(1, 3, port))]
                until(lambda calls=calls: has_claimed(calls[0].handler, 1))
                calls[rank].handler.set_closed()
                for call in calls:
                    self.assertRaises(RendezvousClosedError, call.wait, 2)

    def test_to_close_a_run_that_nobody_serves_ends_in_time(self):
        """It is closed for this handler."""
        one = handler(1, 2, free_port())
        watch = Stopwatch()
        one.set_closed()
        self.assertLess(watch.seconds, 1.5)
        self.assertTrue(one.is_closed())
        self.assertRaises(RendezvousClosedError, one.next_rendezvous)

    def test_a_handler_that_is_shut_down_while_it_joins_keeps_nothing(self):
        """Neither a store nor a server."""
        for rank in (0, 1):
            with self.subTest(rank):
                port = free_port()
                calls = [Call(handler(0, 3, port)), Call(handler(1, 3, port))]
                until(lambda calls=calls: has_claimed(calls[0].handler, 1))
                calls[rank].handler.shutdown()
                with self.assertRaisesRegex(RendezvousClosedError, "the handler was shut down"):
                    calls[rank].wait(2)
                self.assertIsNone(calls[rank].handler._store)
                calls[1 - rank].handler.shutdown()
                self.assertRaises(RendezvousClosedError, calls[1 - rank].wait, 5)


class Again(unittest.TestCase):
    def test_a_port_that_was_released_is_served_again_and_shared_again(self):
        """Although somebody still has the first store, so that torch still knows the server that nobody can reach."""
        port = free_port()
        first = handler(0, 1, port)
        held = first.next_rendezvous().store
        first.shutdown()
        second, third = handler(0, 1, port, run_id="second"), handler(0, 1, port, run_id="third")
        stores = [one.next_rendezvous().store for one in (second, third)]
        second.shutdown()
        stores[1].set("k", "1")
        self.assertEqual(stores[1].get("k"), b"1")
        third.shutdown()
        with socket.create_server((HOST, port)):  # it is free
            self.assertRaises(RuntimeError, held.get, "k")
        fourth = handler(0, 1, port, run_id="fourth")
        self.assertFalse(fourth.next_rendezvous().store.check(["k"]))
        fourth.shutdown()

    def test_a_master_that_joins_while_another_is_shut_down_is_served(self):
        """Whichever comes first: it never shares a server that is about to end, nor meets its port half released."""
        port, keep = free_port(), []
        for number in range(40):
            first, second = handler(0, 1, port, run_id=f"a{number}"), handler(0, 1, port, run_id=f"b{number}")
            keep.append(first.next_rendezvous().store)  # so that the port must be released
            joining = Call(second)
            time.sleep(0.001 * (number % 4))  # into the middle of it, which cannot be awaited
            self.assertTrue(first.shutdown())
            joining.wait().store.set("k", "1")
            second.shutdown()

    def test_a_port_that_cannot_be_released_is_told(self):
        """To release it takes a descriptor, and none is left."""
        master = handler(0, 1, free_port())
        held = master.next_rendezvous().store
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            self.assertFalse(master.shutdown())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        del held


class Late(unittest.TestCase):
    def test_the_error_of_a_worker_that_was_restarted_alone_says_why_it_waited(self):
        """The others see that it waits, and their join ends its wait."""
        handlers = world_of(2)
        join(handlers)
        late = Call(handler(1, 2, handlers[0].master_port, timeout=0.5))
        until(lambda: handlers[0].num_nodes_waiting() == 1)
        expected = "rank 0 to join; it came when round 1 was whole, and round 2 needs every rank again"
        with self.assertRaisesRegex(RendezvousTimeoutError, expected):
            late.wait()
        self.assertEqual(handlers[0].round, 1)

    def test_a_handler_that_joined_the_last_round_is_not_told_that_it_came_late(self):
        """It waits for the next one, as it should."""
        handlers = world_of(2, timeout=0.5)
        join(handlers)
        with self.assertRaises(RendezvousTimeoutError) as caught:
            handlers[1].next_rendezvous()
        self.assertNotIn("it came when", str(caught.exception))


class Questions(unittest.TestCase):
    def test_questions_to_a_frozen_master_end_soon_and_leave_the_store_alone(self):
        """An agent must look after its workers meanwhile; the store goes on when the master does."""
        port = free_port()
        with other_master(port) as process:
            one = handler(1, 2, port, timeout=20)
            info = Call(one).wait()
            self.assertEqual(one.num_nodes_waiting(), 0)
            with frozen(process):
                for ask in (one.num_nodes_waiting, one.is_closed, one.set_closed):
                    watch = Stopwatch()
                    self.assertFalse(ask())
                    self.assertLess(watch.seconds, 2.5)
            self.assertFalse(info.store.check(["k"]))

    def test_a_question_does_not_wait_behind_a_call_of_the_store(self):
        """The job's call may take as long as it likes."""
        handlers = world_of(2)
        infos = join(handlers)
        waits = Call(type("Reader", (), {"rank": 1, "next_rendezvous": lambda self: infos[1].store.get("late")})())
        until(waits.is_alive)
        watch = Stopwatch()
        for _ in range(20):
            self.assertEqual((handlers[1].num_nodes_waiting(), handlers[1].is_closed()), (0, False))
        self.assertLess(watch.seconds, 1)
        infos[0].store.set("late", "1")
        self.assertEqual(waits.wait(), b"1")

    def test_questions_take_one_connection_which_shutdown_closes(self):
        """However many they are."""
        handlers = world_of(2)
        join(handlers)
        before = descriptors_now()
        for _ in range(30):
            self.assertEqual(handlers[1].num_nodes_waiting(), 0)
        self.assertLessEqual(descriptors_now(), before + 2)  # both ends are in this process
        handlers[1].shutdown()
        until(lambda: descriptors_now() <= before)


class Clones(unittest.TestCase):
    def test_a_clone_ends_in_time_at_a_frozen_master_and_so_do_its_calls(self):
        """The store that was cloned goes on."""
        port = free_port()
        if not HAS_CLONES:
            return
        with other_master(port) as process:
            one = handler(1, 2, port, timeout=1)
            info = Call(one).wait()
            clone = info.store.clone()
            with frozen(process):
                for call in (lambda: clone.set("k", "1"), clone.clone, info.store.clone):
                    begun = Stopwatch()
                    self.assertRaises(RuntimeError, call)
                    self.assertLess(begun.seconds, 2)
            self.assertFalse(info.store.check(["x"]))

    def test_a_clone_of_another_server_is_refused(self):
        """A later server at the port would silently have none of the keys."""
        if not HAS_CLONES:
            return
        port = free_port()
        with other_master(port):
            info = Call(handler(1, 2, port, timeout=2)).wait()
        stranger = handler(0, 1, port)
        stranger.next_rendezvous()
        with self.assertRaisesRegex(DistNetworkError, "is not the one that was joined"):
            info.store.clone()
        stranger.shutdown()

    def test_shutdown_cuts_the_clones_too(self):
        """On either side, and clones of clones; the error says why, and no new clone is made."""
        for rank in (0, 1) if HAS_CLONES else ():
            with self.subTest(rank):
                handlers = world_of(2)
                store = join(handlers)[rank].store
                clone = store.clone()
                second = clone.clone()
                second.set("k", "1")
                self.assertEqual(store.get("k"), b"1")
                handlers[rank].shutdown()
                begun = time.monotonic()
                for one in (clone, second):
                    self.assertRaisesRegex(DistNetworkError, "the handler was shut down", one.get, "k")
                    self.assertRaisesRegex(DistNetworkError, "the handler was shut down", one.clone)
                self.assertLess(time.monotonic() - begun, 2)
