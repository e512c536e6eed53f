"""Known failures, judged strictly: exactly the named claims break, and the claims of `instead` hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from packaging.specifiers import SpecifierSet

from harness.history.wording import joined
from harness.scenario.scenario import Known, Scenario
from harness.values.history import History
from harness.values.json import mapping
from harness.values.verdict import ERROR, FAILED, KNOWN, PASSED, Judgement, Verdict


def entries_that_fit(scenario: Scenario, history: History) -> tuple[Known, ...]:
    """The `known` entries for this cell, and for the subject and the torch of the history.

    Raises packaging's InvalidVersion if torch's version is not one of PEP 440.
    """
    subject = history.begin.get("subject")
    torch = str(mapping(history.begin.get("versions")).get("torch") or "")
    cell = dict(scenario.cell)
    return tuple(
        entry
        for entry in scenario.known
        if entry.subject == subject
        and torch_fits(entry.torch, torch)
        and all(cell.get(path) in labels for path, labels in entry.cells.items())
    )


def torch_fits(specifier: str, version: str) -> bool:
    """Whether a version of torch is in a range, and known; no range has all. Raises packaging's InvalidVersion.

    As PEP 440: nightlies count (2.16.0.dev1 is before 2.16), a local part (`+cpu`) only where the specifier has one.
    """
    return not specifier or (bool(version) and SpecifierSet(specifier).contains(version, prereleases=True))


def judge_known(judgement: Judgement, entry: Known, instead: list[Verdict], stalls: str = "") -> Judgement:
    """The judgement, given the one entry that fits; vacuous and error stay what they are.

    A run in which a part of the harness stood still does not show that a known failure is gone, and neither does a
    claim that would have broken if nothing had been late.

    Args:
        instead: the verdicts of the entry's `instead`.
        stalls: which parts of the harness stood still; empty if none did.
    """
    named = [verdict for verdict in judgement.verdicts if verdict.name in entry.breaks]
    stalls = joined([*filter(None, [stalls]), *holds_by_lateness(named)])
    if judgement.status == PASSED and stalls:
        because = f"it passed, but {stalls}: that says nothing about the known failure of line {entry.line}"
        return replace(judgement, status=ERROR, because=f"{because}; play it again")
    if judgement.status == PASSED:
        because = (
            f"it passed, but line {entry.line} says that {joined(list(entry.breaks))} would break ({entry.because});"
            " delete the entry"
        )
        return replace(judgement, status=FAILED, because=because)
    if judgement.status != FAILED:
        return judgement
    unsure = [verdict for verdict in instead if verdict.status == ERROR]
    if unsure:
        return replace(judgement, status=ERROR, because=f"{unsure[0].name} (instead): {unsure[0].because}")
    missing, extra = _broken_otherwise(judgement, entry)
    if missing and not extra and stalls:
        because = (
            f"{judgement.because}; of the known failure of line {entry.line}, {joined(missing)} did not break, but"
        )
        return replace(judgement, status=ERROR, because=f"{because} {stalls}; play it again")
    differences = _differences(missing, extra, instead)
    if not differences:
        because = f"{entry.because} (breaks {joined(list(entry.breaks))})"
        return replace(judgement, status=KNOWN, because=because, known_refs=entry.refs)
    because = f"{judgement.because}; not the known failure of line {entry.line}: {'; '.join(differences)}"
    return replace(judgement, because=because)


def holds_by_lateness(verdicts: Iterable[Verdict]) -> list[str]:
    """A sentence for each claim that holds only because processes were late."""
    return [f"{it.name} holds only with the lateness that was measured" for it in verdicts if it.granted_ns]


def _broken_otherwise(judgement: Judgement, entry: Known) -> tuple[list[str], list[str]]:
    """What the entry names and did not break, and what broke beside it."""
    broken = {verdict.name for verdict in judgement.verdicts if verdict.status == FAILED}
    return [name for name in entry.breaks if name not in broken], sorted(broken.difference(entry.breaks))


def _differences(missing: list[str], extra: list[str], instead: list[Verdict]) -> list[str]:
    return [
        *([f"{joined(missing)} did not break"] if missing else []),
        *([f"{joined(extra)} broke too"] if extra else []),
        *(f"instead does not hold: {verdict.because}" for verdict in instead if verdict.status != PASSED),
    ]
