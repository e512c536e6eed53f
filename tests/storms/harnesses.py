"""Harnesses in every kind of world, for the storms: how one is started, its processes by kind, and what it left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from leftovers import await_so, command_of, environment, marked, output_of
from verdicts import PYTHON

from harness.campaign.pool import CONTROLLER_LOGS
from harness.machine.docker import engine
from harness.machine.docker.client import Client
from harness.machine.docker.leases import OWNER, Owner
from harness.machine.process import lock
from harness.values.errors import Unsupported

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """
schema: rdzv-scenario/v1
title: Ranks that join and stay a while, under faults
world: {{size: 3, timeout: {timeout}{world}}}
workload:
  - {{do: rendezvous}}
  - {{do: sleep, for: {stay}}}
{faults}
expect:
  - {claim}
"""
ON_LINKS = "{inject: latency, latency: 20ms, stream: both}"
ON_HOSTS = (
    "{inject: slow_resolver, ranks: 1, delay: 10ms}",
    "{inject: delay, ranks: 2, delay: 5ms}",
)
CELLS = 2
"""A harness plays so many, one after another."""

OF_TORCH = "torchinductor_"
"""Torch itself leaves an empty folder of such a name in the folder for temporary files."""

SECOND = 1.0
REMOVED_WITHIN_S = 10.0
"""An engine removes containers a few at a time: three take 2 to 5 s."""

ENDS_WITHIN_S = 120.0
"""A harness that has lost a part of itself plays the rest, on a machine that is busy."""


@dataclass(frozen=True)
class Kind:
    """A kind of harness.

    Attributes:
        options: of the command line.
        faults, world: of its scenario.
        victims: kinds of its processes that are its own; none of them is a rank's.
        gone_within_s: how long what it leaves may stay.
        subject: without torch, unless torchrun or a helper needs it.
        timeout, claim: of its scenario.
    """

    victims: tuple[str, ...]
    options: tuple[str, ...] = ()
    faults: tuple[str, ...] = (ON_LINKS,)
    world: str = ""
    gone_within_s: float = SECOND
    subject: str = "echo"
    timeout: str = "20s"
    claim: str = "{step: rendezvous, is: ok}"


COMMON = ("parent", "boot", "controller", "zygote")
KINDS = {
    "private": Kind((*COMMON, "engine"), ("--toxiproxy", "embedded")),
    "host": Kind((*COMMON, "toxiproxy", "reaper", "rank"), ("--isolation", "host", "--toxiproxy", "real")),
    "given": Kind((*COMMON, "reaper"), ("--toxiproxy", "{url}")),
    "namespaces": Kind(
        (*COMMON, "name server", "packet queue"),
        ("--world", "namespaces"),
        ON_HOSTS,
        world=", route: direct",
    ),
    "torchrun": Kind(
        (*COMMON, "engine", "rank"),
        ("--toxiproxy", "embedded"),
        world=", torchrun: {max_restarts: 0}",
        subject="static",
    ),
    "containers": Kind(
        ("parent", "boot", "controller", "reaper"), ("--world", "containers"), gone_within_s=REMOVED_WITHIN_S
    ),
    "helper": Kind(
        ("helper",),
        ("--toxiproxy", "embedded"),
        ("{inject: impostor, answers: store, for: 1500ms}",),
        world=", ranks: {0: {start: never}}",
        subject="static",
        timeout="2s",
        claim="{step: rendezvous, ranks: [1, 2], is: [ok, failed]}",
    ),
    "pytest": Kind(("parent", "worker", *COMMON[1:])),
}
WORDS = {
    "worker": "exec(eval(sys.stdin.readline()))",
    "boot": "process/boot.py",
    "controller": "-m harness.play.controller",
    "zygote": "launch/zygote.py",
    "rank": "launch/zygote.py",
    "toxiproxy": "toxiproxy-server",
    "engine": "-m harness.engine",
    "name server": "-m harness.machine.names.name_server",
    "packet queue": "-m harness.machine.network.packet_queue",
    "reaper": "-m harness.machine.docker.reaper",
}
"""A process by a word of its command line. Ranks and agents are clones of the zygote, which is the oldest of them."""

HELPER = "impostor_store"
"""A helper of a fault is a clone of the zygote too; it is known by the file that it writes to."""


@dataclass
class Harness:
    """A running harness.

    Attributes:
        report: its results, as JSON.
        owners: its processes so far, as Docker's labels name them.
    """

    kind: Kind
    folder: Path
    process: subprocess.Popen[bytes]
    mark: str
    report: Path
    owners: set[Owner] = field(default_factory=set)

    def look(self) -> list[int]:
        """All its processes, the oldest first."""
        pids = sorted(marked(self.mark))
        for pid in pids:
            try:
                self.owners.add(Owner.of(pid))
            except ProcessLookupError:
                continue
        return pids

    def processes(self, victim: str) -> list[int]:
        """Those of one kind."""
        if victim == "parent":
            return [self.process.pid]
        if victim == "helper":
            return [pid for pid in self.look() if HELPER in output_of(pid)]
        found = [pid for pid in self.look() if WORDS[victim] in command_of(pid) and pid != self.process.pid]
        # Boot's command line has the controller's in it.
        found = [pid for pid in found if victim == "boot" or WORDS["boot"] not in command_of(pid)]
        return {"zygote": found[:1], "rank": found[1:]}.get(victim, found)

    def is_sleeping(self) -> bool:
        """Whether rank 0 is in the middle of its workload."""
        ops = (self.folder / "runs").glob("*/ops/rank-0.*")
        return any(b'"sleep"' in file.read_bytes() for file in ops)

    def results(self) -> list[str]:
        """The statuses that it reported."""
        if not self.report.exists():
            return []
        return [str(row["status"]) for row in json.loads(self.report.read_text())["results"]]

    def left(self, url: str = "") -> list[str]:
        """What is still there of it."""
        return [
            *(f"{pid} {command_of(pid)}" for pid in marked(self.mark)),
            *(_in_engine(self.owners) if self.kind is KINDS["containers"] else ()),
            *(f"proxy {name}" for name in proxies(url) if name.startswith("rdzv-")),
            *(f"temporary file {path}" for path in (self.folder / "tmp").iterdir() if OF_TORCH not in path.name),
            *(f"held {path}" for path in (self.folder / "runs" / CONTROLLER_LOGS).glob("*.lock") if lock.is_held(path)),
        ]


@contextmanager
def started(kind: Kind, folder: Path, stay: str = "300ms", url: str = "") -> Iterator[Harness]:
    """A harness that plays `CELLS` cells; whatever is left of it after the block is killed."""
    folder.mkdir()
    (folder / "tmp").mkdir()
    for number in range(CELLS):
        faults = "\n".join(f"  - {fault}" for fault in kind.faults)
        text = SCENARIO.format(
            timeout=kind.timeout,
            world=kind.world,
            stay=stay,
            faults=f"faults:\n{faults}" if faults else "",
            claim=kind.claim,
        )
        (folder / f"cell-{number}.rdzv.yaml").write_text(text)
    mark, report = uuid.uuid4().hex, folder / "report.json"
    argv = _pytest(folder, report) if kind is KINDS["pytest"] else _run(kind, folder, report, url)
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env={
            **environment(mark),
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder / "tmp"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        stdout=subprocess.DEVNULL,
        stderr=open(folder / "stderr", "wb"),
        # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield Harness(kind, folder, process, mark, report)
    finally:
        for pid in marked(mark):
            _kill(pid)
        process.wait()


def _run(kind: Kind, folder: Path, report: Path, url: str) -> list[str]:
    options = [option.format(url=url) for option in kind.options]
    argv = [sys.executable, "-m", "harness.cli", "run", str(folder), "--jobs", "1", "--subject", kind.subject]
    return [*argv, "--python", PYTHON, "--runs-dir", str(folder / "runs"), "--json", str(report), *options]


def _pytest(folder: Path, report: Path) -> list[str]:
    plugins = [word for name in ("xdist", "harness.pytest_plugin.plugin", "no:cacheprovider") for word in ("-p", name)]
    options = ["--rdzv-subject", "echo", "--rdzv-report", str(report), "--rootdir", str(folder)]
    options += ["--basetemp", str(folder / "base")]
    return [sys.executable, "-m", "pytest", *plugins, "-n", "2", *options, str(folder)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_first(pids: Sequence[int]) -> bool:
    """SIGKILL to the first; returns whether there was one."""
    for pid in pids[:1]:
        _kill(pid)
    return bool(pids)


def await_nothing(harness: Harness, url: str = "") -> list[str]:
    """What is still left of it when all of it must be gone."""
    await_so(lambda: not harness.left(url), harness.kind.gone_within_s, harness.mark)
    return harness.left(url)


def await_end(harness: Harness) -> int | None:
    """Its exit code, when it has ended by itself; None if it does not."""
    try:
        return harness.process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        return None


def proxies(url: str) -> list[str]:
    """The proxies of a server, if one was given."""
    if not url:
        return []
    with urllib.request.urlopen(f"{url}/proxies", timeout=10) as answer:
        return list(json.load(answer))


def _in_engine(owners: set[Owner]) -> list[str]:
    """Containers and networks of these owners; `[]` without an engine."""
    try:
        with closing(Client(engine.find().url)) as client:
            found = {**client.containers(OWNER), **client.networks(OWNER)}
    except Unsupported:
        return []
    return [one for one, labels in found.items() if Owner.from_json(labels[OWNER]) in owners]
