"""Small controllers: `python controllers.py NAME JSON` runs one in a process of its own and prints one JSON value."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from freezing import freeze

from harness import clock
from harness.machine.launch.zygote_client import Zygote, doorbell_pipe, spawn_fresh
from harness.machine.process import stack_reader
from harness.machine.process.children import Children, command_of, describe_status
from harness.values.errors import HarnessError
from harness.values.plan import Plan, RankPlan

STANDIN = {"PYTHONPATH": str(Path(__file__).resolve().parent)}
LONG_NS = 60_000_000_000


def isolation() -> object:
    """The network, process tree and user in which a controller runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), 5).close()
    return {
        "isolation": json.loads(os.environ["RDZV_ISOLATION"]),
        "network": os.readlink("/proc/self/ns/net"),
        "tree": os.readlink("/proc/self/ns/pid"),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "pid": os.getpid(),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "descriptors": [number for number in sorted(map(int, os.listdir("/proc/self/fd"))) if _is_open(number)],
        "resolver": os.environ.get("RES_OPTIONS"),
        "user": os.getuid(),
    }


def world(folder: str) -> None:
    """Run two ranks, one of them stopped, a fresh one, and a grandchild without a parent-death signal; never return."""
    children = Children()
    children.become_subreaper()
    _, doorbell = doorbell_pipe()
    python, path = Path(sys.executable), Path(folder)
    zygote = Zygote.start(children, python, STANDIN, doorbell, path / "zygote.log", False, worker="standin_worker")
    plan = write_plan(path, ["hang", "hang", "hang"])
    pipes = [os.pipe() for _ in range(3)]
    pids = zygote.spawn_all((request(path, plan, rank), pipes[rank][0]) for rank in range(2))
    freeze(children, pids[1])
    pids.append(
        spawn_fresh(children, python, request(path, plan, 2), pipes[2][0], doorbell, STANDIN, worker="standin_worker")
    )
    orphan = "import os, time; os.fork() and os._exit(0); time.sleep(600)"
    children.wait(children.spawn([sys.executable, "-c", orphan], env=os.environ), LONG_NS)
    print(json.dumps({"ready": [zygote.pid, *pids]}), flush=True)
    signal.pause()


def statuses() -> object:
    """The statuses of children, as the reaper collects them."""
    with Children() as children:
        codes = ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)", "pass"]
        pids = [children.spawn([sys.executable, "-c", code], env=os.environ) for code in codes]
        ended = {}
        while len(ended) < len(pids):
            children.wait(next(pid for pid in pids if pid not in ended), LONG_NS)
            ended.update(children.reap())
        # Each new Popen runs the destructors of earlier ones, which would wait for their children.
        return [describe_status(ended[pid]) for pid in pids] + [children.is_running(pids[0])]


def strangers() -> object:
    """What is known of a child that other code forked and that ended before it was adopted."""
    with Children() as children:
        pid = os.fork()
        if pid == 0:
            os._exit(4)
        while not (seen := children.reap()):
            children.wait(pid, 10_000_000)
        children.adopt(pid)
        return [seen == [(pid, 4 << 8)], children.is_running(pid), children.status_of(pid)]


def stubborn() -> object:
    """How `end` ends a child that obeys SIGTERM, one that ignores it, and a stopped one."""
    with Children() as children:
        polite = children.spawn(["sleep", "600"], env=os.environ)
        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
        reader, writer = os.pipe()
        rude = children.spawn(
            [sys.executable, "-c", deaf.replace("print(1, flush=True)", f"__import__('os').write({writer}, b'1')")],
            env=os.environ,
            pass_fds=[writer],
        )
        os.read(reader, 1)
        stopped = children.spawn(["sleep", "600"], env=os.environ)
        freeze(children, stopped)
        ends = [children.end(polite), children.end(rude, grace_ns=1_000_000), children.end(stopped, grace_ns=1_000_000)]
        return [*(describe_status(status or 0) for status in ends), children.kill(polite)]


def family() -> object:
    """The descendants before and after `end_all`."""
    reader, writer = os.pipe()
    children = Children()
    children.become_subreaper()
    code = (
        "import os, time\nos.fork() or time.sleep(600)\nos.fork() and os._exit(0)\n"
        f"os.write({writer}, b'1'); time.sleep(600)"
    )
    parent = children.spawn([sys.executable, "-c", code], env=os.environ, pass_fds=[writer])
    os.close(writer)
    os.read(reader, 1)
    children.wait(parent, LONG_NS)
    before = children.others()
    commands = [command_of(pid) for pid in before]
    children.end_all()
    return {"before": len(before), "commands": commands, "after": children.others(), "eof": os.read(reader, 1) == b""}


