"""The engine as a child process: it says when it is ready, ends when asked, and says why if it cannot start."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from backends import Processes

from harness.engine.launch import launch
from harness.machine.toxiproxy import server as proxy_server
from harness.machine.toxiproxy.client import Api
from harness.machine.toxiproxy.engine_client import EngineApi
from harness.values.errors import HarnessError, ProxyLost


def test_an_engine_is_launched_and_stopped(tmp_path: Path):
    """Its API answers at once, and it ends with status 0."""
    children = Processes()
    running = launch(children, tmp_path / "engine.log", seed="s")
    api = Api(running.api, running.token)
    assert api.version() == "2.12.0"
    assert api.proxies() == {}
    api.close()
    assert children.end(running.pid, proxy_server.END_GRACE_NS) == 0


def test_an_engine_that_cannot_start_says_why(tmp_path: Path):
    """The error has the last lines that the engine wrote."""
    with pytest.raises(ProxyLost, match=r"ended at its start; it said: .*no/such/header"):
        launch(Processes(), tmp_path / "engine.log", store_header=Path("/no/such/header"))


def test_nobody_else_may_use_an_engine_of_the_harness(tmp_path: Path):
    """It has a token that only its owner knows."""
    children = Processes()
    running = launch(children, tmp_path / "engine.log")
    try:
        with contextlib.closing(Api(running.api)) as other, pytest.raises(HarnessError, match="answered 401"):
            other.proxies()
        with contextlib.closing(EngineApi(running.api)) as other, pytest.raises(HarnessError, match="needs its token"):
            other.about()
        assert running.token not in (tmp_path / "engine.log").read_text()
        assert running.token not in repr(running)
    finally:
        children.end(running.pid, proxy_server.END_GRACE_NS)
