"""The commands `findings list`, `show` and `promote`: what the explorer has found, and scenario files made of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from harness.cli import streams
from harness.cli.exit_codes import AS_EXPECTED, SOME_ERROR
from harness.cli.scenarios import write_new
from harness.explore.causes import explaining
from harness.explore.finding import UNREPRODUCED, StoredFinding
from harness.explore.findings import MINIMAL, RUN, TIMELINE, Findings, read_document, read_file, read_finding
from harness.explore.promote import promoted
from harness.loader import load_text
from harness.reports.parts.safe import LONGEST_COMMAND, one_line
from harness.reports.parts.statistics import of_n
from harness.values.errors import HarnessError, UsageError
from harness.values.printable import printable
from harness.values.suggest import nearest

SUFFIX = ".rdzv.yaml"
# Of files that an exploration has written: more than any scenario or time line of its has.
LINES_SHOWN, LINE_SHOWN = 1_000, 500


def list_findings(folder: Path) -> int:
    """Print a line for each finding, filed or not, and every one that is damaged; returns the exit code."""
    findings = Findings(folder)
    filed, unfiled = findings.names(), findings.unfiled.names()
    damaged = 0
    others: list[StoredFinding] = []
    for path in (*(folder / name for name in filed), *(folder / UNREPRODUCED / name for name in unfiled)):
        try:
            finding = read_finding(path)
        except HarnessError as error:
            damaged += 1
            streams.say(f"error: {error}")
            continue
        if finding.is_confirmed:
            print(_line(path.name, finding))
        else:
            others.append(finding)
    if others:
        unfinished = sum(not one.of for one in others)
        print(
            f"{len(others) - unfinished} not reproduced and {unfinished} not confirmed yet are in"
            f" {printable(str(folder / UNREPRODUCED))}"
        )
    if not (filed or unfiled):
        print(f"no findings in {printable(str(folder))}; `rdzv-harness explore` looks for some")
    return SOME_ERROR if damaged else AS_EXPECTED


def show(cause: str, folder: Path) -> int:
    """Print what is known of a finding, also of one that was not reproduced.

    Raises UsageError for an unknown cause, HarnessError for a damaged one.
    """
    path = _path(cause, folder, folder / UNREPRODUCED)
    finding = read_finding(path)
    minimal, timeline = read_file(path / MINIMAL), read_file(path / TIMELINE)
    print("\n".join(_about(finding, _because(finding, path))))
    print(f"\n{MINIMAL}\n")
    print(_indented(minimal))
    print(f"{TIMELINE}\n")
    print(_indented(timeline))
    print("\n".join(_commands(finding, path, folder)))
    return AS_EXPECTED


def promote(cause: str, folder: Path, name: str, directory: Path) -> int:
    """Write the scenario of a finding.

    Raises UsageError for an unknown cause, for one that does not fail each time, for an invalid name, and for a file
    that exists; HarnessError for a finding that is damaged.
    """
    claim = name.removesuffix(SUFFIX)
    if name and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim):
        raise UsageError(f"--name {name!r} is not a name for a scenario; write the claim in small letters and hyphens")
    path = _path(cause, folder)
    finding = read_finding(path)
    scenario = promoted(finding, read_document(path / MINIMAL), claim, _because(finding, path))
    file = directory / f"{scenario.name}{SUFFIX}"
    load_text(scenario.text, file)
    write_new(file, scenario.text, "--name")
    subject = shlex.join(["rdzv-harness", "run", str(file), "--subject", finding.subject])
    print(printable(f"{file}: give it the title that you would say, then play it with `{subject}`"))
    return AS_EXPECTED


def _path(cause: str, *folders: Path) -> Path:
    """The folder of a cause, given its name or how only its name begins; raises UsageError for any other.

    Of a cause that lies in several folders it is that in the first.
    """
    where = {name: folder for folder in reversed(folders) for name in Findings(folder).names()}
    names = list(where)
    begun = [name for name in names if cause and name.startswith(cause)]
    if cause not in names and len(begun) != 1:
        shown = cause[:100]
        if begun:
            raise UsageError(f"{shown!r} can be {', '.join(map(printable, begun[:5]))}; write more of it")
        near = nearest(cause, names)
        meant = f"did you mean {printable(near)!r}?" if near else "`rdzv-harness findings list` shows all"
        raise UsageError(f"there is no finding {shown!r} in {folders[0]}; {meant}")
    name = cause if cause in names else begun[0]
    return where[name] / name


def _line(name: str, finding: StoredFinding) -> str:
    known = finding.explained_by or "new"
    share = f"{finding.failed} of {finding.of}{', too seldom to be filed' if finding.unreproduced else ''}"
    seen = f"seen {finding.seen} times, last {finding.last_seen}"
    return one_line(f"{name}  {known}  {share}  {finding.subject}, torch {finding.torch or 'none'}  {seen}", LINE_SHOWN)


def _because(finding: StoredFinding, path: Path) -> str:
    """Why the subject fails, as the reviewed file says; empty if it does not."""
    cause = explaining(finding.signature, finding.subject, finding.torch, read_document(path / MINIMAL))
    return cause.because if cause is not None and cause.ref == finding.explained_by else ""


def _about(finding: StoredFinding, because: str) -> list[str]:
    signature, bare = finding.signature, finding.without_faults
    rows = [
        ("cause", finding.cause),
        ("violates", signature.check),
        ("call", " ".join(filter(None, (signature.role, signature.verb, signature.outcome)))),
        ("error", ": ".join(filter(None, (signature.error, signature.message)))),
        ("last message", signature.wire),
        ("waits in", ", ".join(signature.frames)),
        ("reproduced", of_n(finding.failed, finding.of, "failed")),
        ("with", f"{finding.subject}, torch {finding.torch or 'none'}, Python {finding.python}, {finding.engine}"),
        *(("also tried", f"{one.subject}, torch {one.torch}: {of_n(one.failed, one.of, 'failed')}")
          for one in finding.tried),
        ("no faults", of_n(bare.failed, bare.of, "failed") if bare is not None else ""),
        ("found with", ", ".join(finding.found_with)),
        ("explained by", ": ".join(filter(None, (finding.explained_by, because))) or "nothing yet"),
        ("seen", f"{finding.seen} times, {finding.first_seen} to {finding.last_seen}"),
        ("drafts", " -> ".join(finding.ancestry)),
        ("seed", f"{finding.seed}; of the stored run {finding.played_with}"),
        ("harness", finding.harness),
    ]  # fmt: skip
    width = max(len(label) for label, _ in rows)
    return [one_line(f"{label:{width}}  {text}") for label, text in rows if text]


def _commands(finding: StoredFinding, path: Path, folder: Path) -> list[str]:
    where = [] if folder == Findings().folder else ["--findings", str(folder)]
    lines = [
        ["rdzv-harness", "run", str(path / MINIMAL), "--subject", finding.subject],
        ["rdzv-harness", "judge", str(path / RUN)],
        ["rdzv-harness", "show", str(path / RUN)],
        ["rdzv-harness", "reproduce", str(path / MINIMAL)],
        *([] if finding.unreproduced else [["rdzv-harness", "findings", "promote", path.name, *where]]),
    ]
    purposes = ("play it again", "judge the stored run", "its time line", "as a script", "keep it as a scenario")
    return [
        f"{purpose}:  {one_line(shlex.join(words), LONGEST_COMMAND)}"
        for purpose, words in zip(purposes, lines, strict=False)
    ]


def _indented(text: str) -> str:
    lines = text.splitlines()
    shown = [f"  {one_line(line, LINE_SHOWN)}".rstrip() for line in lines[:LINES_SHOWN]]
    more = [f"  … {len(lines) - LINES_SHOWN:,} more lines"] if len(lines) > LINES_SHOWN else []
    return "".join(f"{line}\n" for line in [*shown, *more])
