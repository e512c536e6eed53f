"""Images are built once, by a command that reports its steps; an outdated one is recognized."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, ImageNotFound
from ruamel.yaml import YAML

from harness.cli import main
from harness.machine.docker import images
from harness.pytest_plugin.options import settings_of
from harness.values.errors import HarnessError, Unsupported

if TYPE_CHECKING:
    from docker import DockerClient

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"


class FakeClient:
    """A client of a Docker that has these images with labels; records builds, and refuses pulls."""

    def __init__(self, **there: dict[str, str]) -> None:
        self.there = {name.replace("_", "/"): labels for name, labels in there.items()}
        self.built: list[dict[str, Any]] = []
        self.removed: list[str] = []
        self.images = self

    def get(self, name: str) -> Any:
        if name not in self.there:
            raise ImageNotFound(f"no {name}")
        return SimpleNamespace(id=f"sha256:{name}", labels=self.there[name])

    def pull(self, name: str, tag: str | None) -> None:
        raise APIError("no such host")

    def build(self, **options: Any) -> None:
        names = sorted(path.name for path in Path(options["path"]).iterdir())
        self.built.append({**options, "files": names})
        self.there[options["tag"]] = options["labels"]

    def list(self, filters: dict[str, Any]) -> list[Any]:
        return [SimpleNamespace(id="old")] if filters["label"] == images.RECIPE_LABEL else []

    def remove(self, name: str) -> None:
        self.removed.append(name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A proxy server for the image, and a cache for this test."""
    server = tmp_path / "toxiproxy-server"
    server.write_bytes(b"a static program")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(images.proxy_server, "require_server", lambda: server)
    monkeypatch.setattr(images.proxy_server, "candidates", lambda: [server])
    return server


@pytest.mark.usefixtures("server")
def test_missing_images_are_built_and_reported() -> None:
    """On the named base, without a network; the proxy's has no base. Superseded images are removed."""
    client: Any = FakeClient(mine={})
    lines: list[str] = []
    assert images.build(client, "mine", tell=lines.append) == "mine"
    assert lines == ["rdzv-harness/rank: built on mine", "rdzv-harness/proxy: built"]
    rank, proxy = client.built
    assert (rank["buildargs"], rank["files"], rank["network_mode"]) == ({"BASE": "mine"}, ["Dockerfile"], "none")
    assert (proxy["buildargs"], proxy["files"]) == ({}, ["Dockerfile", "toxiproxy-server"])
    assert client.removed == ["old"]
    images.require(client)


@pytest.mark.usefixtures("server")
def test_an_image_that_is_up_to_date_is_not_built_again() -> None:
    """Unless a rebuild is asked for, or the base has changed."""
    client: Any = FakeClient(mine={}, other={})
    lines: list[str] = []
    images.build(client, "mine", tell=lines.append)
    images.build(client, "mine", tell=lines.append)
    assert len(client.built) == 2
    assert lines[2:] == ["rdzv-harness/rank: up to date", "rdzv-harness/proxy: up to date"]
    images.build(client, "other", tell=lines.append)
    assert [built["tag"] for built in client.built[2:]] == [images.RANK]
    images.build(client, "other", rebuild=True, tell=lines.append)
    assert len(client.built) == 5


@pytest.mark.usefixtures("server")
def test_an_outdated_image_is_reported_with_the_command_that_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer package has another Dockerfile, or another version of the proxy server."""
    client: Any = FakeClient(mine={})
    images.build(client, "mine", tell=lambda line: None)
    monkeypatch.setattr(images.proxy_server, "VERSION", "99")
    assert [image.state for image in images.states(client)] == ["up to date", "outdated"]
    with pytest.raises(Unsupported, match="rdzv-harness/proxy is outdated; run `rdzv-harness docker build`"):
        images.require(client)
    del client.there[images.RANK]
    with pytest.raises(Unsupported, match="rdzv-harness/rank is missing, rdzv-harness/proxy is outdated"):
        images.require(client)


@pytest.mark.usefixtures("server")
def test_without_a_registry_and_without_mmdebstrap_the_error_names_the_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install mmdebstrap, or name an image."""
    monkeypatch.setattr(images.shutil, "which", lambda tool: None)
    client: Any = FakeClient()
    with pytest.raises(Unsupported, match=r"install it .*, or name an image with --base"):
        images.build(client, tell=lambda line: None)
    with pytest.raises(HarnessError, match="no image nosuch and cannot pull it"):
        images.build(client, "nosuch", tell=lambda line: None)