def missing() -> object:
    """The error for a program that does not exist."""
    with Children() as children:
        try:
            children.spawn(["/no/such/program"], env={})
        except FileNotFoundError as error:
            return str(error)
    return None


def play(
    folder: str,
    actions: list[str],
    python: str = sys.executable,
    environment: dict[str, str] | None = None,
    torch: bool = False,
    fresh: bool = False,
    kill_zygote: bool = False,
    worker: str = "standin_worker",
    **options: Any,
) -> object:
    """Make a rank for each action, send `hello` to each, and wait for their ends."""
    path = Path(folder)
    children = Children()
    children.become_subreaper()
    bell, doorbell = doorbell_pipe()
    given = {**STANDIN, **(environment or {})}
    plan = write_plan(path, actions)
    pipes = [os.pipe() for _ in actions]
    requests = [(request(path, plan, rank), pipes[rank][0]) for rank in range(len(actions))]
    outcome: dict[str, object] = {}
    try:
        if fresh:
            pids = [
                spawn_fresh(children, Path(python), one, fd, doorbell, given, worker=worker) for one, fd in requests
            ]
        else:
            log = path / "zygote.log"
            zygote = Zygote.start(children, Path(python), given, doorbell, log, torch, worker=worker, **options)
            outcome["ready"] = zygote.ready.__dict__
            outcome["zygote"] = zygote.pid
            if zygote.ready.threads:
                try:
                    zygote.spawn(*requests[0])
                except HarnessError as error:
                    return {**outcome, "error": str(error)}
            pids = zygote.spawn_all(requests)
            if kill_zygote:
                children.kill(zygote.pid)
                children.wait(zygote.pid, LONG_NS)
        for reader, writer in pipes:
            os.close(reader)
            with contextlib.suppress(BrokenPipeError):
                os.write(writer, b"hello")
        outcome["controller"] = os.getpid()
        outcome["pids"] = pids
        outcome["ends"] = [describe_status(children.wait(pid, LONG_NS) or 0) for pid in pids]
        outcome["reports"] = [_json(path / f"ops-{rank}") for rank in range(len(actions))]
        outcome["logs"] = [(path / f"log-{rank}").read_text() for rank in range(len(actions))]
        outcome["bell"] = len(_rung(bell))
        return outcome
    except HarnessError as error:
        return {"error": str(error)}
    finally:
        children.close()


def helper(folder: str, module: str, arguments: dict[str, object]) -> object:
    """What a helper process writes when it is ready, and how it ends."""
    with Children() as children:
        _, doorbell = doorbell_pipe()
        zygote = Zygote.start(
            children, Path(sys.executable), STANDIN, doorbell, Path(folder) / "z.log", False, worker="standin_worker"
        )
        reader, writer = os.pipe()
        order = {"helper": module, "arguments": arguments, "log": str(Path(folder) / "helper.log")}
        pid = zygote.spawn(order, writer)
        os.close(writer)
        with os.fdopen(reader) as stream:
            said = stream.read()
        return {"said": said, "end": describe_status(children.end(pid) or 0)}


def hung(folder: str, fresh: bool, stopped: bool, torch: bool = False, python: str = sys.executable) -> object:
    """The stacks of a rank that hangs."""
    path = Path(folder)
    with Children() as children:
        children.become_subreaper()
        _, doorbell = doorbell_pipe()
        plan = write_plan(path, ["hang"])
        reader, _ = os.pipe()
        order = request(path, plan, 0)
        if fresh:
            pid = spawn_fresh(children, Path(python), order, reader, doorbell, STANDIN, worker="standin_worker")
        else:
            zygote = Zygote.start(
                children, Path(python), STANDIN, doorbell, path / "zygote.log", torch, worker="standin_worker"
            )
            pid = zygote.spawn(order, reader)
        while "waits" not in (_text(path / "log-0")):
            children.wait(pid, 1_000_000)
        if stopped:
            freeze(children, pid)
        read = stack_reader.stacks(children, pid, path / "stacks" / "rank-0.txt")
        return {"read": read, "text": (path / "stacks" / "rank-0.txt").read_text(), "running": children.is_running(pid)}


