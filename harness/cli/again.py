"""The command line that plays one cell again."""

from __future__ import annotations

import shlex
import sys

from harness.play.options import RunOptions
from harness.scenario.scenario import Scenario

DEFAULTS = RunOptions()


def command_line(options: RunOptions, scenario: Scenario, seed: int) -> str:
    """`rdzv-harness run ...` for just this cell, as it was played; options at their defaults are left out."""
    words = ["rdzv-harness", "run", str(scenario.path)]
    words += ["-k", scenario.id] if scenario.cell else []
    words += ["--subject", options.subject] if options.subject != DEFAULTS.subject else []
    words += ["--python", options.python] if options.python != sys.executable else []
    words += ["--toxiproxy", options.toxiproxy] if options.toxiproxy != DEFAULTS.toxiproxy else []
    words += ["--isolation", options.isolation] if options.isolation != DEFAULTS.isolation else []
    words += ["--world", options.world] if options.world else []
    words += ["--seed", str(seed)]
    words += ["--", *options.command] if options.command else []
    return shlex.join(words)
