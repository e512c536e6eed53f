"""Faults in deadlines, and in what is done while there is time."""

from __future__ import annotations

import datetime
import math
import time
import types
from typing import Any

from rdzv_mutants.catalogue import BOTH, STOCK, TIMES, Base, around, mutant

_MISSING_MASTER = ("a-missing-master-ends-the-join-in-time",)
_MISSING_WORKER = ("a-missing-worker-ends-the-join-at-the-timeout",)


def _scaled(base: Base, factor: float) -> None:
    @around(base.handler, "__init__")
    def init(original: Any, self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.timeout *= factor


@mutant(TIMES, "a join may take twice its timeout", _MISSING_WORKER + _MISSING_MASTER, of=BOTH)
def timeout_is_doubled(base: Base) -> None:
    _scaled(base, 2)


@mutant(TIMES, "a join gives up at half its timeout", ("a-missing-master-is-not-given-up-early", *_MISSING_WORKER))
def timeout_is_halved(base: Base) -> None:
    _scaled(base, 0.5)


@mutant(TIMES, "a join never ends while ranks are missing", _MISSING_WORKER + _MISSING_MASTER, of=BOTH)
def deadline_is_off(base: Base) -> None:
    _scaled(base, 1000)


@mutant(
    TIMES,
    "a timeout of half a second is taken for one second",
    ("a-timeout-of-half-a-second-is-half-a-second",),
    survives="it ends half a second late, which is within the slack of every bound",
)
def timeout_is_rounded_up(base: Base) -> None:
    @around(base.handler, "__init__")
    def init(original: Any, self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.timeout = datetime.timedelta(seconds=math.ceil(self.timeout.total_seconds()))


@mutant(
    TIMES,
    "a call of the store over a silent link lasts for ever",
    ("a-silent-link-costs-a-call-its-timeout-at-most", "a-frozen-master-costs-a-call-its-timeout-at-most"),
)
def store_calls_are_not_cut(base: Base) -> None:
    base.part("store").BoundedStore._cutter = lambda self: lambda: None


@mutant(
    TIMES,
    "wait ignores the timeout that it is given and takes the store's",
    ("a-wait-ends-at-its-own-timeout",),
    of=BOTH,
)
def wait_ignores_its_timeout(base: Base) -> None:
    @around(base.store, "wait")
    def wait(original: Any, self: Any, keys: Any, *timeout: Any) -> None:
        original(self, keys)


@mutant(
    TIMES,
    "deadlines are measured with the wall clock: when that is set, a join ends too early or too late",
    ("a-moved-wall-clock-does-not-change-the-timeout",),
)
def wall_clock_is_used(base: Base) -> None:
    # The clock is looked up with each call, as it is in code that says `time.time()`.
    wall = types.SimpleNamespace(monotonic=lambda: time.time(), sleep=time.sleep)
    for name in ("construct", "join_errors", "resolve", "session", "static", "store", "timers", "wire"):
        base.part(name).time = wall


@mutant(TIMES, "a worker that is refused once gives up", ("a-late-master-is-found-in-two-seconds", *_MISSING_MASTER))
def first_refusal_ends_the_join(base: Base) -> None:
    @around(base.module._Call, "_pause_or_raise")
    def pause_or_raise(original: Any, self: Any, error: Exception, phase: str) -> None:
        raise self._errors.failed(error, phase)


@mutant(TIMES, "a worker tries for ever to find its master", _MISSING_MASTER)
def worker_tries_for_ever(base: Base) -> None:
    @around(base.module._Call, "_pause_or_raise")
    def pause_or_raise(original: Any, self: Any, error: Exception, phase: str) -> None:
        self._deadline = max(self._deadline, time.monotonic() + 5)
        original(self, error, phase)


@mutant(
    TIMES,
    "a worker looks for its master so rarely that it finds a late one late",
    ("a-late-master-is-found-in-two-seconds",),
)
def pauses_are_long(base: Base) -> None:
    @around(base.part("backoff").Backoff, "grow")
    def grow(original: Any, self: Any, error: Exception) -> None:
        original(self, error)
        self.pause_s = 4.0


@mutant(
    TIMES,
    "a join whose connection is cut on the way ends",
    ("a-join-cut-halfway-is-retried", "a-greeting-that-is-cut-is-retried"),
)
def cut_joins_are_not_retried(base: Base) -> None:
    @around(base.module._Call, "_pause_or_withdraw")
    def pause_or_withdraw(original: Any, self: Any, error: Exception, session: Any) -> Any:
        if "refused" not in str(error):
            raise self._errors.failed(error)
        return original(self, error, session)


@mutant(TIMES, "a name that does not resolve yet is not looked up again", ("a-name-that-resolves-late-is-waited-for",))
def unknown_names_end_the_join(base: Base) -> None:
    @around(base.module._Call, "_pause_or_withdraw")
    def pause_or_withdraw(original: Any, self: Any, error: Exception, session: Any) -> Any:
        if "does not resolve" in str(error):
            raise self._errors.failed(error)
        return original(self, error, session)


@mutant(TIMES, "the store that is handed out keeps a timeout of its own of 300 s", (), of=(STOCK,))
def store_has_its_own_timeout(base: Base) -> None:
    @around(base.handler, "next_rendezvous")
    def join(original: Any, self: Any) -> Any:
        info = original(self)
        info.store.set_timeout(datetime.timedelta(seconds=300))
        return info
