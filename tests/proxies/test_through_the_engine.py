"""Whole scenarios through the embedded engine: reports name it, the history has its log, and a URL may lead to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.machine.docker.engine import DockerEngine
from harness.machine.toxiproxy import server as proxy_server
from harness.play.options import RunOptions
from harness.values.ops import LINK
from harness.values.verdict import PASSED, SKIPPED

CUT = """\
schema: rdzv-scenario/v1
title: A cut after an exact number of bytes is told
world: {size: 3, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {id: hit, do: get, ranks: 1, key: k, after: cut}
  - {id: other, do: set, ranks: 2, key: k, value: "1", after: cut}
faults:
  - {id: cut, inject: x_cut, ranks: 1, stream: downstream, how: rst, after: join}
expect:
  - {step: hit, is: failed}
  - {step: other, is: ok}
"""
JOIN = """\
schema: rdzv-scenario/v1
title: Everybody joins
world: {size: 2, timeout: 2s}
workload:
  - {do: rendezvous}
expect:
  - {step: rendezvous, is: ok}
"""


def played(text: str, runs_dir: Path, toxiproxy: str = "auto", world: str | None = None) -> Result:
    """Play one cell, with a subject that needs no torch."""
    options = RunOptions(subject="echo", toxiproxy=toxiproxy, runs_dir=runs_dir, jobs=1, world=world)
    with Runner(options) as runner:
        return runner.play(load_text(text, Path("a-claim.rdzv.yaml"))[0])


@pytest.mark.parametrize("world", ["processes", "namespaces"])
def test_a_fault_of_the_engine_is_played_there_and_it_is_named(tmp_path: Path, world: str) -> None:
    """Also where a real server is found; the history says which connection was cut, and by which toxic."""
    result = played(CUT, tmp_path, world=world)
    if result.status == SKIPPED:
        pytest.skip(result.judgement.because)
    assert result.status == PASSED, result.judgement.because
    assert result.history.begin["proxy"].startswith("embedded engine ")
    injection = result.history.injections[0]
    assert (injection.touched, injection.facts["ranks"]) == (True, [1])
    links = {op.value["rank"]: op.value for op in result.history if op.f == LINK}
    assert sorted(links) == [1, 2]
    assert links[1]["acts"] == {"cut-downstream": injection.facts["acts"]}
    assert links[1]["connections"][0]["because"] == "toxic"
    assert links[2]["connections"][0]["because"] in ("client closed", "server closed")


def test_where_the_real_server_is_told_it_is_skipped_with_the_reason(real_server: Path, tmp_path: Path) -> None:
    """The real server would refuse the toxic; nothing is played."""
    result = played(CUT, tmp_path, toxiproxy="real")
    assert (result.status, result.run_dir) == (SKIPPED, None)
    assert "x_cut needs the embedded engine" in result.judgement.because


def test_a_fresh_machine_needs_no_other_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With none on PATH and none in the cache, links go through the engine, and the report says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(proxy_server.VARIABLE, raising=False)
    result = played(JOIN, tmp_path)
    assert result.status == PASSED
    assert "(comes with the harness)" in result.history.begin["proxy"]


@contextmanager
def served() -> Iterator[str]:
    """The URL of an engine that another user started with the command line."""
    command = [sys.executable, "-m", "harness.cli", "proxy", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(engine.stdout.readline())['port']}"
        finally:
            engine.terminate()


def test_a_url_may_lead_to_an_engine(tmp_path: Path) -> None:
    """Then faults of the engine can be played."""
    with served() as url:
        result = played(CUT, tmp_path, toxiproxy=url)
    assert result.status == PASSED, result.judgement.because
    assert result.history.begin["proxy"].endswith(f"(given: {url})")


def test_in_containers_it_has_a_container_of_its_own(docker_engine: DockerEngine, tmp_path: Path) -> None:
    """Our own interpreter, mounted there, runs it; the history has its log as well."""
    result = played(CUT, tmp_path, world="containers")
    assert result.status == PASSED, result.judgement.because
    assert "in a container of its own" in result.history.begin["proxy"]
    assert any(op.f == LINK for op in result.history)
