"""Proxies in the API: what is made, changed and refused; both servers use the same words."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from backends import Backend, Proxy, Upstream, is_open
from differences import difference

UPSTREAM = "127.0.0.1:9"


def create(backend: Backend, **fields: Any) -> Any:
    return backend.ask("POST", "/proxies", {"listen": "127.0.0.1:0", "upstream": UPSTREAM, **fields})


def taken() -> socket.socket:
    """A port on which another socket listens."""
    return socket.create_server(("127.0.0.1", 0))


def test_no_proxies_are_an_empty_object(backend: Backend):
    """The object's keys are names of proxies."""
    answer = backend.ask("GET", "/proxies")
    assert (answer.status, answer.json) == (200, {})


def test_a_proxy_is_created_on_a_free_port(backend: Backend):
    """The answer is 201 with the address it got, enabled and without toxics."""
    answer = create(backend, name="a")
    shown = answer.json
    assert answer.status == 201
    assert shown["listen"].startswith("127.0.0.1:")
    assert not shown["listen"].endswith(":0")
    assert {key: shown[key] for key in ("name", "upstream", "enabled", "toxics")} == {
        "name": "a",
        "upstream": UPSTREAM,
        "enabled": True,
        "toxics": [],
    }
    assert list(backend.ask("GET", "/proxies").json) == ["a"]


def test_an_empty_body_is_refused(backend: Backend):
    """The error is the decoder's end of file."""
    answer = backend.ask("POST", "/proxies", raw=b"")
    assert (answer.status, answer.error) == (400, "bad request body: EOF")


@pytest.mark.parametrize(("fields", "missing"), [({}, "name"), ({"name": "a"}, "upstream")])
def test_a_missing_field_is_named(backend: Backend, fields: dict[str, str], missing: str):
    """The name is checked before the upstream."""
    answer = backend.ask("POST", "/proxies", fields)
    assert (answer.status, answer.error) == (400, f"missing required field: {missing}")


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"5",
        b'"text"',
        b"{",
        b"nonsense",
        b'{"name":5,"upstream":"127.0.0.1:9"}',
        b'{"name":"a","upstream":"127.0.0.1:9","enabled":"yes"}',
        b'{"name":"a","upstream":"127.0.0.1:9","enabled":1}',
        b'{"name":"a","upstream":["127.0.0.1:9"]}',
        b'{"name":"a","upstream":NaN}',
        b"{'name':'a'}",
    ],
)
def test_what_is_no_proxy_is_refused(backend: Backend, raw: bytes):
    """Malformed JSON and wrong types are both refused."""
    answer = backend.ask("POST", "/proxies", raw=raw)
    assert answer.status == 400
    assert answer.error.startswith("bad request body: ")
    assert backend.ask("GET", "/proxies").json == {}


def test_null_is_the_default(backend: Backend):
    """`enabled: null` means true."""
    assert create(backend, name="a", enabled=None).json["enabled"] is True


def test_keys_are_read_in_any_case_and_unknown_ones_ignored(backend: Backend):
    """A list of toxics is ignored too, and makes none."""
    answer = backend.ask(
        "POST", "/proxies", {"NAME": "a", "Upstream": UPSTREAM, "listen": "127.0.0.1:0", "toxics": [1]}
    )
    assert answer.status == 201
    assert answer.json["toxics"] == []


def test_only_the_first_value_of_a_body_is_read(backend: Backend):
    """The content type and whatever follows the value do not matter."""
    raw = b' {"name":"a","upstream":"127.0.0.1:9","listen":"127.0.0.1:0"} junk'
    assert backend.ask("POST", "/proxies", raw=raw, headers={"Content-Type": "text/plain"}).status == 201


def test_a_name_can_be_taken_once(backend: Backend):
    """A missing upstream is reported before a taken name."""
    assert create(backend, name="a").status == 201
    again = create(backend, name="a")
    assert (again.status, again.error) == (409, "proxy already exists")
    assert create(backend, name="a", upstream="").status == 400


