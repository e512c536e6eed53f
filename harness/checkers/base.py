"""What a checker promises: from a scenario and a history, without side effects, one verdict or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from harness.registry import Registry
from harness.scenario import Scenario
from harness.words.attribute import Declaration
from harness.words.history import History
from harness.words.verdict import Verdict


class Checker(ABC):
    """One property.

    Attributes:
        declaration: what it is called and takes.
        standing: whether it judges every run, asked for or not.
    """

    declaration: ClassVar[Declaration]
    standing: ClassVar[bool] = False

    @abstractmethod
    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        """The verdict; `vacuous` if there was nothing to judge, never an exception for an odd history.

        The verdict's `name` is the checker's kind; the caller puts the claim's name and line in.
        """


CHECKERS: Registry[type[Checker]] = Registry("check", "harness.checkers")
