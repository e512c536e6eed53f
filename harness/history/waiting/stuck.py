"""The calls that got no answer in time: they hung, were never seen to end, or failed at their timeout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.history.joins import handler_config
from harness.history.keys import STORE, keys_of
from harness.scenario.scenario import Scenario
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.plan import JOIN

_SAYS_TIMEOUT = re.compile(r"time[d]?[ _-]?out|gave up", re.IGNORECASE)
_KEYS_SHOWN = 3


@dataclass(frozen=True)
class Stuck:
    """One such call.

    Attributes:
        until_ns: when it ended, or the history did.
        deadline_ns: when it should have ended at the latest; None if that is not known.
        overran: whether it lasted longer than its timeout by more than a tenth, or never ended.
    """

    call: Call
    begun_ns: int
    until_ns: int
    deadline_ns: int | None
    overran: bool

    @property
    def lasted_ns(self) -> int:
        return self.until_ns - self.begun_ns

    @property
    def nearly_over_ns(self) -> int:
        """When nine tenths of the wait were over: calls that wait for each other end in the same moment, and what
        follows them begins in that moment too."""
        return self.until_ns - self.lasted_ns // 10

    @property
    def needed_until_ns(self) -> int:
        """A cause that was there from its begin until then explains why it did not succeed."""
        return self.until_ns if self.deadline_ns is None else min(self.until_ns, self.deadline_ns)


def stuck_calls(scenario: Scenario, history: History) -> Iterator[Stuck]:
    """Every join and store call that got no answer in time, ordered by begin."""
    for call in history.calls:
        if call.invoke is not None and (call.f == JOIN or call.f in STORE) and is_stuck(scenario, call):
            yield _stuck(history, call, _timeout_ns(scenario, call))


def is_stuck(scenario: Scenario, call: Call) -> bool:
    """Whether a call hung, was never seen to end, or failed at its timeout."""
    return _had_no_answer(call, _timeout_ns(scenario, call))


def _had_no_answer(call: Call, timeout_ns: int | None) -> bool:
    if call.outcome in ("hung", "running"):
        return True
    if call.outcome != "failed" or call.error is None or call.elapsed_ns is None or "ValueError" in call.error.bases:
        return False
    if timeout_ns is not None and call.elapsed_ns >= timeout_ns:
        return True
    said = " ".join((call.error.kind, call.error.message, *call.error.causes))
    # An error that only names the timeout, such as one about an invalid number, comes at once.
    return bool(_SAYS_TIMEOUT.search(said)) and (timeout_ns is None or call.elapsed_ns >= timeout_ns // 2)


def _stuck(history: History, call: Call, timeout_ns: int | None) -> Stuck:
    begun_ns, until_ns = history.window_of(call)
    overran = call.outcome in ("hung", "running")
    if timeout_ns is not None:
        overran = overran or until_ns - begun_ns > timeout_ns + timeout_ns // 10
    return Stuck(call, begun_ns, until_ns, None if timeout_ns is None else begun_ns + timeout_ns, overran)


def _timeout_ns(scenario: Scenario, call: Call) -> int | None:
    """The timeout of the call in nanoseconds; None if it is not known."""
    own = whole(call.arguments.get("timeout_ns" if call.f == JOIN else "timeout"))
    config = handler_config(scenario, call)
    if config is not None and "timeout" in config.config:
        return None  # the subject was given another text, which only it can read
    return own if own is not None else None if config is None else config.timeout_ns


def named(call: Call) -> str:
    """`get("ready")`, `its join`; of any other verb also the name of the step: `think (sleep)`."""
    if call.f == JOIN:
        return "its join"
    if call.f not in STORE:
        return call.f if call.f == call.step else f"{call.step} ({call.f})"
    keys = keys_of(call)
    more = ", ..." if len(keys) > _KEYS_SHOWN else ""
    return f"{call.f}({', '.join(f'{quoted(key)}' for key in keys[:_KEYS_SHOWN])}{more})"


def quoted(key: str) -> str:
    """A key as a sentence has it."""
    return f'"{key}"' if len(key) <= 60 else f'"{key[:57]}..."'