def test_a_taken_port_is_an_error_and_leaves_no_proxy(backend: Backend):
    """The answer is 500, with the system's error message."""
    with taken() as other:
        port = other.getsockname()[1]
        answer = create(backend, name="a", listen=f"127.0.0.1:{port}")
    assert (answer.status, answer.error) == (500, f"listen tcp 127.0.0.1:{port}: bind: address already in use")
    assert backend.ask("GET", "/proxies/a").status == 404


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("nonsense", "missing port in address"),
        ("192.0.2.1:0", "cannot assign requested address"),
        ("127.0.0.1:noservice", "unknown port"),
        ("127.0.0.1:66000", "invalid port"),
        ("1:2:3", "too many colons in address"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_an_error(backend: Backend, listen: str, words: str):
    """The answer is 500, and says what is wrong with the address."""
    answer = create(backend, name="a", listen=listen)
    assert answer.status == 500
    assert words in answer.error


def test_a_disabled_proxy_keeps_its_listen_as_typed_until_it_is_enabled(backend: Backend):
    """Then it gets a port."""
    assert create(backend, name="a", listen="localhost:0", enabled=False).json["listen"] == "localhost:0"
    shown = backend.ask("POST", "/proxies/a", {"enabled": True}).json
    assert shown["enabled"] is True
    assert shown["listen"].startswith("127.0.0.1:")


def test_a_host_name_becomes_a_numeric_address(backend: Backend):
    """IPv4 is tried before IPv6."""
    assert create(backend, name="a", listen="localhost:0").json["listen"].startswith("127.0.0.1:")


def test_a_service_name_is_a_port(backend: Backend):
    """The system's list has it; a disabled proxy shows it as typed, an update resolves it."""
    create(backend, name="a", listen="127.0.0.1:0", enabled=False)
    answer = backend.ask("POST", "/proxies/a", {"listen": "127.0.0.1:http", "enabled": False})
    assert (answer.status, answer.json["listen"]) == (200, "127.0.0.1:http")


def test_ipv6_is_shown_in_brackets(backend: Backend):
    """Clients can connect to it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    listen = create(backend, name="a", listen="[::1]:0").json["listen"]
    assert listen.startswith("[::1]:")
    socket.create_connection(("::1", int(listen.rpartition(":")[2]))).close()


@pytest.mark.parametrize("upstream", ["nonsense", "no.such.host.invalid:1", ":1", "127.0.0.1:99999"])
def test_an_upstream_is_never_checked(backend: Backend, upstream: str):
    """Only a connection shows whether it answers."""
    assert create(backend, name="a", upstream=upstream).status == 201


def test_a_missing_proxy_is_404(backend: Backend):
    """For every method; deleting twice gives 404 too."""
    for method in ("GET", "DELETE"):
        answer = backend.ask(method, "/proxies/a")
        assert (answer.status, answer.error) == (404, "proxy not found")
    create(backend, name="a")
    assert [backend.ask("DELETE", "/proxies/a").status for _ in range(2)] == [204, 404]


@pytest.mark.parametrize(("name", "path"), [("a b", "a%20b"), ("é", "%C3%A9"), ("a+b", "a+b"), ("a.b-c_d", "a.b-c_d")])
def test_a_name_is_addressed_percent_encoded(backend: Backend, name: str, path: str):
    """Also a name with blanks or letters beyond ASCII."""
    create(backend, name=name)
    assert backend.ask("GET", f"/proxies/{path}").json["name"] == name
    assert backend.ask("DELETE", f"/proxies/{path}").status == 204


def test_an_error_is_an_object_of_error_and_status(backend: Backend):
    """It comes as text/plain, while success comes as JSON."""
    refused, fine = backend.ask("GET", "/proxies/a"), backend.ask("GET", "/proxies")
    assert refused.json == {"error": "proxy not found", "status": 404}
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    assert refused.body.endswith(b"\n")
    assert fine.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS"])
def test_another_method_is_405_with_no_body(backend: Backend, method: str):
    """HEAD is not derived from GET."""
    answer = backend.ask(method, "/proxies")
    assert (answer.status, answer.body) == (405, b"")


@pytest.mark.parametrize("path", ["/", "/toxics", "/proxies/", "/version/", "/nonsense", "/proxies/a/b", "/metrics/x"])
def test_an_unknown_path_is_404_in_plain_text(backend: Backend, path: str):
    """So is a known path with a trailing slash."""
    answer = backend.ask("GET", path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_a_doubled_slash_is_redirected(backend: Backend):
    """The redirect leads to the path without it."""
    answer = backend.ask("GET", "//proxies")
    assert (answer.status, answer.headers["location"]) == (301, "/proxies")


@pytest.mark.parametrize(
    ("agent", "path", "status"),
    [
        ("Mozilla/5.0", "/proxies", 403),
        ("mozilla/5.0", "/proxies", 200),
        ("", "/proxies", 200),
        ("Mozilla/5.0", "/nonsense", 404),
    ],
)
def test_browsers_are_kept_out(backend: Backend, agent: str, path: str, status: int):
    """The first word of the user agent decides, on known paths only."""
    assert backend.ask("GET", path, agent=agent).status == status


def test_matched_requests_have_an_id(backend: Backend):
    """Requests to unknown paths have none."""
    assert backend.ask("GET", "/version").headers["x-toxiproxy-request-id"]
    assert "x-toxiproxy-request-id" not in backend.ask("GET", "/nonsense").headers


def test_the_version_is_told(backend: Backend):
    """The answer is an object with one field."""
    assert isinstance(backend.ask("GET", "/version").json["version"], str)


# -- updates -----------------------------------------------------------------------------------------------------------


def test_an_update_of_nothing_changes_nothing(backend: Backend, proxy: Proxy, pair: Any):
    """Connections stay; a name is ignored, an empty body refused."""
    before = proxy.get()
    assert proxy.update().json == before
    assert proxy.update(name="other").json == before
    assert backend.ask("POST", proxy.path, raw=b"").status == 400
    assert is_open(pair.client, pair.server)


def test_a_missing_proxy_is_seen_before_a_bad_body(backend: Backend):
    """The answer is 404, not 400."""
    assert backend.ask("POST", "/proxies/a", raw=b"{").status == 404


def test_enabling_and_disabling_twice_is_fine_and_keeps_the_port(proxy: Proxy):
    """The same port comes back ten times."""
    listen = proxy.listen
    for _ in range(10):
        for enabled in (False, False, True, True):
            answer = proxy.update(enabled=enabled)
            assert (answer.status, answer.json["enabled"], answer.json["listen"]) == (200, enabled, listen)


def test_a_disabled_proxy_stays_disabled_when_its_upstream_changes(proxy: Proxy):
    """An update changes only the fields that it names."""
    proxy.update(enabled=False)
    assert proxy.update(upstream="127.0.0.1:1").json["enabled"] is False
    assert proxy.get()["upstream"] == "127.0.0.1:1"


def test_port_0_is_always_another_port(proxy: Proxy, pair: Any):
    """So an update to it moves the proxy and cuts connections."""
    before = proxy.listen
    assert proxy.update(listen="127.0.0.1:0").status == 200
    assert proxy.listen != before
    assert pair.client.recv(1) == b""


def test_a_listen_that_cannot_be_read_changes_nothing(proxy: Proxy, pair: Any):
    """The answer is 500, and connections stay."""
    before = proxy.get()
    assert proxy.update(listen="nonsense").status == 500
    assert proxy.get() == before
    assert is_open(pair.client, pair.server)


def test_a_listen_that_is_taken_leaves_the_proxy_disabled(proxy: Proxy):
    """It shows the address that it could not get."""
    with taken() as other:
        wanted = f"127.0.0.1:{other.getsockname()[1]}"
        assert proxy.update(listen=wanted).status == 500
        assert (proxy.get()["enabled"], proxy.get()["listen"]) == (False, wanted)
    assert proxy.update(enabled=True).status == 200


def test_the_same_address_by_name_is_no_change(proxy: Proxy, pair: Any):
    """`localhost` and its numeric address count as one."""
    assert proxy.update(listen=f"localhost:{proxy.address[1]}").status == 200
    assert is_open(pair.client, pair.server)


def test_post_and_patch_are_the_same(backend: Backend, proxy: Proxy):
    """This holds for proxies and for toxics."""
    name = proxy.toxic("latency", latency=1)
    for path, body in ((proxy.path, {"enabled": True}), (f"{proxy.path}/toxics/{name}", {"attributes": {"jitter": 2}})):
        post, patch = backend.ask("POST", path, body), backend.ask("PATCH", path, body)
        assert (post.status, post.json) == (patch.status, patch.json)


@difference("empty listen")
def test_a_proxy_that_does_not_say_where_it_listens(backend: Backend, upstream: Upstream):
    """The real server listens on all interfaces, the engine on loopback only."""
    (listen,) = {
        backend.ask("POST", "/proxies", {"name": "a", "upstream": str(upstream)}).json["listen"].rpartition(":")[0]
    }
    assert listen == ("[::]" if backend.is_real else "127.0.0.1")
