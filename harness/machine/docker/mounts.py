"""The ranks' interpreter, its torch and the ranks' part of the harness, as read-only mounts of a container."""

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
"""The paths of the interpreter, its packages and the harness in a container; never those of this machine."""

NOBODY = "65534:65534"
"""The user and group of ranks in containers: Debian's `nobody`."""

# The ranks' part of the harness; nothing else of it is mounted.
_OF_HARNESS = ("values", "clock.py", "rank", "rendezvous", "machine/launch/zygote.py")
# Of an interpreter that shares its prefix with the whole system, only its own files are mounted.
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
    """One mount: a path of this machine, and its path in the container."""

    source: str
    target: str


@dataclass(frozen=True)
class ContainerPython:
    """How a container runs the ranks' interpreter.

    Attributes:
        executable: its path in the container.
        binds: its mounts, all read-only; no target lies inside another.
        environment: the variables by which it finds its packages, and those that a user without a home needs.
        harness: the folder of the harness in the container, for the zygote's setting `harness`.
        zygote: the file to run: `[executable, zygote, json.dumps(settings)]`.
    """

    executable: str
    binds: tuple[Bind, ...]
    environment: Mapping[str, str]
    harness: str = str(HARNESS)
    zygote: str = str(HARNESS / "machine" / "launch" / "zygote.py")

    def mounts(self) -> list[Any]:
        """The binds as `docker.types.Mount`: unlike `volumes`, Docker refuses one whose source does not exist."""
        from docker.types import Mount

        return [Mount(bind.target, bind.source, type="bind", read_only=True) for bind in self.binds]


def for_container(python: Path) -> ContainerPython:
    """What a container needs to run this interpreter as it runs here; runs the interpreter, about 0.1 s.

    It works for any user in the container, with a read-only root and no capability, and also where the interpreter lies
    under a home that other users may not enter: Docker mounts the folder itself, so its parents do not matter. The
    image must have a C library at least as new as the one that the interpreter was built for, and the libraries of its
    extension modules (libffi for `ctypes`, which ranks need); `rdzv-harness/rank` has those of Debian's Python.
    Packages installed by an import hook (some editable installs) are not found.

    Raises UsageError if the interpreter does not run.
    """
    layout = _layout_of(python)
    packages = _packages(layout)
    return ContainerPython(
        executable=str(PYTHON / _inside(layout["executable"], layout["base"], "bin")),
        binds=(*_interpreter(layout), *packages, *_harness()),
        environment={
            # The image's own Python, if it has one, uses the same C library and none of these.
            "LD_LIBRARY_PATH": str(PYTHON / "lib"),
            "PYTHONPATH": os.pathsep.join(bind.target for bind in packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/tmp",
            # torch asks for the user's name, and not every image has one for each user.
            "USER": "rank",
            "LANG": "C.UTF-8",
            **clean_environment({}),
        },
    )


def _layout_of(python: Path) -> dict[str, Any]:
    """Where the files of an interpreter lie, as `_QUESTION` prints it."""
    try:
        answer = subprocess.run(
            [str(python), "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=EXAMINED_WITHIN_S,
            env=clean_environment(os.environ),
            cwd="/",
        )
        layout: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError) as error:
        raise UsageError(f"{python} cannot list where its files lie ({error}); give --python another") from error
    return layout


def _interpreter(layout: Mapping[str, Any]) -> Iterator[Bind]:
    """Its whole prefix; of a prefix that is the system's, only the interpreter's own files."""
    base = layout["base"]
    if base not in _SYSTEM_PREFIXES:
        yield Bind(base, str(PYTHON))
        return
    for place in layout["stdlib"]:
        yield Bind(place, str(PYTHON / _inside(place, base, "lib")))
    yield Bind(layout["executable"], str(PYTHON / _inside(layout["executable"], base, "bin")))
    if layout["library"] and os.path.exists(layout["library"]):
        yield Bind(os.path.realpath(layout["library"]), str(PYTHON / "lib" / os.path.basename(layout["library"])))


def _inside(path: str, base: str, folder: str) -> str:
    """The path relative to the prefix; for a file elsewhere, its name in that folder of the prefix."""
    if Path(path).is_relative_to(base):
        return str(Path(path).relative_to(base))
    return f"{folder}/{os.path.basename(path)}"


def _packages(layout: Mapping[str, Any]) -> tuple[Bind, ...]:
    """Each folder on its path that is not the standard library, in order."""
    of_python = [*layout["stdlib"], *(os.path.join(place, "lib-dynload") for place in layout["stdlib"])]
    places: list[str] = []
    for entry in map(os.path.realpath, layout["path"]):
        # The folder that the harness is imported from may hold packages that would shadow those of the ranks.
        if os.path.exists(entry) and entry not in (*of_python, *places, str(_PACKAGE.parent)):
            places.append(entry)
    return tuple(Bind(place, str(SITE / str(number))) for number, place in enumerate(places))


def _harness() -> Sequence[Bind]:
    return [Bind(str(_PACKAGE / part), str(HARNESS / part)) for part in _OF_HARNESS]
