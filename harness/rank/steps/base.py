"""What a step promises: a verb that is declared once and runs inside a rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Protocol

from harness.words.attribute import Declaration


class Context(Protocol):
    """What a verb may use of its rank: implemented by the worker.

    `handlers` are the subject's handlers by name, `store(name)` the newest store of a handler.
    """


@dataclass(frozen=True)
class StepMember:
    """A verb.

    Attributes:
        declaration: what it is called and takes.
        run: called with the rank's context and the converted arguments; returns a JSON value or raises.
        needs: `store` or `handler` if the step is skipped where its rank has none; empty otherwise.
        tells: whether it may build a handler, and so takes `run_id`, `timeout`, ... beside it.
    """

    declaration: Declaration
    run: Callable[[Any, Mapping[str, Any]], Any]
    needs: str = ""
    tells: bool = False


STEPS: Dict[str, StepMember] = {}


def step(
    declaration: Declaration, needs: str = "", tells: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Function decorator: register a verb under its declared kind."""

    def remember(run: Callable[..., Any]) -> Callable[..., Any]:
        STEPS[declaration.kind] = StepMember(declaration, run, needs, tells)
        return run

    return remember
