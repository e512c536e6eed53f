"""How strong the scenarios and invariants are: which of many deliberate faults of a rendezvous backend they notice.

Each mutant is a backend with one fault (tests/mutants). It is killed by a cell that is *failed* with it, twice of two
times, and as expected with its base. Errors and vacuous cells kill nothing. A survivor needs a scenario, an invariant,
or a written reason.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "mutants"))

from measuring import SCENARIOS, WORLDS, Bench, Finding, all_cells, installed, score
from rdzv_mutants import CATALOGUE, CONTROLS, Mutant

from harness.play.options import AUTO, RunOptions

_MOST_SHOWN = 3


def main() -> int:
    """Print a line for each mutant, the survivors and the score; 1 if a survivor has no reason or a control is red."""
    arguments = _arguments()
    chosen = _chosen(arguments.mutants)
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.name} ({mutant.family or 'control'}): {mutant.fault}")
        return 0
    with tempfile.TemporaryDirectory(prefix="rdzv-mutants-") as folder:
        findings = _measured(arguments, chosen, Path(folder))
    return _report(findings)


def _measured(arguments: argparse.Namespace, chosen: Sequence[Mutant], folder: Path) -> list[Finding]:
    options = RunOptions(
        python=arguments.python, toxiproxy=arguments.toxiproxy, jobs=arguments.jobs, runs_dir=folder / "runs", keep=0
    )
    cells = all_cells(arguments.scenarios, arguments.world)
    findings: list[Finding] = []
    site = folder / "site"
    site.mkdir()
    with installed(site), Bench(options, cells) as bench:
        for mutant in chosen:
            # A control has nothing to be killed by: all of it is played, and all must hold.
            stop = bool(mutant.family) and not arguments.all
            findings.append(bench.measure(mutant, stop, arguments.most))
            print(_line(findings[-1]), flush=True)
            if arguments.json:
                rows = [finding.to_json() for finding in findings]
                arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    return findings


def _chosen(patterns: Sequence[str]) -> list[Mutant]:
    """The mutants whose names fit a pattern; all, and the controls, without one."""
    known = {**CONTROLS, **CATALOGUE}
    if not patterns:
        return list(known.values())
    unknown = [pattern for pattern in patterns if not fnmatch.filter(known, pattern)]
    if unknown:
        raise SystemExit(f"no mutant is called {', '.join(unknown)}; --list names all")
    return [mutant for name, mutant in known.items() if any(fnmatch.fnmatch(name, one) for one in patterns)]


# -- output ------------------------------------------------------------------------------------------------------------


def _line(finding: Finding) -> str:
    """What became of one mutant."""
    unclear = (
        f"; {len(finding.unclear)} unclear ({', '.join(sorted({status for status, _ in finding.unclear.values()}))})"
    )
    rest = f"{finding.played} played{unclear if finding.unclear else ''}"
    if finding.once:
        rest += f"; red once of twice: {', '.join(finding.once)}"
    if finding.red_bases:
        rest += f"; its base is red too in {', '.join(finding.red_bases)}"
    if not finding.is_killed and not finding.mutant.family:
        return f"{finding.mutant.name:45} is as its base ({rest})"
    if not finding.is_killed:
        return f"{finding.mutant.name:45} SURVIVES: {finding.mutant.fault} ({rest})"
    shown = [f"{kill.cell}: {', '.join(kill.broken)}" for kill in finding.kills[:_MOST_SHOWN]]
    more = f" and {len(finding.kills) - _MOST_SHOWN} more" if len(finding.kills) > _MOST_SHOWN else ""
    return f"{finding.mutant.name:45} killed by {len(finding.kills)}: {'; '.join(shown)}{more} ({rest})"


def _report(findings: Sequence[Finding]) -> int:
    controls = [finding for finding in findings if not finding.mutant.family]
    mutants = [finding for finding in findings if finding.mutant.family]
    red = [finding.mutant.name for finding in controls if finding.is_killed or finding.once or finding.red_bases]
    print()
    for finding in mutants:
        if not finding.is_killed:
            print(f"survivor {finding.mutant.name}: {finding.mutant.survives or 'NO REASON IS WRITTEN'}")
    for title, key in (("base", lambda mutant: mutant.base), ("family", lambda mutant: mutant.family)):
        parts = [f"{name} {killed}/{of}" for name, (killed, of) in sorted(score(mutants, key).items())]
        print(f"by {title}: {', '.join(parts)}")
    for name in red:
        print(f"{name} is red, so the harness or the machine is at fault, and the score says nothing")
    killed = sum(finding.is_killed for finding in mutants)
    print(f"score: {killed} of {len(mutants)} mutants killed")
    unexplained = [finding for finding in mutants if not finding.is_killed and not finding.mutant.survives]
    return int(bool(unexplained or red))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", nargs="+", default=[], metavar="NAME", help="names, with * and ? (all)")
    parser.add_argument("--scenarios", nargs="+", type=Path, default=[SCENARIOS], metavar="PATH", help="files, folders")
    parser.add_argument("--world", nargs="+", choices=WORLDS, default=list(WORLDS), help="only cells of these worlds")
    parser.add_argument("--all", action="store_true", help="play on after the first kill")
    parser.add_argument("--most", type=int, metavar="N", help="play at most N cells of each, the likely ones first")
    parser.add_argument("--jobs", type=int, metavar="N", help="worlds side by side")
    parser.add_argument("--python", default=sys.executable, help="the ranks' interpreter (this one)")
    parser.add_argument("--toxiproxy", default=AUTO, help="as `rdzv-harness run` has it (auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, after each mutant")
    parser.add_argument("--list", action="store_true", help="only name the mutants")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
