"""Toxics in the API: defaults, names, order, and which error is reported first."""

from __future__ import annotations

from typing import Any

import pytest
from backends import Proxy, is_open, read
from differences import difference

TOXICS = {
    "latency": {"latency", "jitter"},
    "bandwidth": {"rate"},
    "slow_close": {"delay"},
    "timeout": {"timeout"},
    "reset_peer": {"timeout"},
    "limit_data": {"bytes"},
    "noop": set(),
}


def add(proxy: Proxy, **fields: Any) -> Any:
    return proxy.backend.ask("POST", f"{proxy.path}/toxics", fields)


@pytest.mark.parametrize("kind", TOXICS)
def test_a_toxic_without_attributes_has_them_all_at_zero(proxy: Proxy, kind: str):
    """It is named by type and stream, has toxicity 1, and acts downstream."""
    answer = add(proxy, type=kind)
    shown = answer.json
    assert answer.status == 200
    assert shown["attributes"] == dict.fromkeys(TOXICS[kind], 0)
    assert (shown["name"], shown["type"], shown["stream"], shown["toxicity"]) == (
        f"{kind}_downstream",
        kind,
        "downstream",
        1,
    )
    assert proxy.get()["toxics"] == [shown]


@pytest.mark.parametrize("fields", [{}, {"type": "Latency"}, {"type": "nonsense"}, {"type": ""}, {"type": None}])
def test_an_unknown_type_is_refused(proxy: Proxy, fields: dict[str, Any]):
    """The case of its letters matters."""
    answer = add(proxy, **fields)
    assert (answer.status, answer.error) == (400, "invalid toxic type")


@pytest.mark.parametrize("stream", ["", "sideways"])
def test_an_unknown_stream_is_refused(proxy: Proxy, stream: str):
    """An empty stream is not the default."""
    answer = add(proxy, type="noop", stream=stream)
    assert (answer.status, answer.error) == (400, "stream was invalid, can be either upstream or downstream")


def test_a_stream_of_null_is_the_default(proxy: Proxy):
    """The default name of an upstream toxic says upstream."""
    assert add(proxy, type="noop", stream=None, name=None).json["name"] == "noop_downstream"
    assert add(proxy, type="noop", stream="upstream", name="").json["name"] == "noop_upstream"


def test_a_stream_is_read_in_any_case_but_kept_as_typed(proxy: Proxy, pair: Any):
    """It acts in that direction."""
    shown = add(proxy, type="timeout", stream="UPSTREAM").json
    assert (shown["name"], shown["stream"]) == ("timeout_UPSTREAM", "UPSTREAM")
    pair.server.sendall(b"down")
    pair.client.sendall(b"lost")
    assert read(pair.client, 4) == b"down"
    pair.client.close()
    assert pair.server.recv(4) == b""


def test_names_are_unique_over_both_directions(proxy: Proxy):
    """The second toxic of a name gets 409."""
    assert add(proxy, type="noop", name="n", stream="upstream").status == 200
    for fields in ({"stream": "upstream"}, {"stream": "downstream"}, {"type": "latency"}):
        answer = add(proxy, **{"type": "noop", "name": "n", **fields})
        assert (answer.status, answer.error) == (409, "toxic already exists")


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"type": "nonsense", "stream": "sideways"}, 400, "stream was invalid"),
        ({"type": "nonsense", "name": "n"}, 400, "invalid toxic type"),
        ({"type": "latency", "name": "n", "attributes": {"latency": "x"}}, 409, "toxic already exists"),
    ],
)
def test_what_is_wrong_first_is_told(proxy: Proxy, fields: dict[str, Any], status: int, words: str):
    """Checked in this order: stream, type, name, attributes."""
    add(proxy, type="noop", name="n")
    answer = add(proxy, **fields)
    assert answer.status == status
    assert answer.error.startswith(words)


@pytest.mark.parametrize(
    "attributes",
    [
        '{"latency":"x"}',
        '{"latency":1.5}',
        '{"latency":100.0}',
        '{"latency":1e2}',
        '{"latency":9223372036854775808}',
        '{"latency":true}',
        '{"latency":[1]}',
        "[]",
        "5",
        '"x"',
    ],
)
def test_attributes_are_whole_numbers_written_as_such(proxy: Proxy, attributes: str):
    """They have 63 bits and are in an object; nothing else makes a toxic."""
    raw = b'{"type":"latency","attributes":%s}' % attributes.encode()
    answer = proxy.backend.ask("POST", f"{proxy.path}/toxics", raw=raw)
    assert answer.status == 400
    assert answer.error.startswith("bad request body: ")
    assert proxy.get()["toxics"] == []


@pytest.mark.parametrize(
    ("attributes", "latency"),
    [
        (None, 0),
        ({"latency": None}, 0),
        ({"nonsense": "x", "latency": 5}, 5),
        ({"LATENCY": 5}, 5),
        ({"latency": -5}, -5),
        ({"latency": 9223372036854775807}, 9223372036854775807),
    ],
)
def test_attributes_may_be_null_unknown_or_in_any_case(proxy: Proxy, attributes: Any, latency: int):
    """Go's decoder reads them like that."""
    answer = add(proxy, type="latency", attributes=attributes)
    assert (answer.status, answer.json["attributes"]) == (200, {"latency": latency, "jitter": 0})


def test_attributes_beside_the_object_are_ignored(proxy: Proxy):
    """The first version of the API had them there."""
    assert add(proxy, type="latency", latency=100).json["attributes"]["latency"] == 0


