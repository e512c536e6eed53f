"""The signature of a violation, without what differs from run to run, and the key of the cause behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from harness.explore.edits import anchor_kind, entries
from harness.explore.observation import Signature
from harness.history.joins import joins
from harness.history.wording import stacks_of
from harness.scenario.scenario import EXIT, Scenario
from harness.values.history import Call, History
from harness.values.verdict import FAILED, KNOWN, Judgement, Verdict, Violation
from harness.values.wire import PASSED, WireMessage

MASTER, WORKER = "master", "worker"

ReadStacks = Callable[[str], str]
"""The text of a file with stacks, by its path relative to the run directory; empty if it cannot be read."""

MOST_FRAMES = 3
"""How many frames of a hang enter: those nearest to where it waits."""

LONGEST_KEY = 100
"""Characters of a cause key: it is the name of a folder."""

LOST = "connection lost"
_CONNECTION_LOST = (
    "broken pipe",
    "connection reset by peer",
    "failed to recv, got 0 bytes",
    "connection was likely closed",
)
"""What the kernel says of a connection whose other side is gone: which of these depends on who writes first."""


def no_stacks(_path: str) -> str:
    """Nothing: where the run directory is gone, a hang has no frames."""
    return ""


def signatures(
    scenario: Scenario, history: History, judgement: Judgement, stacks: ReadStacks = no_stacks
) -> frozenset[Signature]:
    """One signature for each violated call of each failed verdict; equal ones are one.

    A failed verdict without violations is one violation with its own evidence.

    Args:
        stacks: reads the stacks of hangs, for a report. Without it signatures have no frames, and only such ones are
            compared: of five plays of one hang, three had none, since the process moved on while it was read
            (measured, `a-silent-stranger-costs-the-timeout-at-most`).
    """
    if judgement.status not in (FAILED, KNOWN):
        return frozenset()
    return frozenset(
        _signature(history, violation, stacks)
        for verdict in judgement.verdicts
        if verdict.status == FAILED
        for violation in _violations(verdict)
    )


def principal(found: Iterable[Signature]) -> Signature | None:
    """The one of several signatures of a run to begin with; None without any.

    The most severe outcome first: one cause often violates several properties, and a call that hung says most.
    """
    order = ("hung", "died", "failed", "ok")
    return min(found, key=lambda one: (order.index(one.outcome) if one.outcome in order else 9, one), default=None)


def _violations(verdict: Verdict) -> Sequence[Violation]:
    return verdict.violations or (Violation(verdict.name, verdict.because, verdict.evidence),)


def _signature(history: History, violation: Violation, stacks: ReadStacks) -> Signature:
    check = violation.check
    ops = [history.ops[index] for index in violation.evidence if 0 <= index < len(history.ops)]
    calls = _calls(history, violation.evidence)
    if not calls:
        return Signature(check, verb=next((op.f for op in ops if op.f), ""))
    if len({call.f for call in calls}) > 1:
        calls = calls[-1:]  # a checker names last what is impossible, after what proves it
    if len(calls) == 1:
        return _of_call(history, check, calls[0], stacks)
    return Signature(
        check,
        verb=calls[0].f,
        role=_several(_role(history, call) for call in calls),
        outcome=_several(call.outcome for call in calls),
        error=_several(call.error.kind for call in calls if call.error is not None),
    )


def _of_call(history: History, check: str, call: Call, stacks: ReadStacks) -> Signature:
    error = call.error
    return Signature(
        check,
        verb=call.f,
        role=_role(history, call),
        outcome=call.outcome,
        error="" if error is None else error.kind,
        message="" if error is None else template(error.first_line, _run_ids(history)),
        wire=_last_message(history, call),
        frames=_frames(stacks(stacks_of(history, call)), call) if call.outcome == "hung" else (),
    )


def _several(words: Iterable[str]) -> str:
    return "+".join(sorted({word for word in words if word}))


def _calls(history: History, evidence: Sequence[int]) -> list[Call]:
    """The calls that operations belong to, in the order of the evidence."""
    owners: Mapping[int, Call] = history.once(
        "calls by operation", None, lambda: {index: call for call in history.calls for index in call.evidence}
    )
    found = {id(owners[index]): owners[index] for index in evidence if index in owners}
    return list(found.values())


def _role(history: History, call: Call) -> str:
    """`master` for the process that was given rank 0 in its life, and for process 0 if it never joined."""
    given = [join.given_rank for join in joins(history) if (join.call.rank, join.call.life) == (call.rank, call.life)]
    known = [rank for rank in given if rank is not None]
    return MASTER if (0 in known if known else call.rank == 0) else WORKER


def _run_ids(history: History) -> frozenset[str]:
    return history.once("run ids", None, lambda: frozenset(op.run_id for op in history.ops if op.run_id is not None))


# -- what a message says ------------------------------------------------------------------------------------------

_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"'[^']*'|\"[^\"]*\"|`[^`]*`", "<name>"),
        (r"\(?\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*(?::[0-9a-fA-F]*){2,})\]?(?:[:,] ?\d+)?\)?", "<address>"),
        (r"\b[A-Za-z][\w.-]*:\d{1,5}\b|\(\w[\w.-]*, \d{1,5}\)", "<address>"),
        (r"(?<![\w<])/[^\s,;:)]+", "<path>"),
        (r"\b0x[0-9a-fA-F]+\b", "<n>"),
        (r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\s*(?:ns|us|ms|s|min|milliseconds?|seconds?|minutes?)\b", "<time>"),
        (r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?", "<n>"),
        (r"(<path>|<name>)(?:, (?:<path>|<name>))+", r"\1"),
        (r"\b(rank|process)(?:e?s)? <n>(?:(?:, | and |, and )<n>)*", r"\1 <n>"),
    )
)


def template(line: str, names: Iterable[str] = ()) -> str:
    """The first line of an error's message, with numbers, times, addresses, paths, keys and quoted names replaced.

    What the kernel says of a connection whose other side is gone is one text, since chance decides which it says.

    Args:
        names: further words to replace, such as run ids.
    """
    line = line.split("\nException raised from ", 1)[0].strip()
    line = line.splitlines()[0] if line else ""
    if any(text in line.casefold() for text in _CONNECTION_LOST):
        return LOST
    for name in sorted(names, key=len, reverse=True):
        line = re.sub(rf"(?<![\w/]){re.escape(name)}(?!\w)", "<name>", line) if len(name) > 1 else line
    for pattern, by in _REPLACED:
        line = pattern.sub(by, line)
    return " ".join(line.split())


# -- the wire -----------------------------------------------------------------------------------------------------


def _last_message(history: History, call: Call) -> str:
    """The last message that reached the proxy server on that rank's link before the call ended.

    Empty if another thread of the rank made a call meanwhile: whose message is the last is a race (measured).
    """
    if history.wire is None or _is_beside_another(history, call):
        return ""
    _, until_ns = history.window_of(call)
    messages = (one for one in history.wire.messages if one.rank == call.rank and one.time_ns <= until_ns)
    last = max(messages, key=lambda message: message.number, default=None)
    return "" if last is None else f"{last.side} {last.kind} {_fate(last)}"


def _is_beside_another(history: History, call: Call) -> bool:
    begun_ns, ended_ns = history.window_of(call)
    others = (one for one in history.calls if one.rank == call.rank and one.thread != call.thread and one.step != EXIT)
    windows = (history.window_of(other) for other in others if other.invoke is not None)
    return any(since_ns < ended_ns and begun_ns < until_ns for since_ns, until_ns in windows)


def _fate(message: WireMessage) -> str:
    """`passed` or `lost`: whether one was dropped, cut or still kept depends on when its connection ended."""
    return "passed" if message.fate == PASSED else "lost"


# -- stacks -------------------------------------------------------------------------------------------------------

_THREAD = re.compile(r'^Thread .*?"(?P<name>[^"]*)"\s*$')
_FRAME = re.compile(r"^ {4}(?P<function>\S+) \((?P<file>[^)]*):\d+\)")


def _frames(text: str, call: Call) -> tuple[str, ...]:
    """The innermost functions of the thread that made the call, up to the step that made it."""
    thread = "MainThread" if call.thread == "main" else call.thread
    return tuple(islice(_functions(text.splitlines(), thread), MOST_FRAMES))


def _functions(lines: Iterable[str], thread: str) -> Iterator[str]:
    inside = False
    for line in lines:
        heading = _THREAD.match(line)
        if heading is not None:
            inside = heading["name"] == thread
            continue
        frame = _FRAME.match(line) if inside else None
        if frame is not None:
            if "harness/rank/" in frame["file"]:
                return  # from here on it is the harness that called
            yield frame["function"]


# -- the cause ----------------------------------------------------------------------------------------------------


def cause_key(signature: Signature, document: Mapping[str, Any]) -> str:
    """What fails and under which faults, readable and short: the name of a folder.

    Args:
        document: the smallest one that shows the signature; its faults are taken to be needed.

    The symptom is that of the call: `hung`, `died` or what it raised. Which of several checks told of it does not
    matter, since a call that hangs violates each check that bounds a time; only of a call that returned the check is
    all there is. Neither the last message nor frames enter: the fault and its anchor say where.
    """
    faults = sorted(_fault(document, fault) for fault in entries(document, "faults"))
    parts = [_symptom(signature), "+".join(faults) or "no-fault"]
    text = "--".join(re.sub(r"[^A-Za-z0-9_.+@-]+", "-", part).strip("-") for part in parts)
    if len(text) <= LONGEST_KEY:
        return text
    digest = sha256(text.encode()).hexdigest()[:6]
    return f"{text[: LONGEST_KEY - len(digest) - 1]}-{digest}"


def _symptom(signature: Signature) -> str:
    what = {"hung": "hung", "died": "died"}.get(signature.outcome)
    if what is None:
        what = signature.error or signature.check
    return ".".join(part for part in (what, signature.verb, signature.role) if part)


def _fault(document: Mapping[str, Any], fault: Mapping[str, Any]) -> str:
    stream = f".{fault['stream']}" if fault.get("stream") else ""
    return f"{fault.get('inject')}{stream}@{anchor_kind(document, fault)}"
