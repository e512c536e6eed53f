"""Which machines of a campaign are fit: each says its facts first, and the unfit are left out by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness import __version__
from harness.play.options import RunOptions
from harness.values.json import Fields
from harness.values.printable import printable


@dataclass(frozen=True)
class Facts:
    """What a machine says of itself.

    Attributes:
        harness: its version.
        worlds: how many plays it plays side by side.
        torch: of the ranks' interpreter; empty if it has none.
        python: what is wrong with that interpreter for this campaign; empty if nothing is.
        isolation: why worlds have no namespaces of their own there; empty if they have.
    """

    harness: str
    worlds: int
    torch: str
    python: str
    isolation: str

    @classmethod
    def from_json(cls, row: Any) -> Facts:
        """Raises ValueError for anything else."""
        fields = Fields(row)
        texts = {name: printable(fields.text(name))[:300] for name in ("harness", "torch", "python", "isolation")}
        return cls(worlds=min(fields.whole("worlds", 1), 10_000), **texts)


def torch_of(answers: Mapping[str, Facts], options: RunOptions) -> str:
    """The torch that the campaign plays: that of most machines which are fit in all else."""
    found = Counter(facts.torch for facts in answers.values() if not unfit(facts, facts.torch, options))
    return max(sorted(found), key=lambda torch: found[torch], default="")


def unfit(facts: Facts, torch: str, options: RunOptions) -> str:
    """Why a machine cannot take part; empty if it can."""
    return "; ".join(_problems(facts, torch, options))


def _problems(facts: Facts, torch: str, options: RunOptions) -> Iterator[str]:
    if facts.harness != __version__:
        yield f"its harness is {facts.harness}, and this one {__version__}: install the same"
    if facts.python:
        yield facts.python
    elif options.needs_torch and facts.torch != torch:
        yield f"its torch is {facts.torch}, and this campaign plays {torch}: one campaign plays one torch"
    if facts.isolation and options.isolation == "private":
        yield f"--isolation private: {facts.isolation}"
