"""A job of one's own in place of a workload: where a file says so, and what it cannot have beside it."""

from __future__ import annotations

from harness.loader.keys.entries import CellKeys
from harness.loader.keys.models import Document
from harness.loader.tree.nodes import Mapping
from harness.loader.tree.problems import Reporter
from harness.scenario.scenario import Job
from harness.values.quantity import Duration

JOB_GUARD = Duration(300_000_000_000)
"""How long a job runs has nothing to do with the timeout of a rendezvous."""


def has_job(tree: Mapping, is_command: bool) -> bool:
    """Whether a cell's workload is a job: it says so, or it is played with the subject `command`."""
    return is_command or "job" in tree.entries


def check_job(tree: Mapping, keys: CellKeys, is_job: bool, report: Reporter) -> None:
    """Report a file with neither job nor workload, and what a job cannot have."""
    if not is_job:
        _check_workload(tree, report)
        _check_programs(keys, report)
        return
    for entry in keys.steps:
        message = f"`{entry.kind}` makes no sense for a job: its ranks are programs, which take no steps"
        report((*entry.location, "do"), message, "take `workload` out; the one step of a job is `exit`")
    if keys.world is not None and keys.world.torchrun is not None:
        hint = "take it out, and write `torchrun` into the words of the job"
        report(("world", "torchrun"), "a job has no agents of the harness", hint, key=True)


def _check_workload(tree: Mapping, report: Reporter) -> None:
    if "workload" not in tree.entries and "workload" not in tree.dropped:
        hint = "add `workload: [{do: rendezvous}]`: the steps; or `job: {}`: the ranks are a program of your own"
        report((), "a scenario needs `workload`", hint)


def _check_programs(keys: CellKeys, report: Reporter) -> None:
    for rank, own in ((keys.world.ranks if keys.world is not None else None) or {}).items():
        if own.argv is not None:
            message = "`argv` is the program of a job, and this scenario has a workload"
            hint = "take it out, or write `job: {}` in place of `workload`"
            report(("world", "ranks", rank, "argv"), message, hint, key=True)


def job_of(document: Document | None) -> Job:
    """The job that a file describes; one without words where it does not."""
    keys = None if document is None else document.job
    return Job(tuple((keys.argv if keys is not None else None) or ()))
