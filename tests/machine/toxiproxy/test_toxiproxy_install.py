"""toxiproxy-server is built only on request, atomically, once, with an error that names what is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.machine.toxiproxy import install as toxiproxy_install
from harness.machine.toxiproxy.server import VERSION, version_of
from harness.values.errors import HarnessError


class FakeGo:
    """Replaces `subprocess.run` by a `go` that builds a script; records the builds."""

    def __init__(self, version: str = "go1.23.4", builds: str = VERSION, fails: str = "") -> None:
        self.version, self.builds, self.fails = version, builds, fails
        self.builds_asked: list[tuple[list[str], dict[str, Any]]] = []

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[1:] == ["env", "GOVERSION"]:
            return subprocess.CompletedProcess(command, 0, self.version + "\n", "")
        self.builds_asked.append((command, options))
        if self.fails:
            return subprocess.CompletedProcess(command, 1, "", self.fails)
        built = Path(options["env"]["GOBIN"]) / "server"
        built.write_text(f"#!/bin/sh\necho toxiproxy-server version {self.builds}\n")
        built.chmod(0o755)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def with_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has a `go`."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.mark.usefixtures("with_go")
def test_it_builds_the_pinned_module_into_the_cache(tmp_path: Path):
    """Static, stamped with its version, and under the expected name; nothing else is left there."""
    go = FakeGo()
    built = toxiproxy_install.install(tmp_path / "new", run=go)
    assert (version_of(built), [path.name for path in built.parent.iterdir()]) == (VERSION, ["toxiproxy-server"])
    ((command, options),) = go.builds_asked
    assert command[-1] == "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
    assert "-X github.com/Shopify/toxiproxy/v2.Version=2.12.0" in command[3]
    assert options["env"]["CGO_ENABLED"] == "0"


@pytest.mark.usefixtures("with_go")
def test_a_second_time_nothing_is_built(tmp_path: Path):
    """The existing one is used."""
    go = FakeGo()
    assert toxiproxy_install.install(tmp_path, run=go) == toxiproxy_install.install(tmp_path, run=go)
    assert len(go.builds_asked) == 1


@pytest.mark.usefixtures("with_go")
def test_another_version_is_replaced(tmp_path: Path):
    """The cache then holds the pinned version."""
    (tmp_path / "toxiproxy-server").write_text("#!/bin/sh\necho toxiproxy-server version 2.5.0\n")
    (tmp_path / "toxiproxy-server").chmod(0o755)
    assert version_of(toxiproxy_install.install(tmp_path, run=FakeGo())) == VERSION


@pytest.mark.usefixtures("with_go")
@pytest.mark.parametrize(
    ("go", "said"),
    [
        (FakeGo(version="go1.19.8"), "needs Go >= 1.23"),
        (FakeGo(fails="no route to host"), "no route to host"),
        (FakeGo(builds="git"), "reports version git"),
    ],
)
def test_a_failure_is_explained_and_nothing_is_left(tmp_path: Path, go: FakeGo, said: str):
    """The error ends with other ways to get a server."""
    with pytest.raises(HarnessError, match=said) as error:
        toxiproxy_install.install(tmp_path, run=go)
    assert "RDZV_TOXIPROXY_SERVER" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_without_go_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Before anything is written."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="no `go` on PATH"):
        toxiproxy_install.install(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.nightly
def test_the_real_module_builds(tmp_path: Path):
    """With the real Go, from the public module."""
    if shutil.which("go") is None:
        pytest.skip("there is no go on PATH")
    assert version_of(toxiproxy_install.install(tmp_path)) == VERSION
