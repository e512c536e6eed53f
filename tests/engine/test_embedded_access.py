"""Who may use the API: requests that name this server and carry its token, and no web pages."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from backends import Backend, started

from harness.engine.access import Access
from harness.engine.errors import ApiError
from harness.values.endpoint import Endpoint

SECRET = "a-secret"


def refused(access: Access, headers: Mapping[str, str]) -> int:
    """The status of the refusal; 0 if the request is allowed."""
    try:
        access.check(headers)
    except ApiError as error:
        return error.status
    return 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8474", "127.9.9.9", "localhost", "LOCALHOST:1", "localhost.:1", "[::1]:8474", "", "engine:8474"],
)
def test_hosts_of_this_server_are_allowed(host: str):
    """Any address of loopback, localhost, an allowed name, and none at all (HTTP/1.0)."""
    assert refused(Access(names=frozenset({"engine"})), {"host": host}) == 0


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example", "10.0.0.1", "[::2]", "[", "127.1"],
)
def test_other_hosts_are_refused(host: str):
    """A name that merely begins with one of this server is a foreign name."""
    assert refused(Access(), {"host": host}) == 403


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        ("10.0.0.1", "10.0.0.1:8474", 0),
        ("10.0.0.1", "10.0.0.2:8474", 403),
        ("0.0.0.0", "10.0.0.2:8474", 0),
        ("::", "[fd00::1]:8474", 0),
        ("0.0.0.0", "attacker.example", 403),
        ("engine.example", "Engine.example:8474", 0),
        ("engine.example", "10.0.0.2", 0),
        ("fe80::1%eth0", "[fe80::1%eth0]:8474", 0),
    ],
)
def test_the_host_that_it_listens_on_is_allowed(bound: str, host: str, status: int):
    """On all addresses any address is; a name never is, for it may be rebound."""
    assert refused(Access(bound), {"host": host}) == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://engine:8474", 0), ("http://other", 403), ("null", 403), ("", 403), ("http://127.0.0.1:8474", 403)],
)
def test_pages_are_refused_unless_their_host_is_allowed(origin: str, status: int):
    """And it must be the one that the request names."""
    access = Access(names=frozenset({"engine"}))
    assert refused(access, {"host": "engine:8474", "origin": origin}) == status
    assert refused(access, {"host": "localhost", "origin": origin}) == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"Bearer {SECRET}", 0),
        (f"bearer  {SECRET}", 0),
        (f"Basic {SECRET}", 401),
        (f"Bearer {SECRET}x", 401),
        ("Bearer \xe9", 401),
        ("", 401),
    ],
)
def test_the_token_is_required(sent: str, status: int):
    """As a bearer's."""
    assert refused(Access(token=SECRET), {"host": "localhost", "authorization": sent}) == status


def test_a_page_on_a_rebound_name_changes_nothing(engine: Backend):
    """Whatever user agent it gives; the connection ends with the answer."""
    body = json.dumps({"name": "evil", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"}).encode()
    answer = engine.ask("POST", "/proxies", raw=body, headers={"Host": "attacker.example:8474"})
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert "--allow-host" in answer.error
    assert engine.ask("GET", "/proxies").json == {}


def test_a_name_is_allowed_by_an_option(tmp_path: Path):
    """As the name of a container, through which others reach it."""
    with started("embedded", tmp_path, "--allow-host", "Engine.") as engine:
        assert engine.ask("GET", "/version", headers={"Host": "engine:8474"}).status == 200
        assert engine.ask("GET", "/version", headers={"Host": "other:8474"}).status == 403


@pytest.mark.parametrize("way", ["file", "environment"])
def test_a_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str):
    """So that it is in no list of processes; every path needs it."""
    options: list[str] = []
    if way == "file":
        (tmp_path / "token").write_text(f"{SECRET}\n")
        options = ["--token-file", str(tmp_path / "token")]
    else:
        monkeypatch.setenv("RDZV_TOXIPROXY_TOKEN", SECRET)
    with started("embedded", tmp_path, *options) as engine:
        for path in ("/version", "/proxies", "/x", "/nonsense"):
            answer = engine.ask("GET", path)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert engine.ask("GET", "/version", headers={"Authorization": f"Bearer {SECRET}"}).status == 200
        assert SECRET not in Path(f"/proc/{engine.pid}/cmdline").read_text()
        assert SECRET not in (tmp_path / "embedded.log").read_text()


@pytest.mark.parametrize("content", ["", "two words", "\xe9"])
def test_a_bad_token_is_an_error_of_usage(tmp_path: Path, content: str):
    """An engine without its token would be open to everybody."""
    (tmp_path / "token").write_text(content)
    argv = [sys.executable, "-m", "harness.engine", "--port", "0", "--token-file", str(tmp_path / "token")]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "a token is a word" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("host", "secret", "warns"), [("0.0.0.0", "", True), ("0.0.0.0", SECRET, False), ("", "", False)]
)
def test_an_engine_that_is_open_to_the_network_says_so(host: str, secret: str, warns: bool):
    """On stderr, and in the line that says that it is ready."""
    argv = [sys.executable, "-m", "harness.engine", "--port", "0", "--parent-fd", "0"]
    argv += ["--host", host] if host else []
    env = {**os.environ, "RDZV_TOXIPROXY_TOKEN": secret}
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, input="", env=env)
    ready = json.loads(ended.stdout)
    assert (ready["open_to_network"], ready["token"]) == (warns, bool(secret))
    assert ("open to everybody" in ended.stderr) == warns


def test_a_bad_config_is_an_error_without_a_traceback(tmp_path: Path):
    """It names what is wrong with it."""
    (tmp_path / "config").write_text('[{"name": "a"}]')
    argv = [sys.executable, "-m", "harness.engine", "--port", "0", "--config", str(tmp_path / "config")]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "upstream at proxy 1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_http_1_0_client_needs_no_host(engine: Backend):
    """No browser leaves it out, so it shows that no page asks."""
    connection = http.client.HTTPConnection(engine.api.host, engine.api.port, timeout=20)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    connection.putrequest("GET", "/version", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()


def test_the_command_line_passes_names_and_token_on(tmp_path: Path):
    """`proxy serve` has both options."""
    (tmp_path / "token").write_text(SECRET)
    argv = [sys.executable, "-m", "harness.cli", "proxy", "serve", "--port", "0", "--allow-host", "engine"]
    argv += ["--token-file", str(tmp_path / "token")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        backend = Backend("embedded", Endpoint("127.0.0.1", ready["port"]), process.pid)
        headers = {"Host": "engine", "Authorization": f"Bearer {SECRET}"}
        assert backend.ask("GET", "/version", headers=headers).status == 200
        assert backend.ask("GET", "/version", headers={"Host": "engine"}).status == 401
        process.terminate()
        assert process.wait(20) == 0
