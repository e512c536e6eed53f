"""The chosen interpreter, its torch and the rank's part of the harness, as read-only mounts of a container."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.machine.process.interpreter import EXAMINED_WITHIN_S, clean_environment
from harness.values.errors import UsageError

PYTHON = PurePosixPath("/rdzv/python")
SITE = PurePosixPath("/rdzv/site")
HARNESS = PurePosixPath("/rdzv/harness")
"""Where a container finds the interpreter, its packages, and the harness: never where they lie on this machine."""

NOBODY = "65534:65534"
"""The user and group of ranks in containers: Debian's `nobody`."""

# What runs in a rank; nothing else of the harness is there.
_OF_HARNESS = ("values", "clock.py", "rank", "rendezvous", "machine/launch/zygote.py")
# Where an interpreter shares its prefix with a whole system, only its own files are mounted.
_SYSTEM_PREFIXES = ("/", "/usr", "/usr/local")
_PACKAGE = Path(__file__).resolve().parents[2]

_QUESTION = r"""
import json, os, sys, sysconfig
executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
shared = sysconfig.get_config_var("Py_ENABLE_SHARED") and sysconfig.get_config_var("INSTSONAME") or ""
print(json.dumps({
    "executable": executable,
    "base": os.path.realpath(sys.base_prefix),
    "stdlib": sorted({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}),
    "library": shared and os.path.join(sysconfig.get_config_var("LIBDIR") or "", shared),
    "path": [entry for entry in sys.path if entry],
}))
"""


@dataclass(frozen=True)
class Bind:
    """One read-only mount: a path of this machine, and where the container has it."""

    source: str
    target: str


@dataclass(frozen=True)
class ContainerPython:
    """How a container runs the ranks' interpreter.

    Attributes:
        executable: its path inside.
        binds: what must be mounted, all of it read-only; no target lies inside another's.
        environment: what it needs to find its packages, and what a user without a home needs.
        harness: the folder of the harness inside, as the zygote's setting `harness` takes it.
        zygote: the file to run: `[executable, zygote, json.dumps(settings)]`.
    """

    executable: str
    binds: tuple[Bind, ...]
    environment: Mapping[str, str]
    harness: str = str(HARNESS)
    zygote: str = str(HARNESS / "machine" / "launch" / "zygote.py")

    def mounts(self) -> list[Any]:
        """The same as `docker.types.Mount`s: unlike `volumes`, they refuse a source that is not there."""
        from docker.types import Mount

        return [Mount(bind.target, bind.source, type="bind", read_only=True) for bind in self.binds]


def for_container(python: Path) -> ContainerPython:
    """What a container needs to run this interpreter as it runs here; asks it, about 0.1 s.

    It works for any user of the container, with a read-only root and no capability, also where the interpreter lies
    under a home that nobody else may enter: the engine binds the folder itself, and nobody walks the way to it.
    The image must have a C library at least as new as the one that the interpreter was built for, and the libraries
    that its extension modules want (libffi for `ctypes`, which ranks need); the project's `rdzv-harness/rank` has what
    Debian's own Python wants. Packages installed by an import hook (some editable installs) are not found inside.

    Raises UsageError if it cannot be asked.
    """
    told = _ask(python)
    packages = _packages(told)
    return ContainerPython(
        executable=str(PYTHON / _inside(told["executable"], told["base"], "bin")),
        binds=(*_interpreter(told), *packages, *_harness()),
        environment={
            # The container's own Python, if it has one, uses the same C library and none of these.
            "LD_LIBRARY_PATH": str(PYTHON / "lib"),
            "PYTHONPATH": os.pathsep.join(bind.target for bind in packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/tmp",
            # torch asks who runs it, and not every image knows its users by name.
            "USER": "rank",
            "LANG": "C.UTF-8",
            **clean_environment({}),
        },
    )


def _ask(python: Path) -> dict[str, Any]:
    try:
        answer = subprocess.run(
            [str(python), "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=EXAMINED_WITHIN_S,
            env=clean_environment(os.environ),
            cwd="/",
        )
        told: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError) as error:
        raise UsageError(f"{python} cannot be asked where its files lie ({error}); give --python another") from error
    return told


def _interpreter(told: Mapping[str, Any]) -> Iterator[Bind]:
    """Its whole prefix, or where that is the system's the few files that are its own."""
    base = told["base"]
    if base not in _SYSTEM_PREFIXES:
        yield Bind(base, str(PYTHON))
        return
    for place in told["stdlib"]:
        yield Bind(place, str(PYTHON / _inside(place, base, "lib")))
    yield Bind(told["executable"], str(PYTHON / _inside(told["executable"], base, "bin")))
    if told["library"] and os.path.exists(told["library"]):
        yield Bind(os.path.realpath(told["library"]), str(PYTHON / "lib" / os.path.basename(told["library"])))


def _inside(path: str, base: str, folder: str) -> str:
    """The path below the prefix, or in that folder of it."""
    if Path(path).is_relative_to(base):
        return str(Path(path).relative_to(base))
    return f"{folder}/{os.path.basename(path)}"


def _packages(told: Mapping[str, Any]) -> tuple[Bind, ...]:
    """Each place on its path that is not the standard library, in order."""
    of_python = [*told["stdlib"], *(os.path.join(place, "lib-dynload") for place in told["stdlib"])]
    places: list[str] = []
    for entry in map(os.path.realpath, told["path"]):
        # The folder that we ourselves are imported from may be full of packages that would shadow the ranks'.
        if os.path.exists(entry) and entry not in (*of_python, *places, str(_PACKAGE.parent)):
            places.append(entry)
    return tuple(Bind(place, str(SITE / str(number))) for number, place in enumerate(places))


def _harness() -> Sequence[Bind]:
    return [Bind(str(_PACKAGE / part), str(HARNESS / part)) for part in _OF_HARNESS]
