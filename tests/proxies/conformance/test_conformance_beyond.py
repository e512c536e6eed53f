"""What only the engine has: the real server refuses it, and never ignores it silently."""

from __future__ import annotations

import pytest
from backends import Backend, Proxy
from differences import difference


@difference("toxics beyond Toxiproxy's")
@pytest.mark.parametrize("kind", ["x_cut", "x_stall", "x_rst_now", "x_half_close", "x_refuse", "x_backlog"])
def test_a_toxic_beyond_toxiproxys(proxy: Proxy, kind: str):
    """To the real server it is an invalid type."""
    answer = proxy.backend.ask("POST", f"{proxy.path}/toxics", {"type": kind})
    if proxy.backend.is_real:
        assert (answer.status, answer.error) == (400, "invalid toxic type")
    else:
        assert answer.status == 200


@difference("paths beyond Toxiproxy's")
@pytest.mark.parametrize("path", ["/x", "/x/events", "/x/connections"])
def test_a_path_beyond_toxiproxys(backend: Backend, path: str):
    """The real server does not find it."""
    assert backend.ask("GET", path).status == (404 if backend.is_real else 200)
