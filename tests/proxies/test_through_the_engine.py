"""Whole scenarios through the embedded engine: reports name it, the history has its log, and a URL may lead to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from served_engines import served

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
    check_undecoded(result)


def check_undecoded(result: Result) -> None:
    """The subject of these tests does not speak the store's protocol, and the stored wire says so."""
    assert result.run_dir is not None
    stored = read_run(result.run_dir).history
    assert stored == result.history
    assert stored.begin["no_wire"] == ""
    assert stored.wire is not None
    assert (stored.wire.messages, stored.wire.dropped, stored.wire.is_complete) == ((), 0, False)
    made = sum(len(op.value["connections"]) for op in stored if op.f == LINK)
    assert 0 < stored.wire.undecoded <= made


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


def test_a_url_may_lead_to_an_engine(tmp_path: Path) -> None:
    """Then faults of the engine can be played."""
    with served() as url:
        result = played(CUT, tmp_path, toxiproxy=url)
    assert result.status == PASSED, result.judgement.because
    check_undecoded(result)
    assert result.history.begin["proxy"].endswith(f"(given: {url})")


def test_in_containers_it_has_a_container_of_its_own(docker_engine: DockerEngine, tmp_path: Path) -> None:
    """Our own interpreter, mounted there, runs it; the history has its log as well."""
    result = played(CUT, tmp_path, world="containers")
    assert result.status == PASSED, result.judgement.because
    assert "in a container of its own" in result.history.begin["proxy"]
    check_undecoded(result)
