"""A draft: the keys of a scenario file that the explorer has written, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.loader import load_text, written
from harness.scenario.scenario import Scenario

SYSTEMATIC, MUTATION, UNIFORM, CLEAN, CANARY = LANES = ("systematic", "mutation", "uniform", "clean", "canary")
"""How a draft came to be: each fault at each anchor in turn, a change of an entry of the corpus, drawn without regard
to what was seen before, a workload without faults, or a fault of the explorer's own that it must find."""

_ID_DIGITS = 12


@dataclass(frozen=True)
class Draft:
    """A scenario that may be played, and is kept as a file.

    Attributes:
        document: the keys of the file as plain values (mappings, lists, texts, numbers, flags); without a matrix.
        lane: one of `LANES`.
        seed: what it was drawn from; a label, since the document says everything.
        workload: the name of the family of its steps.
        parent: the id of the draft that it is a change of; empty if it is none.
        cells: for each fault what its budget counts, `FAULT|STREAM|ROLE|KIND OF ANCHOR`.
    """

    document: Mapping[str, Any]
    lane: str
    seed: int
    workload: str = ""
    parent: str = ""
    cells: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """The scenario file."""
        return written(self.document)

    @cached_property
    def id(self) -> str:
        """The first hexadecimal digits of the text's SHA-256: equal files have equal ids."""
        return sha256(self.text.encode()).hexdigest()[:_ID_DIGITS]

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario as the loader reads it; raises ScenarioError if it refuses it."""
        (scenario,) = load_text(self.text, Path(f"{self.id}.rdzv.yaml"))
        return scenario


@dataclass(frozen=True)
class Anchor:
    """A moment of a workload that was seen in a run without faults, and at which a fault can begin.

    Attributes:
        moment: as `after` of a fault has it.
        kind: what the moment is: `query KIND`, `reply KIND`, `step VERB begun`, `step VERB ended`.
        rank: whose message or call it is.
        role: `master` or `worker`.
        count: the n-th such message or call, from 1.
    """

    moment: Mapping[str, Any]
    kind: str
    rank: int
    role: str
    count: int = 1


@dataclass(frozen=True)
class Profile:
    """What one run of a workload without faults has shown.

    Attributes:
        anchors: in the order of their times.
        ok_steps: the steps of which every call was `ok`.
        lasted_ns: from the start of the clock to the end of the last call.
    """

    anchors: tuple[Anchor, ...] = ()
    ok_steps: tuple[str, ...] = ()
    lasted_ns: int = 0
