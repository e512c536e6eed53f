"""The scenarios that `new` writes: small, commented, and ready to be played."""

from __future__ import annotations

import re

from harness.reference.addresses import SCHEMA_LINE
from harness.values.errors import UsageError

_TEMPLATE = """\
{schema_line}schema: rdzv-scenario/v1
# The claim in one sentence: what a correct system does, for every subject.
title: {title}
tags: [example]                    # pytest markers

world:
  size: 3                          # rank processes 0, 1, 2
  timeout: 3s                      # of every handler, whole seconds
  # ranks:
  #   2: {{start: 500ms}}            # rank 2 comes late; `never`: it is missing

workload:                          # each rank takes the steps that name it, from top to bottom
  - {{id: join, do: rendezvous}}
  - {{id: tell, do: set, ranks: 0, key: ready, value: "1"}}
  - {{id: hear, do: get, ranks: workers, key: ready}}

faults:                            # `rdzv-harness list` shows every kind, `rdzv-harness explain latency` this one
  - {{id: slow, inject: latency, ranks: 1, stream: downstream, latency: 100ms}}

expect:                            # every call that a claim names must be so
  - {{step: join, is: ok, within: timeout}}
  - {{step: hear, is: ok, value: "1", within: 2s}}
"""

_JOB_TEMPLATE = """\
{schema_line}schema: rdzv-scenario/v1
# The claim in one sentence: what your job does while something is broken.
title: {title}
tags: [example]                    # pytest markers

# Your program, once for each rank: put it in place of the loop, which only prints. It finds RANK, WORLD_SIZE,
# MASTER_ADDR and MASTER_PORT in its environment, and {{rank}}, {{world_size}}, {{master_addr}}, {{master_port}},
# {{run_dir}} and {{python}} (the interpreter of --python) in its words are filled in. Under torchrun a rank is a node:
#   argv: ["{{python}}", -m, torch.distributed.run, --nnodes, "{{world_size}}", --nproc-per-node, "2",
#          --node-rank, "{{rank}}", --master-addr, "{{master_addr}}", --master-port, "{{master_port}}", train.py]
job:
  argv: [sh, -c, "for step in 1 2 3 4 5; do echo step=$step; sleep 0.2; done"]

world:
  size: 2                          # programs: ranks 0 and 1
  guard: 60s                       # a program that runs longer is hung, and is ended

faults:
  # With all that it has started, rank 1 is killed once its log has three lines that contain this text.
  - {{id: killed, inject: kill, ranks: 1, tree: true, after: {{log: "step=", ranks: 1, nth: 3}}}}
  # For a program that connects to MASTER_ADDR: its link is slow from the start, or breaks later.
  # - {{id: slow, inject: latency, ranks: 1, stream: downstream, latency: 200ms}}
  # - {{id: broken, inject: down, ranks: 1, after: {{log: "step=", ranks: 1, nth: 3}}}}

expect:                            # how each program ends; ok: with status 0, failed: with another, died: by a signal
  - {{step: exit, ranks: 1, is: died}}
  - {{step: exit, ranks: 0, is: ok, within: 30s, since: killed}}
"""


def template(name: str, job: bool = False) -> str:
    """The text of a scenario whose file is `NAME.rdzv.yaml`; raises UsageError if that is not a name for a file.

    The name is the claim in hyphens: `a-slow-link-delays-nobody-else`.

    Args:
        job: the ranks run a program of one's own (`--subject command`) in place of steps.
    """
    plain = name.removesuffix(".rdzv.yaml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", plain):
        raise UsageError(
            f"{name!r} is not a name for a scenario; write the claim in hyphens: a-late-worker-is-waited-for"
        )
    words = re.sub("[-_]+", " ", plain).strip()
    text = _JOB_TEMPLATE if job else _TEMPLATE
    return text.format(schema_line=SCHEMA_LINE, title=_quoted(words[:1].upper() + words[1:]))


def _quoted(title: str) -> str:
    """A title that YAML reads as text, whatever it looks like."""
    return title if re.search("[A-Za-z]{3}", title) and title.lower() not in ("true", "false", "null") else f'"{title}"'


EXAMPLE = template("a-slow-link-delays-nobody-else")
"""The template filled in, for the reference page."""
