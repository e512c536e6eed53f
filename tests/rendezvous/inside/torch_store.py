"""What torch's own tests ask of a TCPStore (pytorch, test/distributed/test_store.py), asked of both stores.

Where static-strict differs, the check says how; docs/rendezvous.md has the reasons. A check whose method this torch
lacks passes.
"""

import copy
import os
import pickle
import signal
import threading
import time
import unittest
from datetime import timedelta

import torch
import torch.distributed as dist
from store_subjects import (
    HAS_BARRIERS,
    HAS_CLONES,
    HAS_LISTS,
    HAS_QUEUES,
    IS_STRICT,
    TIMEOUT,
    clients,
    forget,
    is_strict,
    kinds,
    store,
    together,
)
from torch.distributed import DistNetworkError, DistStoreError, PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import RendezvousConnectionError, RendezvousTimeoutError
from worlds import HOST, free_port, handler, until

SHORT = timedelta(milliseconds=100)


class Checks(unittest.TestCase):
    def tearDown(self):
        forget()

    def each(self):
        for name, one in kinds():
            with self.subTest(name):
                yield one


class Values(Checks):
    def test_sums_and_texts_are_kept_by_key(self):
        """Sums start at 0 and are read as text; a deleted key is gone, and only that one."""
        for one in self.each():
            self.assertEqual([one.add("sum", number) for number in (1, 2, 3)], [1, 3, 6])
            self.assertEqual([one.add("other", number) for number in (10, -4)], [10, 6])
            for number in range(3):
                one.set(f"text{number}", f"value{number}")
            self.assertEqual([one.get(f"text{number}") for number in range(3)], [b"value0", b"value1", b"value2"])
            self.assertEqual((one.get("sum"), one.get("other")), (b"6", b"6"))
            self.assertEqual((one.check(["sum", "text1"]), one.check(["absent"])), (True, False))
            self.assertEqual((one.delete_key("text1"), one.delete_key("text1")), (True, False))
            self.assertEqual((one.check(["text1"]), one.check(["text0", "text2"])), (False, True))

    def test_the_number_of_keys_grows_and_shrinks_with_them(self):
        """Stock begins with one key, its count of workers; static-strict with those of its join."""
        for one in self.each():
            first = one.num_keys()
            self.assertEqual(first == 1, not IS_STRICT, first)
            one.multi_set(["a", "-b"], ["1", "2"])
            one.add("c", 1)
            one.set("c", "9")
            self.assertEqual(one.num_keys(), first + 3)
            one.delete_key("-b")
            self.assertEqual(one.num_keys(), first + 2)

    def test_any_bytes_are_a_value(self):
        """Empty, with a zero byte, no UTF-8, and a megabyte."""
        for one in self.each():
            for value in (b"", b"a\0b", b"\xff\xfe", b"x" * (1 << 20)):
                one.set("k", value)
                self.assertEqual(one.get("k"), value)

    def test_compare_set_writes_only_over_what_it_expects(self):
        """A missing key is written if nothing is expected; else the reply is what was expected (F43)."""
        for one in self.each():
            self.assertEqual(one.compare_set("k", "wrong", "new"), b"wrong")
            self.assertFalse(one.check(["k"]))
            self.assertEqual(one.compare_set("k", "", "first"), b"first")
            self.assertEqual(one.compare_set("k", "wrong", "new"), b"first")
            self.assertEqual(one.compare_set("k", "first", "second"), b"second")
            self.assertEqual(one.get("k"), b"second")

    def test_append_adds_to_the_end(self):
        """A missing key is taken for an empty one."""
        for one in self.each():
            self.assertTrue(one.has_extended_api())
            one.set("k", "po")
            for key in ("k", "new"):
                one.append(key, "ta")
                one.append(key, "to")
            self.assertEqual((one.get("k"), one.get("new")), (b"potato", b"tato"))

    def test_several_keys_are_written_and_read_at_once(self):
        """In the order of the keys; lists of different lengths are refused."""
        for one in self.each():
            one.multi_set(["a", "b"], ["1", "2"])
            self.assertEqual(one.multi_get(["b", "a"]), [b"2", b"1"])
            with self.assertRaisesRegex(RuntimeError, "same size"):
                one.multi_set(["a", "b"], ["1"])
            self.assertEqual((one.multi_get([]), one.check([])), ([], True))

    def test_keys_are_listed_below_the_prefix(self):
        """A TCPStore lists all keys of its server; a StrictStore is a prefix, so the join's are not among them."""
        for one in self.each() if HAS_LISTS else ():
            one.multi_set(["a", "b"], ["1", "2"])
            self.assertEqual({"a", "b"}, {key for key in one.list_keys() if key != "init/"})


