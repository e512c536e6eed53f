"""The engine as a child process: it says when it is ready, ends when asked, and says why if it cannot start."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends import Processes

from harness.engine.launch import launch
from harness.machine.toxiproxy import server as proxy_server
from harness.machine.toxiproxy.client import Api
from harness.values.errors import ProxyLost


def test_an_engine_is_launched_and_stopped(tmp_path: Path):
    """Its API answers at once, and it ends with status 0."""
    children = Processes()
    running = launch(children, tmp_path / "engine.log", seed="s")
    api = Api(running.api)
    assert api.version() == "2.12.0"
    assert api.proxies() == {}
    api.close()
    assert children.end(running.pid, proxy_server.END_GRACE_NS) == 0


def test_an_engine_that_cannot_start_says_why(tmp_path: Path):
    """The error has the last lines that the engine wrote."""
    with pytest.raises(ProxyLost, match=r"ended at its start; it said: .*no/such/header"):
        launch(Processes(), tmp_path / "engine.log", store_header=Path("/no/such/header"))
