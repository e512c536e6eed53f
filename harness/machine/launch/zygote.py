"""A process that imports torch once and then clones a rank in a millisecond or two; or one rank, when run `fresh`.

    controller --requests, each with a descriptor--> zygote --clone(CLONE_PARENT)--> rank, a child of the controller

Run as a file by the ranks' interpreter: Python 3.9 and later, standard library and torch only. The package `harness` is
entered in sys.modules by its path and its parent folder is not on sys.path, so a package installed beside the harness
never shadows one of the rank's.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import platform
import signal
import site
import socket
import sys
import time
import traceback
import types
from typing import Any, Dict, List, NoReturn, Optional, Tuple

OLDEST_TORCH = (2, 6)
_HOW_TO_INSTALL = f"install one: {sys.executable} -m pip install 'torch>=2.6' numpy,"
# The subject whose preload imports what ranks of any backend of torch's registry need.
ANY_BACKEND = "static"
# Exit codes of a rank that could not start its work.
CANNOT_LOAD, WORKER_FAILED, CONTROLLER_GONE = 96, 70, 98
# As `harness.rank.recorder.CANNOT_RECORD`, which is not imported yet.
CANNOT_RECORD = 94
LARGEST_MESSAGE = 65536

_CLONE_PARENT = 0x8000
_CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
_PR_SET_PDEATHSIG, _PR_SET_PTRACER = 1, 0x59616D61
# For a rank in another process tree, where the controller's pid means nothing.
_ANYBODY = ctypes.c_ulong(-1).value
_MADV_COLLAPSE, _HUGE_PAGE = 25, 2 << 20
# A grandchild becomes the controller's child the moment its parent is reaped; the bound is for a kernel that fails to.
_ADOPTION_TRIES = 2000

# PyDLL and not CDLL: a clone must happen while the interpreter's lock is held, as in os.fork.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


# Filled when this process starts: the places of the torch that the interpreter finds by itself.
_torch_places: List[str] = []


class Problem(Exception):
    """Why ranks cannot run in this interpreter, ending with what to do."""


def main(settings: Dict[str, Any]) -> NoReturn:
    """Be what `settings["mode"]` says: `zygote` (clones many ranks) or `rank` (this process becomes one)."""
    # The folder of this file holds modules of the harness whose names a rank's own modules may have.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    _torch_places.extend(_own_places())
    package = types.ModuleType("harness")
    package.__path__ = [settings["harness"]]
    sys.modules["harness"] = package
    if settings["mode"] == "rank":
        _be_fresh_rank(settings)
    Zygote(settings).serve()


def _be_fresh_rank(settings: Dict[str, Any]) -> NoReturn:
    _write_line_by_line()
    request = settings["request"]
    try:
        if isinstance(settings["control"], str):
            _open_pipes(settings)
        _enter_host(request)
        if "helper" in request:
            _run_helper(request["helper"], request["arguments"], settings["control"])
        request["plan_object"] = _read_plan(request["plan"])
        worker = importlib.import_module(settings["worker"])
        # What fails here fails again when the rank prepares its subject, and is reported there.
        with contextlib.suppress(Exception):
            _preload(worker, request["plan_object"].subject)
        if "torch" in sys.modules:
            check_torch(sys.modules["torch"])
    except Exception as exc:
        print(exc if isinstance(exc, Problem) else traceback.format_exc(), file=sys.stderr, flush=True)
        os._exit(CANNOT_LOAD)
    _let_controller_read(os.getppid() or _ANYBODY)
    _run(worker.main, request, settings["control"], _doorbell(request, settings))


def _open_pipes(settings: Dict[str, Any]) -> None:
    """Replace the names of pipes by descriptors, in a container, where no descriptor can be inherited.

    Nothing here waits for the other end: if it has closed meanwhile, the first read shows that.
    """
    _write_output_to(settings["request"]["log"])
    for name in ("control", "doorbell_fd"):
        way = os.O_RDONLY if name == "control" and "helper" not in settings["request"] else os.O_WRONLY
        if isinstance(settings[name], str):
            settings[name] = os.open(settings[name], way | os.O_NONBLOCK)
    os.set_blocking(settings["control"], True)


class Zygote:
    """Imports what ranks need, reports to the controller, then makes a process for each request."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        self._settings = settings
        self._socket = socket.socket(fileno=settings["socket"])
        self._controller: int = settings["controller"]
        self._plan: Tuple[str, Any] = ("", None)
        number = _CLONE_NUMBERS.get(platform.machine())
        self._clone_number: Optional[int] = None if settings["fork"] else number

    def serve(self) -> NoReturn:
        """Serve until the controller closes its end."""
        try:
            ready: Dict[str, Any] = {"python": platform.python_version(), "prefix": sys.prefix}
            self._worker = importlib.import_module(self._settings["worker"])
            importlib.import_module("harness.rank.enter_host")
            self._leftovers = importlib.import_module("harness.rank.leftovers")
            if self._settings["needs_torch"]:
                ready.update(import_torch())
                with contextlib.suppress(ImportError):
                    _preload(self._worker, ANY_BACKEND)
                self._preload_subject()
            self._settle()
            ready["threads"] = self._leftovers.other_threads()
        except Exception as exc:
            self._answer({"error": str(exc) if isinstance(exc, Problem) else traceback.format_exc()})
            os._exit(CANNOT_LOAD)
        self._answer(ready)
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._socket, LARGEST_MESSAGE, 2)
            if not message:
                os._exit(0)
            self._answer(self._serve_one(json.loads(message), descriptors))

    def _preload_subject(self) -> None:
        """Import the subject's own modules too, so that it costs no rank the time.

        They may belong to another package. If their import fails, or starts threads or opens sockets, which a process
        must not have when it is cloned, each rank imports them itself. A child finds that out first.
        """
        subject = self._settings["subject"]
        if subject != ANY_BACKEND and self._leftovers.leaves_nothing(subject, lambda: _preload(self._worker, subject)):
            _preload(self._worker, subject)

    def _settle(self) -> None:
        """Make clones cheap: their garbage collector finds nothing to touch, and few page tables are copied."""
        gc.collect()
        gc.freeze()
        if self._settings["collapse"]:
            collapse_memory()
        listening = self._leftovers.listening_descriptors()
        if listening:
            # A clone would keep such a port bound after its owner closed it: connects succeed and nobody answers.
            raise Problem(f"importing torch left listening sockets open (descriptors {listening}); use fresh: true")

    def _answer(self, message: Dict[str, Any]) -> None:
        self._socket.send(json.dumps(message).encode())

    def _serve_one(self, request: Dict[str, Any], descriptors: List[int]) -> Dict[str, Any]:
        try:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            if "host" in request:
                request["host"]["network"] = descriptors[1]
            threads = self._leftovers.other_threads()
            if threads:
                raise Problem(f"threads run beside the main one ({', '.join(threads)}); use fresh: true")
            if "plan" in request:
                request["plan_object"] = self._plan_at(request["plan"])
            sys.stdout.flush()
            sys.stderr.flush()
            pid = self._clone() if self._clone_number is not None else self._fork_twice()
            if pid == 0:
                self._be_child(request, descriptors[0])
            return {"pid": pid}
        except Exception as exc:
            return {"error": str(exc) if isinstance(exc, Problem) else f"{type(exc).__name__}: {exc}"}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _plan_at(self, path: str) -> Any:
        if self._plan[0] != path:
            self._plan = (path, _read_plan(path))
        return self._plan[1]

    def _clone(self) -> int:
        """fork(), but the new process is a child of our parent: the controller sees its end and status itself."""
        ctypes.pythonapi.PyOS_BeforeFork()
        flags = ctypes.c_ulong(_CLONE_PARENT | signal.SIGCHLD)
        pid: int = _libc.syscall(ctypes.c_long(self._clone_number or 0), flags, None, None, None, None)
        number = ctypes.get_errno()
        if pid == 0:
            ctypes.pythonapi.PyOS_AfterFork_Child()
            return 0
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError(number, f"clone: {os.strerror(number)}")
        return pid

    def _fork_twice(self) -> int:
        """The same where clone's number is unknown: the nearest subreaper, the controller, adopts the orphan."""
        reader, writer = os.pipe()
        middle = os.fork()
        if middle == 0:
            pid = os.fork()
            if pid:
                os.write(writer, str(pid).encode())
                os._exit(0)
            os.close(reader)
            os.close(writer)
            for _ in range(_ADOPTION_TRIES):
                if os.getppid() == self._controller:
                    break
                time.sleep(0.001)
            return 0
        os.close(writer)
        with os.fdopen(reader) as stream:
            text = stream.read()
        os.waitpid(middle, 0)
        if not text:
            raise Problem("fork: the machine is out of processes or memory; use fewer ranks or fewer jobs")
        return int(text)

    def _be_child(self, request: Dict[str, Any], descriptor: int) -> NoReturn:
        try:
            # First of all: while a rank holds the socket, the controller cannot see the zygote's end.
            self._socket.close()
            _end_with(self._controller)
            _let_controller_read(self._controller)
            _write_output_to(request["log"])
            _enter_host(request)
            if "helper" in request:
                _run_helper(request["helper"], request["arguments"], descriptor)
            os.environ.update(request["plan_object"].ranks[request["rank"]].env)
        except Exception:
            traceback.print_exc()
            os._exit(WORKER_FAILED)
        _run(self._worker.main, request, descriptor, _doorbell(request, self._settings))


