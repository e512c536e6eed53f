"""Which deliberate faults random exploration finds, after how long, and by which check.

    python benchmarks/explore_mutants.py --python PATH --jobs 2 --json found.json [--shard 1/4] [--only 'strict-set-*']

Each mutant of static-strict (tests/mutants) that a check can see, as tests/mutants/seen.py says, is explored until its
first finding, at most `--for`. A finding counts if it was confirmed, and if its minimal scenario does not fail with the
mutant's base, played once. What FILE has already is not played again, unless it was not found in less time.
Ends with 1 if less than 90 % are found.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "mutants"))

from explored import UNTIL_FIND, Explored, explore
from measuring import installed
from rdzv_mutants import CATALOGUE, Mutant
from seen import SEEN

from harness.cli.exit_codes import AS_EXPECTED, SOME_FAILED

BAR = 0.9
"""The share that must be found."""
DEFAULT = "strict-*"
"""Those of `static` are explored on request only: what stock itself breaks is found first and takes the time."""
LEAST_SECONDS = 2.0
"""With less left, no further session is begun."""

Explore = Callable[[str, float], Explored]
"""Explores a mutant, by its name, for so many seconds at most; what an earlier call has found is not new."""
Holds = Callable[[str, Path], bool]
"""Whether a scenario does not fail with a subject."""


@dataclass(frozen=True)
class Row:
    """What came of one mutant.

    Attributes:
        seconds: until the session ended that found it; without a find, how long it was explored.
        budget: how long it might be explored, in seconds.
        check: what its finding violates; empty if there is none.
        cause: the key of that finding.
        foreseen: whether seen.py names that check.
        of_base: findings that its base shows too.
        error: why exploration ended without saying anything; empty if it did not.
    """

    mutant: str
    seconds: float
    budget: float
    check: str = ""
    cause: str = ""
    foreseen: bool = False
    of_base: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_found(self) -> bool:
        return bool(self.check)


def main() -> int:
    """Explore each mutant, print a line for each and the table; 1 if less are found than the bar says."""
    arguments = _arguments()
    names = chosen(arguments.only, arguments.shard)
    rows = stored(arguments.json)
    for row in measured(names, rows, arguments):
        print(line(row), file=sys.stderr, flush=True)
        rows[row.mutant] = row
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(one) for one in rows.values()], indent=2) + "\n")
    found = [rows[name] for name in names]
    print(table(found))
    return int(share(found) < BAR)


def chosen(only: Sequence[str], shard: tuple[int, int] = (1, 1)) -> list[str]:
    """The mutants that a check can see, whose names fit a pattern; of these every n-th, from the i-th on."""
    names = sorted(name for name in SEEN if any(fnmatch.fnmatch(name, one) for one in only))
    if not names:
        raise SystemExit(f"no mutant that a check can see is called {', '.join(only)}; tests/mutants/seen.py names all")
    index, of = shard
    return names[index - 1 :: of]


def stored(path: Path | None) -> dict[str, Row]:
    """The rows of a file that an earlier call has written; none without a file."""
    if path is None or not path.exists():
        return {}
    rows = [Row(**{**row, "of_base": tuple(row["of_base"])}) for row in json.loads(path.read_text())]
    return {row.mutant: row for row in rows}


def is_settled(row: Row | None, budget: float) -> bool:
    """Whether a mutant needs no further exploration: it was found, or not found in as much time."""
    return row is not None and not row.error and (row.is_found or row.budget >= budget)


# -- measuring ---------------------------------------------------------------------------------------------------------


def measured(names: Sequence[str], rows: Mapping[str, Row], arguments: argparse.Namespace) -> Iterator[Row]:
    """The row of each mutant that has none yet."""
    with tempfile.TemporaryDirectory(prefix="rdzv-explore-mutants-") as temporary:
        folder = Path(temporary)
        site = folder / "site"
        site.mkdir()
        with installed(site):
            for name in names:
                if not is_settled(rows.get(name), arguments.span):
                    ends = _ends(folder / name, arguments)
                    yield measure(CATALOGUE[name], arguments.span, *ends, time.monotonic)


def measure(mutant: Mutant, budget: float, explore: Explore, holds: Holds, now: Callable[[], float]) -> Row:
    """Explore one mutant until something is found that its base does not show, or the time is over."""
    begun = now()
    of_base: list[str] = []
    while (left := budget - (now() - begun)) >= LEAST_SECONDS:
        done = explore(mutant.name, left)
        seconds = round(now() - begun, 1)
        if done.code not in (AS_EXPECTED, SOME_FAILED):
            return Row(mutant.name, seconds, budget, of_base=tuple(of_base), error=last_line(done.said))
        for path, finding in done.findings.items():
            if finding.cause in of_base:
                continue
            if holds(mutant.base, path):
                check = finding.signature.check
                foreseen = check in SEEN[mutant.name].by
                return Row(mutant.name, seconds, budget, check, finding.cause, foreseen, tuple(of_base))
            of_base.append(finding.cause)
        if done.code == AS_EXPECTED:
            break
    return Row(mutant.name, round(now() - begun, 1), budget, of_base=tuple(of_base))


def _ends(folder: Path, arguments: argparse.Namespace) -> tuple[Explore, Holds]:
    """The real ones."""

    def explored(name: str, seconds: float) -> Explored:
        words = ["--for", f"{seconds:.0f}s", "--seed", str(arguments.seed), "--jobs", str(arguments.jobs)]
        words += ["--like", CATALOGUE[name].base]
        return explore(name, folder, arguments.python, *words, *UNTIL_FIND)

    def holds(subject: str, path: Path) -> bool:
        command = [sys.executable, "-m", "harness.cli", "run", str(path), "--subject", subject, "--quiet"]
        command += ["--python", arguments.python, "--toxiproxy", "embedded", "--runs-dir", str(folder / "base")]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode != SOME_FAILED

    return explored, holds


def last_line(text: str) -> str:
    """The last line that has something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")


