"""Faults on links say that they touched nothing where the proxy server takes their toxics and they do nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxied_links import Wire, held, how_it_ends, member, receive, wired

from harness.machine.toxiproxy.client import Api

pytestmark = pytest.mark.needs_toxiproxy

NEUTRAL_BUILD = Path(__file__).parents[1] / "breaking" / "neutral_build"
MS = 1_000_000
FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"stream": "upstream", "latency": 100 * MS},
    "bandwidth": {"stream": "upstream", "rate": 1000},
    "slow_close": {"stream": "upstream", "delay": 100 * MS},
    "blackhole": {"stream": "upstream"},
    "reset_peer": {"stream": "upstream"},
    "slicer": {"stream": "upstream", "average_size": 1},
    "limit_data": {"stream": "upstream", "bytes": 2},
    "partition": {},
    "down": {},
}
ENGINE_ONLY: dict[str, dict[str, Any]] = {
    "x_stall": {"stream": "both"},
    "x_rst_now": {},
    "x_cut": {"bytes": 2, "stream": "upstream"},
    "x_half_close": {},
    "x_refuse": {"mode": "rst"},
    "x_accept_never_read": {},
}


def _without_toxicity(add: Any) -> Any:
    return lambda api, proxy, name, kind, stream, toxicity, given: add(api, proxy, name, kind, stream, 0.0, given)


@pytest.fixture(scope="module", params=["real", "embedded"])
def wire(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A link of rank 1, through a server whose toxics do nothing."""
    embedded = request.param == "embedded"
    with pytest.MonkeyPatch.context() as neutral:
        if embedded:
            neutral.setenv("PYTHONPATH", os.pathsep.join([str(NEUTRAL_BUILD), os.environ.get("PYTHONPATH", "")]))
        else:
            neutral.setattr(Api, "add_toxic", _without_toxicity(Api.add_toxic))
        neutral.setattr(Api, "switch", lambda api, proxy, enabled: None)
        with wired(tmp_path_factory.mktemp("wire"), 1, embedded=embedded) as made:
            yield made


@pytest.mark.parametrize("kind", [*FAULTS, *ENGINE_ONLY])
def test_a_neutralised_fault_is_not_touched(wire: Wire, kind: str) -> None:
    """Bytes pass in both directions, connections are made and end, and all of it is no evidence."""
    if kind in ENGINE_ONLY and not wire.embedded:
        pytest.skip("the real server has no such toxic")
    old = wire.connect(1)
    with held(wire, member(kind, 1, **{**FAULTS, **ENGINE_ONLY}[kind])) as evidence:
        for client, master in (old, wire.connect(1)):
            client.sendall(b"ping")
            assert receive(master, 4) == b"ping"
            master.sendall(b"pong")
            assert receive(client, 4) == b"pong"
        old[0].close()
        assert how_it_ends(old[1]) == "FIN"
    assert evidence[0].touched is False
