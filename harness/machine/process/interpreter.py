"""Examines the interpreter that ranks run under, without importing torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.machine.process.torch_elsewhere import elsewhere
from harness.values.errors import HarnessError, UsageError
from harness.values.refusals import advice_in, cannot, is_of_machine, with_advice
from harness.values.suggest import nearest

OLDEST_PYTHON = (3, 9)
OLDEST_TORCH = (2, 6)
# Starting an interpreter takes some 50 ms; from a cold disk a hundred times that, but not more.
EXAMINED_WITHIN_S = 60

# A torch built from source has no metadata; its version.py is read, never run.
_QUESTION = r"""
import importlib.metadata, importlib.util, json, os, re, sys
def version():
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return None
    with open(os.path.join(os.path.dirname(spec.origin), "version.py")) as stream:
        return re.search(r"__version__ = '([^']+)'", stream.read()).group(1)
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "prefix": sys.prefix, "torch": version()}))
"""

# Importing the registry loads the handlers of other packages too, as it does in a rank.
_BACKENDS = r"""
import json
import torch.distributed.elastic.rendezvous.registry
import torch.distributed.elastic.rendezvous as rendezvous
print(json.dumps(sorted(rendezvous.rendezvous_handler_registry._registry)))
"""

# Variables that would change what a rank does, and those of this process's own test tools.
_UNWANTED = re.compile(
    r"(RANK|WORLD_SIZE|(LOCAL|GROUP|ROLE)_.*|MASTER_.*|TORCH.*|RDZV_ISOLATION|LD_PRELOAD"
    r"|COVERAGE_.*|COV_CORE_.*|PYTEST_.*|.*_PROXY|PYTHONINSPECT|PYTHONSTARTUP)\Z",
    re.IGNORECASE,
)
_ROOT = Path(__file__).resolve().parents[3]
# With more, numpy and torch start threads on import, and a zygote with threads cannot clone.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class InterpreterInfo:
    """The facts of an interpreter.

    Attributes:
        python: its path, as given.
        version: of Python; empty if the interpreter could not be run.
        torch: the installed version, or None.
        prefix: its `sys.prefix`.
        problem: why ranks cannot run under it, ending with what to do; empty if they can.
    """

    python: Path
    version: str = ""
    torch: str | None = None
    prefix: str = ""
    problem: str = ""


def clean_environment(environment: Mapping[str, str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without variables that influence ranks (of torchrun, proxies, test tools), plus `given`."""
    kept = {name: value for name, value in environment.items() if not _UNWANTED.match(name)}
    # The folder that the harness is imported from may hold packages that would shadow those of the ranks.
    paths = [path for path in kept.pop("PYTHONPATH", "").split(os.pathsep) if path and Path(path).resolve() != _ROOT]
    if paths:
        kept["PYTHONPATH"] = os.pathsep.join(paths)
    return {**kept, **_ONE_THREAD, **(given or {})}


def examine(python: Path) -> InterpreterInfo:
    """Run an interpreter and read its facts; about 0.1 s. What is wrong with it is in `problem`.

    Raises HarnessError only where this machine has too little of something to run it.
    """
    try:
        answer = _run(python, _QUESTION)
    except (OSError, subprocess.TimeoutExpired) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else f"no answer within {EXAMINED_WITHIN_S} s"
        return InterpreterInfo(python, problem=f"{python} cannot be run ({reason}); give --python an interpreter")
    try:
        facts = json.loads(answer.stdout.strip().splitlines()[-1])
        info = InterpreterInfo(python, str(facts["version"]), facts["torch"], str(facts["prefix"]))
    except (ValueError, LookupError, TypeError):
        last = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        return InterpreterInfo(python, problem=f"{python} is not a Python that works ({last}); give --python another")
    return InterpreterInfo(info.python, info.version, info.torch, info.prefix, _problem_of(info))


def require(python: Path, needs_torch: bool = True) -> InterpreterInfo:
    """`examine`, and raise UsageError if ranks cannot run under it.

    Without `needs_torch` (subjects `echo` and `command`) a Python that is new enough suffices.
    """
    info = examine(python)
    if info.problem and (needs_torch or not info.version or _numbers(info.version) < OLDEST_PYTHON):
        raise UsageError(info.problem)
    return info


def require_backend(python: Path, backend: str, ours: Sequence[str]) -> None:
    """Raise UsageError unless the torch of an interpreter has a rendezvous backend; imports torch there: some 2 s.

    Args:
        ours: the subjects of the harness, for the message.
    """
    known = _backends_of(python)
    if backend in known:
        return
    near = nearest(backend, [*ours, *known])
    hint = f"did you mean {near!r}? " if near else ""
    raise UsageError(
        f"--subject {backend}: the torch of {python} has no such rendezvous backend; {hint}registered: "
        f"{', '.join(known)}; of the harness: {', '.join(ours)}; a backend of your own comes from a package with an "
        "entry point in `torchrun.handlers`: install that package there"
    )


def _backends_of(python: Path) -> list[str]:
    try:
        answer = _run(python, _BACKENDS)
        names = json.loads(answer.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"{python} cannot list its rendezvous backends ({error}); give --python another interpreter"
        ) from error
    except (ValueError, LookupError) as error:
        last = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        raise UsageError(f"the torch of {python} cannot be imported ({last}); install it anew") from error
    return [str(name) for name in names]


def _run(python: Path, question: str) -> subprocess.CompletedProcess[str]:
    try:
        answer = subprocess.run(
            [str(python), "-c", question],
            capture_output=True,
            text=True,
            timeout=EXAMINED_WITHIN_S,
            env=clean_environment(os.environ),
            # `-c` would import modules from the current folder.
            cwd="/",
        )
    except OSError as error:
        if is_of_machine(error):
            raise cannot(f"run {python}", error) from error
        raise
    last = (answer.stderr.strip().splitlines() or [""])[-1]
    if answer.returncode and advice_in(last):
        raise HarnessError(f"{python} cannot work here: {with_advice(last)}")
    return answer


def _problem_of(info: InterpreterInfo) -> str:
    if _numbers(info.version) < OLDEST_PYTHON:
        return f"{info.python} is Python {info.version}, and 3.9 is the oldest that works; give --python another"
    how = f"{info.python} -m pip install 'torch>=2.6' numpy"
    if info.torch is None:
        hints = "".join(f"; {hint}" for hint in elsewhere(info.python, info.prefix, os.environ, _ROOT))
        return f"{info.python} has no torch; install it ({how}) or give --python an interpreter that has it{hints}"
    if _numbers(info.torch) < OLDEST_TORCH:
        return f"{info.python} has torch {info.torch}, and 2.6 is the oldest that works; upgrade it: {how}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())
