"""Histories that another checker publishes as its test data, and the verdicts that it publishes for them.

They are those of Porcupine (https://github.com/anishathalye/porcupine, MIT), which took the Jepsen logs of etcd from
https://github.com/ahorn/linearizability-checker. They are not stored here: RDZV_PORCUPINE names a checkout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from brute_force import part

from harness.linearizability.calls import Timed
from harness.linearizability.model import IMPOSSIBLE, Action, State, Step
from harness.linearizability.search import Operation

_JEPSEN = re.compile(r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(\w+)\s+:(\w+)\s+(.*)")
_KV = re.compile(r'{:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (nil|"(.*)")}')


def jepsen(checkout: Path) -> Iterator[tuple[str, list[Operation], bool]]:
    """Name, history and verdict of each log of Jepsen's register test of etcd, with calls that timed out."""
    for number, expected in re.findall(r"checkJepsen\(t, (\d+), (true|false)\)", _tests(checkout)):
        name = f"etcd_{int(number):03}"
        text = (checkout / "test_data/jepsen" / f"{name}.log").read_text()
        yield name, list(_etcd(text)), expected == "true"


def key_values(checkout: Path) -> Iterator[tuple[str, list[Timed], bool]]:
    """Name, history and verdict of each log of a key-value store: put, append and get; a missing key reads as empty."""
    for name, expected in sorted(set(re.findall(r'checkKv\(t, "([\w-]+)", (true|false)', _tests(checkout)))):
        text = (checkout / "test_data/kv" / f"{name}.txt").read_text()
        yield name, list(_kv(text)), expected == "true"


def _tests(checkout: Path) -> str:
    return (checkout / "porcupine_test.go").read_text()


def _etcd(text: str) -> Iterator[Operation]:
    running: dict[str, tuple[int, str, str]] = {}
    for time, line in enumerate(text.splitlines()):
        found = _JEPSEN.fullmatch(line)
        if found is None:
            continue
        process, kind, verb, value = found.groups()
        if kind == "invoke":
            running[process] = time, verb, value
        elif kind in ("ok", "fail") and value != ":timed-out":
            begun, _, given = running.pop(process)
            yield Operation(_register(verb, given, value, kind == "ok"), begun, time)
        elif verb == "read":
            del running[process]
        else:  # it may be done at any later time; its process does nothing more
            begun, verb, given = running.pop(process)
            yield Operation(_register(verb, given, "", None), begun, None, must=False)


def _register(verb: str, given: str, returned: str, swapped: bool | None) -> Step:
    if verb == "write":
        return lambda state: given
    if verb == "read":
        return lambda state: state if returned == ("nil" if state is None else state) else IMPOSSIBLE
    expected, desired = given.strip("[]").split()

    def swap(state: State) -> State:
        return IMPOSSIBLE if swapped not in (None, state == expected) else desired if state == expected else state

    return swap


def _kv(text: str) -> Iterator[Timed]:
    running: dict[str, tuple[int, str]] = {}
    for time, line in enumerate(text.splitlines()):
        match = _KV.fullmatch(line)
        assert match is not None, line
        process, kind, verb, key, _, value = match.groups()
        if kind == "invoke":
            running[process] = time, value or ""
        else:
            begun, given = running.pop(process)
            yield part(line, _key_value(verb, key, given, value or ""), begun, time)


def _key_value(verb: str, key: str, given: str, returned: str) -> Action:
    """Nobody writes an empty text there, so one that is read says that the key is missing."""
    if verb == "get":
        return Action("get", (key,), (), returned) if returned else Action("check", (key,), (), False)
    return Action({"put": "set"}.get(verb, verb), (key,), (given,))
