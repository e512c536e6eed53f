"""The impossible is refused before a world starts: unknown needs, and subjects that torch does not have."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli import running
from harness.machine.docker import engine
from harness.machine.network import network_tools
from harness.play import needs as core_needs
from harness.play.options import RunOptions
from harness.scenario import needs
from harness.values.errors import UsageError

HARNESS = Path(needs.__file__).parents[1]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("Engine", "did you mean 'engine'"),
        ("harness_image", "did you mean 'harness-image'"),
        ("toxiproxi", "did you mean 'toxiproxy'"),
        ("nftable", "did you mean 'nftables'"),
        ("gpu", "known: torch, world, proxy, engine"),
    ],
)
def test_a_need_that_there_is_not_is_refused(word: str, message: str) -> None:
    """A typing mistake must not let a CI job skip what it was to require."""
    with pytest.raises(UsageError, match=f"^--require {word}: .*{message}"):
        running.check_machine(RunOptions(subject="echo", require=frozenset({"torch", word})))


def test_every_need_can_be_required() -> None:
    """Those of the table, however they are written."""
    assert needs.required([" torch", "engine ", "", "linearizable"], "here") == {"torch", "engine", "linearizable"}
    running.check_machine(RunOptions(subject="echo", require=frozenset(needs.NEEDS)))


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("docker", {"engine"}),
        ("netns", {"world"}),
        ("namespaces", {"world"}),
        ("toxiproxy-server", {"proxy"}),
        ("nftables", {"nft"}),
        ("iproute2", {"tc", "ip"}),
        ("torchrun", {"world.torchrun"}),
    ],
)
def test_a_need_has_the_names_of_its_program_its_package_and_its_check(word: str, names: set[str]) -> None:
    """A reader of the documentation or `doctor` writes these."""
    assert needs.required([word], "--require") == names


def test_every_name_that_the_pages_require_is_one() -> None:
    """What a reader copies is accepted; a word in capitals stands for any."""
    root = HARNESS.parent
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    words = [word for page in pages for word in re.findall(r"--(?:rdzv-)?require ([a-z][\w.-]*)", page.read_text())]
    assert {"torch", "world", "nft", "docker"} <= set(words)
    assert needs.required(words, "--require")


def test_every_other_name_leads_to_needs() -> None:
    """And is none itself; the packages of all programs are there, and so are the checks of `doctor` for them."""
    assert {need for names in needs.SYNONYMS.values() for need in names} <= needs.NEEDS.keys()
    assert not needs.SYNONYMS.keys() & needs.NEEDS.keys()
    assert set(network_tools.PACKAGES.values()) <= needs.SYNONYMS.keys()


def test_the_table_has_every_need_by_which_a_cell_is_skipped() -> None:
    """Whatever the harness says is missing has its word, so that it can be required."""
    assert {"engine", "world", "proxy", "sysctl", "delay"} <= set(written())
    assert {*written(), *network_tools.PACKAGES, "torch", "netem", "tbf", "impostor_store"} <= needs.NEEDS.keys()


def written() -> Iterator[str]:
    """The first word of each `Unsupported(...)`, and what the constants for it say."""
    for path in HARNESS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_refusal = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Unsupported"
            if is_refusal and isinstance(word := node.args[0], ast.Constant):
                yield str(word.value)
    yield from (engine.NEED, core_needs.WORLD, core_needs.PROXY)


@pytest.fixture
def torch_with_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter whose torch has two backends, and a registry that is all there is of it."""
    package = tmp_path / "torch" / "distributed" / "elastic" / "rendezvous"
    package.mkdir(parents=True)
    for folder in (tmp_path / "torch", *package.parents[:2], package):
        (folder / "__init__.py").touch()
    (package / "registry.py").touch()
    (package / "__init__.py").write_text(
        "class rendezvous_handler_registry:\n    _registry = {'static': 1, 'c10d': 2}\n"
    )
    (tmp_path / "torch-2.15.0.dist-info").mkdir()
    (tmp_path / "torch-2.15.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.15.0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("statc", "did you mean 'static'\\? registered: c10d, static; of the harness: static, static-strict, echo"),
        ("c10", "did you mean 'c10d'\\?"),
        ("static_strict", "did you mean 'static-strict'\\?"),
        ("mine", "no such rendezvous backend; registered: .*entry point"),
    ],
)
def test_a_subject_that_torch_has_not_is_refused(torch_with_backends: Path, subject: str, message: str) -> None:
    """With the backends that it has."""
    with pytest.raises(UsageError, match=f"--subject {subject}: .*{message}"):
        running.check_machine(RunOptions(subject=subject, python=sys.executable))


@pytest.mark.parametrize("subject", ["static", "static-strict", "c10d"])
def test_a_subject_that_torch_has_is_taken(torch_with_backends: Path, subject: str) -> None:
    """The project's own needs no registration."""
    running.check_machine(RunOptions(subject=subject, python=sys.executable))


def test_a_torch_that_cannot_be_imported_is_told(torch_with_backends: Path) -> None:
    """With what it says."""
    (torch_with_backends / "torch" / "__init__.py").write_text("raise ImportError('libtorch is not here')")
    with pytest.raises(UsageError, match=r"cannot be imported .*libtorch is not here"):
        running.check_machine(RunOptions(subject="c10d", python=sys.executable))


@pytest.mark.needs_torch
def test_a_real_torch_tells_its_backends(rank_python: str) -> None:
    """As its registry holds them."""
    running.check_machine(RunOptions(subject="c10d", python=rank_python))
    with pytest.raises(UsageError, match=r"did you mean 'c10d'.*registered: .*static"):
        running.check_machine(RunOptions(subject="c10", python=rank_python))


def test_a_proxy_server_that_does_not_answer_is_a_usage_error() -> None:
    """Before any world starts, with a way to start one: else every cell would meet it."""
    with pytest.raises(UsageError, match=r"^--toxiproxy http://127\.0\.0\.1:1: no Toxiproxy answers there .*start one"):
        running.check_machine(RunOptions(subject="echo", toxiproxy="http://127.0.0.1:1"))
