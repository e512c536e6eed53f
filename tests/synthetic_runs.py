"""Judged runs of any size with their wire, made without playing anything: what a page must hold and show."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from harness.judge.result import Result
from harness.loader import load_text
from harness.scenario.scenario import Scenario
from harness.values.history import History
from harness.values.ops import CONTROLLER, INFO, INVOKE, NEMESIS, OK, Op, Process
from harness.values.verdict import FAILED, Judgement, Verdict
from harness.values.wire import DROPPED, QUERY, REPLY, Wire, WireMessage

MS = 1_000_000
ZERO = 1_000_000 * MS
TIMEOUT_MS = 2_000
TEXT = """\
schema: rdzv-scenario/v1
title: A muted link costs its rank one timeout at most, in a world of SIZE
tags: [slow-links]
world: {size: SIZE, timeout: 2s}
workload:
  - {id: join, do: rendezvous}
  - {id: publish, do: set, ranks: 0, key: ready, value: "yes", after: join}
  - {id: read, do: get, key: ready, after: join}
faults:
  - {id: mute, inject: blackhole, ranks: 1, stream: downstream, after: join}
expect:
  - {id: all-join, step: join, is: ok, within: 2s}
  - {id: all-read, step: read, is: ok, within: timeout}
"""


def scenario(size: int, number: int = 0) -> Scenario:
    """The scenario, as the loader reads it."""
    return replace(_loaded(size), path=Path("scenarios", f"folder-{number % 12}", f"a-muted-link-{number}.rdzv.yaml"))


@cache
def _loaded(size: int) -> Scenario:
    (found,) = load_text(TEXT.replace("SIZE", str(size)), Path("a.rdzv.yaml"))
    return found


def run(size: int, calls: int = 3, messages: int = 0, number: int = 0) -> Result:
    """A run that failed: all ranks join and call, the link of rank 1 is muted, and its last call hangs.

    Args:
        calls: how many each rank makes after its join; two operations each.
        messages: how many are on the wire; 0: a query and a reply for each call.
        number: draws the times, and names the scenario.
    """
    draw = random.Random(number * 1000 + size)
    ops = [*_frame(size, number), *(op for rank in range(size) for op in _rank(rank, size, calls, draw))]
    count = messages or 2 * size * (calls + 1)
    history = History.of(ops, Wire(tuple(_messages(size, count, draw))))
    return Result(
        scenario(size, number),
        _judgement(history),
        history,
        Path(".rdzv/runs", f"2026-12-02T09-00-00-{number:04}"),
        seconds=4.2,
        seed=number,
        command=f"rdzv-harness run scenarios/folder-{number % 12}/a-muted-link-{number}.rdzv.yaml --seed {number}",
    )


def small() -> Result:
    """Three ranks: what most runs are."""
    return run(3, calls=4)


def middle() -> Result:
    """64 ranks."""
    return run(64, calls=4)


def large() -> Result:
    """256 ranks that make 10,000 operations and 30,000 messages."""
    return run(256, calls=19, messages=30_000)


def _own(at_ms: float, who: str, type: str, f: str, step: str = "", **keys: object) -> Op:
    return Op(ZERO + round(at_ms * MS), Process(None, who), type, f, step=step, **keys)  # type: ignore[arg-type]


def _frame(size: int, seed: int) -> Iterator[Op]:
    """What controller and nemesis do."""
    versions = {"harness": "0.2.0", "python": "3.11.4", "torch": "2.15.0+cpu"}
    world = {"kind": "processes", "isolation": "private namespaces"}
    begin = {"subject": "static", "seed": seed, "size": size, "versions": versions, "world": world, "proxy": "embedded"}
    mute = {"kind": "blackhole", "ranks": [1]}
    yield _own(-60, CONTROLLER, OK, "begin", value=begin)
    yield _own(0, CONTROLLER, OK, "start")
    yield _own(12, NEMESIS, INVOKE, "inject", "mute", value=mute)
    yield _own(13, NEMESIS, OK, "inject", "mute", value=mute)
    yield _own(4_001, NEMESIS, INVOKE, "heal", "mute", value=mute)
    facts = {"touched": True, "facts": {"connections": 1, "bytes": 44}}
    yield _own(4_002, NEMESIS, OK, "heal", "mute", value={**mute, **facts})
    yield _own(4_100, CONTROLLER, OK, "end", value={})


def _rank(rank: int, size: int, calls: int, draw: random.Random) -> Iterator[Op]:
    """A join, calls one after the other, and for rank 1 a last one that hangs."""
    who, at_ms = Process(rank, "main"), draw.uniform(1, 4)

    def op(type: str, f: str, step: str, call: int = 1, **keys: object) -> Op:
        time_ns = ZERO + round(at_ms * MS)
        return Op(time_ns, who, type, f, step=step, call=call, **keys)  # type: ignore[arg-type]

    config = {"rank": rank, "world_size": size, "run_id": "train", "endpoint": f"127.0.0.1:{29500 + rank}"}
    yield op(INVOKE, "rendezvous", "join", value={**config, "timeout_ns": TIMEOUT_MS * MS})
    at_ms += draw.uniform(2, 8)
    yield op(OK, "rendezvous", "join", value={"rank": rank, "world_size": size})
    for call in range(1, calls + 1):
        at_ms += draw.uniform(0.1, 3)
        verb, key = draw.choice(("set", "get", "add", "check")), f"key-{draw.randrange(40)}"
        yield op(INVOKE, verb, "read", call, value={"key": key})
        at_ms += draw.uniform(0.2, 2)
        if rank == 1 and call == calls:
            at_ms = 4_000
            yield op(
                INFO, verb, "read", call, value={"outcome": "hung", "because": "no answer within its guard of 4 s"}
            )
        else:
            yield op(OK, verb, "read", call, value={"set": None, "add": call}.get(verb, "yes"))


def _messages(size: int, count: int, draw: random.Random) -> Iterator[WireMessage]:
    """Queries, each with its reply; those to rank 1 are dropped from some time on."""
    span_ms, asked = 60, 0
    for number in range(1, count + 1):
        time_ns = ZERO + round((2 + span_ms * number / count) * MS + draw.randrange(MS // 50))
        is_query = number % 2 == 1
        rank = draw.randrange(size) if is_query else asked
        asked, kind = rank, "get" if draw.random() < 0.7 else "set"
        dropped = not is_query and rank == 1 and number > count // 4
        yield WireMessage(
            number,
            time_ns,
            rank,
            connection=rank + 1,
            side=QUERY if is_query else REPLY,
            kind=kind,
            keys=(f"/train/key-{draw.randrange(40)}",) if is_query else (),
            fate=DROPPED if dropped else "passed",
            sent_ns=None if dropped else time_ns + draw.randrange(20_000, 90_000),
            by="mute-downstream" if dropped else "",
            answers=None if is_query else number - 1,
        )


def _judgement(history: History) -> Judgement:
    hung = next(call for call in history.calls if call.outcome == "hung")
    because = f"read of rank 1 hung: {hung.f}"
    claim = Verdict("all-read", FAILED, because, "ok within 2.00 s", "rank 1: hung after 4.00 s", hung.evidence, 12)
    standing = Verdict("no_hang", FAILED, because, "every call ends", "one hung", hung.evidence)
    others = tuple(Verdict(name, "passed", "nothing broke it") for name in ("all-join", "agreement", "no_leak"))
    return Judgement(FAILED, because, (claim, standing, *others), notes=("mute: touched 44 bytes",))
