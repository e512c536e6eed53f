"""The scenario that the tests of the archive store: everybody joins."""

from __future__ import annotations

_HEAD = """\
schema: rdzv-scenario/v1
title: Everybody joins
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
"""
_EXPECT = """\
expect:
  - {step: join, is: ok}
"""
ONE_CELL = _HEAD + _EXPECT
TWO_CELLS = f"""{_HEAD}\
matrix:
  world.timeout: [1s, 5s]
{_EXPECT}"""
