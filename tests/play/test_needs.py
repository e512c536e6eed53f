"""Which proxy server plays a scenario, and what that server lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.loader import load_mapping
from harness.machine.toxiproxy import server as proxy_server
from harness.play.needs import server_for, through_the_same, unmet_by_proxy, unmet_by_world, wants_engine
from harness.scenario.scenario import Scenario

JOIN = {"do": "rendezvous"}
SEEN = {"wire": {"query": "add", "ranks": 1}, "count": 2}
CUT = {"inject": "x_cut", "reply": "add"}
SLOW = {"id": "slow", "inject": "latency", "stream": "upstream", "latency": "1ms"}


def cell(**keys: Any) -> Scenario:
    given = {"world": {"size": 2}, "workload": [JOIN], "expect": [{"step": "rendezvous", "is": "ok"}], **keys}
    return load_mapping({"schema": "rdzv-scenario/v1", "title": "A claim", **given}, "x")[0]


@pytest.fixture(params=[True, False], ids=["found", "not-found"])
def found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Pretend that this machine has a real server, or none."""
    monkeypatch.setattr(proxy_server, "candidates", lambda: [Path("/bin/toxiproxy-server")] * request.param)
    return bool(request.param)


def test_left_to_us_it_is_the_real_server_where_there_is_one(found: bool) -> None:
    """With `auto` the real server is used if there is one; a fresh machine needs none."""
    assert server_for(cell(), "auto") == ("real" if found else "embedded")
    assert [server_for(cell(), choice) for choice in ("embedded", "real", "http://127.0.0.1:1")] == [
        "embedded",
        "real",
        "http://127.0.0.1:1",
    ]


@pytest.mark.parametrize(
    ("keys", "who"),
    [
        ({"faults": [CUT]}, "the fault x_cut"),
        ({"workload": [JOIN, {"do": "num_keys", "after": SEEN}]}, "the moment of query add number 2 on the wire"),
        ({"faults": [{**SLOW, "after": SEEN}]}, "the moment of query add"),
        ({"needs": {"proxy": "embedded"}}, "the scenario"),
    ],
)
def test_what_only_the_engine_can_do_is_played_there(keys: dict[str, Any], who: str, found: bool) -> None:
    """With `auto` always; with `real` it is skipped, and the reason names what needs the engine."""
    scenario = cell(**keys)
    assert who in wants_engine(scenario)
    assert server_for(scenario, "auto") == "embedded"
    assert unmet_by_proxy(scenario, "auto") is None
    need, reason = unmet_by_proxy(scenario, "real") or ("", "")
    assert need == "proxy"
    assert f"{who}" in reason
    assert "give --toxiproxy embedded" in reason
    assert server_for(through_the_same(scenario.steady_state(), scenario), "auto") == "embedded"


def test_what_needs_the_real_server_is_skipped_without(found: bool) -> None:
    """The reason says what to do."""
    scenario = cell(needs={"proxy": "real"})
    assert (unmet_by_proxy(scenario, "auto") is None) == found
    assert "give --toxiproxy real" in (unmet_by_proxy(scenario, "embedded") or ("", ""))[1]


@pytest.mark.parametrize(("file", "seen"), [("{run_dir}/sign", True), ("/tmp/sign", False), ("sign", False)])
def test_of_the_files_in_a_container_only_those_of_the_run_directory_are_seen(file: str, seen: bool) -> None:
    """A cell that waits for another would wait for ever; it is skipped by name, and other worlds can play it."""

    def waits(kind: str) -> Scenario:
        fault = {"inject": "kill", "ranks": 1, "after": {"file": file}}
        (one,) = load_mapping(
            {
                "schema": "rdzv-scenario/v1",
                "title": "A job",
                "job": {"argv": ["x"]},
                "world": {"size": 2, "kind": kind},
                "faults": [fault],
                "expect": [{"step": "exit", "is": "died"}],
            },
            "x",
        )
        return one

    assert unmet_by_world(waits("processes")) is None
    assert unmet_by_world(waits("namespaces")) is None
    _, reason = unmet_by_world(waits("containers")) or ("", "")
    assert (not reason) == seen
    if not seen:
        assert f"the moment of the file '{file}', which is not in {{run_dir}}, needs shared_files" in reason
        assert reason.endswith("give --world namespaces or processes")
