"""`record run --cluster`: machines play what a record lacks; the record is written here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from harness.cli import clustering, streams
from harness.cli.exit_codes import AS_EXPECTED, NOTHING_SELECTED, SOME_ERROR
from harness.cli.recording import Request, interrupted, say_progress, selected
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from harness.play.options import RunOptions
    from harness.record.clustered import Playing
    from harness.record.document import Results


@dataclass(frozen=True)
class Torches:
    """What the machines play with.

    Attributes:
        pythons: `torch:VERSION`, or the path of an interpreter there.
        limit: bytes that all installed releases may take together on a machine.
    """

    pythons: tuple[str, ...]
    limit: int


def torches(pythons: Sequence[str], versions: Sequence[str], limit: str) -> Torches:
    """What `--torch` and `--python` name, in this order; nothing is installed or examined here.

    Raises UsageError for none, and for what is no version or no size; the errors of the package index.
    """
    from harness.cli.environments import HOW, available, named
    from harness.cli.selecting import interpreter
    from harness.cli.torch_commands import limit_of
    from harness.machine.torches.torches import PREFIX

    found = [f"{PREFIX}{version}" for version in named(versions, available)]
    found += [interpreter(python) for python in pythons]
    if not found:
        raise UsageError(
            f"no torch to play with; give --torch VERSIONS ({HOW}) or --python PATH, a path on the machines"
        )
    return Torches(tuple(dict.fromkeys(found)), limit_of(limit))


def run(
    request: Request,
    options: RunOptions,
    chosen: Torches,
    runner: AbstractContextManager[Playing] | None = None,
) -> int:
    """Play what the record lacks; returns the exit code. What was played is kept, however this ends.

    Raises UsageError or ScenarioError before anything is played; HarnessError if no machine is fit, or none left.
    """
    from harness.record import clustered, folder

    cells = selected(request)
    if not cells:
        return NOTHING_SELECTED

    def keep(results: Results) -> None:
        folder.save(request.record, results)

    record = clustered.Record(partial(folder.load_or_new, request.record), keep)
    wish = clustered.Wish(chosen.pythons, request.subjects, request.repeat, chosen.limit)
    try:
        with ExitStack() as held:
            machines = held.enter_context(runner or _runner(held, request, options))
            ended = clustered.play(machines, wish, cells, options, record, streams.say)
    except KeyboardInterrupt:
        return interrupted(request)
    for progress in ended.progress:
        if progress.total:
            say_progress(progress)
    for python, reasons in ended.missing.items():
        streams.say(
            f"error: no machine can play {python}: {'; '.join(f'{one}: {why}' for one, why in reasons.items())}"
        )
    return SOME_ERROR if ended.missing or any(one.unsettled for one in ended.progress) else AS_EXPECTED


def _runner(held: ExitStack, request: Request, options: RunOptions) -> AbstractContextManager[Playing]:
    """Of machines that need no torch yet: each installs what it plays."""
    torchless = replace(options, subject="echo", python=sys.executable)
    return clustering.runner(held, str(request.cluster), request.ledger, True, torchless)
