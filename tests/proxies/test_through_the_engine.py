"""Whole scenarios through the embedded engine: reports name it, the history has its log, and a URL may lead to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.archive import WIRE, read_run
from harness.campaign.runner import Runner
from harness.judge.result import Result
from harness.loader import load_text
from harness.machine.docker.engine import DockerEngine
from harness.machine.toxiproxy import server as proxy_server
from harness.play.options import RunOptions
from harness.reports.parts import facts
from harness.values.ops import LINK
from harness.values.verdict import PASSED, SKIPPED
from harness.values.wire import CUT as CUT_OFF
from harness.values.wire import PASSED as PASSED_ON
from harness.values.wire import QUERY, REPLY

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
    check_wire(result)


def check_wire(result: Result) -> None:
    """The directory that is read back has the messages of both links: the cut one by the fault, each reply after its
    query, and as many of each kind as the links have counted."""
    assert result.run_dir is not None
    stored = read_run(result.run_dir).history
    assert stored == result.history
    wire = stored.wire
    assert wire is not None
    assert (wire.dropped, stored.begin["no_wire"]) == (0, "")
    assert [message.number for message in wire.messages] == list(range(1, len(wire.messages) + 1))
    assert {message.rank for message in wire.messages} == {1, 2}
    cut = [message for message in wire.messages if message.fate != PASSED_ON]
    assert {(message.rank, message.fate, message.by) for message in cut} == {(1, CUT_OFF, "cut-downstream")}
    for message in wire.messages:
        if message.side == REPLY:
            assert message.answers is not None
            asked = wire.messages[message.answers - 1]
            assert (asked.side, asked.kind, asked.connection) == (QUERY, message.kind, message.connection)
            assert (asked.sent_ns or 0) <= message.time_ns
    for op in stored:
        if op.f == LINK:
            counted = sum((Counter(one.get("messages", {})) for one in op.value["connections"]), Counter())
            mine = [one for one in wire.messages if one.rank == op.value["rank"]]
            assert Counter(f"{one.side} {one.kind}" for one in mine) == counted


def test_without_a_decoder_there_is_no_wire_and_the_reason_is_given(tmp_path: Path) -> None:
    """No proxy is on a direct route."""
    result = played(JOIN.replace("size: 2", "size: 2, route: direct"), tmp_path)
    assert result.status == PASSED, result.judgement.because
    assert result.history.wire is None
    assert facts.wire(result.history) == "wire not recorded: no proxy is on the way"


def test_the_real_server_decodes_nothing_and_the_history_says_so(real_server: Path, tmp_path: Path) -> None:
    """Its name and version are part of the reason."""
    result = played(JOIN, tmp_path, toxiproxy="real")
    assert result.status == PASSED, result.judgement.because
    assert result.history.wire is None
    assert result.history.begin["no_wire"] == f"{result.history.begin['proxy']} decodes no messages"
    assert result.run_dir is not None
    assert not (result.run_dir / WIRE).exists()


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
    check_wire(result)
    assert result.history.begin["proxy"].endswith(f"(given: {url})")


def test_in_containers_it_has_a_container_of_its_own(docker_engine: DockerEngine, tmp_path: Path) -> None:
    """Our own interpreter, mounted there, runs it; the history has its log as well."""
    result = played(CUT, tmp_path, world="containers")
    assert result.status == PASSED, result.judgement.because
    assert "in a container of its own" in result.history.begin["proxy"]
    check_wire(result)