class Waiting(Checks):
    def test_a_wait_for_a_missing_key_ends_at_its_timeout(self):
        """The connection still works."""
        for one in self.each():
            begun = time.monotonic()
            with self.assertRaisesRegex(DistStoreError, "wait timeout after 100ms, keys: /.*missing"):
                one.wait(["missing"], SHORT)
            self.assertGreaterEqual(time.monotonic() - begun, 0.09)
            one.add("there", 1)
            one.wait(["there"])
            one.wait([], SHORT)

    def test_the_stores_own_timeout_is_that_of_a_get(self):
        """It may be set, and is reported; the store can be used afterwards."""
        for one in self.each():
            self.assertEqual(one.timeout, TIMEOUT)
            one.set_timeout(SHORT)
            self.assertEqual(one.timeout, SHORT)
            with self.assertRaisesRegex(DistStoreError, "wait timeout after 100ms, keys: /.*missing"):
                one.get("missing")
            with self.assertRaisesRegex(DistStoreError, "wait timeout after 100ms"):
                one.multi_get(["missing"])
            one.set("missing", "x")
            self.assertEqual(one.get("missing"), b"x")

    def test_a_timeout_of_0_only_looks(self):
        """A missing key is an error at once."""
        for one in self.each():
            with self.assertRaises(DistStoreError):
                one.wait(["missing"], timedelta(0))

    def test_a_timeout_below_0_is_refused_where_torch_waits_without_end(self):
        """Stock's wait ends when the key comes."""
        one, other = clients(2)
        if IS_STRICT:
            for call in (
                lambda: one.wait(["k"], timedelta(seconds=-1)),
                lambda: one.set_timeout(timedelta(seconds=-1)),
            ):
                with self.assertRaisesRegex(ValueError, "timeout -1 s is below 0"):
                    call()
            self.assertFalse(one.check(["k"]))
            return
        waits = threading.Thread(target=lambda: one.wait(["k"], timedelta(seconds=-1)), daemon=True)
        waits.start()
        waits.join(0.3)
        self.assertTrue(waits.is_alive())
        other.set("k", "1")
        waits.join(5)
        self.assertFalse(waits.is_alive())

    def test_the_timeout_of_a_wait_may_be_named_with_static_strict_only(self):
        """Torch takes it by position. Neither takes a number."""
        for one in self.each():
            one.set("k", "1")
            with self.assertRaises(TypeError):
                one.wait(["k"], 1)
            if is_strict(one):
                one.wait(keys=["k"], timeout=SHORT)
                continue
            with self.assertRaises(TypeError):
                one.wait(["k"], timeout=SHORT)

    def test_a_key_that_another_client_sets_ends_a_wait(self):
        """Also a wait for several keys, with the last of them."""
        first, second = clients(2)
        first.set("b", "2")
        values = together(lambda: first.get("a"), lambda: second.set("a", "1"))
        self.assertEqual(values[0], b"1")
        together(lambda: second.wait(["b", "c"], TIMEOUT), lambda: first.set("c", "3"))

    def test_a_signal_does_not_end_a_wait(self):
        """Its handler runs, and the wait goes on until its timeout."""
        one, seen = store(), []
        before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        try:
            timer.start()
            begun = time.monotonic()
            with self.assertRaisesRegex(DistStoreError, "wait timeout after 400ms"):
                one.wait(["missing"], 4 * SHORT)
            self.assertGreaterEqual(time.monotonic() - begun, 0.39)
            until(lambda: seen == [signal.SIGUSR1])
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)


