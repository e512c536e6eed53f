"""Run the checks of one module, and print their results as the last line, in JSON."""

import ctypes
import faulthandler
import fcntl
import importlib
import json
import os
import socket
import struct
import sys
import unittest

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_FLAGS, _UP = 0x8914, 0x1
_LONGEST_SECONDS = 150
"""A module takes 10 to 30 s; one that hangs prints its stacks before its caller gives up."""


def enter_own_network():
    """Make look-ups fail at once: torch's server does one for each connection, and a lost one stalls it (F11)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) and libc.unshare(_NEW_USER | _NEW_NETWORK):
        os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


class Results(unittest.TestResult):
    """Keeps the result of each check."""

    def __init__(self):
        super().__init__()
        self.results = {}

    def addSuccess(self, test):
        self.results[test._testMethodName] = "ok"

    def addError(self, test, err):
        self.results[test._testMethodName] = self._exc_info_to_string(err, test)

    addFailure = addError

    def addSubTest(self, test, _subtest, err):
        if err is not None:
            self.addError(test, err)

    def addSkip(self, test, reason):
        self.results[test._testMethodName] = "ok"


if __name__ == "__main__":
    faulthandler.dump_traceback_later(_LONGEST_SECONDS, exit=True)
    enter_own_network()
    results = Results()
    unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(sys.argv[1])).run(results)
    print()
    print(json.dumps(results.results), flush=True)