# -- output ------------------------------------------------------------------------------------------------------------


def share(rows: Sequence[Row]) -> float:
    """Of these mutants, those that were found."""
    return sum(row.is_found for row in rows) / len(rows)


def line(row: Row) -> str:
    """What became of one mutant."""
    base = f"; its base shows too: {', '.join(row.of_base)}" if row.of_base else ""
    if row.error:
        return f"{row.mutant:45} ERROR after {row.seconds:.0f} s: {row.error}"
    if not row.is_found:
        return f"{row.mutant:45} NOT FOUND in {row.seconds:.0f} s: {CATALOGUE[row.mutant].fault}{base}"
    return f"{row.mutant:45} found in {row.seconds:.0f} s by {row.check}{base}"


def table(rows: Sequence[Row]) -> str:
    """All in a Markdown table, and the share."""
    lines = ["", "| mutant | found | seconds | by | foreseen by | needs |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        what = "yes" if row.is_found else "error" if row.error else "no"
        seen = SEEN[row.mutant]
        lines.append(
            f"| {row.mutant} | {what} | {row.seconds:.0f} | {row.check} | {', '.join(seen.by)} | {seen.needs} |"
        )
    found = sum(row.is_found for row in rows)
    return "\n".join([*lines, "", f"{found} of {len(rows)} found ({share(rows):.0%}; the bar is {BAR:.0%})"])


def _shard(text: str) -> tuple[int, int]:
    index, _, of = text.partition("/")
    shard = int(index), int(of)
    if not 1 <= shard[0] <= shard[1]:
        raise ValueError(text)
    return shard


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[DEFAULT], metavar="NAME", help=f"names with * and ? ({DEFAULT})")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="every N-th of them, from the I-th")
    parser.add_argument("--for", dest="span", type=float, default=600.0, metavar="SECONDS", help="for each (600)")
    parser.add_argument("--seed", type=int, default=1, help="of all sessions (1)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="worlds side by side (2)")
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the rows: read first, written after each mutant")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
