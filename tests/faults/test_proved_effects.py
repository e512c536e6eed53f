"""What a fault on a link says of its effect where it depends on ends, on chance, or on another fault."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxied_links import Wire, held, how_it_ends, member, receive, wired

pytestmark = pytest.mark.needs_toxiproxy

MS = 1_000_000


@pytest.fixture(params=["real", "embedded"])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    """A link of rank 1 to a master."""
    with wired(tmp_path, 1, embedded=request.param == "embedded") as made:
        yield made


def test_an_end_is_what_slow_close_acts_on_also_after_bytes_before_it(wire: Wire):
    """The connection carries nothing while the fault is held, and ends: the end was delayed."""
    client, master = wire.connect(1)
    with held(wire, member("slow_close", 1, stream="upstream", delay=50 * MS)) as evidence:
        client.close()
        assert how_it_ends(master) == "FIN"
    assert evidence[0].touched is True
    assert (evidence[0].facts["bytes"], evidence[0].facts["ended"]) == (0, 1)


@pytest.mark.parametrize(("toxicity", "touched"), [(0.0, False), (0.5, None)])
def test_a_server_that_draws_and_does_not_say_whom_proves_nothing(wire: Wire, toxicity: float, touched: bool | None):
    """The embedded engine says whom it hit; of the real server only what never happens is known."""
    client, master = wire.connect(1)
    with held(wire, member("latency", 1, stream="upstream", latency=10 * MS, toxicity=toxicity)) as evidence:
        client.sendall(b"ping")
        assert receive(master, 4) == b"ping"
    effect = evidence[0].facts.get("effect")
    assert evidence[0].touched is (touched if effect is None else effect.get("longest_ns", 0) >= 10 * MS)


def test_two_faults_of_a_kind_are_each_proved_at_the_same_time(wire: Wire):
    """Neither probe ends the other's, and each sees its own delay."""
    client, master = wire.connect(1)
    first = member("latency", 1, stream="upstream", latency=100 * MS)
    second = member("latency", 1, stream="upstream", latency=100 * MS)
    second.fault = dataclasses.replace(second.fault, name="second")
    with held(wire, first) as one, held(wire, second) as two:
        client.sendall(b"ping")
        assert receive(master, 4) == b"ping"
    assert (one[0].touched, two[0].touched) == (True, True)