def test_toxicity_is_a_number(proxy: Proxy):
    """It comes back as it was given, as near as 32 bits allow."""
    assert abs(add(proxy, type="noop", name="a", toxicity=0.3).json["toxicity"] - 0.3) < 1e-6
    assert add(proxy, type="noop", name="b", toxicity=None).json["toxicity"] == 1
    for raw in (b'"1"', b"true", b"1e400"):
        body = b'{"type":"noop","name":"c","toxicity":%s}' % raw
        assert proxy.backend.ask("POST", f"{proxy.path}/toxics", raw=body).status == 400


def test_toxics_are_listed_upstream_first_in_the_order_they_were_made(proxy: Proxy):
    """The proxy lists them in the same order."""
    for name, stream in (("d1", "downstream"), ("u1", "upstream"), ("d2", "downstream"), ("u2", "upstream")):
        add(proxy, type="noop", name=name, stream=stream)
    listed = [toxic["name"] for toxic in proxy.backend.ask("GET", f"{proxy.path}/toxics").json]
    assert listed == ["u1", "u2", "d1", "d2"]
    assert [toxic["name"] for toxic in proxy.get()["toxics"]] == listed


@pytest.mark.parametrize(
    ("change", "latency", "jitter", "toxicity"),
    [
        ({"attributes": {"latency": 7}}, 7, 2, 0.5),
        ({"toxicity": 1}, 1, 2, 1),
        ({}, 1, 2, 0.5),
        ({"name": "x", "type": "timeout", "stream": "upstream"}, 1, 2, 0.5),
        ({"attributes": None}, 1, 2, 0.5),
        ({"attributes": {"nonsense": 1, "JITTER": 9}}, 1, 9, 0.5),
    ],
)
def test_an_update_merges(proxy: Proxy, change: Any, latency: int, jitter: int, toxicity: float):
    """It changes the fields that it names; name, type and stream are ignored."""
    add(proxy, type="latency", name="l", toxicity=0.5, attributes={"latency": 1, "jitter": 2})
    shown = proxy.backend.ask("POST", f"{proxy.path}/toxics/l", change).json
    assert shown["attributes"] == {"latency": latency, "jitter": jitter}
    assert (shown["name"], shown["type"], shown["stream"]) == ("l", "latency", "downstream")
    assert shown["toxicity"] == pytest.approx(toxicity)
    assert proxy.backend.ask("GET", f"{proxy.path}/toxics/l").json == shown


@difference("half-bad update")
def test_an_update_with_one_bad_attribute_is_refused(proxy: Proxy):
    """Both servers refuse it; the real one still changes the good attributes, the engine changes nothing."""
    add(proxy, type="latency", name="l")
    raw = b'{"attributes":{"latency":5,"jitter":"x"}}'
    assert proxy.backend.ask("POST", f"{proxy.path}/toxics/l", raw=raw).status == 400
    (toxic,) = proxy.get()["toxics"]
    assert toxic["attributes"]["latency"] == (5 if proxy.backend.is_real else 0)


def test_a_missing_toxic_is_404(proxy: Proxy):
    """A missing proxy is reported first, and both before a bad body."""
    for method in ("GET", "POST", "PATCH", "DELETE"):
        for path, words in ((proxy.path, "toxic not found"), ("/proxies/none", "proxy not found")):
            answer = proxy.backend.ask(method, f"{path}/toxics/none", raw=b"{" if method in ("POST", "PATCH") else None)
            assert (answer.status, answer.error) == (404, words)
    assert proxy.backend.ask("GET", "/proxies/none/toxics").status == 404
    assert proxy.backend.ask("POST", "/proxies/none/toxics", raw=b"{").status == 404


def test_a_toxic_is_deleted_once(proxy: Proxy):
    """The answers are 204, then 404."""
    name = proxy.toxic("noop")
    assert [proxy.backend.ask("DELETE", f"{proxy.path}/toxics/{name}").status for _ in range(2)] == [204, 404]
    assert proxy.get()["toxics"] == []


def test_a_toxic_in_the_middle_can_go(proxy: Proxy, pair: Any):
    """The others keep their order, and the connection works."""
    for name in "abc":
        proxy.toxic("noop", name=name)
    proxy.remove("b")
    assert [toxic["name"] for toxic in proxy.get()["toxics"]] == ["a", "c"]
    assert is_open(pair.client, pair.server)


@difference("slicer of size 0")
def test_a_slicer_without_attributes(proxy: Proxy):
    """The real server takes it, and crashes at the first byte; the engine refuses it."""
    answer = add(proxy, type="slicer")
    assert answer.status == (200 if proxy.backend.is_real else 400)
    if answer.status == 400:
        assert "average_size 0 is below 1" in answer.error


@difference("values that end the real server")
@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("slicer", {"average_size": 0, "size_variation": 0}),
        ("slicer", {"average_size": 10, "size_variation": 11}),
        ("slicer", {"average_size": 10, "size_variation": -1}),
        ("bandwidth", {"rate": -1}),
    ],
)
def test_values_that_end_the_real_server(proxy: Proxy, kind: str, attributes: dict[str, int]):
    """The real server takes them (no byte is sent here); the engine refuses them, in an update too."""
    answer = add(proxy, type=kind, attributes=attributes)
    if proxy.backend.is_real:
        assert answer.status == 200
        return
    assert answer.status == 400
    good = {"average_size": 10} if kind == "slicer" else {"rate": 1}
    name = proxy.toxic(kind, **good)
    assert proxy.backend.ask("POST", f"{proxy.path}/toxics/{name}", {"attributes": attributes}).status == 400
    assert is_good(proxy, good)


def is_good(proxy: Proxy, attributes: dict[str, int]) -> bool:
    """Whether the proxy's only toxic still has these attributes."""
    (toxic,) = proxy.get()["toxics"]
    return attributes.items() <= toxic["attributes"].items()
