"""A scenario that is played in a moment, for commands that run in a process of their own."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SCENARIO = """\
schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2, timeout: 5s, route: direct}
workload:
  - {do: rendezvous}
expect:
  - {step: rendezvous, is: ok}
"""
