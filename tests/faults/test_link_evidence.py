"""Faults on links, without a server: what they refuse, how they are registered, and what their evidence says."""

from __future__ import annotations

import pytest

from harness.faults.base import FAULTS
from harness.faults.parts.evidence import link_evidence
from harness.proxies.base import RetainedBytes, Traffic

MS = 1_000_000
TOXICS = ("latency", "bandwidth", "slow_close", "blackhole", "reset_peer", "slicer", "limit_data")


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        ("latency", {"latency": 1_500_000, "jitter": 0}, "latency is 1.5 ms"),
        ("latency", {"latency": MS, "jitter": 200}, "jitter is 0.0002 ms"),
        ("bandwidth", {"rate": 1500}, "rate is 1.5 KB/s"),
        ("slow_close", {"delay": 1}, "delay"),
        ("blackhole", {"timeout": 10}, "timeout"),
        ("reset_peer", {"timeout": 10}, "timeout"),
        ("slicer", {"average_size": 4, "size_variation": 0, "delay": 1500}, "delay is 1.5 us"),
        ("slicer", {"average_size": 4, "size_variation": 4, "delay": 0}, "below average_size"),
    ],
)
def test_what_the_server_cannot_take_is_refused_when_the_file_is_read(kind, attributes, said):
    """The server counts in whole units, and a slicer that varies too much would crash it."""
    (problem,) = FAULTS[kind].problems(attributes)
    assert said in problem


def test_every_link_fault_is_registered_under_its_own_kind():
    """Kind, file name and declaration agree."""
    for kind in (*TOXICS, "down", "partition"):
        assert (FAULTS[kind].declaration.kind, FAULTS[kind].layer) == (kind, "link")
        assert FAULTS[kind].__module__ == f"harness.faults.{kind}"
        assert FAULTS[kind].toxic is (kind in TOXICS)


class _Named:
    def __init__(self, rank: int) -> None:
        self.rank, self.name = rank, f"link{rank}"


OURS, OTHERS = frozenset({"link1"}), frozenset({"link1", "link2"})


@pytest.mark.parametrize(
    ("after", "touched"),
    [
        (Traffic(0, upstream_bytes=0, downstream_bytes=0), False),
        (Traffic(1, upstream_bytes=0, downstream_bytes=0), True),
        (Traffic(0, upstream_bytes=9, downstream_bytes=0), False),
        (Traffic(0, upstream_bytes=0, downstream_bytes=9), True),
        (Traffic(0, upstream_bytes=0, downstream_bytes=0, held=(RetainedBytes(9, OURS),)), True),
        (Traffic(0, upstream_bytes=0, downstream_bytes=0, held=(RetainedBytes(9, OTHERS),)), None),
        (Traffic(0, upstream_bytes=0, downstream_bytes=0, held=(RetainedBytes(9, frozenset({"link2"})),)), False),
        (Traffic(0, upstream_bytes=0, downstream_bytes=0, complete=False), None),
        (Traffic(0), None),
        (Traffic(1), True),
    ],
)
def test_evidence_of_a_downstream_fault(after: Traffic, touched: bool | None):
    """True if it met something, False if it surely met nothing, None if that cannot be known."""
    before = Traffic(0, upstream_bytes=0, downstream_bytes=0)
    assert link_evidence(["downstream"], [_Named(1)], [before], [after]).touched is touched