class Queues(Checks):
    def test_a_queue_gives_back_in_order(self):
        """It exists as a key while it holds something."""
        for one in self.each() if HAS_QUEUES else ():
            self.assertEqual((one.check(["q"]), one.queue_len("q")), (False, 0))
            one.queue_push("q", "1")
            one.queue_push("q", "2")
            one.wait(["q"])
            self.assertEqual((one.check(["q"]), one.queue_len("q")), (True, 2))
            self.assertEqual([one.queue_pop("q"), one.queue_pop("q", False)], [b"1", b"2"])
            self.assertEqual((one.check(["q"]), one.queue_len("q")), (False, 0))

    def test_an_empty_queue_is_an_error_at_once_or_at_the_timeout(self):
        """As `block` says; the store can be used afterwards."""
        for one in self.each() if HAS_QUEUES else ():
            with self.assertRaisesRegex(dist.QueueEmptyError, "empty"):
                one.queue_pop("q", block=False)
            one.set_timeout(SHORT)
            with self.assertRaisesRegex(DistStoreError, "timeout"):
                one.queue_pop("q")
            one.queue_push("q", "1")
            self.assertEqual(one.queue_pop("q"), b"1")

    def test_two_clones_exchange_through_queues(self):
        """Each waits for what the other pushes."""
        if not HAS_QUEUES:
            return
        one = store()

        def exchanged(mine, others):
            own = one.clone()
            own.queue_push(mine, mine)
            return own.queue_pop(others)

        self.assertEqual(together(lambda: exchanged("a", "b"), lambda: exchanged("b", "a")), [b"b", b"a"])


class Barriers(Checks):
    def test_all_return_when_all_have_come(self):
        """With one member at once."""
        stores = clients(3)
        if not HAS_BARRIERS:
            return
        stores[0].barrier("alone", 1)
        together(*[lambda one=one: one.barrier("b", 3, TIMEOUT) for one in stores])

    def test_a_barrier_without_enough_members_ends_at_its_timeout(self):
        """The store can be used afterwards."""
        for one in self.each() if HAS_BARRIERS else ():
            with self.assertRaisesRegex(DistStoreError, "timeout after 100ms"):
                one.barrier("b", 2, SHORT)
            one.set("k", "1")
            self.assertEqual(one.get("k"), b"1")

    def test_a_barrier_without_a_timeout_has_the_stores_but_not_below_a_prefix_of_torch(self):
        """There torch does not know the timeout that was set. A StrictStore is a prefix, and has it."""
        if not HAS_BARRIERS:
            return
        one, other = clients(2)
        one.set_timeout(SHORT)
        self.assertRaisesRegex(DistStoreError, "timeout after 100ms", one.barrier, "a", 2)
        waits = threading.Thread(target=PrefixStore("p", one).barrier, args=("b", 2), daemon=True)
        waits.start()
        waits.join(0.4)
        self.assertTrue(waits.is_alive())
        PrefixStore("p", other).barrier("b", 2, TIMEOUT)
        waits.join(5)
        self.assertFalse(waits.is_alive())