def test_a_server_that_needs_libraries_is_refused(server: Path) -> None:
    """Its image has no libraries."""
    server.write_bytes(b"\x7fELF" + bytes(600) + b"/lib64/ld-linux-x86-64.so.2" + bytes(600))
    client: Any = FakeClient(mine={})
    with pytest.raises(HarnessError, match=r"not a static program.*toxiproxy install"):
        images.build(client, "mine", tell=lambda line: None)


def test_the_package_carries_the_dockerfiles() -> None:
    """The same files as in `docker/`, so that an installed package builds the same images."""
    for name in ("rank/Dockerfile", "proxy/Dockerfile", "harness/Dockerfile", "make-base"):
        assert (images.FILES / name).read_bytes() == (DOCKER / name).read_bytes()


def test_the_proxys_image_runs(docker_client: DockerClient) -> None:
    """It holds nothing but the server."""
    output = docker_client.containers.run(images.PROXY, ["-version"], remove=True, network_mode="none", read_only=True)
    assert output.decode().strip() == f"toxiproxy-server version {images.proxy_server.VERSION}"


def test_the_compose_example_names_existing_files_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    """Its files, its image, and each option of its command line."""
    service = YAML(typ="safe").load(DOCKER / "compose.yaml")["services"]["harness"]
    assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["image"] == images.HARNESS
    (profile,) = (option for option in service["security_opt"] if option.startswith("seccomp:"))
    assert json.loads((DOCKER / profile.removeprefix("seccomp:")).read_text())["defaultAction"] == "SCMP_ACT_ALLOW"
    words = shlex.split(service["command"])
    assert words[0] == "run"
    assert main(["run", "--help"]) == 0
    output = capsys.readouterr().out
    assert all(word in output for word in words if word.startswith("--"))


@pytest.fixture
def harness_image(docker_client: DockerClient, request: pytest.FixtureRequest) -> str:
    """The image's name, if Docker has it; where `harness-image` is required, it must."""
    try:
        docker_client.images.get(images.HARNESS)
    except ImageNotFound:
        reason = f"no image {images.HARNESS}; rdzv-harness docker build --checkout ."
        if "harness-image" in settings_of(request.config).require:
            pytest.fail(reason)
        pytest.skip(reason)
    return images.HARNESS


LATE = ["run", "scenarios", "--subject", "echo", "-k", "a-late-worker-is-waited-for"]


@pytest.mark.parametrize("world", ["processes", "namespaces"])
def test_in_the_harness_image_worlds_are_private(docker_client: DockerClient, harness_image: str, world: str) -> None:
    """As an ordinary user without a capability, on a read-only root, with the seccomp profile beside the Dockerfile."""
    profile = (DOCKER / "harness" / "seccomp.json").read_text()
    said = docker_client.containers.run(
        harness_image,
        [*LATE, "--world", world],
        cap_drop=["ALL"],
        read_only=True,
        # Where AppArmor confines containers it would refuse `mount`.
        security_opt=["no-new-privileges", "apparmor=unconfined", f"seccomp={profile}"],
        tmpfs={"/tmp": "", "/work/.rdzv": "mode=1777"},
        network_mode="none",
        remove=True,
    ).decode()
    assert "isolation private namespaces (as an ordinary user)" in said
    assert "1 passed, 0 known, 0 failed, 0 vacuous, 0 error, 0 skipped" in said


def test_without_the_profile_it_says_that_worlds_share_the_network(
    docker_client: DockerClient, harness_image: str
) -> None:
    """And plays them all the same."""
    said = docker_client.containers.run(harness_image, LATE, network_mode="none", remove=True).decode()
    assert "isolation the host's network and processes (unshare: Operation not permitted" in said
    assert "1 passed, 0 known, 0 failed, 0 vacuous, 0 error, 0 skipped" in said
