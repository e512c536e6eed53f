"""One runner for each kind of world, kept for all tests of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bodies import cell
from verdicts import options

from harness.campaign.runner import Runner
from harness.judge.result import Result

KINDS = ("processes", "namespaces", "containers")

Play = Callable[[str], Result]


def playing(runner: Runner) -> Play:
    """Plays a body; if this machine lacks something, the test is skipped with the reason."""

    def play(body: str) -> Result:
        result = runner.play(cell(body))
        if result.status == "skipped":
            pytest.skip(result.judgement.because)
        return result

    return play


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def play(kind: str, rank_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Stock ranks in a world of this kind."""
    with Runner(options(tmp_path_factory.mktemp("runs"), rank_python, jobs=1, world=kind)) as runner:
        yield playing(runner)


@pytest.fixture
def command(kind: str, tmp_path: Path) -> Callable[..., Result]:
    """Any command as ranks: `command("sh", "-c", ..., body=...)`."""

    def run(*argv: str, body: str) -> Result:
        with Runner(options(tmp_path / "runs", jobs=1, world=kind, subject="command", command=argv)) as runner:
            return playing(runner)(body)

    return run
