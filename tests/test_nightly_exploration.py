"""The nightly workflow explores, keeps the corpus for the next night, and shows what it has found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

NIGHTLY = Path(__file__).parents[1] / ".github" / "workflows" / "nightly.yml"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    """Of the nightly workflow."""
    found: dict[str, Any] = YAML(typ="safe").load(NIGHTLY.read_text(encoding="utf-8"))["jobs"]
    return found


def _only(steps: list[Any], begin: str) -> tuple[int, dict[str, Any]]:
    """The step that uses an action or has a name, and its place."""
    ((place, step),) = [
        (place, step)
        for place, step in enumerate(steps)
        if step.get("uses", "").startswith(begin) or step.get("name") == begin
    ]
    return place, step


def test_the_corpus_is_kept_between_nights(jobs: dict[str, Any]) -> None:
    """Restored before exploration, and saved afterwards also when something was found; each torch has its own."""
    steps = jobs["explore"]["steps"]
    restored, before = _only(steps, "actions/cache/restore@")
    saved, after = _only(steps, "actions/cache/save@")
    places = [place for place, step in enumerate(steps) if "rdzv-harness explore" in step.get("run", "")]
    assert restored < min(places) < max(places) < saved
    assert after["if"] == "always()"
    assert before["with"]["key"] == after["with"]["key"]
    assert before["with"]["path"] == after["with"]["path"] == ".rdzv/corpus"
    prefix = before["with"]["restore-keys"]
    assert after["with"]["key"].startswith(prefix)
    assert "matrix.torch" in prefix
    assert all(f"--corpus {after['with']['path']}" in steps[place]["run"] for place in places)


def test_findings_are_kept_as_artifacts_and_listed_in_the_summary(jobs: dict[str, Any]) -> None:
    """Of both subjects, whatever came of them."""
    steps = jobs["explore"]["steps"]
    _, upload = _only(steps, "actions/upload-artifact@")
    _, summary = _only(steps, "summary")
    assert (upload["if"], summary["if"]) == ("always()", "always()")
    assert ".rdzv/findings-*" in upload["with"]["path"].split()
    assert "GITHUB_STEP_SUMMARY" in summary["run"]
    for subject in ("static", "static-strict"):
        _, step = _only(steps, f"explore {subject}")
        assert f"--findings .rdzv/findings-{subject} " in step["run"]
        assert step["run"].strip().endswith(f"| tee .rdzv/{subject}.txt")


@pytest.mark.parametrize("job", ["explore", "mutants"])
def test_a_pipe_hides_no_exit_code(jobs: dict[str, Any], job: str) -> None:
    """The runner calls a shell that is named `bash` with pipefail, and one that is not named without it."""
    assert any("| tee" in step.get("run", "") for step in jobs[job]["steps"])
    assert jobs[job]["defaults"]["run"]["shell"] == "bash"


def test_every_mutant_is_in_one_shard(jobs: dict[str, Any]) -> None:
    """The shards of the matrix are those of which the command has the number."""
    shards = jobs["mutants"]["strategy"]["matrix"]["shard"]
    assert shards == list(range(1, len(shards) + 1))
    _, step = _only(jobs["mutants"]["steps"], "explore each mutant until it is found")
    assert f"--shard ${{{{ matrix.shard }}}}/{len(shards)} " in step["run"]
