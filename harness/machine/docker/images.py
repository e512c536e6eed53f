"""The images of worlds of containers, built from files of the package, by an explicit command only."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.machine.process import cache
from harness.machine.toxiproxy import server as proxy_server
from harness.values.errors import HarnessError, Unsupported

if TYPE_CHECKING:
    from docker import DockerClient

RANK, PROXY, HARNESS, BASE = (f"rdzv-harness/{name}" for name in ("rank", "proxy", "harness", "base"))
"""Names of the images: for ranks, for the proxy server alone, for the harness itself, and the base of the others."""

PUBLIC_BASE = "python:3.13-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6"
"""The base of ranks where an image registry answers; only its C library matters, which must be new enough."""

RECIPE_LABEL, BASE_LABEL, STAGE_LABEL = "rdzv-harness.recipe", "rdzv-harness.base", "rdzv-harness.stage"
"""Labels of the images: a digest of their ingredients, their base image, and the mark of an intermediate stage."""

HOW_TO_BUILD = "run `rdzv-harness docker build`"
FILES = Path(__file__).resolve().parents[2] / "docker_files"
"""The Dockerfiles; in a checkout a link to `docker/`."""

CALL_WITHIN_S = 900
"""A call to Docker returns when the image is built or pulled; with torch that takes some minutes."""

_BASE_WITHIN_S = 1200
_LOADER_NAMED_WITHIN = 8192
_SUITES = ("debian", "ubuntu")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An image of the harness and its state in Docker.

    Attributes:
        state: `up to date`, `outdated` or `missing`.
    """

    name: str
    state: str


def states(client: DockerClient) -> list[Built]:
    """The states of the images that worlds of containers need; builds nothing."""
    return [Built(name, _state(client, name, recipe())) for name, recipe in _RECIPES.items()]


def require(client: DockerClient) -> None:
    """Raise Unsupported (need `engine`) if an image is missing or outdated, with the command that builds it."""
    lacking = [f"{built.name} is {built.state}" for built in states(client) if built.state != "up to date"]
    if lacking:
        raise Unsupported("engine", f"the image {', '.join(lacking)}; {HOW_TO_BUILD}")


def build(client: DockerClient, base: str | None = None, rebuild: bool = False, tell: Say = print) -> str:
    """Build the images of ranks and of the proxy server; returns the base image used.

    Args:
        base: the base image. Default: one that was made or pulled before, else a public image, else one made of
            Debian's packages, which is kept in the cache.
        rebuild: build images that are up to date too.
        tell: gets a line for each step.

    Raises HarnessError or Unsupported with what to do. Several processes may call it at once; they build one at a time.
    """
    with _one_at_a_time():
        chosen = _base(client, base, tell)
        standing_on = {BASE_LABEL: str(client.images.get(chosen).id)}
        for name, needs in ((RANK, standing_on), (PROXY, {})):
            labels = {RECIPE_LABEL: _RECIPES[name](), **needs}
            if not rebuild and _has(client, name, labels):
                tell(f"{name}: up to date")
                continue
            with _context(name) as context:
                build_in(client, name, context, {"BASE": chosen} if needs else {}, labels)
            tell(f"{name}: built" + (f" on {chosen}" if needs else ""))
        remove_superseded(client)
    return chosen


# -- recipes -------------------------------------------------------------------------------------------------------


def digest(*parts: bytes) -> str:
    """A short digest of the parts of something."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def _rank_recipe() -> str:
    return digest((FILES / "rank" / "Dockerfile").read_bytes())


def _proxy_recipe() -> str:
    # The version, not the binary: builds of the same source on two machines may differ in bytes.
    return digest((FILES / "proxy" / "Dockerfile").read_bytes(), proxy_server.VERSION.encode())


def _base_recipe() -> str:
    return digest((FILES / "make-base").read_bytes(), _suite().encode())


_RECIPES = {RANK: _rank_recipe, PROXY: _proxy_recipe}


def _suite() -> str:
    """The release of this machine, so that its interpreters find the C library that they were built for."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "bookworm"
    return release.get("VERSION_CODENAME", "bookworm") if release.get("ID") in _SUITES else "bookworm"


def _state(client: DockerClient, name: str, recipe: str) -> str:
    if not _has(client, name, {}):
        return "missing"
    return "up to date" if _has(client, name, {RECIPE_LABEL: recipe}) else "outdated"


def _has(client: DockerClient, name: str, labels: Mapping[str, str]) -> bool:
    from docker.errors import ImageNotFound

    try:
        return labels.items() <= client.images.get(name).labels.items()
    except ImageNotFound:
        return False


# -- the base ------------------------------------------------------------------------------------------------------


