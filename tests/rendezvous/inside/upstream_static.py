"""What torch's own tests require of the static rendezvous, by their names, and the shape of its interface."""

import datetime
import inspect
import os
import unittest

from torch.distributed import PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    static_tcp_rendezvous,
)
from worlds import free_port

from harness.rendezvous import static as strict

SUBJECT = os.environ["SUBJECT"]
MODULE = {"static": static_tcp_rendezvous, "static-strict": strict}[SUBJECT]


def parameters(endpoint, **config):
    return RendezvousParameters(SUBJECT, endpoint, "run", 1, 1, **config)


class UpstreamStatic(unittest.TestCase):
    def test_missing_port(self):
        """An endpoint needs a port."""
        with self.assertRaisesRegex(ValueError, "Port is absent in endpoint: example.com"):
            MODULE.create_rdzv_handler(parameters("example.com", rank=0))

    def test_empty_endpoint(self):
        """An endpoint is needed."""
        with self.assertRaisesRegex(ValueError, "endpoint is absent in RendezvousParameters"):
            MODULE.create_rdzv_handler(parameters(" ", rank=0))

    def test_missing_rank(self):
        """A rank is needed."""
        with self.assertRaisesRegex(ValueError, "rank is absent in RendezvousParameters"):
            MODULE.create_rdzv_handler(parameters("127.0.0.1:29500"))

    def test_ipv6_addr(self):
        """An IPv6 address in brackets is separated from its port."""
        made = MODULE.create_rdzv_handler(parameters("[2001:2::7334]:90", rank=0))
        self.assertEqual((made.master_addr, made.master_port), ("2001:2::7334", 90))

    def test_ipv6_addr_localhost(self):
        """The loopback address too."""
        made = MODULE.create_rdzv_handler(parameters("[::1]:90", rank=0))
        self.assertEqual((made.master_addr, made.master_port), ("::1", 90))

    def test_get_backend(self):
        """A handler has the backend name under which torch's registry has it."""
        self.assertEqual(MODULE.create_rdzv_handler(parameters("127.0.0.1:90", rank=0)).get_backend(), SUBJECT)

    def test_static_rdzv_multiple_calls(self):
        """A second next_rendezvous returns as the first did, on the same server."""
        made = MODULE.create_rdzv_handler(parameters(f"127.0.0.1:{free_port()}", rank=0, timeout=5))
        first, second = made.next_rendezvous(), made.next_rendezvous()
        self.assertEqual((first.rank, first.world_size), (0, 1))
        self.assertEqual((second.rank, second.world_size), (0, 1))
        self.assertIs(type(second), RendezvousInfo)
        made.shutdown()

    def test_a_round_returns_what_stock_returns(self):
        """A PrefixStore over a TCPStore, and the endpoint as it was given."""
        port = free_port()
        info = MODULE.create_rdzv_handler(parameters(f"localhost:{port}", rank=0, timeout=5)).next_rendezvous()
        self.assertIsInstance(info.store, PrefixStore)
        self.assertIs(type(info.store.underlying_store), TCPStore)
        self.assertEqual(info.store.timeout, datetime.timedelta(seconds=5))
        where = info.bootstrap_store_info
        self.assertEqual((where.master_addr, where.master_port), ("localhost", port))

    def test_attributes_and_defaults(self):
        """Arguments become attributes; the timeout is 600 s unless the configuration has one."""
        made = MODULE.create_rdzv_handler(parameters("127.0.0.1:90", rank=0))
        self.assertIsInstance(made, RendezvousHandler)
        kept = (made.master_addr, made.master_port, made.rank, made.world_size, made.run_id, made.timeout, made._store)
        self.assertEqual(kept, ("127.0.0.1", 90, 0, 1, "run", datetime.timedelta(seconds=600), None))
        self.assertEqual((made.get_run_id(), made.use_agent_store), ("run", True))
        self.assertEqual((made.is_closed(), made.num_nodes_waiting(), made.shutdown()), (False, 0, True))

    def test_constructor_takes_the_same_arguments(self):
        """They have the same names, in the same order."""
        names = list(inspect.signature(MODULE.StaticTCPRendezvous.__init__).parameters)
        self.assertEqual(names, ["self", "master_addr", "master_port", "rank", "world_size", "run_id", "timeout"])

    def test_a_timeout_that_is_no_number_is_refused(self):
        """It raises ValueError."""
        with self.assertRaises(ValueError):
            MODULE.create_rdzv_handler(parameters("127.0.0.1:90", rank=0, timeout="abc"))
