"""The controller's side of the zygote: starts it, requests ranks from it, and starts fresh ranks without it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.clock import now_ns
from harness.machine.launch import zygote
from harness.machine.process import stalls
from harness.machine.process.children import Children
from harness.machine.process.interpreter import clean_environment
from harness.values.errors import HarnessError, HelperLost
from harness.values.refusals import cannot, is_of_machine, with_advice

# `import torch` takes about a second; on an overloaded machine it took sixty.
READY_WITHIN_NS = 120_000_000_000
# A clone takes 1 to 7 ms; a zygote that is silent for this long is stuck.
REPLY_WITHIN_NS = 30_000_000_000
# The end of a process is seen milliseconds after that of its socket or pipe.
ENDED_WITHIN_NS = 1_000_000_000
# Unanswered requests at once: far fewer than fill the socket's buffers in both directions, which would deadlock.
_WINDOW = 16
# Four bytes for each operation: a thousand ranks can write 64 each before anything is read.
_DOORBELL_BYTES = 1 << 18
_F_SETPIPE_SZ = 1031
_WORKER = "harness.rank.start"


@dataclass(frozen=True)
class Ready:
    """What the zygote reported when it was ready.

    Attributes:
        python, prefix: of its interpreter.
        torch, torch_file: None where no torch was needed.
        threads: names of all threads but the main one; with any it cannot clone, and ranks must be fresh.
    """

    python: str
    prefix: str
    threads: tuple[str, ...] = ()
    torch: str | None = None
    torch_file: str | None = None


class Zygote:
    """A running zygote; a context manager whose exit ends it (its ranks, children of the controller, go on).

    The constructor does not wait for it; `wait_ready` does.

    Args:
        children: of the controller, which is pid 1 or a subreaper.
        interpreter: the ranks' Python.
        environment: variables for all ranks, in addition to this process's cleaned ones.
        doorbell_fd: the write end of the ranks' doorbell.
        log_path: where its own output goes.
        needs_torch: False for subjects without torch.
        subject: what the ranks will test; its modules are imported before ranks are made.
        worker: the module whose `main(request, control_fd, doorbell_fd)` a rank runs.
        fork_twice: make ranks by fork alone, as on machines where clone's system call number is unknown.
        collapse: collapse its memory into huge pages, see `zygote.collapse_memory`.
    """

    def __init__(
        self,
        children: Children,
        interpreter: Path,
        environment: Mapping[str, str],
        doorbell_fd: int,
        log_path: Path,
        needs_torch: bool = True,
        *,
        subject: str = zygote.ANY_BACKEND,
        worker: str = _WORKER,
        fork_twice: bool = False,
        collapse: bool = True,
    ) -> None:
        self._children = children
        self._log_path = log_path
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        settings = {
            **_common_settings("zygote", worker, doorbell_fd),
            "needs_torch": needs_torch,
            "subject": subject,
            "socket": theirs.fileno(),
            "controller": os.getpid(),
            "fork": fork_twice,
            "collapse": collapse,
        }
        with theirs:
            self.pid = children.spawn(
                [str(interpreter), zygote.__file__, json.dumps(settings)],
                env=clean_environment(os.environ, environment),
                stdout_path=log_path,
                pass_fds=[theirs.fileno(), doorbell_fd],
            )
        stalls.watch(self.pid, "the zygote")

    @classmethod
    def start(cls, *arguments: Any, **options: Any) -> Zygote:
        """Start one and wait until it is ready; raises HelperLost if it is killed, HarnessError if it fails."""
        started = cls(*arguments, **options)
        try:
            started.wait_ready()
        except BaseException:
            started.close()
            raise
        return started

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """A descriptor that, between calls, is readable only when the zygote has ended."""
        return self._socket.fileno()

    def close(self) -> None:
        """End it; its ranks go on."""
        self._socket.close()
        self._children.end(self.pid)
        stalls.forget(self.pid)

    def wait_ready(self, within_ns: int = READY_WITHIN_NS) -> Ready:
        """What it has imported; raises HarnessError if that fails or takes longer than `within_ns` nanoseconds."""
        report = self._receive(within_ns, "import what ranks need")
        if "error" in report:
            raise HarnessError(with_advice(report["error"]))
        self.ready = Ready(**{**report, "threads": tuple(report["threads"])})
        return self.ready

    def spawn_all(self, requests: Iterable[tuple[Mapping[str, Any], int]]) -> list[int]:
        """Make a process for each request, in order; returns their pids, which `children` knows as running.

        Each request comes with a descriptor for the process (the read end of a rank's control pipe, or the write end of
        a helper's ready pipe); the caller closes its own copy afterwards. A request may name a `host` to enter, with a
        descriptor of its `network` that the caller keeps: see `harness.rank.enter_host`. Blocks for 1 to 7 ms each.
        Raises HarnessError, after all requests were answered, if a process could not be made; the others are children
        all the same.
        """
        replies: list[dict[str, Any]] = []
        sent = 0
        for request, descriptor in requests:
            if sent - len(replies) >= _WINDOW:
                replies.append(self._reply())
            self._send(request, descriptor)
            sent += 1
        while len(replies) < sent:
            replies.append(self._reply())
        failures = [reply["error"] for reply in replies if "error" in reply]
        if failures:
            raise HarnessError(with_advice(f"the zygote could not make a process: {failures[0]}"))
        return [reply["pid"] for reply in replies]

    def spawn(self, request: Mapping[str, Any], descriptor: int) -> int:
        """One process; see `spawn_all`."""
        return self.spawn_all([(request, descriptor)])[0]

    def _send(self, request: Mapping[str, Any], descriptor: int) -> None:
        try:
            self._wait(select.POLLOUT, REPLY_WITHIN_NS, "take a request")
            socket.send_fds(self._socket, [json.dumps(request).encode()], [descriptor, *_network_of(request)])
        except OSError as exc:
            raise HarnessError(f"the zygote is gone ({exc.strerror}); {self._last_words()}") from exc

    def _reply(self) -> dict[str, Any]:
        reply = self._receive(REPLY_WITHIN_NS, "make a process")
        if "pid" in reply:
            self._children.adopt(reply["pid"])
        return reply

    def _receive(self, within_ns: int, what: str) -> dict[str, Any]:
        self._wait(select.POLLIN, within_ns, what)
        try:
            message = self._socket.recv(zygote.LARGEST_MESSAGE)
        except ConnectionError:
            message = b""
        if not message:
            status = self._children.wait(self.pid, ENDED_WITHIN_NS)
            error = HelperLost if status is not None and os.WIFSIGNALED(status) else HarnessError
            raise error(f"the zygote ended before it could {what}; {self._last_words()}")
        reply: dict[str, Any] = json.loads(message)
        return reply

    def _wait(self, event: int, within_ns: int, what: str) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        begun_ns = now_ns()
        if not poll.poll(within_ns // 1_000_000):
            waited_s = (now_ns() - begun_ns) / 1e9
            raise HarnessError(f"the zygote did not {what} within {waited_s:.0f} s; {self._last_words()}")

    def _last_words(self) -> str:
        try:
            text = self._log_path.read_text(errors="replace").strip()[-500:]
        except OSError:
            text = ""
        if text:
            return with_advice(f"its log {self._log_path} ends with:\n{text}")
        return f"its log {self._log_path} is empty; is its disk full?"


def spawn_fresh(
    children: Children,
    interpreter: Path,
    request: Mapping[str, Any],
    control_fd: int,
    doorbell_fd: int,
    environment: Mapping[str, str] | None = None,
    *,
    worker: str = _WORKER,
) -> int:
    """Start a rank in a new interpreter, without the zygote; returns its pid.

    `environment` is for all ranks, `request["env"]` for this one; both are set before Python starts. A `host` in the
    request is entered first, as with `spawn_all`. Raises HarnessError if the interpreter cannot be started.
    """
    settings = {
        **_common_settings("rank", worker, doorbell_fd),
        "request": dict(request),
        "control": control_fd,
    }
    try:
        return children.spawn(
            [str(interpreter), zygote.__file__, json.dumps(settings)],
            env=clean_environment(os.environ, {**(environment or {}), **request.get("env", {})}),
            stdout_path=Path(request["log"]),
            pass_fds=[control_fd, doorbell_fd, *_network_of(request)],
        )
    except OSError as exc:
        if is_of_machine(exc):
            raise cannot(f"start {interpreter}", exc) from exc
        raise HarnessError(f"cannot start {interpreter}: {exc.strerror}; give --python an interpreter") from exc


def _network_of(request: Mapping[str, Any]) -> list[int]:
    return [request["host"]["network"]] if "host" in request else []


def doorbell_pipe() -> tuple[int, int]:
    """(read end for the controller, write end for all ranks), both non-blocking, with a large buffer."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    # Refused when this user's share of pipe memory is used up; a pipe that is full sooner changes nothing.
    with contextlib.suppress(OSError):
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _DOORBELL_BYTES)
    return reader, writer


def _common_settings(mode: str, worker: str, doorbell_fd: int) -> dict[str, Any]:
    package = Path(__file__).resolve().parents[2]
    return {"mode": mode, "harness": str(package), "worker": worker, "doorbell_fd": doorbell_fd}
