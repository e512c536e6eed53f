"""The doctor: a line for each check, advice for what is missing, and never a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import doctor
from harness.cli.doctor import Check
from harness.faults.base import FAULTS
from harness.machine.docker import engine, images
from harness.machine.docker.engine import DockerEngine
from harness.machine.network import network_tools
from harness.values.errors import UsageError


def broken() -> Check:
    raise OSError("no /proc here")


EXAMINED = [
    ("torch", lambda: Check("torch", True, "torch 2.15.0")),
    ("go", lambda: Check("go", False, "not on PATH", "install Go >= 1.23")),
    ("docker", broken),
]


def test_every_check_has_a_line_and_what_is_missing_has_advice(capsys: pytest.CaptureFixture[str]) -> None:
    """A check that itself breaks says so, and the rest goes on; exit code 0."""
    assert doctor.report("python", (), EXAMINED) == 0
    assert capsys.readouterr().out == (
        "✓ torch   torch 2.15.0\n"
        "✗ go      not on PATH\n"
        "    install Go >= 1.23\n"
        "✗ docker  could not be found out: no /proc here\n"
    )


@pytest.mark.parametrize(("require", "code"), [(["torch"], 0), (["go"], 3), (["torch", "docker"], 3), (["all"], 3)])
def test_what_is_required_must_be_good(require: list[str], code: int) -> None:
    """For CI jobs that must not silently skip."""
    assert doctor.report("python", require, EXAMINED) == code


def test_a_requirement_that_is_no_check_is_refused() -> None:
    """The error lists the checks."""
    with pytest.raises(UsageError, match="known: all, torch, go, docker"):
        doctor.report("python", ["gpu"], EXAMINED)


def test_every_check_runs_on_this_machine() -> None:
    """Whatever it has: each check comes under its own name, bad ones with something to read."""
    examined = doctor.examinations(sys.executable)
    found = list(doctor.checked(examined))
    assert [check.name for check in found] == [name for name, _ in examined]
    assert all(check.found for check in found)


def test_an_interpreter_without_torch_is_told(tmp_path: Path) -> None:
    """With the command that installs it."""
    missing = doctor.torch(str(tmp_path / "python"))
    assert (missing.good, "cannot be run" in missing.found) == (False, True)


@pytest.mark.parametrize(
    ("said", "good"), [("go1.26.1", True), ("go1.23", True), ("go1.22.9", False), ("", False), ("devel", False)]
)
def test_go_must_be_new_enough(said: str, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.23 is the oldest that builds the pinned server."""
    monkeypatch.setattr(doctor, "_said", lambda command: said)
    assert doctor.go().good is good


@pytest.mark.parametrize(
    ("said", "good", "found"),
    [
        ("127.0.0.1 0.0001\n::ffff:127.0.0.1 0.0002\n", True, "127.0.0.1 in 0.1 ms, ::ffff:127.0.0.1 in 0.2 ms"),
        ("127.0.0.1 0.0001\n::ffff:127.0.0.1 5.0\n", False, "127.0.0.1 in 0.1 ms, ::ffff:127.0.0.1 in 5000.0 ms"),
        ("", False, "the helper failed: "),
    ],
)
def test_slow_look_ups_are_told(said: str, good: bool, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection of torch's store waits for them."""
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said, ""))
    check = doctor.lookups()
    assert (check.good, check.found) == (good, found)


def test_a_resolver_that_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper is ended, and what it had found is kept."""

    def late(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("python", 12, output=b"127.0.0.1 0.0001\n")

    monkeypatch.setattr(doctor.subprocess, "run", late)
    assert doctor.lookups().found == "127.0.0.1 answers, the other not within 12 s"


def test_an_engine_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with what it would be for and how to get one."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    check = doctor.docker()
    assert (check.good, check.found) == (False, "there is no /no/such/socket, which DOCKER_HOST names")
    assert check.advice == "only needed for worlds of containers: correct DOCKER_HOST or unset it"


ENGINE = DockerEngine("unix:///run/docker.sock", "28.2.2", "1.50", "overlay2", 2, False)


@pytest.mark.parametrize(
    ("states", "url", "good", "advice"),
    [
        (("up to date", "up to date"), ENGINE.url, True, ""),
        (("up to date", "missing"), ENGINE.url, False, "run `rdzv-harness docker build`"),
        (("outdated", "up to date"), ENGINE.url, False, "run `rdzv-harness docker build`"),
        (("up to date", "up to date"), "tcp://192.0.2.9:2376", False, "an engine of this machine"),
    ],
)
def test_an_engine_is_told_with_its_images(
    states: tuple[str, str], url: str, good: bool, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions, storage driver, control groups and images; what is missing comes with the command that brings it."""
    images_there = [images.Built(name, state) for name, state in zip((images.RANK, images.PROXY), states, strict=True)]
    monkeypatch.setattr(engine, "find", lambda: replace(ENGINE, url=url))
    monkeypatch.setattr(engine, "connect", nullcontext)
    monkeypatch.setattr(images, "states", lambda client: images_there)
    check = doctor.docker()
    assert check.good is good
    assert check.found.startswith("engine 28.2.2, API 1.50, overlay2, cgroup v2 (")
    assert f"rdzv-harness/rank {states[0]}, rdzv-harness/proxy {states[1]}" in check.found
    assert advice in check.advice


@pytest.mark.parametrize(
    ("check", "program", "package"),
    [(doctor.nft, "nft", "nftables"), (doctor.tc, "tc", "iproute2"), (doctor.iptables, "iptables-restore", "iptables")],
)
def test_a_missing_network_program_is_told_with_its_faults_and_its_package(
    check: Callable[[], Check], program: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faults that the table of docs/network-faults.md has for it; the administrator's folders lack it too."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(network_tools, "_FOLDERS", ())
    missing = check()
    assert not missing.good
    assert f"there is no {program}" in missing.found
    assert missing.advice.endswith(f": apt-get install {package}")
    assert {word for word in re.findall("`([a-z_]+)`", missing.advice) if word in FAULTS} == faults_with(program)


def faults_with(program: str) -> set[str]:
    """Those that need a program, in the table of the page."""
    page = (Path(__file__).parents[2] / "docs" / "network-faults.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    return {re.findall("`(.+?)`", row[1])[0] for row in rows if f"`{program}`" in row[3]}


def test_a_network_program_that_does_not_run_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and says nothing."""
    mute = tmp_path / "nft"
    mute.write_text("#!/bin/sh\nexit 1\n")
    mute.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = doctor.nft()
    assert (found.good, found.found) == (False, f"it does not run ({mute})")


def test_a_network_program_is_told_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the tool prints it."""
    for tool in ("tc", "ip"):
        (tmp_path / tool).write_text("#!/bin/sh\necho tool 1.2\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert doctor.tc() == Check("tc", True, f"tool 1.2 ({tmp_path}/tc)")


def test_the_embedded_engine_is_good() -> None:
    """It comes with the harness and needs nothing, so it starts on any machine on which these tests run."""
    check = doctor.embedded_engine()
    assert check.good, check.found
