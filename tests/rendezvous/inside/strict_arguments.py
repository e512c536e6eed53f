"""Invalid arguments that stock accepts."""

import datetime
import unittest

from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint

from harness.rendezvous.arguments import endpoint_of
from harness.rendezvous.static import StaticTCPRendezvous


def made(**given):
    usual = {"master_addr": "127.0.0.1", "master_port": 90, "rank": 0, "world_size": 2, "run_id": "r", "timeout": 5}
    return StaticTCPRendezvous(**{**usual, **given})


class Arguments(unittest.TestCase):
    def test_text_is_converted_once(self):
        """Torchrun passes numbers as text."""
        self.assertEqual(made(rank="1").rank, 1)
        self.assertEqual(made(timeout="0.5").timeout, datetime.timedelta(milliseconds=500))
        self.assertEqual(made(timeout=0.25).timeout, datetime.timedelta(milliseconds=250))

    def test_invalid_arguments_are_refused(self):
        """Each is a ValueError with the value in its message."""
        wrong = [
            ("rank", [True, 1.0, "1.0", "one", None, 2, -1, "-1"]),
            ("world_size", [0, -1, True, "two", 1.5]),
            ("master_port", [0, -1, 65536, "http", None]),
            ("timeout", [0, -1, "abc", "0", "-1", True, None, float("nan"), float("inf"), 1e300]),
            ("master_addr", ["", None]),
            ("run_id", [None, 5]),
        ]
        for name, values in wrong:
            for value in values:
                with self.subTest(name=name, value=value), self.assertRaises(ValueError) as caught:
                    made(**{name: value})
                self.assertIn(str(value), str(caught.exception))

    def test_an_endpoint_is_read_as_torch_reads_it(self):
        """Host and port where both are given; torch's error where torch raises one, and ours where there is no port."""
        hosts = [
            "localhost",
            "a-b.c_d",
            "127.0.0.1",
            "::1",
            "[::1]",
            "[fe80::1]",
            "[",
            "[]",
            "a b",
            "a/b",
            "",
            "ä.example",
            "%",
        ]
        ports = ["", ":", ":0", ":80", ":65535", ":65536", ":99999", ":100000", ":+80", ":8 0", ":x", ":-1", ":٣"]
        for endpoint in [f"{space}{host}{port}{space}" for host in hosts for port in ports for space in ("", " ")]:
            with self.subTest(endpoint=endpoint):
                try:
                    expected = parse_rendezvous_endpoint(endpoint, -1)
                except ValueError as error:
                    with self.assertRaises(ValueError) as ours:
                        endpoint_of(endpoint)
                    self.assertEqual(str(ours.exception), str(error))
                    continue
                if expected[1] == -1:
                    self.assertRaisesRegex(ValueError, "absent", endpoint_of, endpoint)
                else:
                    self.assertEqual(endpoint_of(endpoint), expected)
