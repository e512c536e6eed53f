"""Whether the master of a play wanted its port: the evidence of faults that hold it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.loader import load_text
from harness.play.fault_context import PlayFaultContext

FILE = """\
schema: rdzv-scenario/v1
title: A master joins
world: {size: 1, timeout: 1s}
workload:
  - {id: join, do: STEP}
expect:
  - {step: join, is: failed}
"""


@pytest.mark.parametrize("verb", ["rendezvous", "cycle, calls: 3"])
@pytest.mark.parametrize("ended_ns", [None, 5, 50])
def test_a_master_that_joins_in_any_verb_wants_its_port(verb: str, ended_ns: int | None) -> None:
    """A cycle joins too: its rank 0 began before the fault and ended after it, or not yet."""
    (scenario,) = load_text(FILE.replace("STEP", verb), Path("wanted.rdzv.yaml"))
    call = SimpleNamespace(begun_ns=1, ended_ns=ended_ns)
    log: Any = SimpleNamespace(progress=SimpleNamespace(calls={("join", 0, 1): call}))
    ranks: Any = SimpleNamespace(hear=lambda: None)
    none: Any = None
    context = PlayFaultContext(scenario, log, ranks, none, none, 0)
    assert context.master_join_begun_since(10) is (ended_ns != 5)
