"""The package that is released has all that an installed harness needs, and plays outside of a checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from building import HARNESS, ROOT, SDIST, WHEEL, Build, unpacked, wheel_of

from harness import __version__
from harness.loader import builtin
from harness.reference import addresses

ONE = "builtin:timeouts/a-late-worker-is-waited-for"


def contents(wheel: Path) -> dict[str, bytes]:
    """Of each file its bytes; the list of all of them has checksums that depend on the order, and is left out."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_the_wheel_has_every_file_of_the_package(build: Build) -> None:
    """All modules, what they read beside them, and the scenarios, whose source is `scenarios/`."""
    has = contents(build(WHEEL, HARNESS))
    package = ROOT / "harness"
    wanted = {path for path in package.rglob("*") if path.suffix in (".py", ".json", ".css", ".js", ".j2", ".yaml")}
    wanted = {path.relative_to(ROOT) for path in wanted}
    shipped = {builtin.file_of(name).relative_to(builtin.FOLDER) for name in builtin.shipped()}
    wanted |= {Path("harness/builtin_scenarios") / path for path in shipped}
    assert {str(path) for path in wanted} - has.keys() == set()
    assert len(shipped) > 100
    own_job = [path for path in (ROOT / "examples" / "own_job").iterdir() if path.is_file()]
    assert {path.suffix for path in own_job} == {".md", ".py", ".yaml"}
    for path in own_job:
        assert has[f"harness/builtin_examples/own_job/{path.name}"] == path.read_bytes()
    for path in shipped:
        assert has[f"harness/builtin_scenarios/{path}"] == (ROOT / "scenarios" / path).read_bytes()
    assert f"rdzv_harness-{__version__}.dist-info/licenses/LICENSE" in has


def test_the_wheel_has_nothing_else(build: Build) -> None:
    """One package, and what is said about it: no tests, and no folder that another distribution may have."""
    tops = {name.split("/")[0] for name in contents(build(WHEEL, HARNESS))}
    assert tops == {"harness", f"rdzv_harness-{__version__}.dist-info"}


def test_the_sdist_builds_the_same_wheel(build: Build, tmp_path: Path) -> None:
    """Bit by bit, so that who builds from source gets the scenarios too."""
    source = unpacked(build(SDIST, HARNESS), tmp_path / "unpacked")
    again = wheel_of(source, tmp_path / "wheel")
    assert contents(again) == contents(build(WHEEL, HARNESS))


def test_the_index_page_leads_to_the_project(build: Build) -> None:
    """Its addresses are those that messages and files name."""
    has = contents(build(WHEEL, HARNESS))
    about = has[f"rdzv_harness-{__version__}.dist-info/METADATA"].decode()
    urls = dict(re.findall(r"^Project-URL: (\w+), (\S+)$", about, re.MULTILINE))
    assert urls["Repository"] == addresses.REPOSITORY
    assert urls["Documentation"].rstrip("/") == addresses.DOCS
    assert {"Issues", "Changelog"} <= urls.keys()


def test_the_installed_package_plays_what_it_brings(build: Build, tmp_path: Path) -> None:
    """In a folder that is no checkout, its own scenarios are found, checked and copied."""
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(build(WHEEL, HARNESS))], check=True, capture_output=True)
    outside = tmp_path / "outside"
    outside.mkdir()

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "harness.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(target)}
        ran = subprocess.run(command, cwd=outside, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert f"{ONE}: ok, 1 cell\n" in run("validate", "builtin:port_conflicts", ONE)
    assert "builtin:port_conflicts/port-zero-is-refused\n" in run("explain", "F29")
    run("new", "mine", "--from", ONE)
    assert run("validate", ".") == "mine.rdzv.yaml: ok, 1 cell\n"
    run("new", "--example", "own_job", "job")
    assert run("validate", "job").count(": ok, 1 cell\n") == 3
    where = "import harness.loader.builtin as b; print(b.FOLDER)"
    ran = subprocess.run(
        [sys.executable, "-c", where], env={**os.environ, "PYTHONPATH": str(target)}, cwd=outside, capture_output=True
    )
    assert ran.stdout.decode().strip() == str(target / "harness" / "builtin_scenarios")


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_a_fresh_environment_outside_the_clone_plays(build: Build, rank_python: str, tmp_path: Path) -> None:
    """pip installs the wheel with what it needs; the job runs, by its name and as a copy, also through pytest."""
    venv.create(tmp_path / "venv", with_pip=True)
    bin_ = tmp_path / "venv" / "bin"
    pip = [bin_ / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, build(WHEEL, HARNESS)], check=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}

    def run(*words: str) -> str:
        ran = subprocess.run([bin_ / words[0], *words[1:]], cwd=outside, env=clean, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "1 passed, 0 known, 0 failed" in run("rdzv-harness", "run", ONE, "--python", rank_python)
    job = "builtin:latency/a-job-over-a-slow-link-completes"
    assert " 0 failed, 0 vacuous, 0 error, 0 skipped" in run("rdzv-harness", "run", job, "--python", rank_python)
    assert run("rdzv-harness", "validate").count(": ok, ") == len(builtin.shipped())
    run("rdzv-harness", "new", "mine", "--from", ONE)
    assert "1 passed" in run("pytest", "-q", "--rdzv-python", rank_python)
