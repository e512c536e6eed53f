"""The timeout that a call was given."""

from __future__ import annotations

from harness.history.joins import handler_config
from harness.scenario.scenario import Scenario
from harness.values.history import Call
from harness.values.json import whole

# A store is made with its handler's timeout, and every one of these calls has it.
STORE_CALLS = frozenset(
    ("set", "get", "add", "compare_set", "wait", "check", "delete_key", "num_keys", "append", "multi_get", "multi_set",
     "queue_push", "queue_pop")
)  # fmt: skip


def asked_ns(scenario: Scenario, call: Call) -> int | None:
    """The timeout of a call in nanoseconds; None if it has none."""
    if call.f == "rendezvous":
        return _handler_timeout_ns(scenario, call, whole(call.arguments.get("timeout_ns")))
    if call.f not in STORE_CALLS:
        return None
    own = whole(call.arguments.get("timeout"))
    return own if own is not None else _handler_timeout_ns(scenario, call, None)


def _handler_timeout_ns(scenario: Scenario, call: Call, recorded_ns: int | None) -> int | None:
    config = handler_config(scenario, call)
    if config is None:
        return recorded_ns
    raw = _seconds(config.config.get("timeout"))
    if raw is not None:
        return round(raw * 1e9)
    return config.timeout_ns if recorded_ns is None else recorded_ns


def _seconds(raw: object) -> float | None:
    """The raw timeout of `config` in seconds; None if it cannot be read as such."""
    try:
        return None if raw is None else float(str(raw))
    except ValueError:
        return None
