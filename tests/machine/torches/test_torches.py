"""Versions of torch are installed when they are asked for, used by many, and removed by last use, but never in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch_installs import FakeUv, fake_uv

from harness.machine.torches import torches
from harness.machine.torches.build import BrokenTorch
from harness.machine.torches.index import NoSuchTorch
from harness.machine.torches.store import InUse, Store
from harness.machine.torches.uv import NoUv, UvFailed

STEPS = ("half", *(pytest.param(step, marks=pytest.mark.nightly) for step in ("venv", "lock", "fetch", "linked")))
HOLD = "held = torches.interpreter('2.9.1'); print(held, flush=True); input()"


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return fake_uv(tmp_path, monkeypatch)


def quiet(text: str) -> None:
    """Nobody listens."""


def versions() -> list[str]:
    return [one.version for one in torches.installed()]


def unfinished(folder: Path) -> list[str]:
    return [path.name for path in (folder / "torches").glob("python*/unfinished-*")]


def version_in(python: Path) -> str:
    """The torch that an interpreter imports."""
    return subprocess.run(
        [python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True
    ).stdout


def test_a_version_is_installed_once_and_then_found_without_uv(uv: FakeUv, monkeypatch: pytest.MonkeyPatch):
    """The second call asks nobody; the first says what it is about to fetch."""
    said: list[str] = []
    with torches.use("2.9.1", said.append) as environment:
        assert version_in(environment.interpreter).strip() == environment.version == "2.9.1"
    (line,) = said
    assert line.startswith("installing torch 2.9.1 into ")
    assert "2 packages, 2.5 GB" in line
    before = uv.log()
    monkeypatch.setenv("PATH", "/nowhere")
    assert torches.interpreter("2.9.1", said.append) == torches.interpreter("2.9", quiet) == environment.interpreter
    assert (uv.log(), len(said)) == (before, 1)
    assert torches.called(str(environment.interpreter)) == "torch:2.9.1"
    assert torches.called(sys.executable) == sys.executable


def test_what_is_listed_has_its_size_and_its_python(uv: FakeUv):
    """The size of its files, and the version that its interpreter itself names."""
    found = torches.install("2.9.1", quiet)
    assert [(one.version, one.size) for one in torches.installed()] == [("2.9.1", found.size)]
    assert found.python == "{}.{}.{}".format(*sys.version_info[:3])
    assert 19_000 < found.size < 200_000
    assert torches.on_disk() >= found.size


@pytest.mark.parametrize("step", [*STEPS, "import"])
def test_an_install_that_is_killed_leaves_nothing_usable(uv: FakeUv, tmp_path: Path, step: str):
    """Nothing is listed; uv has ended too; the next install works, and removes what was left."""
    uv.write("stop", step)
    with uv.begin("torches.install('2.9.1')") as installing:
        assert uv.reached() == step
        installing.kill()
    uv.forget("stop")
    assert versions() == []
    assert len(unfinished(tmp_path)) <= 1
    assert version_in(torches.install("2.9.1", quiet).interpreter).strip() == "2.9.1"
    assert (versions(), unfinished(tmp_path)) == (["2.9.1"], [])


def test_two_that_ask_at_once_get_one_install(uv: FakeUv):
    """The second waits for the first, and says so."""
    uv.write("stop", "linked")
    with uv.begin("torches.install('2.9.1')") as first:
        assert uv.reached() == "linked"
        with uv.begin("print(torches.interpreter('2.9.1'), flush=True)") as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith("waiting for another process")
            uv.forget("stop")
            with open(uv.control / "never", "w"):
                pass  # the first goes on
            assert version_in(Path(second.stdout.readline().strip())).strip() == "2.9.1"
        assert first.wait() == 0
    assert uv.log().count("pip install") == 1


def test_what_is_in_use_is_not_removed(uv: FakeUv):
    """Neither by another process nor by this one; once its users have ended it goes."""
    torches.install("2.9.1", quiet)
    with subprocess.Popen(
        [sys.executable, "-c", f"from harness.machine.torches import torches; {HOLD}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline()
        with pytest.raises(InUse, match=r"torch 2\.9\.1 is in use; wait until"):
            torches.remove("2.9.1")
        assert versions() == ["2.9.1"]
        user.kill()
    with torches.use("2.9.1", quiet), pytest.raises(InUse):
        torches.remove("2.9.1")
    assert torches.remove("2.9") == "2.9.1"
    assert versions() == []


def test_removing_frees_what_no_other_version_shares(uv: FakeUv, tmp_path: Path):
    """Of uv's cache too; what another version shares stays there, so that it is not fetched again."""
    for version in ("2.7.1", "2.9.1"):
        torches.install(version, quiet)
    cache = tmp_path / "torches" / "uv" / "archive-v0"
    assert sorted(path.name for path in cache.iterdir()) == ["shared-1", "torch-2.7.1", "torch-2.9.1"]
    torches.remove("2.7.1")
    assert sorted(path.name for path in cache.iterdir()) == ["shared-1", "torch-2.9.1"]
    torches.remove("2.9.1")
    assert list(cache.iterdir()) == []
    assert unfinished(tmp_path) == []


