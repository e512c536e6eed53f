"""The scenario that `new` writes: small, commented, and ready to be played."""

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


def template(name: str) -> str:
    """The text of a scenario whose file is `NAME.rdzv.yaml`; raises UsageError if that is not a name for a file.

    The name is the claim in hyphens: `a-slow-link-delays-nobody-else`.
    """
    plain = name.removesuffix(".rdzv.yaml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", plain):
        raise UsageError(
            f"{name!r} is not a name for a scenario; write the claim in hyphens: a-late-worker-is-waited-for"
        )
    words = re.sub("[-_]+", " ", plain).strip()
    return _TEMPLATE.format(schema_line=SCHEMA_LINE, title=_quoted(words[:1].upper() + words[1:]))


def _quoted(title: str) -> str:
    """A title that YAML reads as text, whatever it looks like."""
    return title if re.search("[A-Za-z]{3}", title) and title.lower() not in ("true", "false", "null") else f'"{title}"'


EXAMPLE = template("a-slow-link-delays-nobody-else")
"""The template filled in, for the reference page."""
