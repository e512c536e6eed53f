"""After the play nothing of it is left: no process, no socket and no proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.wording import joined
from harness.scenario.scenario import Scenario
from harness.values.attribute import Declaration
from harness.values.history import History
from harness.values.json import mapping, whole
from harness.values.quantity import format_ns
from harness.values.verdict import ERROR, Verdict

_KINDS = ("processes", "sockets", "proxies")


@CHECKERS.register("nothing_left_behind")
class NothingLeftBehind(Checker):
    """The harness looks shortly after the last process has ended; this judges what it saw."""

    declaration = Declaration(
        kind="nothing_left_behind",
        summary="no process, socket or proxy of the play is left when it is over",
        example="{check: nothing_left_behind}",
    )
    standing = True

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        looks = [op for op in history if op.f == "left_behind" and op.process.rank is None]
        if not looks:
            # Without a look nobody knows whether anything survived, so this is not a pass.
            because = "the history does not say what was left behind: nobody looked, or the history is damaged"
            return Verdict(self.declaration.kind, ERROR, because, self.declaration.summary)
        look = mapping(looks[-1].value)
        left = [text for kind in _KINDS if (text := _listed(kind, look.get(kind)))]
        waited_ns = whole(look.get("waited_ns")) or 0
        because = f"{format_ns(waited_ns)} after the play there were still {joined(left)}"
        findings = [Finding(because, joined(left), (looks[-1].index,))] if left else []
        return self.verdict(findings, f"nothing was left after {format_ns(waited_ns)}")


def _listed(kind: str, things: Any) -> str:
    if not isinstance(things, (list, tuple)) or not things:
        return ""
    return f"{kind}: {', '.join(map(str, things))}"
