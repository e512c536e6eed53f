"""Any interpreter runs in a container with its own torch, wherever it lies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.machine.docker import images
from harness.machine.docker.mounts import NOBODY, ContainerPython, for_container
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from docker import DockerClient

# Loads the zygote's file as a module, so that its exceptions are visible.
LOAD_ZYGOTE = """
import importlib.util, json, os, sys, types
spec = importlib.util.spec_from_file_location("zygote_file", sys.argv[1])
zygote = importlib.util.module_from_spec(spec)
spec.loader.exec_module(zygote)
package = types.ModuleType("harness")
package.__path__ = [sys.argv[2]]
sys.modules["harness"] = package
"""


def run(client: DockerClient, python: ContainerPython, code: str) -> Any:
    """What code prints as JSON, run as nobody, without capabilities, with only /tmp writable."""
    said = client.containers.run(
        images.RANK,
        [python.executable, "-W", "ignore", "-c", LOAD_ZYGOTE + code, python.zygote, python.harness],
        mounts=python.mounts(),
        environment=dict(python.environment),
        user=NOBODY,
        read_only=True,
        cap_drop=["ALL"],
        tmpfs={"/tmp": ""},
        network_mode="none",
        remove=True,
    )
    return json.loads(bytes(said).decode().splitlines()[-1])


def test_nothing_is_mounted_twice_or_inside_another_mount() -> None:
    """Every source exists, and no target lies below another target."""
    binds = for_container(Path(sys.executable)).binds
    assert all(os.path.exists(bind.source) for bind in binds)
    targets = [bind.target for bind in binds]
    assert not [(one, two) for one in targets for two in targets if one != two and f"{two}/".startswith(f"{one}/")]
    assert len(set(targets)) == len(targets)


def test_only_the_ranks_part_of_the_harness_is_mounted() -> None:
    """Neither the folder that the harness is imported from, nor anything that needs its dependencies."""
    root = Path(__file__).resolve().parents[3]
    sources = {bind.source for bind in for_container(Path(sys.executable)).binds}
    ours = {str(Path(source).relative_to(root)) for source in sources if Path(source).is_relative_to(root / "harness")}
    parts = {"values", "clock.py", "rank", "rendezvous", "machine/launch/zygote.py"}
    assert ours == {f"harness/{part}" for part in parts}
    assert str(root) not in sources


def test_of_the_systems_python_only_its_own_files_are_mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not all of /usr: the container has a C library of its own."""
    layout = {
        "executable": "/usr/bin/python3.11",
        "base": "/usr",
        "stdlib": ["/usr/lib/python3.11"],
        "library": "",
        "path": ["/usr/lib/python311.zip", "/usr/lib/python3.11", "/usr/lib/python3.11/lib-dynload", str(tmp_path)],
    }
    answer = subprocess.CompletedProcess([], 0, json.dumps(layout), "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    python = for_container(Path("/usr/bin/python3"))
    assert [(bind.source, bind.target) for bind in python.binds][:3] == [
        ("/usr/lib/python3.11", "/rdzv/python/lib/python3.11"),
        ("/usr/bin/python3.11", "/rdzv/python/bin/python3.11"),
        (str(tmp_path), "/rdzv/site/0"),
    ]
    assert (python.executable, python.environment["PYTHONPATH"]) == ("/rdzv/python/bin/python3.11", "/rdzv/site/0")


def test_a_path_without_a_python_is_refused(tmp_path: Path) -> None:
    """The error names it and ends with what to do."""
    with pytest.raises(UsageError, match="give --python another"):
        for_container(tmp_path / "python")


def test_what_ranks_need_of_the_standard_library_is_there(docker_client: DockerClient) -> None:
    """`ctypes` and `ssl` need libraries of the image; the harness's part is importable; the user is nobody."""
    code = """
import ctypes, ssl, os
import harness.values.plan, harness.clock, harness.rank.start
print(json.dumps({"user": os.getuid(), "version": sys.version}))
"""
    printed = run(docker_client, for_container(Path(sys.executable)), code)
    assert printed == {"user": 65534, "version": sys.version}


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="this system has no Python of its own")
def test_the_systems_python_runs_in_a_container(docker_client: DockerClient) -> None:
    """From the few files that are its own."""
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    printed = run(
        docker_client, for_container(Path("/usr/bin/python3")), "import ctypes; print(json.dumps(sys.version))"
    )
    assert printed == version


def test_an_environment_under_a_home_that_nobody_may_enter_works(docker_client: DockerClient, tmp_path: Path) -> None:
    """Docker mounts the folder itself; a module of the environment is found."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "venv")], check=True)
    (packages,) = (home / "venv").glob("lib/python*/site-packages")
    (packages / "only_here.py").write_text("WHERE = __file__\n")
    python = for_container(home / "venv" / "bin" / "python")
    printed = run(docker_client, python, "import only_here; print(json.dumps(only_here.WHERE))")
    assert printed == "/rdzv/site/0/only_here.py"


@pytest.mark.needs_torch
def test_its_torch_counts_as_its_own(docker_client: DockerClient, rank_python: str) -> None:
    """The zygote, which refuses a torch from elsewhere, accepts it; a store of it works."""
    code = """
zygote._torch_places.extend(zygote._own_places())
facts = zygote.import_torch()
import torch.distributed
with_store = torch.distributed.TCPStore("127.0.0.1", 0, 1, True)
with_store.set("key", "value")
print(json.dumps({**facts, "value": with_store.get("key").decode()}))
"""
    printed = run(docker_client, for_container(Path(rank_python)), code)
    assert printed["value"] == "value"
    assert printed["torch_file"].startswith("/rdzv/")
