"""What docker/campaign/compose.yaml names exists, and its containers have no more rights than they need."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from harness.cli.app import app

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker" / "campaign" / "compose.yaml"
RUN: Any = typer.main.get_command(app)
KNOWN = {
    "build", "cap_drop", "command", "depends_on", "deploy", "entrypoint", "environment", "image", "init", "networks",
    "profiles", "read_only", "security_opt", "tmpfs", "user", "volumes",
}  # fmt: skip


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    """The services of the file."""
    found: Mapping[str, Any] = YAML(typ="safe").load(FILE)["services"]
    return found


def test_its_files_options_and_keys_exist(services: Mapping[str, Any]) -> None:
    """The Dockerfile, the profile, the extra of the package, and each option of the driver."""
    assert {key for service in services.values() for key in service} <= KNOWN
    build = services["scheduler"]["build"]
    assert (FILE.parent / build["context"] / build["dockerfile"]).is_file()
    assert build["args"]["INSTALL"] == "/source[dask]"
    assert "dask = [" in (ROOT / "pyproject.toml").read_text()
    words = shlex.split(services["driver"]["command"])
    known = {option for one in RUN.commands["run"].params for option in one.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert services["worker"]["deploy"]["replicas"] == 3


def test_only_workers_may_make_namespaces_and_nobody_has_a_capability(services: Mapping[str, Any]) -> None:
    """And no container reaches another network."""
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert "no-new-privileges:true" in service["security_opt"]
        assert any(option.startswith("seccomp:") for option in service["security_opt"]) is (name == "worker")
    assert YAML(typ="safe").load(FILE)["networks"]["campaign"]["internal"] is True
