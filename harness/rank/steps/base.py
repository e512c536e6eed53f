"""The contract of a step: a verb that is declared once and runs inside a rank."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Callable, Dict, Mapping, Optional, Protocol, Sequence, Tuple, TypeVar

from harness.values.attribute import Declaration
from harness.values.plan import HandlerPlan

Arguments = Mapping[str, Any]


class Context(Protocol):
    """What a verb may use of its rank; the worker implements it, one object for each step."""

    @property
    def handler_plan(self) -> HandlerPlan:
        """The arguments of the step's handler."""

    @property
    def handler(self) -> Any:
        """The step's handler; only for verbs that need `handler` or `store`."""

    @property
    def store(self) -> Any:
        """The newest store of the step's handler, with the methods of torch's Store; for verbs that need `store`."""

    def use_store(self, store: Any) -> None:
        """Take this for the newest store of the step's handler."""

    def join(self) -> Dict[str, Any]:
        """Build the handler if the rank has none of that name, and take it through its next rendezvous."""

    def drop(self) -> None:
        """Release the handler and its stores."""

    def leave(self, code: int) -> None:
        """End the process with this status as soon as the call is recorded."""

    def keep_group(self, destroy: Callable[[], None]) -> None:
        """Keep the handler's process group; `destroy` is called before the handler is dropped."""


Run = Callable[[Any, Arguments], Any]
Draw = Callable[[Random, Arguments], Tuple[str, Dict[str, Any]]]
Lacks = Callable[[Context], str]


def _no_problems(_arguments: Arguments) -> Sequence[str]:
    return ()


def _lacks_nothing(_context: Context) -> str:
    return ""


@dataclass(frozen=True)
class StepMember:
    """A verb.

    Attributes:
        declaration: its name and its arguments.
        run: called with the rank's context and the converted arguments; returns a JSON value or raises.
        needs: `store`, `handler` or `group` if the step is skipped where its rank has none; empty otherwise.
        configures_handler: whether it may build a handler, and so takes `run_id`, `timeout`, ... as well.
        problems: what is wrong with arguments that are valid one by one but not together; the loader shows it at the
            step.
        lacks: what the rank's store does not have, so that the call is skipped; empty if nothing is lacking.
        draw: for a verb that stands for others: draws the verb and the arguments of its next call; it is given its
            own arguments, and the number of the call, from 1, as `number`.
        releases: whether the rank holds less after it, so that what it holds is recorded.
    """

    declaration: Declaration
    run: Run
    needs: str = ""
    configures_handler: bool = False
    problems: Callable[[Arguments], Sequence[str]] = _no_problems
    lacks: Lacks = _lacks_nothing
    draw: Optional[Draw] = None
    releases: bool = False


STEPS: Dict[str, StepMember] = {}

Decorated = TypeVar("Decorated", bound=Run)


def step(
    declaration: Declaration,
    needs: str = "",
    configures_handler: bool = False,
    problems: Callable[[Arguments], Sequence[str]] = _no_problems,
    lacks: Lacks = _lacks_nothing,
    draw: Optional[Draw] = None,
    releases: bool = False,
) -> Callable[[Decorated], Decorated]:
    """Function decorator: register a verb under its declared kind; raises ValueError if the kind is taken."""

    def remember(run: Decorated) -> Decorated:
        if declaration.kind in STEPS:
            raise ValueError(f"two steps are called {declaration.kind!r}; rename one")
        STEPS[declaration.kind] = StepMember(
            declaration, run, needs, configures_handler, problems, lacks, draw, releases
        )
        return run

    return remember