def _base(client: DockerClient, named: str | None, tell: Say) -> str:
    if named is not None:
        if not _has(client, named, {}) and not _pulled(client, named, tell):
            raise HarnessError(f"Docker has no image {named} and cannot pull it; name another with --base")
        return named
    if _has(client, BASE, {RECIPE_LABEL: _base_recipe()}):
        return BASE
    tar = _cache() / f"{_base_recipe()}.tar"
    if not tar.exists():
        if _has(client, PUBLIC_BASE, {}) or _pulled(client, PUBLIC_BASE, tell):
            return PUBLIC_BASE
        _make_base(tar, tell)
    _import(client, tar)
    tell(f"{BASE}: imported from {tar}")
    return BASE


def _pulled(client: DockerClient, name: str, tell: Say) -> bool:
    from docker.errors import APIError

    try:
        client.images.pull(name, tag=None if ":" in name.rpartition("/")[2] else "latest")
    # No registry, no such image, no answer in time: versions report them differently, and all mean the same here.
    except (APIError, OSError) as error:
        tell(f"{name}: cannot be pulled ({str(error).splitlines()[0]})")
        return False
    tell(f"{name}: pulled")
    return True


def _cache() -> Path:
    return cache.folder() / "rdzv-harness" / "base"


def _make_base(tar: Path, tell: Say) -> None:
    if shutil.which("mmdebstrap") is None:
        raise Unsupported(
            "engine",
            f"there is no base image: {PUBLIC_BASE} cannot be pulled, and there is no mmdebstrap to make one; "
            "install it (Debian: apt-get install mmdebstrap), or name an image with --base",
        )
    tell(f"{BASE}: mmdebstrap makes it from packages of {_suite()}, which takes a minute or two")
    with tempfile.TemporaryDirectory(dir=tar.parent, prefix="make-") as folder:
        made = Path(folder) / "base.tar"
        command = ["sh", str(FILES / "make-base"), str(made), _suite()]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_BASE_WITHIN_S, stdin=subprocess.DEVNULL)
        if ran.returncode:
            raise HarnessError(f"{' '.join(command)} failed:\n{ran.stderr.strip()[-1000:]}\nname an image with --base")
        os.replace(made, tar)


def _import(client: DockerClient, tar: Path) -> None:
    changes = ["ENV LANG=C.UTF-8", 'CMD ["python3"]', f"LABEL {RECIPE_LABEL}={_base_recipe()}"]
    answer = client.api.import_image_from_file(str(tar), repository=BASE, tag="latest", changes=changes)
    reports = [json.loads(line) for line in str(answer).splitlines() if line.startswith("{")]
    errors = [report["error"] for report in reports if "error" in report]
    if errors:
        raise HarnessError(f"Docker cannot import {tar}: {errors[0]}; delete the file and try again")


# -- building ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    _cache().mkdir(parents=True, exist_ok=True)
    with open(_cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _context(name: str) -> Iterator[Path]:
    """A folder with the files that the Dockerfile of an image copies."""
    with tempfile.TemporaryDirectory(prefix="rdzv-image-") as folder:
        context = Path(folder)
        shutil.copy(FILES / name.partition("/")[2] / "Dockerfile", context / "Dockerfile")
        if name == PROXY:
            shutil.copy(_static_server(), context / "toxiproxy-server")
        yield context


def _static_server() -> Path:
    """The first toxiproxy-server of this machine that is a static program: the image has no libraries."""
    proxy_server.require_server()
    for server in proxy_server.candidates():
        with open(server, "rb") as stream:
            # A program that needs libraries names its loader near the beginning of the file.
            if b"/ld-" not in stream.read(_LOADER_NAMED_WITHIN):
                return server
    raise HarnessError(
        f"{proxy_server.candidates()[0]} is not a static program, which its image needs; "
        "run `rdzv-harness toxiproxy install`"
    )


def remove_superseded(client: DockerClient) -> None:
    """Remove images of the harness whose name a newer one has taken, and intermediate stages."""
    from docker.errors import APIError

    for label in (RECIPE_LABEL, STAGE_LABEL):
        for image in client.images.list(filters={"dangling": True, "label": label}):
            # An image that a container still uses stays until the next build.
            with contextlib.suppress(APIError):
                client.images.remove(str(image.id))


def build_in(
    client: DockerClient,
    name: str,
    context: Path,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    network: str = "none",
) -> None:
    """Build an image from the Dockerfile in a folder, with the classic builder, the only one that the SDK supports.

    Raises HarnessError with the end of the build's output.
    """
    from docker.errors import APIError, BuildError

    try:
        client.images.build(
            path=str(context),
            tag=name,
            buildargs=dict(arguments),
            labels=dict(labels),
            network_mode=network,
            rm=True,
            forcerm=True,
        )
    except (APIError, BuildError) as error:
        log: list[Any] = list(getattr(error, "build_log", ()))
        output = "".join(str(line.get("stream", "")) for line in log if isinstance(line, dict))[-1500:]
        raise HarnessError(
            f"the image {name} cannot be built: {error}\n{output}\n{HOW_TO_BUILD} --base IMAGE"
        ) from error
