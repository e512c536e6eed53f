"""Distinct causes over time, with four ways to choose what is played: uniform, swarm, Q-learning, and the explorer's.

    python benchmarks/explore.py --python PATH --for 600 --seeds 1 2 3 4 5 --jobs 2 --json explored.json

- `uniform`: kinds of faults drawn alike, at drawn times (as Jepsen);
- `swarm`: a mix of kinds drawn for each play, at drawn times (as VOPR);
- `q-learning`: one action in each of four ticks, chosen by what states it has led to (as Mallory);
- `ours`: all lanes of `rdzv-harness explore`.

All play through the same explorer and runner, with the same families of workloads and the same oracles. Nothing is
investigated, so only the choice differs. They take turns in slices of `--slice` seconds on one machine, so that
whatever else it does meets all of them; each counts its own time. A cause is the entry of harness/explore/causes.yaml
that explains a violation; a violation without one counts by its check, verb, role, outcome and class of error. A mutant
as subject (tests/mutants) is one cause, which any violation shows. The area is the mean number of distinct causes that
were known over the time. What FILE has already, for as much time, is not played again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "mutants"))

from measuring import installed
from rdzv_mutants import CATALOGUE
from strategies import STRATEGIES, TICKS_LEARNED, UNIFORM_TIMES, with_strategy

from harness import clock
from harness.archive import RunDirs
from harness.campaign.runner import Runner
from harness.campaign.source import Source, Trial
from harness.explore.causes import explained
from harness.explore.explorer import Explorer
from harness.explore.observation import Observation
from harness.explore.parts import Knowledge, Parts, Settings
from harness.explore.wiring import parts
from harness.judge.result import Result
from harness.machine.process.interpreter import require
from harness.play.options import EMBEDDED, RunOptions

KEPT = 5
"""Run directories of each contender."""
BARS = {UNIFORM_TIMES: 2.0, TICKS_LEARNED: 1.3}
"""So many times their area `ours` should have."""


@dataclass
class Row:
    """What one strategy has shown with one seed and subject.

    Attributes:
        seconds: how long it has played.
        causes: when each was seen first, in seconds of its own time.
        plays: that said something.
    """

    strategy: str
    subject: str
    seed: int
    seconds: float = 0.0
    plays: int = 0
    causes: dict[str, float] = field(default_factory=dict)


def main() -> int:
    """Play all seeds, print the table, and on request write JSON after each seed."""
    arguments = _arguments()
    rows = [row for row in _stored(arguments.json) if row.seconds >= arguments.span]
    done = {(row.strategy, row.subject, row.seed) for row in rows}
    with tempfile.TemporaryDirectory(prefix="rdzv-explore-") as temporary:
        site = Path(temporary, "site")
        site.mkdir()
        with installed(site):
            for seed in arguments.seeds:
                for subject in arguments.subjects:
                    wanted = [name for name in arguments.strategies if (name, subject, seed) not in done]
                    folder = Path(temporary, f"{subject}-{seed}")
                    rows += compete(wanted, subject, seed, folder, arguments)
                    if arguments.json:
                        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    kept = [row for row in rows if row.strategy in arguments.strategies and row.seed in arguments.seeds]
    print(table([row for row in kept if row.subject in arguments.subjects], arguments.span))
    return 0


def _stored(path: Path | None) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text())] if path is not None and path.exists() else []


# -- one seed ----------------------------------------------------------------------------------------------------------


def compete(names: Sequence[str], subject: str, seed: int, folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """Let the strategies play in turns until each has had its time; the one that begins changes with each round."""
    python, torch = arguments.python, require(Path(arguments.python), needs_torch=True).torch or ""
    with ExitStack() as held:
        contenders: deque[Contender] = deque()
        for name in names:
            options = RunOptions(subject, python=python, toxiproxy=EMBEDDED, jobs=arguments.jobs, seed=seed, keep=KEPT)
            contenders.append(_contender(held, name, replace(options, runs_dir=folder / name / "runs"), torch))
        while waiting := [one for one in contenders if one.row.seconds < arguments.span]:
            for contender in waiting:
                contender.play(min(arguments.slice, arguments.span - contender.row.seconds))
            contenders.rotate(-1)
        for contender in contenders:
            contender.learn_the_rest()
    for row in (contender.row for contender in contenders):
        print(f"seed {seed} {subject} {row.strategy}: {row.plays} plays, {len(row.causes)} causes", flush=True)
    return [contender.row for contender in contenders]


def _contender(held: ExitStack, name: str, options: RunOptions, torch: str) -> Contender:
    """A strategy with a runner, a corpus and run directories of its own."""
    folder = options.runs_dir.parent
    run_dirs = RunDirs(options.runs_dir, options.keep)
    held.callback(run_dirs.release)
    own = held.enter_context(parts(folder / "corpus", folder / "findings", options.subject, torch))
    runner = held.enter_context(Runner(options, run_dirs=run_dirs))
    row = Row(name, options.subject, options.seed or 0)
    return Contender(row, own, torch, runner.run_source, run_dirs.let_go, clock.now_ns)


class Contender:
    """A strategy that plays in slices.

    Args:
        row: is filled.
        play: plays a source.
        now_ns: the clock of slices.
    """

    def __init__(
        self,
        row: Row,
        own: Parts,
        torch: str,
        play: Callable[[Source], Iterator[Result]],
        forget: Callable[[Path], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.row = row
        self._torch, self._play, self._now_ns = torch, play, now_ns
        self._begun_ns = 0
        # All is explained, so nothing is investigated.
        noting = replace(own, knowledge=cast(Knowledge, Noting(own.knowledge, self._note)), explained=lambda *_: "any")
        chosen, lanes = with_strategy(row.strategy, noting)
        self._explorer = Explorer(chosen, Settings(row.seed, lanes), forget, now_ns)
        self._left: list[Result] = []

    def play(self, seconds: float) -> None:
        """Play for so long, and until what was begun has ended."""
        self._begun_ns = self._now_ns()
        source = Slice(self._explorer, self._left, lambda: self._now_ns() - self._begun_ns < seconds * 1e9)
        for _ in self._play(source):
            pass
        self.row.seconds, self._begun_ns = self._seconds(), 0
        self._left = source.left

    def learn_the_rest(self) -> None:
        """Of the results that came when the last slice was over."""
        self._explorer.next(self._left)
        self._left = []

    def _seconds(self) -> float:
        """Its own time."""
        return self.row.seconds + ((self._now_ns() - self._begun_ns) / 1e9 if self._begun_ns else 0)

    def _note(self, observation: Observation) -> None:
        self.row.plays += bool(observation.features)
        for cause in causes_of(observation, self.row.subject, self._torch):
            self.row.causes.setdefault(cause, round(self._seconds(), 2))


class Slice:
    """A part of a source: when its time is over it gives nothing more, and keeps the results that still come.

    Attributes:
        left: what the source has not learned yet.
    """

    def __init__(self, source: Source, left: list[Result], goes_on: Callable[[], bool]) -> None:
        self.left = left
        self._source, self._goes_on = source, goes_on
        self._awaited = 0

    def next(self, results: Sequence[Result]) -> Sequence[Trial] | None:
        self.left += results
        self._awaited -= len(results)
        if not self._goes_on():
            return () if self._awaited else None
        new, self.left = self.left, []
        trials = self._source.next(new)
        self._awaited += len(trials or ())
        return trials


class Noting:
    """Knowledge that tells of each play of a lane before it learns from it; all else is that of another."""

    def __init__(self, inner: Knowledge, note: Callable[[Observation], None]) -> None:
        self._inner, self._note = inner, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def add(self, observation: Observation) -> frozenset[str]:
        self._note(observation)
        return self._inner.add(observation)


def causes_of(observation: Observation, subject: str, torch: str) -> set[str]:
    """The causes that one play has shown."""
    if subject in CATALOGUE:
        return {subject} if observation.signatures else set()
    found = set()
    for one in observation.signatures:
        known = explained(one, subject, torch, observation.draft.document)
        found.add(known or f"{one.check}|{one.verb}|{one.role}|{one.outcome}|{one.error}")
    return found


# -- figures -----------------------------------------------------------------------------------------------------------


def area(causes: Mapping[str, float], span: float) -> float:
    """The mean number of causes that were known over a time, given when each was seen first, in seconds."""
    return sum(max(0.0, span - seconds) for seconds in causes.values()) / span


def explained_only(causes: Mapping[str, float]) -> dict[str, float]:
    """Without what no reviewed entry explains."""
    return {cause: seconds for cause, seconds in causes.items() if "|" not in cause}


def areas(rows: Sequence[Row], strategy: str, span: float, known: bool = False) -> dict[int, float]:
    """By seed, over all subjects.

    Args:
        known: count only causes that are explained.
    """
    found: dict[int, float] = {}
    for row in rows:
        if row.strategy == strategy:
            causes = explained_only(row.causes) if known else row.causes
            found[row.seed] = found.get(row.seed, 0.0) + area(causes, span)
    return found


def ratio(these: Mapping[int, float], others: Mapping[int, float]) -> float | None:
    """The median over seeds of how many times as large an area is as another; None without a seed that both have."""
    pairs = [these[seed] / others[seed] for seed in these if others.get(seed)]
    return statistics.median(pairs) if pairs else None


def table(rows: Sequence[Row], span: float) -> str:
    """A Markdown table: medians over the seeds, and ratios against the strategies that have a bar."""
    titles = ["strategy", "plays", "causes at the end", "area", *(f"area / {name}" for name in BARS)]
    titles += ["area, explained only", *(f"/ {name}" for name in BARS)]
    lines = [
        f"{os.cpu_count()} processors, {span:.0f} s for each strategy, seeds {sorted({row.seed for row in rows})}, "
        f"{', '.join(sorted({row.subject for row in rows}))}; medians over seeds",
        "",
        f"| {' | '.join(titles)} |",
        f"| {' | '.join('---' for _ in titles)} |",
    ]
    for name in sorted({row.strategy for row in rows}, key=STRATEGIES.index):
        lines.append(f"| {name} | {' | '.join(_cells(rows, name, span))} |")
    bars = ", ".join(f"{bar} times {name}" for name, bar in BARS.items())
    return "\n".join([*lines, "", f"The bar for ours: {bars}."])


def _cells(rows: Sequence[Row], name: str, span: float) -> list[str]:
    own = [row for row in rows if row.strategy == name]
    cells = [f"{_median_by_seed(own, lambda row: row.plays):.0f}"]
    cells.append(f"{_median_by_seed(own, lambda row: len(row.causes)):.0f}")
    for known in (False, True):
        these = areas(rows, name, span, known)
        cells.append(f"{statistics.median(these.values()):.2f}")
        for other in BARS:
            times = ratio(these, areas(rows, other, span, known))
            cells.append("" if times is None else f"{times:.2f}")
    return cells


def _median_by_seed(rows: Sequence[Row], value: Callable[[Row], Any]) -> float:
    by_seed: dict[int, float] = {}
    for row in rows:
        by_seed[row.seed] = by_seed.get(row.seed, 0) + value(row)
    return statistics.median(by_seed.values())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument("--for", dest="span", type=float, default=600.0, metavar="SECONDS", help="for each (600)")
    parser.add_argument("--slice", type=float, default=60.0, metavar="SECONDS", help="of a turn (60)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="(1 2 3 4 5)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="worlds side by side (2)")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES), help="(all)")
    parser.add_argument("--subjects", nargs="+", default=["static"], help="backends and mutants (static)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the rows: read first, written after each seed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
