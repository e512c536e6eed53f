"""Results of which one field is a text of somebody else: every field that a report shows or stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import happenings

from harness.judge.result import Result
from harness.scenario.scenario import Job, StepClaim
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op
from harness.values.verdict import FAILED, KNOWN, SKIPPED, Judgement, Verdict
from harness.values.wire import DROPPED, QUERY, Wire, WireMessage

Make = Callable[[str, Path], Result]
"""A result that has this text in one field; its run directory may be made in the folder."""

MS = happenings.MS
CLAIM_LINE = 10


def _judged(**changes: Any) -> Result:
    """The red result of `happenings`, whose judgement differs in these fields."""
    return happenings.result(replace(happenings.red_judgement(), **changes))


def _claimed(**changes: Any) -> Result:
    """Likewise; the verdict of its claim differs."""
    claim, standing = happenings.red_judgement().verdicts
    return _judged(verdicts=(replace(claim, **changes), standing))


def _scenario(**keys: Any) -> Result:
    return happenings.result(happenings.red_judgement(), scenario=happenings.scenario(**keys))


def _played(change: Callable[[Op], Op], *more: Op, wire: Wire | None = None) -> Result:
    """The red result; its history has these operations, changed, and more of them."""
    ops = [*map(change, happenings.muted()), *more]
    return happenings.result(happenings.red_judgement(), History.of(ops, wire))


def _begun(**keys: Any) -> Result:
    """The red result; the first operation of its history says something else too."""
    return _played(lambda op: replace(op, value={**op.value, **keys}) if op.f == "begin" else op)


def _renamed(old: str, new: str, **keys: Any) -> Result:
    """The red result; the operations of a step or a fault have another name and perhaps another value."""
    return _played(lambda op: replace(op, step=new, **keys) if op.step == old else op)


def _get(type: str, **keys: Any) -> Op:
    return happenings.op(20, 0, type, "get", "peek", **keys)


def _more(end: Op, begin: Op | None = None, wire: Wire | None = None) -> Result:
    """The red result; rank 0 makes a call more, which is part of the proof."""
    result = _played(lambda op: op, begin or _get("invoke", value={"key": "ready"}), end, wire=wire)
    proof = tuple(op.index for op in result.history if op.step in ("peek", "get") or op.f in ("inject", "exit"))
    claim, standing = result.judgement.verdicts
    return replace(result, judgement=replace(result.judgement, verdicts=(replace(claim, evidence=proof), standing)))


def _healed(facts: dict[str, Any]) -> Result:
    def healed(op: Op) -> Op:
        is_it = op.f == "heal" and op.type == "ok"
        return replace(op, value={**op.value, "facts": facts}) if is_it else op

    return _played(healed)


def _refused(text: str) -> Result:
    """A fault that was never in place, for this reason."""
    failed = happenings.op(11, "nemesis", "fail", "inject", "spoil", value={"kind": "kill", "because": text})
    return _played(lambda op: op, happenings.op(10, "nemesis", "invoke", "inject", "spoil", value={}), failed)


def _ended(f: str, type: str, **keys: Any) -> Result:
    """The red result; another value of the operations of this verb and type."""
    return _played(lambda op: replace(op, value={**op.value, **keys}) if (op.f, op.type) == (f, type) else op)


def _controller(f: str, value: dict[str, Any]) -> Result:
    return _played(lambda op: replace(op, value=value) if op.f == f else op)


def _wire(key: str) -> Result:
    """A get that waits for a key that is on the wire, and whose query was dropped."""
    time_ns = happenings.ZERO + round(9.5 * MS)
    messages = (WireMessage(1, time_ns, 1, 1, QUERY, "get", (key,), DROPPED, by=key),)

    def waits(op: Op) -> Op:
        return replace(op, value={"key": key}) if op.step == "get" and op.type == "invoke" else op

    return _played(waits, wire=Wire(messages))


def _stacks(text: str, folder: Path, of_frame: bool) -> Result:
    """A run directory whose stacks have this text as a thread or as a frame."""
    path = folder / "run" / "stacks" / "rank-1.life-1.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    thread, frame = ('Thread 1 (idle): "MainThread"', text) if of_frame else (f"Thread {text}", "get (store.py:1)")
    path.write_text(f"{thread}\n    {frame}\n", encoding="utf-8", errors="surrogatepass")
    return happenings.result(happenings.red_judgement(), run_dir=folder / "run")


def _log(text: str, folder: Path) -> Result:
    """A job whose rank 0 has written this text."""
    path = folder / "run" / "logs" / "rank-0.life-1.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    job = happenings.scenario(job=Job())
    return happenings.result(happenings.red_judgement(), scenario=job, run_dir=folder / "run")


def _origin(**keys: Any) -> Result:
    return happenings.result(happenings.red_judgement(), origin=keys)


def _of_status(status: str, because: str, refs: tuple[str, ...] = ()) -> Result:
    return happenings.result(Judgement(status, because, known_refs=refs))


def _because(text: str) -> Result:
    """A red one without verdicts: this is all that it says."""
    return happenings.result(Judgement(FAILED, text, (Verdict("no_hang", FAILED, text),)))


FIELDS: dict[str, Make] = {
    "title": lambda text, _: _scenario(title=text),
    "file name": lambda text, _: _scenario(path=Path("scenarios/timeouts", f"{text}.rdzv.yaml")),
    "folder name": lambda text, _: _scenario(path=Path("scenarios", text, "a.rdzv.yaml")),
    "cell name": lambda text, _: _scenario(cell=((text, "1"),)),
    "cell value": lambda text, _: _scenario(cell=(("cut", text),)),
    "claim": lambda text, _: _scenario(expect=(StepClaim("in-time", ("get",), line=CLAIM_LINE, text=text),)),
    "line of the file": lambda text, _: _scenario(text="\n" * (CLAIM_LINE - 1) + text.replace("\n", " "), expect=()),
    "step": lambda text, _: _renamed("get", text),
    "verb": lambda text, _: _played(lambda op: replace(op, f=text) if op.step == "get" else op),
    "thread": lambda text, _: _more(_get("ok", value=1, thread=text), _get("invoke", value={"key": "k"}, thread=text)),
    "key": lambda text, _: _more(_get("ok", value="v"), _get("invoke", value={"key": text})),
    "value": lambda text, _: _more(_get("ok", value=text)),
    "key of a value": lambda text, _: _more(_get("ok", value=[{text: 1}])),
    "class of an error": lambda text, _: _more(_get("fail", error=ErrorInfo(text, (text,), "gone"))),
    "message of an error": lambda text, _: _more(_get("fail", error=ErrorInfo("Error", ("Error",), text))),
    "why it failed": lambda text, _: _because(text),
    "name of a claim": lambda text, _: _claimed(name=text),
    "why a claim is broken": lambda text, _: _claimed(because=text),
    "expected": lambda text, _: _claimed(expected=text),
    "happened": lambda text, _: _claimed(happened=text),
    "fault": lambda text, _: _renamed("mute", text),
    "kind of a fault": lambda text, _: _renamed("mute", "mute", value={"kind": text, "ranks": [1]}),
    "name of a fact": lambda text, _: _healed({text: 1}),
    "fact": lambda text, _: _healed({"by": text}),
    "why a fault failed": lambda text, _: _refused(text),
    "note": lambda text, _: _judged(notes=(text,)),
    "reference": lambda text, _: _of_status(KNOWN, "it hangs", (text,)),
    "why it is known": lambda text, _: _of_status(KNOWN, text),
    "why it was skipped": lambda text, _: _of_status(SKIPPED, text),
    "command": lambda text, _: happenings.result(happenings.red_judgement(), command=text),
    "run directory": lambda text, _: happenings.result(happenings.red_judgement(), run_dir=Path("runs", text)),
    "thread of a stack": lambda text, folder: _stacks(text, folder, of_frame=False),
    "frame of a stack": lambda text, folder: _stacks(text, folder, of_frame=True),
    "log of a rank": _log,
    "key on the wire": lambda text, _: _wire(text),
    "subject": lambda text, _: _begun(subject=text),
    "torch": lambda text, _: _begun(versions={"torch": text, "python": text}),
    "proxy": lambda text, _: _begun(proxy=text),
    "isolation": lambda text, _: _begun(world={"isolation": text}),
    "why there is no wire": lambda text, _: _begun(no_wire=text),
    "play": lambda text, _: _origin(play=text, started_at=text),
    "machine": lambda text, _: _origin(machine={"kernel": text, "cores": text, "libc": text, "python": text}),
    "disturbance": lambda text, _: happenings.result(happenings.red_judgement(), disturbed=(text,)),
    "why a rank ended": lambda text, _: _ended("exit", "info", by=text),
    "why a call hung": lambda text, _: _ended("get", "info", because=text),
    "left behind": lambda text, _: _controller("left_behind", {"processes": [text], "sockets": [], "proxies": []}),
    "why the harness failed": lambda text, _: _controller("end", {"error": text}),
}

MANY_LINES = {
    "claim",
    "line of the file",
    "why a claim is broken",
    "expected",
    "happened",
    "thread of a stack",
    "frame of a stack",
    "log of a rank",
}
"""Fields whose text may have several lines, which stay."""
