"""What CI and the images take from elsewhere is named by its digest, so that a tag that moves changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machine.docker import images
from harness.machine.toxiproxy import server

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCKERFILES = sorted((ROOT / "docker").glob("*/Dockerfile"))

ACTION = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OWN = "./"
"""The action of this repository, in the same commit."""
IMAGE = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def loose_actions(workflow: str) -> Iterator[str]:
    """Actions that are not named by a commit, with the version behind it."""
    for used in re.findall(r"uses: *(.*)", workflow):
        if used != OWN and not ACTION.fullmatch(used):
            yield used


def loose_images(dockerfile: str) -> Iterator[str]:
    """Images that are not named by a digest: defaults of arguments that a FROM uses, and the FROM lines themselves."""
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile, re.MULTILINE))
    stages = re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE)
    for base in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE):
        argument = re.fullmatch(r"\$\{(\w+)\}", base)
        image = arguments[argument[1]] if argument else base
        if image != "scratch" and image not in stages and not IMAGE.fullmatch(image):
            yield image


MORE_PERMISSIONS = {
    "docs.yml": ["pages: write", "id-token: write"],
    "release.yml": ["id-token: write", "packages: write", "id-token: write", "attestations: write"],
}
"""What the jobs of a workflow may do that hand something on; such a job runs no code of the project."""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_pin_and_are_given_little(path: Path) -> None:
    """Each action by its commit; a token that may read, and stays out of the checkout."""
    text = path.read_text(encoding="utf-8")
    assert list(loose_actions(text)) == []
    assert "\npermissions:\n  contents: read\n\n" in text
    more = re.findall(r"^    permissions:\n((?:      .*\n)+)", text, re.MULTILINE)
    assert [line.strip() for job in more for line in job.splitlines()] == MORE_PERMISSIONS.get(path.name, [])
    assert text.count("permissions:") == 1 + len(more)
    assert "pull_request_target" not in text
    checkouts = re.findall(r"uses: actions/checkout@.*\n( +)with:\n\1  persist-credentials: false\n", text)
    assert len(checkouts) == text.count("actions/checkout@") > 0


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_who_may_publish_runs_no_code_of_the_project(path: Path) -> None:
    """A job with more permissions has no checkout and installs nothing: it takes what another job has made."""
    jobs = re.split(r"^  (?=[\w-]+:\n)", path.read_text(encoding="utf-8").partition("\njobs:\n")[2], flags=re.MULTILINE)
    publishing = [job for job in jobs if "\n    permissions:\n" in job]
    assert bool(publishing) == (path.name in MORE_PERMISSIONS)
    assert [job for job in publishing if re.search(r"checkout@|pip install|uses: \./", job)] == []
    assert [job for job in publishing if "\n    needs: " not in job] == []


def test_what_is_released_was_built_and_tested_before() -> None:
    """By a tag that is the version; the index takes it from this workflow, without a token, with attestations."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    build, index, image = (text.index(f"\n  {job}:\n") for job in ("build", "index", "image"))
    for step in ("pytest tests/distributions", ".ci/distributions dist", '"v$version" = "$GITHUB_REF_NAME"'):
        assert build < text.index(step) < index
    assert index < text.index("attestations: true") < image < text.index("attest-build-provenance@")
    assert "secrets." not in text


def test_an_action_has_the_same_pin_everywhere() -> None:
    """So that one update changes all."""
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8"))}
    assert len({line.partition("@")[0] for line in used}) == len(used)


@pytest.mark.parametrize("used", ["actions/checkout@v4", "actions/checkout@" + 40 * "a", "a/b@main # v1.2.3"])
def test_an_action_without_a_pin_is_noticed(used: str) -> None:
    """A tag, or a commit of no known version."""
    assert list(loose_actions(f"      - uses: {used}\n")) == [used]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_stand_on_pinned_images(path: Path) -> None:
    """Each by its digest beside its tag."""
    assert list(loose_images(path.read_text(encoding="utf-8"))) == []


def test_an_image_without_a_pin_is_noticed() -> None:
    """In a FROM line, or as the default of an argument; a stage of the same file is none."""
    text = "ARG BASE=python:3.13\nFROM ${BASE} AS built\nFROM debian:13\nFROM built\nFROM scratch\n"
    assert list(loose_images(text)) == ["python:3.13", "debian:13"]


def test_every_file_names_the_same_image() -> None:
    """The one that `rdzv-harness docker build` pulls, and the proxy server of the version that the harness builds."""
    named = {path.parent.name: path.read_text(encoding="utf-8") for path in DOCKERFILES}
    assert f"ARG BASE={images.PUBLIC_BASE}\n" in named["harness"]
    assert f"ARG BASE={images.PUBLIC_BASE}\n" in named["rank"]
    assert f"ARG PROXY=ghcr.io/shopify/toxiproxy:{server.VERSION.removeprefix('v')}@sha256:" in named["harness"]
    pinned = (ROOT / "docker" / "pin").read_text(encoding="utf-8")
    for path in ("docker/harness/Dockerfile", "docker/rank/Dockerfile", "harness/machine/docker/images.py"):
        assert path in pinned