def import_torch() -> Dict[str, Any]:
    """Import torch; returns its version and file. Raises Problem if ranks cannot use it."""
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError as exc:
        if exc.name != "torch":
            raise
        raise Problem(f"{sys.executable} has no torch; {_HOW_TO_INSTALL} or choose another with --python") from exc
    check_torch(torch)
    return {"torch": str(torch.__version__), "torch_file": torch.__file__}


def check_torch(torch: Any) -> None:
    """Raise Problem for a torch that is too old, or does not belong to this interpreter.

    A comparison of two torches must not run one torch twice: a torch that the interpreter did not find by itself, from
    the start, is refused. What a `.pth` file, an editable install or PYTHONPATH leads to, it finds by itself.
    """
    version, file = str(torch.__version__), os.path.realpath(torch.__file__ or "")
    if _numbers(version) < OLDEST_TORCH:
        raise Problem(f"{sys.executable} has torch {version}, and 2.6 is the oldest that works; {_HOW_TO_INSTALL}")
    if not any(file.startswith(os.path.realpath(place).rstrip("/") + "/") for place in _torch_places):
        raise Problem(
            f"{sys.executable} imports torch from {torch.__file__}, outside its own prefix {sys.prefix} and its "
            "sys.path at the start: a module that was imported has changed sys.path; if you mean that torch, write its "
            f"folder into a file torch.pth in {site.getsitepackages()[0]}"
        )


