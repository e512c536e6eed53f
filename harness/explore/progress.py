"""What a person sees of a session: what goes on now, and at the end a summary to read in ten seconds."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.explore.canary import why_not_found
from harness.explore.parts import CONFIRMED, UNCONFIRMED, UNREPRODUCED
from harness.explore.tally import Stored, Tally
from harness.reports.parts.safe import shorten
from harness.values.printable import printable
from harness.values.verdict import ERROR, FAILED, STATUSES

LINE_EVERY_NS = 10_000_000_000
"""Into a pipe a line is written no more often than this."""

CAUSES_SHOWN = 6
"""Of the explained causes the most frequent ones, while the session goes on."""

UNPROVEN_SHOWN = 10
"""Of the finds that were not confirmed, in the summary; all of them are stored."""


class Progress:
    """Shows what goes on: on a terminal two lines that change, into a pipe a line now and then.

    Args:
        quiet: nothing until the end.
        now_ns: the clock.
    """

    def __init__(self, console: Console, now_ns: Callable[[], int], quiet: bool = False) -> None:
        self._console, self._now_ns, self._quiet = console, now_ns, quiet
        self._begun_ns = self._last_ns = now_ns()
        self._finds = 0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return (self._now_ns() - self._begun_ns) / 1e9

    def show(self, tally: Tally) -> None:
        """Called after each result."""
        if self._quiet:
            return
        for stored in tally.finds[self._finds :]:
            self._console.print(Text(f"{stored.find.status}: {_in_short(stored)}", _style(stored)), soft_wrap=True)
        self._finds = len(tally.finds)
        if self._live is not None:
            self._live.start()
            lines = [shorten(line, self._console.width - 1) for line in now_lines(tally, self.seconds)]
            self._live.update(Text("\n".join(lines)), refresh=True)
        elif self._now_ns() - self._last_ns >= LINE_EVERY_NS:
            self._last_ns = self._now_ns()
            self._console.print(Text("; ".join(now_lines(tally, self.seconds))), soft_wrap=True)

    def close(self) -> None:
        """Take away what changes."""
        if self._live is not None:
            self._live.stop()


def now_lines(tally: Tally, seconds: float) -> list[str]:
    """What goes on now, in two lines."""
    new = len(tally.with_status(CONFIRMED))
    causes = ", ".join(f"{count} {cause}" for cause, count in _explained(tally).most_common(CAUSES_SHOWN))
    first = [
        f"{_clock(seconds)}  {_rate(tally, seconds)}",
        f"{tally.features:,} features",
        f"{new} new {'finding' if new == 1 else 'findings'}",
        *([f"explained {causes}"] if causes else []),
    ]
    waits = f", {tally.waiting} more wait" if tally.waiting else ""
    second = [f"{' and '.join(map(printable, tally.under_way)) or 'nothing is investigated'}{waits}", _chance(tally)]
    return [", ".join(first), "; ".join(filter(None, second))]


def summary_lines(
    tally: Tally, seconds: float, what: str, again: Callable[[Path], str], wants_canary: bool = False
) -> list[str]:
    """What the session has done and found.

    Args:
        what: the subject and its versions.
        again: the command line that plays a file as the session did.
    """
    return list(_summary(tally, seconds, what, again, wants_canary))


def _summary(
    tally: Tally, seconds: float, what: str, again: Callable[[Path], str], wants_canary: bool
) -> Iterator[str]:
    end = "; interrupted" if tally.is_interrupted else ""
    yield f"{what}: {_rate(tally, seconds)} in {_clock(seconds)}{end}"
    counts = [f"{tally.statuses[status]} {status}" for status in STATUSES if tally.statuses[status]]
    if counts:
        compared = f"; {tally.compared} more to compare new findings" if tally.compared else ""
        yield f"runs        {', '.join(counts)}; {tally.investigated} of them for investigations{compared}"
    if tally.refused:
        yield f"refused     {tally.refused} drafts are no valid scenarios; report this as a defect of the harness"
    yield f"seen        {tally.features:,} features{f'; {_chance(tally)}' if tally.chance is not None else ''}"
    if tally.explained:
        yield f"explained   {', '.join(f'{count} {cause}' for cause, count in _explained(tally).most_common())}"
    found_now = {stored.find.cause for stored in tally.finds}
    seen = {cause: count for cause, count in tally.again.items() if cause not in found_now}
    seen.update((one.find.cause, tally.again[one.find.cause] + 1) for one in tally.with_status(CONFIRMED, new=False))
    if seen:
        yield f"seen again  {', '.join(f'{count} {printable(cause)}' for cause, count in seen.items())}"
    for stored in tally.with_status(CONFIRMED):
        yield from _new("new", stored, again)
    # Several violations of one cause are several finds until it is investigated.
    unproven = [*{one.find.cause: one for one in tally.with_status(UNCONFIRMED)}.values()]
    for stored in unproven[:UNPROVEN_SHOWN]:
        yield from _new("unconfirmed", stored, again)
    if len(unproven) > UNPROVEN_SHOWN:
        yield f"unconfirmed {len(unproven) - UNPROVEN_SHOWN} more"
    unreproduced = [*tally.with_status(UNREPRODUCED), *tally.with_status(UNREPRODUCED, new=False)]
    if unreproduced:
        places = sorted({str(one.file.parent.parent) for one in unreproduced if one.file is not None})
        yield f"stored      {len(unreproduced)} seen and not reproduced: {', '.join(map(printable, places))}"
    if wants_canary:
        why = why_not_found(tally.canary)
        yield f"canary      {f'NOT found: {why}' if why else 'found, confirmed and shrunk to its core'}"
    if not (tally.with_status(CONFIRMED) or unproven) and not tally.is_interrupted:
        yield "nothing new and unexplained"


def _new(title: str, stored: Stored, again: Callable[[Path], str]) -> Iterator[str]:
    yield f"{title:12}{_in_short(stored)}"
    if stored.find.status == CONFIRMED:
        if not stored.is_filed and stored.file is not None:
            yield f"{'':12}it fails too seldom to be filed, and lies in {printable(str(stored.file.parent))}"
        yield f"{'':12}rdzv-harness findings show {shlex.quote(stored.name)}"
    if stored.file is not None:
        yield f"{'':12}{printable(again(stored.file))}"


def _in_short(stored: Stored) -> str:
    find = stored.find
    tried = f", {find.outcome.hits} of {find.outcome.plays} plays" if find.outcome.plays else ""
    raised = find.signature.message or find.signature.error or find.signature.outcome
    about = " ".join(filter(None, (find.signature.check, find.signature.role, find.signature.verb)))
    return printable(f"{find.cause}{tried}: {about}{f': {shorten(raised, 100)}' if raised else ''}")


def _style(stored: Stored) -> str:
    return "bold red" if stored.find.status == CONFIRMED and stored.is_new else "yellow"


def _explained(tally: Tally) -> Counter[str]:
    return Counter({printable(cause): count for cause, count in tally.explained.items()})


def _rate(tally: Tally, seconds: float) -> str:
    errors = f", {tally.statuses[ERROR]} errors" if tally.statuses[ERROR] else ""
    failed = f", {tally.statuses[FAILED]} red" if tally.statuses[FAILED] else ""
    return f"{tally.runs:,} runs ({tally.runs / max(seconds, 1):.1f}/s{failed}{errors})"


def _chance(tally: Tally) -> str:
    if tally.chance is None:
        return ""
    return f"chance that the next run shows something new: {tally.chance:.1%}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
