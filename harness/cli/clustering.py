"""`--cluster`: from the words of the command line to a runner that plays on other machines."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import streams
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from harness.campaign.clustered import ClusterRunner
    from harness.clusters.base import Cluster
    from harness.play.options import RunOptions


def check(words: str | None, ledger: Path | None, options: RunOptions) -> None:
    """Raises UsageError for options that need each other, or exclude each other."""
    from harness.play.options import is_url

    if words is None:
        if ledger is not None:
            raise UsageError(
                "--ledger keeps the results of a campaign; give --cluster too, for example --cluster local:1"
            )
        return
    if is_url(options.toxiproxy):
        raise UsageError(f"--toxiproxy {options.toxiproxy}: with --cluster each machine starts its own; leave it out")


def at(words: str) -> Cluster:
    """The cluster that `KIND:ADDRESS` names; raises UsageError if there is none."""
    from harness.clusters.base import CLUSTERS

    kind, _, address = words.partition(":")
    if kind not in CLUSTERS:
        raise UsageError(f"--cluster {words}: {CLUSTERS.why_not(kind)}; write KIND:ADDRESS, as dask://HOST:PORT")
    return CLUSTERS[kind].at(address)


def runner(held: ExitStack, words: str, ledger: Path | None, alone: bool, options: RunOptions) -> ClusterRunner:
    """A runner on the machines of `--cluster`.

    Args:
        held: releases the run directories.
        alone: whether the lines that play a cell again are to read no file with defaults.
    """
    from harness.archive import RunDirs
    from harness.campaign.clustered import ClusterRunner
    from harness.cli.again import command_line
    from harness.scenario.needs import required

    required(options.require, "--require")
    cluster = at(words)
    run_dirs = RunDirs(options.runs_dir, options.keep)
    held.callback(run_dirs.release)
    return ClusterRunner(options, cluster, ledger, partial(command_line, alone=alone), run_dirs, streams.say)