def _own_places() -> List[str]:
    """Where the interpreter finds packages before anything is imported; an import hook may lead elsewhere."""
    places = [sys.prefix, sys.base_prefix, *(entry for entry in sys.path if entry)]
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("torch")
        if spec is not None and spec.origin:
            places.append(os.path.dirname(spec.origin))
    return places


def _preload(worker: Any, subject: str) -> None:
    """Let the worker import what ranks of a subject need; raises what that raises."""
    getattr(worker, "preload", lambda subject: None)(subject)


def collapse_memory() -> None:
    """Collapse private memory into huge pages: a clone then copies a few page tables instead of thousands.

    This halves the cost of a rank. Where the kernel (before 6.1) or a setting refuses it, clones only take longer.
    """
    with open("/proc/self/maps") as stream:
        lines = stream.read().splitlines()
    for line in lines:
        fields = line.split()
        if fields[1] == "rw-p" and (len(fields) < 6 or fields[5] == "[heap]"):
            begin, end = (int(bound, 16) for bound in fields[0].split("-"))
            begin, end = -(-begin // _HUGE_PAGE) * _HUGE_PAGE, end // _HUGE_PAGE * _HUGE_PAGE
            if begin < end:
                _libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_COLLAPSE)


def _numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def _end_with(controller: int) -> None:
    """Have the kernel kill this process with the controller; exit at once if the controller has ended already."""
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != controller:
        os._exit(CONTROLLER_GONE)


def _let_controller_read(controller: int) -> None:
    """Allow the controller's py-spy to read this process where Yama restricts that to ancestors."""
    _libc.prctl(_PR_SET_PTRACER, ctypes.c_ulong(controller), 0, 0, 0)


def _write_output_to(log: str) -> None:
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as exc:
        with contextlib.suppress(OSError):
            print(f"cannot write {log}: {exc}", file=sys.stderr, flush=True)
        os._exit(CANNOT_RECORD)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    _write_line_by_line()


def _write_line_by_line() -> None:
    """Flush after each line, so that a killed rank loses nothing that it printed."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _enter_host(request: Dict[str, Any]) -> None:
    if "host" in request:
        importlib.import_module("harness.rank.enter_host").enter(request["host"])


def _read_plan(path: str) -> Any:
    words = importlib.import_module("harness.values.plan")
    with open(path, encoding="utf-8") as stream:
        return words.Plan.from_json(json.load(stream))


def _doorbell(request: Dict[str, Any], settings: Dict[str, Any]) -> int:
    descriptor: int = settings["doorbell_fd"] if request.get("doorbell", True) else -1
    return descriptor


def _run_helper(name: str, arguments: Dict[str, Any], descriptor: int) -> NoReturn:
    def ready(text: str) -> None:
        os.write(descriptor, text.encode() + b"\n")
        os.close(descriptor)

    _run(importlib.import_module(f"harness.rank.{name}").main, arguments, ready)


def _run(work: Any, *arguments: Any) -> NoReturn:
    """Do the work and exit, whatever happens: a clone must never return to the zygote's loop."""
    try:
        work(*arguments)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stdout.flush()
    finally:
        os._exit(WORKER_FAILED)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
