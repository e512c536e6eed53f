"""Start the engine as a child, as `machine.toxiproxy.server` starts the real one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from harness import clock
from harness.machine.toxiproxy import token
from harness.machine.toxiproxy.server import END_GRACE_NS, READY_WITHIN_NS, ChildProcesses, RunningServer
from harness.values.endpoint import Endpoint
from harness.values.errors import ProxyLost
from harness.values.refusals import with_advice

_LOOK_EVERY_NS = 2_000_000


def launch(
    children: ChildProcesses,
    log_path: Path,
    *,
    seed: str | None = None,
    store_header: Path | None = None,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
) -> RunningServer:
    """Start an engine in this network namespace, on any free port of loopback; returns when it answers.

    The engine binds its own socket and prints the address, so no other server can be mistaken for it: the sentinel of
    the returned server is empty. Its token is random, so nobody else on this machine changes its proxies.

    Args:
        log_path: its output; an existing file is replaced.
        seed: of all random draws; None for a random one.
        store_header: the TCPStoreBackend.hpp of the torch whose store will be behind it.

    Raises ProxyLost if it does not start; the text ends with its output.
    """
    log_path.unlink(missing_ok=True)
    argv = [python, "-m", "harness.engine", "--port", "0", "--parent-pid", str(os.getpid())]
    argv += ["--seed", seed] if seed is not None else []
    argv += ["--store-header", str(store_header)] if store_header is not None else []
    secret = token.new()
    environment = {**(os.environ if env is None else env), token.VARIABLE: secret}
    pid = children.spawn(argv, env=environment, stdout_path=log_path)
    try:
        return RunningServer(pid, _ready(children, pid, log_path), "", log_path, secret)
    except BaseException:
        children.end(pid, END_GRACE_NS)
        raise


def _ready(children: ChildProcesses, pid: int, log_path: Path) -> Endpoint:
    deadline_ns = clock.now_ns() + READY_WITHIN_NS
    while True:
        ended = children.wait(pid, _LOOK_EVERY_NS) is not None
        output = log_path.read_text(errors="replace") if log_path.exists() else ""
        for line in output.splitlines(keepends=True):
            if line.startswith('{"ready"') and line.endswith("\n"):
                ready = json.loads(line)
                return Endpoint(ready["host"], ready["port"])
        if ended or clock.now_ns() > deadline_ns:
            why = "ended at its start" if ended else "did not get ready within 10 s"
            said = output.strip()[-500:] or f"nothing; is the disk of {log_path} full?"
            raise ProxyLost(with_advice(f"the embedded engine {why}; it said: {said}"))
