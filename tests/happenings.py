"""Small histories and results, built by hand, for the tests of the reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.judge.result import Result
from harness.scenario.scenario import Scenario, Step, StepClaim, World
from harness.values.history import History
from harness.values.ops import ErrorInfo, Op, Process
from harness.values.verdict import FAILED, PASSED, Judgement, Verdict

MS = 1_000_000
ZERO = 1_000_000 * MS
PATH = Path("scenarios/timeouts/a-muted-link-costs-one-timeout.rdzv.yaml")
TEXT = """\
schema: rdzv-scenario/v1
title: A muted link costs its rank one timeout at most
world: {size: 2, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {do: get, ranks: 1, key: ready, after: mute}
faults:
  - {id: mute, inject: blackhole, ranks: 1, stream: downstream, after: join}
expect:
  - {id: in-time, step: get, is: failed, within: [0s, timeout + 1s]}
"""
BEGIN = {
    "title": "A muted link costs its rank one timeout at most",
    "subject": "static",
    "seed": 7,
    "size": 2,
    "versions": {"harness": "0.1.0", "python": "3.11.4", "torch": "2.15.0"},
    "proxy": "toxiproxy-server 2.12.0 (found on PATH)",
    "world": {"kind": "processes", "isolation": "private namespaces", "private_network": True},
}


def scenario(path: Path = PATH, cell: tuple[tuple[str, str], ...] = (), **keys: Any) -> Scenario:
    """A cell with one claim, in line 10 of its file."""
    given: dict[str, Any] = {
        "title": "A muted link costs its rank one timeout at most",
        "world": World(2, 2_000 * MS),
        "steps": (Step("join", "rendezvous", (0, 1), {}), Step("get", "get", (1,), {"key": "ready"})),
        "expect": (StepClaim("in-time", ("get",), outcomes=("failed",), line=10),),
        "text": TEXT,
        **keys,
    }
    return Scenario(path=path, cell=cell, **given)


def op(at_ms: float, who: int | str, type: str, f: str, step: str = "", **keys: Any) -> Op:
    """An operation `at_ms` after the clock started."""
    process = (
        Process(None, who) if isinstance(who, str) else Process(who, keys.pop("thread", "main"), keys.pop("life", 1))
    )
    return Op(ZERO + round(at_ms * MS), process, type, f, step=step, **keys)


def error(kind: str, message: str, *bases: str) -> ErrorInfo:
    return ErrorInfo(kind, (kind, *bases), message)


def handler_config(rank: int, port: int) -> dict[str, Any]:
    return {
        "rank": rank,
        "world_size": 2,
        "run_id": "train",
        "endpoint": f"127.0.0.1:{port}",
        "master_endpoint": "127.0.0.1:29500",
        "timeout_ns": 2_000 * MS,
    }


def muted() -> History:
    """Two ranks join; rank 1's link is muted; its get hangs until the guard ends it."""
    mute = {"kind": "blackhole", "ranks": [1]}
    hung = {"outcome": "hung", "because": "no answer within its guard of 9.00 s"}
    ended = {"outcome": "died", "signal": 9, "by": "guard", "stacks": "stacks/rank-1.life-1.txt"}
    seen = {**mute, "touched": True, "facts": {"connections": 1, "bytes": 44}}
    return History.of(
        [
            op(-60, "controller", "ok", "begin", value=BEGIN),
            op(-20, 0, "info", "ready", value={"pid": 11, "torch": "2.15.0"}),
            op(-19.9, 1, "info", "ready", value={"pid": 12, "torch": "2.15.0"}),
            op(0, "controller", "ok", "start"),
            op(1, 0, "invoke", "rendezvous", "join", value=handler_config(0, 29500)),
            op(1.2, 1, "invoke", "rendezvous", "join", value=handler_config(1, 40001)),
            op(4, 1, "ok", "rendezvous", "join", value={"rank": 1, "world_size": 2}),
            op(5, 0, "ok", "rendezvous", "join", value={"rank": 0, "world_size": 2}),
            op(6, "nemesis", "invoke", "inject", "mute", value=mute),
            op(8, "nemesis", "ok", "inject", "mute", value=mute),
            op(9, 1, "invoke", "get", "get", value={"key": "ready"}),
            op(9_009, 1, "info", "get", "get", value=hung),
            op(9_010, 1, "info", "exit", "exit", value=ended),
            op(9_020, "nemesis", "invoke", "heal", "mute", value=mute),
            op(9_021, "nemesis", "ok", "heal", "mute", value=seen),
            op(9_022, 0, "invoke", "exit", "exit"),
            op(9_040, 0, "ok", "exit", "exit", value={"status": 0}),
            op(9_050, "controller", "ok", "left_behind", value={"processes": [], "sockets": [], "proxies": []}),
            op(9_051, "controller", "ok", "end", value={}),
        ]
    )  # fmt: skip


def red_judgement() -> Judgement:
    """What a judge says of `muted`."""
    claim = Verdict(
        "in-time",
        FAILED,
        "get of rank 1 hung",
        "failed within 0 s to 3.00 s",
        "rank 1: get hung after 9.00 s",
        (10, 11),
        10,
    )
    standing = Verdict("no_hang", FAILED, "1 call hung", "every call ends", "get of rank 1 hung", (11,))
    return Judgement(FAILED, "no_hang is broken", (claim, standing), notes=("mute: unproven",), unnamed_calls=2)


def result(judgement: Judgement | None = None, history: History | None = None, **keys: Any) -> Result:
    """A result; passed, and of `muted`, unless said otherwise."""
    given: dict[str, Any] = {
        "scenario": scenario(),
        "judgement": judgement or Judgement(PASSED, "every claim is met"),
        "history": muted() if history is None else history,
        "run_dir": Path(".rdzv/runs/x"),
        "seconds": 9.2,
        "seed": 7,
        **keys,
    }
    return Result(**given)
