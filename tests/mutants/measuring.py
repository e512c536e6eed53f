"""Plays scenarios against mutants and says which of them notice what: the strength of the scenarios and invariants."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rdzv_mutants import CATALOGUE, CONTROLS, Mutant

from harness.campaign.runner import Runner
from harness.campaign.source import Trial
from harness.judge.known import entries_that_fit
from harness.judge.result import Result
from harness.loader import load
from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, VACUOUS

HERE = Path(__file__).resolve().parent
SCENARIOS = HERE.parents[1] / "scenarios"
SUFFIX = ".rdzv.yaml"
GROUP = "torchrun.handlers"

WORLDS = ("processes", "namespaces")
"""Where mutants can be played; the image of the containers does not have them."""

_FOLDERS = {
    "errors": ("port_conflicts", "timeouts", "regressions"),
    "identity": ("timeouts", "regressions", "store_reuse"),
    "isolation": ("prefix_isolation", "store_reuse", "regressions"),
    "lifecycle": ("store_reuse", "regressions", "dropped_masters"),
    "manners": ("timeouts", "port_conflicts"),
    "network": ("port_conflicts", "hosts"),
    "resources": ("store_reuse", "regressions"),
    "store": ("prefix_isolation", "regressions", "latency", "wire"),
    "times": ("timeouts", "wire", "dropped_masters"),
}
"""By family, the folders whose scenarios are played first after those that a mutant names."""


# -- the package -------------------------------------------------------------------------------------------------------


def entry_points() -> dict[str, str]:
    """What each backend's name leads to, as pyproject.toml has it."""
    return {name: f"rdzv_mutants:{name.replace('-', '_')}" for name in (*CONTROLS, *CATALOGUE)}


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Install the package into an empty folder, which meanwhile is on the path of every interpreter started from here.

    It is what `pip install --target` comes to, without pip.
    """
    (folder / "rdzv_mutants").symlink_to(HERE / "rdzv_mutants")
    metadata = folder / "rdzv_mutants-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rdzv-mutants\nVersion: 1.0\n")
    lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in entry_points().items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


# -- the cells, and their order ----------------------------------------------------------------------------------------


def all_cells(paths: Sequence[Path] = (SCENARIOS,), worlds: Sequence[str] = WORLDS) -> list[Scenario]:
    """The cells of these files and folders that mutants can be played in."""
    files = [file for path in paths for file in (sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path])]
    return [cell for file in files for cell in load(file) if cell.world.kind in worlds]


def in_order(cells: Sequence[Scenario], mutant: Mutant) -> list[Scenario]:
    """The cells that probably notice the mutant first: those it names, its family's folders, then short ones.

    Of each file one cell comes before the others of its matrix.
    """
    folders = _FOLDERS.get(mutant.family, ())
    seen: dict[Path, int] = {}

    def rank(cell: Scenario) -> tuple[object, ...]:
        number = seen[cell.path] = seen.get(cell.path, -1) + 1
        if cell.name in mutant.likely:
            return 0, mutant.likely.index(cell.name), number
        folder = cell.path.parent.name
        place = folders.index(folder) if folder in folders else len(folders)
        return 1, number, place, cell.world.timeout_ns * cell.world.size

    return [cell for _, _, cell in sorted((rank(cell), index, cell) for index, cell in enumerate(cells))]


def as_base(cell: Scenario, mutant: Mutant) -> Scenario:
    """The cell with the known failures of the mutant's base as those of the mutant."""
    entries = tuple(
        replace(entry, subject=mutant.name) if entry.subject == mutant.base else entry for entry in cell.known
    )
    return replace(cell, known=entries)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def broken_by(result: Result) -> tuple[str, ...]:
    """The claims and invariants that break here and not, as a known failure, with the base; empty if none does."""
    if result.status != FAILED:
        return ()
    broken = {verdict.name for verdict in result.judgement.verdicts if verdict.status == FAILED}
    entries = entries_that_fit(result.scenario, result.history)
    if not entries:
        return tuple(sorted(broken))
    breaks = set(entries[0].breaks)
    # All that is known to break broke, and nothing else, and still it failed: what should happen instead did not.
    return ("instead",) if broken == breaks else tuple(sorted(broken - breaks))


@dataclass(frozen=True)
class Kill:
    """A cell in which a mutant broke something, twice of two times, and its base did not.

    Attributes:
        broken: the names of claims and invariants.
        because: the verdict's sentence.
    """

    cell: str
    broken: tuple[str, ...]
    because: str