def test_the_limit_removes_what_was_used_the_longest_ago(uv: FakeUv, tmp_path: Path):
    """But nothing that is in use, and not what was asked for, even if it alone is more."""
    for age, version in enumerate(("2.9.0", "2.6.0", "2.7.1")):
        torches.install(version, quiet)
        os.utime(tmp_path / "torches" / "locks" / version, (1000 + age, 1000 + age))
    said: list[str] = []
    with torches.use("2.9.0", quiet):
        os.utime(tmp_path / "torches" / "locks" / "2.9.0", (1000, 1000))
        Store(tmp_path / "torches").evict(torches.on_disk() - 1, kept="2.10.0")
        assert versions() == ["2.7.1", "2.9.0"]
        torches.install("2.10.0", said.append, 1)
        assert versions() == ["2.9.0", "2.10.0"]
    assert [line.split(",")[0] for line in said[1:]] == ["removed torch 2.7.1"]


def test_a_prefix_is_the_newest_patch(uv: FakeUv):
    """Of the index when it is installed, of what is installed when it is used."""
    assert torches.install("2.7", quiet).version == "2.7.1"
    assert torches.install("2.9.0", quiet).version == "2.9.0"
    assert torches.interpreter("2.9", quiet).parents[1].name == "2.9.0"
    assert torches.install("2.9", quiet).version == "2.9.1"


def test_every_release_from_the_oldest_on_is_available(uv: FakeUv):
    """In the order of versions, not of letters; what is too old is left out, a new one needs no change of the code."""
    uv.write("releases", "2.5.1 2.6.0 2.10.0 2.9.1 3.0.0")
    assert torches.available() == ("2.6.0", "2.9.1", "2.10.0", "3.0.0")


def test_a_build_of_another_index_is_found_by_its_release(uv: FakeUv):
    """`2.9.1+cpu` is 2.9.1."""
    uv.write("releases", "2.9.1+cpu 2.6.0+cpu")
    found = torches.install("2.9.1", quiet)
    assert found.version == "2.9.1+cpu"
    before = uv.log()
    assert torches.interpreter("2.9.1", quiet) == found.interpreter
    assert uv.log() == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "2.9.2",
            r"torch 2\.9\.2: there is no such release; did you mean 2\.9\.1\? the index has 2\.6\.0, .*2\.10\.0$",
        ),
        ("2.5.1", r"torch 2\.5\.1: 2\.6 is the oldest that works; name a later one"),
        ("1", r"torch 1: 2\.6 is the oldest that works"),
        ("../2.9.1", r"torch \.\./2\.9\.1: this is no version; write it as 2\.9\.1, or 2\.9"),
    ],
)
def test_a_version_that_is_none_is_refused_with_what_there_is(uv: FakeUv, asked: str, said: str):
    """Too old, unknown, or no version at all; near ones are suggested."""
    with pytest.raises(NoSuchTorch, match=said):
        torches.interpreter(asked, quiet)
    with pytest.raises(NoSuchTorch, match=said):
        torches.install(asked, quiet)


def test_without_uv_there_is_one_error_with_the_remedy(uv: FakeUv, monkeypatch: pytest.MonkeyPatch):
    """It is found on PATH, or beside the interpreter."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NoUv, match=r"by the program uv, which is not on PATH; install it: python -m pip install uv$"):
        torches.install("2.9.1", quiet)
    monkeypatch.setattr(sys, "executable", str(uv.control.parent / "programs" / "python"))
    assert torches.install("2.9.1", quiet).version == "2.9.1"


@pytest.mark.parametrize("step", [*STEPS, pytest.param("resolve", marks=pytest.mark.nightly)])
def test_an_error_of_uv_is_told_in_its_words(uv: FakeUv, tmp_path: Path, step: str):
    """And nothing is left of the attempt; what the machine lacks comes with advice."""
    uv.write("fail", f"{step} No space left on device (os error 28)")
    with pytest.raises(UvFailed, match=r"^`uv [a-z ]+` failed: No space left on device"):
        torches.install("2.9.1", quiet)
    assert (versions(), unfinished(tmp_path)) == ([], [])


def test_a_torch_that_cannot_be_imported_is_not_installed(uv: FakeUv, tmp_path: Path):
    """It is tried before it gets its name."""
    uv.write("broken", "yes")
    with pytest.raises(BrokenTorch, match=r"cannot be imported \(ImportError: libcudart\.so: cannot open\); "):
        torches.install("2.9.1", quiet)
    assert (versions(), unfinished(tmp_path)) == ([], [])


def test_an_environment_whose_python_is_gone_is_made_again(uv: FakeUv, tmp_path: Path):
    """The Python that it was made from was removed or moved."""
    python = torches.install("2.9.1", quiet).interpreter
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert versions() == []
    assert version_in(torches.install("2.9.1", quiet).interpreter).strip() == "2.9.1"
    assert unfinished(tmp_path) == []


def test_removing_names_what_is_installed(uv: FakeUv):
    """An unknown version gets the near one, one that is several gets their names."""
    with pytest.raises(torches.NotInstalled, match=r"torch 2\.9\.1 is not installed; no version is installed$"):
        torches.remove("2.9.1")
    for version in ("2.7.0", "2.7.1"):
        torches.install(version, quiet)
    with pytest.raises(torches.NotInstalled, match=r"did you mean 2\.7\.1\? installed: 2\.7\.0, 2\.7\.1$"):
        torches.remove("2.6.1")
    with pytest.raises(Exception, match=r"torch 2\.7 is any of 2\.7\.0, 2\.7\.1; name one of them"):
        torches.remove("2.7")