class Kinds(Checks):
    def test_a_clone_has_the_keys_and_the_timeout(self):
        """It is of the same class; its connection is its own, so its call does not wait behind one of the first."""
        for one in self.each() if HAS_CLONES else ():
            one.set_timeout(2 * TIMEOUT)
            clone = one.clone()
            self.assertIs(type(clone), type(one))
            self.assertEqual(clone.timeout, 2 * TIMEOUT)
            self.assertEqual(together(lambda one=one: one.get("k"), lambda clone=clone: clone.set("k", "1"))[0], b"1")
            clone.set_timeout(SHORT)
            self.assertEqual(one.timeout, 2 * TIMEOUT)

    def test_the_store_below_a_prefix_is_found(self):
        """`underlying_store` is what the prefix was made of. A StrictStore is a prefix of a TCPStore."""
        one = store()
        below = PrefixStore("a", PrefixStore("b", one))
        self.assertIs(below.underlying_store.underlying_store, one)
        last = below._underlying_non_prefix_store
        self.assertIs(type(last), TCPStore)
        self.assertEqual(last is one, not IS_STRICT)
        self.assertEqual(isinstance(one, PrefixStore), IS_STRICT)
        below.set("k", "1")
        self.assertTrue(one.check(["b/a/k"]))
        with self.assertRaises((TypeError, ValueError)):
            PrefixStore("a", None)

    def test_host_port_and_server_are_the_tcp_stores(self):
        """A StrictStore has them one level below, as every PrefixStore."""
        one = store()
        self.assertEqual(hasattr(one, "port"), not IS_STRICT)
        tcp = one.underlying_store if IS_STRICT else one
        self.assertEqual((tcp.host, tcp.libuvBackend), (HOST, True))
        self.assertGreater(tcp.port, 0)

    def test_a_store_can_be_neither_pickled_nor_copied(self):
        """Both say so."""
        for one in self.each():
            for call in (pickle.dumps, copy.copy, copy.deepcopy):
                self.assertRaisesRegex(TypeError, "pickle", call, one)

    def test_a_process_group_is_made_over_it(self):
        """It sums among one rank."""
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        dist.init_process_group("gloo", store=store(), rank=0, world_size=1)
        try:
            value = torch.ones(1)
            dist.all_reduce(value)
            self.assertEqual(value.item(), 1)
        finally:
            dist.destroy_process_group()


class Making(Checks):
    def test_clients_of_one_server_see_each_others_writes(self):
        """Five of them."""
        stores = clients(5)
        stores[0].set("key", "value")
        for number, one in enumerate(stores):
            self.assertEqual(one.get("key"), b"value")
            one.set(f"new{number}", "a")
            self.assertEqual(one.compare_set(f"new{number}", "a", "b"), b"b")
        self.assertTrue(stores[0].check([f"new{number}" for number in range(5)]))

    def test_two_servers_of_a_process_may_share_a_port(self):
        """Torch's if both are told so; handlers always, because their runs have keys of their own."""
        port = free_port()
        if IS_STRICT:
            one, other = (handler(0, 1, port, run_id=name).next_rendezvous().store for name in "ab")
        else:
            one, other = (TCPStore(HOST, port, 1, True, TIMEOUT, multi_tenant=True) for _ in range(2))
        one.set("k", "1")
        self.assertEqual(one.get("k"), b"1")  # a write has no reply, and the other's connection could be faster
        self.assertEqual(other.check(["k"]), not IS_STRICT)

    def test_missing_clients_are_an_error_at_the_timeout(self):
        """Torch counts them; static-strict says who."""
        if IS_STRICT:
            with self.assertRaisesRegex(RendezvousTimeoutError, "waiting for rank 1 to join"):
                handler(0, 2, free_port(), timeout=0.3).next_rendezvous()
            return
        with self.assertRaisesRegex(DistStoreError, r"waiting for clients\. 1/2 clients joined"):
            TCPStore(HOST, 0, 2, True, timedelta(seconds=0.3))
        TCPStore(HOST, 0, 2, True, timedelta(seconds=0.3), wait_for_workers=False)

    def test_a_world_of_nobody_is_refused(self):
        """ValueError."""
        with self.assertRaises(ValueError):
            if IS_STRICT:
                handler(0, 0, free_port())
            else:
                TCPStore(HOST, free_port(), world_size=0, is_master=False)

    def test_a_name_that_does_not_resolve_is_an_error_at_the_timeout(self):
        """Of torch's class for connections, and of the rendezvous' class."""
        begun = time.monotonic()
        if IS_STRICT:
            with self.assertRaisesRegex(RendezvousConnectionError, "does not resolve"):
                handler(1, 2, free_port(), host="name.invalid", timeout=1).next_rendezvous()
        else:
            with self.assertRaisesRegex(DistNetworkError, "name.invalid"):
                TCPStore("name.invalid", free_port(), 2, False, timedelta(seconds=1))
        self.assertGreater(time.monotonic() - begun, 0.9 if IS_STRICT else 0.0)
