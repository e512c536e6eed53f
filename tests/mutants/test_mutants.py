"""Deliberate faults are noticed: a sample of them on each push, all at night."""

from __future__ import annotations

import ast
import configparser
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import measuring
import pytest
from measuring import (
    HERE,
    SCENARIOS,
    SUFFIX,
    Bench,
    Benches,
    Finding,
    Kill,
    UntilBroken,
    all_cells,
    as_base,
    broken_by,
    in_order,
    score,
)
from rdzv_mutants import CATALOGUE, CONTROLS, FAMILIES, STOCK, STRICT

from harness.judge.result import Result
from harness.loader import load_text
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.ops import CONTROLLER, INFO, Op, Process
from harness.values.verdict import ERROR, FAILED, PASSED, Judgement, Verdict

SAMPLE = (
    "strict-rank-off-by-one",
    "strict-runs-share-keys",
    "strict-missing-ranks-are-not-named",
    "strict-port-zero-is-accepted",
)
"""What kills them: an invariant, a claim on values, on a message, on an outcome."""

TEXT = """\
schema: rdzv-scenario/v1
title: Two ranks join
world: {size: 2}
workload:
  - {id: join, do: rendezvous}
expect:
  - {step: join, is: ok}
known:
  - subject: static
    breaks: [join, agreement]
    because: it does
    refs: [F06]
"""


@pytest.fixture(scope="module")
def sample_bench(benches: Benches) -> Iterator[Bench]:
    """Plays only what the sample needs, so that a push waits for no more than that."""
    hints = {CATALOGUE[name].likely[0] for name in SAMPLE}
    files = [path for path in SCENARIOS.rglob(f"*{SUFFIX}") if path.name.removesuffix(SUFFIX) in hints]
    with benches(all_cells(files)) as bench:
        yield bench


@pytest.fixture(scope="module")
def bench(benches: Benches) -> Iterator[Bench]:
    """Plays every cell that a mutant can be played in."""
    with benches(all_cells()) as bench:
        yield bench


def _cell() -> Scenario:
    return load_text(TEXT, Path("two.rdzv.yaml"))[0]


def _result(status: str, *broken: str, subject: str = "stock-control", cell: Scenario | None = None) -> Result:
    verdicts = tuple(Verdict(name, FAILED) for name in broken)
    begin = Op(0, Process(None, CONTROLLER), INFO, "begin", value={"subject": subject, "versions": {"torch": "2.15.0"}})
    history = History((begin,))
    scenario = cell or as_base(_cell(), CONTROLS["stock-control"])
    return Result(scenario, Judgement(status, "", verdicts), history, None, 0.0)


# -- the package -------------------------------------------------------------------------------------------------------


def test_the_package_names_each_mutant_once() -> None:
    """The entry points of pyproject.toml are those of the catalogue, in its order."""
    project = configparser.ConfigParser()
    project.optionxform = str  # type: ignore[assignment,method-assign]
    project.read(HERE / "pyproject.toml")
    section = project[f'project.entry-points."{measuring.GROUP}"']
    assert {name: value.strip('"') for name, value in section.items()} == measuring.entry_points()


def test_every_entry_point_leads_to_its_mutant() -> None:
    """By the attribute that the entry point names; an unknown one is an AttributeError, as of any module."""
    import rdzv_mutants

    for name, value in measuring.entry_points().items():
        assert getattr(rdzv_mutants, value.split(":")[1])().name == name
    with pytest.raises(AttributeError):
        _ = rdzv_mutants.no_such_mutant


def test_mutants_are_many_and_of_every_family_and_base() -> None:
    """Each has a sentence of its own about what a user notices."""
    assert len(CATALOGUE) >= 45
    assert {mutant.family for mutant in CATALOGUE.values()} == set(FAMILIES)
    assert {mutant.base for mutant in CATALOGUE.values()} == {STRICT, STOCK}
    assert all(mutant.fault and mutant.fault[-1] != "." for mutant in CATALOGUE.values())


def test_every_hint_is_a_scenario() -> None:
    """A hint that no scenario has would only make the measurement slow, without a sign."""
    stems = {path.name.removesuffix(SUFFIX) for path in SCENARIOS.rglob(f"*{SUFFIX}")}
    assert not {hint for mutant in CATALOGUE.values() for hint in mutant.likely} - stems


