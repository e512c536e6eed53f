"""A wall clock that was moved, in an interpreter of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, time, types
other = types.ModuleType("other")
exec("from time import time, monotonic", other.__dict__)
sys.modules["other"] = other
from harness import clock
from harness.rank import wall_clock
before = (time.time(), time.time_ns() / 1e9, time.clock_gettime(time.CLOCK_REALTIME),
          time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9, other.time())
steady = time.monotonic(), other.monotonic(), clock.now_ns() / 1e9, time.clock_gettime(time.CLOCK_MONOTONIC)
for by_ns in map(int, sys.argv[1:]):
    modules = wall_clock.move(by_ns)
assert {"time", "other"} <= set(modules), modules
after = (time.time(), time.time_ns() / 1e9, time.clock_gettime(time.CLOCK_REALTIME),
         time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9, other.time())
print(*(round((b - a) / 60) for a, b in zip(before, after)))
again = time.monotonic(), other.monotonic(), clock.now_ns() / 1e9, time.clock_gettime(time.CLOCK_MONOTONIC)
print(*(round((b - a) / 60) for a, b in zip(steady, again)))
"""
HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize(
    ("moves", "minutes"), [((HOUR_NS,), 60), ((-HOUR_NS,), -60), ((HOUR_NS, HOUR_NS), 120), ((HOUR_NS, -HOUR_NS), 0)]
)
def test_only_the_wall_clock_moves(moves, minutes):
    """Every function that reads it sees it, also one that was imported by name; the steady clock goes on."""
    argv = [sys.executable, "-c", PROGRAM, *map(str, moves)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [" ".join([str(minutes)] * 5), "0 0 0 0"]
