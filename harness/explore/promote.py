"""From a finding to a scenario file: a title that a person can read, where it came from, and who is known to fail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from harness.explore.finding import StoredFinding, Tried
from harness.explore.observation import Signature
from harness.history.wording import joined
from harness.loader import written
from harness.reports.parts.statistics import of_n
from harness.values.errors import UsageError
from harness.values.json import mapping
from harness.values.printable import printable

ENOUGH = 20
"""So many plays, and all of them failed: else a failure is not written down as known."""

TAG = "explored"

_LONGEST_NAME = 80
_TITLES: Mapping[str, str] = {
    "no_hang": "{Call} ends",
    "deadline": "{Call} ends within its timeout and a second",
    "not_early": "{Call} does not give up before its timeout",
    "unaffected": "{Call} is not disturbed by what happens to others",
    "error_contract": "A join that fails raises a class of the contract",
    "together": "All ranks of a round return from the join, or none does",
    "agreement": "The ranks that return from a join agree on their world",
    "join_identity": "A join counts each rank once",
    "add_once": "An add is done at most once",
    "linearizable": "The calls on each key fit one order",
    "prefix_isolation": "No run and no round sees the keys of another",
    "recovery": "The world can be used again after the faults have ended",
    "no_crash": "No rank crashes",
    "no_leak": "Joining and leaving leaks nothing",
    "no_storm": "No rank connects again and again without a pause",
    "idle_wait": "{Call} takes no processor time while it waits",
    "nothing_left_behind": "A world leaves nothing behind",
}
"""The invariants in words; `{Call}` is the violated call."""

_FAMILIES: Mapping[str, str] = {
    "coda-": "A new run can be joined and used after the faults have ended",
    "benign-": "{Call} ends as it does without faults",
}
"""The same for claims that the explorer writes, by how their names begin."""


@dataclass(frozen=True)
class Promoted:
    """A scenario file to be written; `name` is without its suffix."""

    name: str
    text: str


def promoted(finding: StoredFinding, document: Mapping[str, Any], name: str = "", because: str = "") -> Promoted:
    """The scenario file of a finding.

    Args:
        document: the keys of its minimal scenario.
        name: of the file; by default made from the title.
        because: why the subject fails, in one sentence, where that is known.

    Raises UsageError with the figure for a subject that fails sometimes, or that was not played often enough.
    """
    for one in finding.all_tried:
        _check(finding, one)
    title = title_of(finding.signature, document)
    refs = list(dict.fromkeys([*map(str, document.get("refs") or ()), *filter(None, [finding.explained_by])]))
    tags = list(dict.fromkeys([*map(str, document.get("tags") or ()), TAG]))
    keys = {
        "schema": document.get("schema"),
        "title": title,
        "tags": tags,
        **({"refs": refs} if refs else {}),
        **{key: value for key, value in document.items() if key not in ("schema", "title", "tags", "refs", "known")},
        "known": list(_known(finding, because or _symptom(finding.signature))),
    }
    comments = "".join(f"# {line}\n" for line in _origin(finding))
    return Promoted(name or _slug(title), comments + written(keys))


def title_of(signature: Signature, document: Mapping[str, Any]) -> str:
    """The claim that is broken, as a sentence without a full stop."""
    family = next((words for begin, words in _FAMILIES.items() if signature.check.startswith(begin)), "")
    words = _TITLES.get(signature.check) or family or f"{signature.check} holds"
    faults = [str(mapping(fault).get("inject")) for fault in document.get("faults") or ()]
    under = f", under {joined(list(dict.fromkeys(faults)))}" if faults else ""
    return words.replace("{Call}", _capital(_call(signature))) + under


def _call(signature: Signature) -> str:
    verb = "join" if signature.verb == "rendezvous" else signature.verb or "call"
    article = "an" if verb[0] in "aeiou" else "a"
    return f"{article} {verb}" + (f" of a {signature.role}" if signature.role == "worker" else _of_master(signature))


def _of_master(signature: Signature) -> str:
    return " of the master" if signature.role == "master" else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _symptom(signature: Signature) -> str:
    ends = {"hung": "hung", "died": "ended with its process", "failed": f"raised {signature.error or 'an error'}"}
    how = ends.get(signature.outcome, "returned")
    return f"{_call(signature)} {how}, and {signature.check} does not hold; the reason is not known yet"


def _check(finding: StoredFinding, one: Tried) -> None:
    """Raises UsageError unless the subject failed each time, or never."""
    if one.failed == 0 or (one.failed == one.of >= ENOUGH and one.breaks):
        return
    what = f"{finding.name} cannot be promoted: with {_with(one)} {of_n(one.failed, one.of, 'failed')}"
    if one.failed < one.of:
        do = (
            f"a known failure fails {ENOUGH} of {ENOUGH} times; change its minimal scenario until that is so with"
            f" --repeat {ENOUGH}, and keep it as a scenario of your own"
        )
    elif one.of < ENOUGH:
        do = f"{ENOUGH} plays are needed; explore it again, or play its minimal scenario with --repeat {ENOUGH}"
    else:
        do = "its plays did not all break the same claims, or these were not stored; explore it again"
    raise UsageError(f"{what}; {do}")


def _with(one: Tried) -> str:
    return f"{one.subject} and torch {one.torch}" if one.torch else one.subject


def _known(finding: StoredFinding, because: str) -> Iterator[dict[str, Any]]:
    """An entry for each subject, and range of torch, that failed each time; raises UsageError where plays disagree."""
    ranges: dict[tuple[str, str], Tried] = {}
    for one in finding.all_tried:
        key = (one.subject, _range(one.torch))
        other = ranges.setdefault(key, one)
        if (other.failed == 0, other.breaks) != (one.failed == 0, one.breaks):
            what = f"{_with(one)} and {_with(other)} do not fail alike"
            raise UsageError(f"{finding.name} cannot be promoted: {what}; write its `known` entries by hand")
    for (subject, versions), one in ranges.items():
        if one.failed:
            yield {
                "subject": subject,
                **({"torch": versions} if versions else {}),
                "breaks": list(one.breaks),
                "because": because,
                **({"refs": [finding.explained_by]} if finding.explained_by else {}),
            }


def _range(torch: str) -> str:
    """The minor version, of which others were not tried."""
    try:
        return f"=={'.'.join(map(str, Version(torch).release[:2]))}.*" if torch else ""
    except InvalidVersion:
        return f"==={torch}"


def _origin(finding: StoredFinding) -> Iterator[str]:
    yield printable(f"Found by `rdzv-harness explore` on {finding.first_seen[:10]}, draft {finding.ancestry[0]}.")
    yield printable(f"Cause: {finding.cause}")
    for one in finding.all_tried:
        yield printable(f"With {_with(one)}: {of_n(one.failed, one.of, 'failed')}.")
    bare = finding.without_faults
    if bare is not None:
        yield f"Without its faults: {of_n(bare.failed, bare.of, 'failed')}."


def _slug(title: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return words[:_LONGEST_NAME].rstrip("-")