@dataclass
class Finding:
    """What was found of one mutant.

    Attributes:
        kills: none if it survived.
        unclear: cells that were neither failed nor as expected, each with its status and why: they count for nothing.
        once: cells that were red once, and not when they were played again: chance, or a busy machine.
        red_bases: cells in which the base was red too.
        played: how many cells.
    """

    mutant: Mutant
    kills: list[Kill] = field(default_factory=list)
    unclear: dict[str, tuple[str, str]] = field(default_factory=dict)
    once: list[str] = field(default_factory=list)
    red_bases: list[str] = field(default_factory=list)
    played: int = 0

    @property
    def is_killed(self) -> bool:
        return bool(self.kills)

    def to_json(self) -> dict[str, Any]:
        mutant = self.mutant
        return {
            "mutant": mutant.name,
            "base": mutant.base,
            "family": mutant.family,
            "fault": mutant.fault,
            "killed": self.is_killed,
            "kills": [{"cell": kill.cell, "broken": list(kill.broken), "because": kill.because} for kill in self.kills],
            "unclear": {cell: list(why) for cell, why in self.unclear.items()},
            "once": self.once,
            "red_bases": self.red_bases,
            "played": self.played,
            "survives": mutant.survives,
        }


# -- playing -----------------------------------------------------------------------------------------------------------


class UntilBroken:
    """A source of trials that ends at the first cell that breaks, if that is wanted."""

    def __init__(self, cells: Sequence[Scenario], at_once: int, stop: bool) -> None:
        self._trials = (Trial(cell) for cell in cells)
        self._at_once = at_once
        self._stop = stop
        self._awaited = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self._awaited -= len(results)
        if self._stop and any(broken_by(result) for result in results):
            return None
        trials = tuple(islice(self._trials, max(0, self._at_once - self._awaited)))
        self._awaited += len(trials)
        return trials if self._awaited else None


class Bench:
    """Plays mutants and, where one is red, its base: a context manager that leaves nothing running.

    Args:
        options: for all runs; the subject is replaced.
        cells: that may be played.
        start: makes a runner.
    """

    def __init__(
        self, options: RunOptions, cells: Sequence[Scenario], start: Callable[[RunOptions], Runner] = Runner
    ) -> None:
        self._options = options
        self._cells = cells
        self._start = start
        self._bases: dict[tuple[str, str], bool] = {}
        self._controls: dict[str, Runner] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self, mutant: Mutant, stop: bool = True, most: int | None = None) -> Finding:
        """Play cells until one kills the mutant.

        Args:
            stop: at the first kill; otherwise all are played.
            most: how many cells at most; None is no limit.
        """
        finding = Finding(mutant)
        waiting = [as_base(cell, mutant) for cell in in_order(self._cells, mutant)][:most]
        while waiting:
            red: list[tuple[Result, tuple[str, ...]]] = []
            played = set()
            with nullcontext(self._control(mutant)) if mutant.name in CONTROLS else self._runner(mutant) as runner:
                for result in runner.run_source(UntilBroken(waiting, self._options.worlds, stop)):
                    played.add(result.scenario.id)
                    finding.played += 1
                    broken = broken_by(result)
                    if broken:
                        red.append((result, broken))
                    elif result.status in (ERROR, VACUOUS):
                        finding.unclear[result.scenario.id] = result.status, result.judgement.because
                # Again, in the same processes: what is red by chance kills nothing.
                again = [broken_by(runner.play(result.scenario)) for result, _ in red]
            for (result, broken), confirmed in zip(red, again, strict=True):
                if confirmed:
                    self._compare(finding, result, broken)
                else:
                    finding.once.append(result.scenario.id)
            if stop and finding.is_killed:
                break
            waiting = [cell for cell in waiting if cell.id not in played]
        return finding

    def _compare(self, finding: Finding, result: Result, broken: tuple[str, ...]) -> None:
        name = result.scenario.id
        if self._holds_for_base(finding.mutant, name):
            finding.kills.append(Kill(name, broken, result.judgement.because))
        else:
            finding.red_bases.append(name)

    def _holds_for_base(self, mutant: Mutant, name: str) -> bool:
        """Whether the unmutated base, made in the same way, is as expected in a cell; played once."""
        control = next(one for one in CONTROLS.values() if one.base == mutant.base)
        if (control.name, name) not in self._bases:
            cell = next(one for one in self._cells if one.id == name)
            result = self._control(control).play(as_base(cell, control))
            # A control that breaks less than its base is known to break is as good.
            self._bases[control.name, name] = result.status in (PASSED, KNOWN) or (
                result.status == FAILED and not broken_by(result)
            )
        return self._bases[control.name, name]

    def _control(self, control: Mutant) -> Runner:
        """The runner of a control: it stays, because nearly every mutant needs it."""
        if control.name not in self._controls:
            self._controls[control.name] = self._stack.enter_context(self._runner(control))
        return self._controls[control.name]

    def _runner(self, mutant: Mutant) -> Runner:
        return self._start(replace(self._options, subject=mutant.name))


Benches = Callable[[Sequence[Scenario]], Bench]
"""Makes a bench for these cells."""


# -- the score ---------------------------------------------------------------------------------------------------------


def score(findings: Sequence[Finding], key: Callable[[Mutant], str]) -> Mapping[str, tuple[int, int]]:
    """By some attribute of the mutants: how many were killed, of how many."""
    counts: dict[str, tuple[int, int]] = {}
    for finding in findings:
        killed, of = counts.get(key(finding.mutant), (0, 0))
        counts[key(finding.mutant)] = killed + finding.is_killed, of + 1
    return counts