def hung_tree(folder: str) -> object:
    """The files of stacks of a shell that has started three Python processes, one of them below another."""
    path = Path(folder)
    program = "import subprocess, sys, time\n" + _WAITS
    inner = [sys.executable, "-c", program + "waits_below()"]
    outer = [sys.executable, "-c", f"{program}subprocess.Popen({inner!r}); waits_above()"]
    with Children() as children:
        children.become_subreaper()
        words = f"{shlex.join(outer)} & {shlex.join(inner)} & wait"
        pid = children.spawn(["sh", "-c", words], env=os.environ, stdout_path=path / "log")
        while _text(path / "log").count("waits") < 3:
            children.wait(pid, 1_000_000)
        reading = stack_reader.TreeReading(children, pid, path / "stacks" / "x.txt", clock.now_ns() + LONG_NS)
        reading.wait()
        files = {file.name: file.read_text() for file in (path / "stacks").iterdir()}
        children.end_all()
    return {"root": pid, "files": files}


_WAITS = """
def waits_below(): wait()
def waits_above(): wait()
def wait():
    print("waits", flush=True)
    time.sleep(60)
"""


def hung_without_py_spy(folder: str) -> object:
    """The same on a machine without py-spy."""
    stack_reader.find_py_spy = lambda: None
    return hung(folder, fresh=False, stopped=False)


def read_at_last(folder: str, failures: int) -> object:
    """The stacks from a py-spy that fails so often before it succeeds, and how often it was started."""
    path = Path(folder)
    spy, asked = path / "py-spy", path / "asked"
    spy.write_text(f'#!/bin/sh\necho >> "{asked}"\n[ $(wc -l < "{asked}") -gt {failures} ] && echo the stacks\n')
    spy.chmod(0o755)
    stack_reader.find_py_spy = lambda: str(spy)
    stacks = path / "stacks.txt"
    with Children() as children:
        read = stack_reader.stacks(children, os.getpid(), stacks)
    return {"read": read, "text": stacks.read_text(), "asked": len(asked.read_text().splitlines())}


def read_too_slowly(folder: str) -> object:
    """The stacks from a py-spy that never ends."""
    spy = Path(folder) / "py-spy"
    spy.write_text("#!/bin/sh\nexec sleep 600\n")
    spy.chmod(0o755)
    stack_reader.find_py_spy = lambda: str(spy)
    stacks = Path(folder) / "stacks.txt"
    with Children() as children:
        read = stack_reader.stacks(children, os.getpid(), stacks, within_ns=50_000_000)
        return {"read": read, "text": stacks.read_text(), "left": children.others()}


def unreadable_plan(folder: str) -> object:
    """The error of a request with a missing plan, and how a rank of the next request ends."""
    path = Path(folder)
    with Children() as children:
        _, doorbell = doorbell_pipe()
        zygote = Zygote.start(
            children, Path(sys.executable), STANDIN, doorbell, path / "zygote.log", False, worker="standin_worker"
        )
        plan = write_plan(path, ["exit 5"])
        reader, _ = os.pipe()
        try:
            zygote.spawn({**request(path, plan, 0), "plan": "/nowhere.json"}, reader)
        except HarnessError as error:
            pid = zygote.spawn(request(path, plan, 0), reader)
            return {"error": str(error), "then": describe_status(children.wait(pid, LONG_NS) or 0)}
    return None


def write_plan(folder: Path, actions: list[str]) -> Path:
    ranks = tuple(RankPlan({"DO": action, "OF_RANK": str(rank)}, {}) for rank, action in enumerate(actions))
    path = folder / "plan.json"
    path.write_text(json.dumps(Plan("echo", (), 1, (), ranks).to_json()))
    return path


def request(folder: Path, plan: Path, rank: int) -> dict[str, object]:
    action = json.loads(plan.read_text())["ranks"][rank]["env"]
    files = {"ops": str(folder / f"ops-{rank}"), "log": str(folder / f"log-{rank}")}
    return {"plan": str(plan), "rank": rank, "life": 1, "env": action, "doorbell": True, **files}


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False  # the listing's own
    return True


def _json(path: Path) -> object:
    return json.loads(path.read_text()) if path.exists() else None


def _rung(bell: int) -> bytes:
    try:
        return os.read(bell, 65536)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    answer = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps(answer))
