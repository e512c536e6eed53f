"""What the record knows of one torch, as a page of text for a terminal of 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.record.advice import HAS, MAY_HAVE, Standing, not_shown, played, standings
from harness.record.named import Named
from harness.record.record import Record
from harness.record.words import DIFFERENTLY, FLAKY, KEPT, NOT_APPLICABLE, UNTESTED, Word
from harness.reference.failures import HARMS, STRICT, Failure

WIDTH = 80
_RANGE = re.compile(r"\(([^(), ]+), ([^(), ]+)\]")
_SIGNS = {HAS: "✗", MAY_HAVE: "?", KEPT: "✓"}


@dataclass(frozen=True)
class Commands:
    """What to type next.

    Attributes:
        play: records this torch.
        again: prints this page of what was recorded.
    """

    play: str
    again: str


def page(record: Record, failures: Mapping[str, Failure], named: Named, origin: str, commands: Commands) -> list[str]:
    """The lines.

    Args:
        failures: the catalogue, by number.
        named: what the record has of the torch; a build, or its neighbours.
        origin: which record it is, for people.
    """
    found = standings(record, failures, named.torches) if named.torches else []
    head = _of_build(record, named, origin) if named.torch else _of_neighbours(record, named, origin, commands)
    lines = [*head]
    for part in (_failures(found, named), _kept(found, named), _open(record, failures, found)):
        lines += part
    lines += _next(found, named, commands)
    return lines


# -- the head ------------------------------------------------------------------------------------------------------


def _of_build(record: Record, named: Named, origin: str) -> Iterator[str]:
    counts = ", ".join(f"{count} plays of {subject}" for subject, count in played(record, named.torch).items())
    yield from _filled(f"torch {named.asked}: what {origin} knows of it", "", "  ")
    yield from _filled(f"{counts}, with torch {named.torch}", "  ", "    ")
    if named.because:
        yield from _filled(named.because, "  ", "    ")
    if named.torch == record.torches[-1]:
        yield "  it is the newest that this record has, so no upgrade is known"


def _of_neighbours(record: Record, named: Named, origin: str, commands: Commands) -> Iterator[str]:
    yield from _filled(f"torch {named.asked}: {origin} does not hold it", "", "  ")
    if named.because:
        yield from _filled(named.because, "  ", "    ")
    near = [
        f"torch {record.labels[torch]} {side} it"
        for torch, side in ((named.before, "before"), (named.after, "after"))
        if torch
    ]
    yield from _filled(f"the nearest that it holds: {' and '.join(near) or 'none'}", "  ", "    ")
    if named.before and named.after:
        yield from _filled("what both have, or both keep, is likely true of it too; nobody has played it", "  ", "    ")
    elif near:
        yield "  what is true of that one need not be true of it; nobody has played it"
    yield from ("", "To record it:", f"  {commands.play}", f"  {commands.again}")


# -- failures that it has ------------------------------------------------------------------------------------------


def _failures(found: Sequence[Standing], named: Named) -> Iterator[str]:
    has = [one for one in found if one.kind == HAS]
    verb = "have" if len(named.torches) > 1 else "has"
    if found:
        yield from ("", f"{_who(named)} {verb} {_count(has)}{', worst first' if len(has) > 1 else ''}")
    for harm, group in groupby(has, lambda one: one.failure.harm):
        yield from ("", f"  {harm}: the job {HARMS[harm]}")
        for standing in group:
            yield from _failure(standing)
    maybe = [one for one in found if one.kind == MAY_HAVE]
    if maybe:
        yield from ("", *_filled(f"One of both has {_count(maybe)}, which torch {named.asked} may have", "", "  "))
        for standing in maybe:
            yield from _title(standing)
            for line in (_seen(standing), f"what helps: {standing.failure.helps}"):
                yield from _filled(line, "      ", "        ")


def _who(named: Named) -> str:
    return "It" if named.torch else "Both" if len(named.torches) > 1 else "That one"


def _count(found: Sequence[Standing]) -> str:
    return {0: "no failure that was played", 1: "one failure"}.get(len(found), f"{len(found)} failures")


def _title(standing: Standing, more: str = "") -> list[str]:
    return _filled(f"{_SIGNS[standing.kind]} {standing.number}  {standing.failure.failure}{more}", "  ", "         ")


def _failure(standing: Standing) -> Iterator[str]:
    yield from _title(standing)
    for line in (_seen(standing), f"what helps: {standing.failure.helps}", _strict(standing), _upgrade(standing)):
        if line:
            yield from _filled(line, "      ", "        ")


def _seen(standing: Standing) -> str:
    """In how many plays; with two torches, of each."""
    if len(standing.words) == 1:
        (word,) = standing.words.values()
        since = [change for change in standing.changes if change.is_introduced and change.after]
        introduced = "; ".join(str(change) for change in since if change.by not in standing.later)
        return f"{_word(word)}{f'; {introduced}' if introduced else ''}"
    return "; ".join(f"torch {label}: {_word(word)}" for label, word in standing.words.items())


def _word(word: Word) -> str:
    if not word.is_tested:
        return word.word
    if word.word == KEPT:
        return f"kept in all {word.plays} plays" if word.plays > 1 else "kept in its only play"
    also = {FLAKY: " (flaky)", DIFFERENTLY: ", by other claims than the scenarios list as known"}.get(word.word, "")
    return f"broken in {word.broken} of {word.plays} plays{also}"


def _strict(standing: Standing) -> str:
    """Whether static-strict is a way out, as it was played."""
    words = standing.strict
    bad = [label for label, word in words.items() if word.is_bad]
    if bad:
        where = f" (torch {', '.join(bad)})" if len(words) > 1 else ""
        return f"{STRICT}: has this failure too{where}"
    kept = [word for word in words.values() if word.word == KEPT]
    if len(kept) == len(words):
        return f"{STRICT}: does not have it, in {sum(word.plays for word in kept)} plays"
    return f"{STRICT}: untested"


def _upgrade(standing: Standing) -> str:
    """The first later release that keeps it, and whether it stays so; empty if no later one was played."""
    good = next((label for label, word in standing.later.items() if not word.is_bad), None)
    labels = list(standing.later)
    if not labels:
        return ""
    if good is None:
        return f"upgrade: does not help, up to torch {labels[-1]}"
    again = next((label for label in labels[labels.index(good) :] if standing.later[label].is_bad), None)
    if again is not None:
        return f"upgrade: torch {good} does not have it, but torch {again} has it again"
    return f"upgrade: torch {good} does not have it{', nor has a later one' if labels[-1] != good else ''}"


# -- the others ----------------------------------------------------------------------------------------------------


def _kept(found: Sequence[Standing], named: Named) -> Iterator[str]:
    kept = [one for one in found if one.kind == KEPT]
    if not kept:
        return
    who = f"{_who(named)} does not have" if len(named.torches) == 1 else "Neither has"
    yield from ("", f"{who} {_count(kept)}: kept in every play")
    for standing in kept:
        yield from _title(standing, _when(standing))


def _when(standing: Standing) -> str:
    """When it was fixed, and whether a later one has it."""
    fixed = [str(one) for one in standing.changes if not one.is_introduced and one.by not in standing.later]
    again = next((label for label, word in standing.later.items() if word.is_bad), None)
    said = [*fixed[-1:], *([f"torch {again} has it"] if again else [])]
    return f": {', but '.join(said)}" if said else ""


def _open(record: Record, failures: Mapping[str, Failure], found: Sequence[Standing]) -> Iterator[str]:
    """What the record does not know."""
    for kind, why in (
        (UNTESTED, "Untested, so nothing is known of"),
        (NOT_APPLICABLE, "Their scenarios are about other versions of torch"),
    ):
        numbers = sorted(one.number for one in found if one.kind == kind)
        if numbers:
            yield from ("", *_filled(f"{why}: {' '.join(numbers)}", "", "  "))
    unknown = not_shown(record, failures)
    if unknown:
        yield from ("", *_filled(f"No scenario shows these, so no record has them: {' '.join(unknown)}", "", "  "))


def _next(found: Sequence[Standing], named: Named, commands: Commands) -> Iterator[str]:
    first = next((one.number for one in found), "F02")
    yield from ("", f"More of one: `rdzv-harness explain {first}`; all: `rdzv-harness list failures`")
    if named.torch and any(one.kind == UNTESTED for one in found):
        yield from ("To play what is untested:", f"  {commands.play}", f"  {commands.again}")


def _filled(text: str, indent: str, behind: str) -> list[str]:
    """Lines; the two ends of a range of releases stay together."""
    lines = textwrap.wrap(
        _RANGE.sub("(\\1,\N{NO-BREAK SPACE}\\2]", text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=behind,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
