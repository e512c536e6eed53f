"""What the embedded engine refuses for safety, and what it can address: here the two servers differ on purpose."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from backends import Backend, Proxy, nothing
from differences import difference

HERE = "127.0.0.1:0"


@difference("names with a slash")
@pytest.mark.parametrize("name", ["a/b", "a/toxics", "a//b", "/", "a/../b", "%2F"])
def test_a_name_with_a_slash_can_be_addressed(own_server: Backend, name: str):
    """`%2F` is part of a name; the real server decodes it before it looks for the path, and never finds the proxy."""
    made = own_server.ask("POST", "/proxies", {"name": name, "upstream": HERE, "listen": HERE})
    assert (made.status, made.json["name"]) == (201, name)
    path = f"/proxies/{quote(name, safe='')}"
    assert (own_server.ask("GET", path).status == 200) == (not own_server.is_real or name == "%2F")
    if not own_server.is_real:
        assert own_server.ask("POST", f"{path}/toxics", {"name": "x/y", "type": "noop"}).status == 200
        assert own_server.ask("DELETE", f"{path}/toxics/x%2Fy").status == 204
        assert own_server.ask("DELETE", path).status == 204
        assert own_server.ask("GET", "/proxies").json == {}


@pytest.mark.parametrize("name", ["a b", "é", "\0", "a\nb", "?", "#", "%", "a;b", " "])
def test_a_name_with_other_signs_is_addressed_by_its_encoding(backend: Backend, name: str):
    """Both servers decode it."""
    assert backend.ask("POST", "/proxies", {"name": name, "upstream": HERE, "listen": HERE}).status == 201
    assert backend.ask("GET", f"/proxies/{quote(name, safe='')}").json["name"] == name
    assert backend.ask("DELETE", f"/proxies/{quote(name, safe='')}").status == 204


@difference("names of dots")
@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_of_dots_can_be_addressed(own_server: Backend, name: str):
    """Dots move up in a path, percent-encoded ones only on the real server."""
    assert own_server.ask("POST", "/proxies", {"name": name, "upstream": HERE, "listen": HERE}).status == 201
    assert own_server.ask("GET", f"/proxies/{name}").status == 301
    encoded = name.replace(".", "%2E")
    assert own_server.ask("GET", f"/proxies/{encoded}").status == (301 if own_server.is_real else 200)


@difference("very long texts")
def test_a_text_is_bounded(backend: Backend):
    """A name of 1024 characters is accepted by both."""
    for size, status in ((1024, 201), (1025, 201 if backend.is_real else 400)):
        made = backend.ask("POST", "/proxies", {"name": "n" * size, "upstream": HERE, "listen": HERE})
        assert made.status == status, made.body


@difference("large bodies")
def test_a_large_body_is_refused(backend: Backend):
    """A mebibyte is read, two are too many."""
    assert backend.ask("POST", "/populate", raw=b"[]" + bytes((1 << 20) - 2)).status == 201
    answer = backend.ask("POST", "/populate", raw=b"[]" + bytes(2 << 20))
    assert answer.status == (201 if backend.is_real else 413)
    if not backend.is_real:
        assert answer.json["status"] == 413
    assert backend.ask("GET", "/version").status == 200


@difference("names in Host")
def test_a_foreign_host_is_refused(backend: Backend):
    """It is how a page of a rebound name would reach the API."""
    answer = backend.ask("GET", "/version", headers={"Host": "attacker.example"})
    assert answer.status == (200 if backend.is_real else 403)


@difference("web pages")
@pytest.mark.parametrize("header", [("Origin", "http://attacker.example"), ("Sec-Fetch-Site", "cross-site")])
def test_a_page_makes_no_proxy(backend: Backend, header: tuple[str, str]):
    """A page may send a POST of plain text to any server without asking it first."""
    body = json.dumps({"name": "a", "upstream": HERE, "listen": HERE}).encode()
    answer = backend.ask("POST", "/proxies", raw=body, headers=dict([header]))
    assert answer.status == (201 if backend.is_real else 403)
    assert ("a" in backend.ask("GET", "/proxies").json) == backend.is_real


@difference("durations beyond 292 years")
def test_a_duration_that_does_not_fit_lasts(backend: Backend, proxy: Proxy, pair: Any):
    """The real server's nanoseconds overflow: its delay is negative, so nothing waits."""
    proxy.toxic("latency", latency=(1 << 63) - 1)
    pair.server.sendall(b"x")
    assert nothing(pair.client) != backend.is_real
