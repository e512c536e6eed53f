"""What the explorer has seen of one play: its status, its violations in short, and what was new about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.explore.draft import Draft
from harness.values.json import Fields


@dataclass(frozen=True, order=True)
class Signature:
    """A violation without what differs from run to run: no rank, number, time, port or path.

    Attributes:
        check: the invariant, checker or claim that is violated.
        verb: of the violated call; empty if the violation is about no call.
        role: `master` or `worker`, of its rank; empty likewise.
        outcome: how the call ended.
        error: the class of what it raised; empty if it raised nothing.
        message: its first line, with all that varies replaced.
        wire: the last message on that rank's link before the call ended, `query set passed`; empty if there is none.
        frames: of a call that hung, the innermost functions of its stack.
    """

    check: str
    verb: str = ""
    role: str = ""
    outcome: str = ""
    error: str = ""
    message: str = ""
    wire: str = ""
    frames: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "frames": list(self.frames)}

    @classmethod
    def from_json(cls, row: Any) -> Signature:
        """The signature that `to_json` wrote; raises ValueError with the field's name for anything else."""
        fields = Fields(row)
        return cls(
            check=fields.text("check"),
            verb=fields.text("verb"),
            role=fields.text("role"),
            outcome=fields.text("outcome"),
            error=fields.text("error"),
            message=fields.text("message"),
            wire=fields.text("wire"),
            frames=fields.texts("frames"),
        )


@dataclass(frozen=True)
class Observation:
    """One play of a draft.

    Attributes:
        status: of its verdict.
        signatures: of what was violated; empty for an `error`, which says nothing about the subject.
        features: what was seen, as texts; a text that no earlier play had is new.
        seconds: how long it took.
        untouched: the faults that were not injected, or touched nothing.
        seed: of the play.
        run_dir: where it is stored, if it still is.
    """

    draft: Draft
    status: str
    signatures: frozenset[Signature] = frozenset()
    features: frozenset[str] = frozenset()
    seconds: float = 0.0
    untouched: tuple[str, ...] = ()
    seed: int = 0
    run_dir: Path | None = None


class Task(Protocol):
    """Something that wants drafts played and learns what came of them, such as the shrinking of a find."""

    @property
    def is_done(self) -> bool:
        """Whether it wants nothing more."""

    def next(self) -> Sequence[Draft]:
        """The drafts to play now, side by side; one that stands twice is played twice.

        Each draft is given once. An empty answer means that it waits for what it has given.
        """

    def add(self, observation: Observation) -> None:
        """Learn of one play of one of its drafts; the draft tells which."""
