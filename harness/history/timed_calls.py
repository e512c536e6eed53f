"""What a call was asked to keep and what it kept: its timeout, its bound, how long it took, how late the play was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.history.joins import handler_config
from harness.history.keys import STORE
from harness.history.lateness import Lateness, lateness, ranks_needed
from harness.scenario.scenario import Scenario
from harness.values.history import Call, History
from harness.values.json import whole
from harness.values.quantity import SLACK_NS

# A raw timeout may be any number; what is reported is at most what JSON's readers take (2**63, in a float's precision).
_LONGEST_NS = 9e18


@dataclass(frozen=True)
class TimedCall:
    """A call that had a timeout and ended; times in nanoseconds, by the caller's clock.

    Attributes:
        timeout_ns: what it was asked to keep.
        slack_ns: what it may take beyond that.
        elapsed_ns: from its begin to its end; of what goes beyond the timeout, without the time for which faults
            suspended its process, which makes no call earlier.
    """

    call: Call
    timeout_ns: int
    slack_ns: int
    elapsed_ns: int
    _history: History = field(repr=False, compare=False)

    @property
    def bound_ns(self) -> int:
        """Its timeout and the slack."""
        return self.timeout_ns + self.slack_ns

    @property
    def lateness(self) -> Lateness:
        """How late the processes of the play were meanwhile: so much longer it may take."""
        return lateness(self._history, self.window, ranks_needed(self._history, self.call))

    @property
    def window(self) -> tuple[int, int]:
        """From its begin to its end."""
        return self._history.window_of(self.call)


def timed_calls(scenario: Scenario, history: History, slack_ns: int = SLACK_NS) -> Iterator[TimedCall]:
    """Every call that had a timeout and ended, ordered by begin; one that died with its process did not end."""
    for call in history.calls:
        timed = timed_call(scenario, history, call, slack_ns)
        if timed is not None:
            yield timed


def timed_call(scenario: Scenario, history: History, call: Call, slack_ns: int = SLACK_NS) -> TimedCall | None:
    """What a call was asked to keep and what it kept; None if it had no timeout, or did not end."""
    timeout_ns = _timeout_ns(scenario, call)
    if timeout_ns is None or call.elapsed_ns is None or call.outcome not in ("ok", "failed", "hung"):
        return None
    unsuspended_ns = call.elapsed_ns - _suspended_ns(scenario, history, call)
    elapsed_ns = max(unsuspended_ns, min(call.elapsed_ns, timeout_ns))
    return TimedCall(call, timeout_ns, slack_ns, elapsed_ns, history)


def _timeout_ns(scenario: Scenario, call: Call) -> int | None:
    """The timeout of the call in nanoseconds; None if it has none."""
    if call.f == "rendezvous":
        return _handler_timeout_ns(scenario, call, whole(call.arguments.get("timeout_ns")))
    if call.f not in STORE:
        return None
    own = whole(call.arguments.get("timeout"))
    return own if own is not None else _handler_timeout_ns(scenario, call, None)


def _handler_timeout_ns(scenario: Scenario, call: Call, recorded_ns: int | None) -> int | None:
    config = handler_config(scenario, call)
    if config is None:
        return recorded_ns
    raw = _seconds(config.config.get("timeout"))
    if raw is not None:
        return round(max(-_LONGEST_NS, min(raw * 1e9, _LONGEST_NS)))
    return config.timeout_ns if recorded_ns is None else recorded_ns


def _seconds(raw: object) -> float | None:
    """The raw timeout of `config` in seconds, perhaps infinite; None if it cannot be read as such."""
    try:
        seconds = math.nan if raw is None else float(str(raw))
    except ValueError:
        return None
    return None if math.isnan(seconds) else seconds


def _suspended_ns(scenario: Scenario, history: History, call: Call) -> int:
    """For how long faults suspended the caller during its call."""
    from_ns, to_ns = history.window_of(call)
    suspending = {fault.name for fault in scenario.faults if fault.suspends_ranks}
    spans = sorted(
        (max(from_ns, fault.injected_ns), to_ns if fault.healed_ns is None else min(to_ns, fault.healed_ns))
        for fault in history.injections
        if fault.fault in suspending and call.rank in fault.ranks and fault.injected_ns is not None
    )
    total = 0
    for since_ns, until_ns in spans:  # faults may overlap
        total += max(0, until_ns - max(from_ns, since_ns))
        from_ns = max(from_ns, until_ns)
    return total
