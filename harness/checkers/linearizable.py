"""Whether the store behaved like one register per key: declared, not yet judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.history import History
from harness.values.verdict import Verdict


@CHECKERS.register("linearizable")
class Linearizable(Checker):
    """A file that asks for it is valid; its cells are skipped."""

    declaration = Declaration(
        kind="linearizable",
        summary="the calls on each key could have happened one after another, each between its begin and its end",
        attributes=(
            Attribute("keys", "keys", "the keys to judge", default=None, default_text="all"),
            Attribute("strict", "flag", "whether `ok` of a write without reply means done", default=False),
        ),
        example="{check: linearizable, keys: [counter], strict: true}",
        details="Not yet judged: a scenario that asks for it is skipped.",
    )

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        return self.nothing("not yet: this release cannot judge linearizability")