def test_the_catalogue_needs_no_torch() -> None:
    """No module of the package imports torch or the harness when it is imported: the parent reads it too."""
    for path in sorted((HERE / "rdzv_mutants").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [
            alias.name if isinstance(node, ast.Import) else str(node.module)
            for node in tree.body
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        ]
        assert not [name for name in names if name.split(".")[0] in ("torch", "harness")], path


# -- what counts as a kill ---------------------------------------------------------------------------------------------


def test_only_what_the_base_does_not_break_counts() -> None:
    """A known failure of the base is the mutant's too; what breaks beside it counts."""
    assert broken_by(_result(FAILED, "join", "agreement", "together")) == ("together",)
    assert broken_by(_result(FAILED, "join")) == ()
    assert broken_by(_result(FAILED, "agreement", "join")) == ("instead",)


def test_a_cell_without_known_failures_counts_with_all_that_breaks() -> None:
    """The entries of another base do not fit."""
    cell = as_base(_cell(), CONTROLS["strict-control"])
    assert broken_by(_result(FAILED, "join", "agreement", subject="strict-control", cell=cell)) == ("agreement", "join")


@pytest.mark.parametrize("status", [PASSED, ERROR])
def test_what_is_not_failed_kills_nothing(status: str) -> None:
    """An error may be the machine's, whatever its verdicts say."""
    assert broken_by(_result(status, "join", "together")) == ()


def test_the_likely_cells_come_first_and_one_of_each_matrix_before_the_rest() -> None:
    """Those that the mutant names, in its order; then the folders of its family."""
    mutant = CATALOGUE["strict-timeout-is-halved"]
    ordered = in_order(all_cells([SCENARIOS / name for name in ("latency", "timeouts")]), mutant)
    names = list(dict.fromkeys(cell.name for cell in ordered))
    assert names[: len(mutant.likely)] == list(mutant.likely)
    first = [cell for cell in ordered if cell.name not in mutant.likely][: len(names) - len(mutant.likely)]
    assert len({cell.name for cell in first}) == len(first)
    assert [cell.path.parent.name for cell in first] == sorted((cell.path.parent.name for cell in first), reverse=True)


def test_a_source_ends_at_the_first_cell_that_breaks() -> None:
    """What it gave before is awaited; without `stop` it goes on to the end."""
    broken = _result(FAILED, "together")
    for stop, then in ((True, None), (False, 1)):
        source = UntilBroken([_cell()] * 3, at_once=2, stop=stop)
        assert len(source.next([]) or ()) == 2
        given = source.next([broken])
        assert given is None if then is None else len(given or ()) == then


def test_the_score_counts_by_attribute() -> None:
    """Killed, of how many."""
    killed = Finding(CATALOGUE["strict-rank-off-by-one"], [Kill("cell", ("agreement",), "")])
    findings = [killed, Finding(CATALOGUE["strict-ranks-permuted"]), Finding(CATALOGUE["stock-rank-off-by-one"])]
    assert score(findings, lambda mutant: mutant.base) == {STRICT: (1, 2), STOCK: (0, 1)}


# -- the mutants -------------------------------------------------------------------------------------------------------


# Makes a handler of each mutant in a process of its own, and prints those that cannot be made.
MAKE_ALL = """
import os, sys, types
harness = types.ModuleType("harness")
harness.__path__ = [sys.argv[1]]
sys.modules["harness"] = harness
from rdzv_mutants import CATALOGUE, CONTROLS
from torch.distributed.elastic.rendezvous import RendezvousParameters
import harness.rendezvous.static
for name, mutant in {**CATALOGUE, **CONTROLS}.items():
    pid = os.fork()
    if pid == 0:
        handler = mutant(RendezvousParameters(name, "127.0.0.1:29500", "run", 1, 1, rank="0", timeout=3))
        os._exit(0 if handler.get_backend() == name else 9)
    if os.waitpid(pid, 0)[1]:
        print(name)
"""


@pytest.mark.nightly
@pytest.mark.needs_torch
def test_every_mutant_can_be_made(rank_python: str) -> None:
    """Each finds the code of its base that it changes: a mutant that cannot start is killed by everything."""
    settings = [rank_python, "-c", MAKE_ALL, str(HERE.parents[1] / "harness")]
    done = subprocess.run(settings, env={**os.environ, "PYTHONPATH": str(HERE)}, capture_output=True, text=True)
    # Its fault is just that.
    assert done.stdout.split() == ["strict-ranks-as-text-are-refused"], done.stderr


@pytest.mark.needs_torch
@pytest.mark.parametrize("name", SAMPLE)
def test_a_mutant_of_the_sample_is_killed(sample_bench: Bench, name: str) -> None:
    """By the first scenario that it names, in a cell where its base is as expected."""
    finding = sample_bench.measure(CATALOGUE[name], most=2)
    assert finding.is_killed, finding.to_json()


@pytest.mark.needs_torch
def test_a_control_is_not_killed_by_what_kills_the_sample(sample_bench: Bench) -> None:
    """The unmutated base, made in the same way, is as expected in those cells."""
    finding = sample_bench.measure(CONTROLS["strict-control"])
    assert finding.played >= len(SAMPLE)
    assert (finding.kills, finding.once, finding.red_bases, finding.unclear) == ([], [], [], {})


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_mutant_without_a_written_reason_is_killed(bench: Bench, name: str) -> None:
    """And one with a reason survives: otherwise the reason is wrong."""
    finding = bench.measure(CATALOGUE[name])
    assert finding.is_killed == (not CATALOGUE[name].survives), finding.to_json()


@pytest.mark.nightly
@pytest.mark.needs_torch
@pytest.mark.needs_toxiproxy
@pytest.mark.parametrize("name", CONTROLS)
def test_no_scenario_kills_a_control(bench: Bench, name: str) -> None:
    """All scenarios: what fails here is a fault of the harness, of the base or of the machine."""
    finding = bench.measure(CONTROLS[name], stop=False)
    assert (finding.kills, finding.once, finding.red_bases) == ([], [], [])
