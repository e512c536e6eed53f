"""Root and an ordinary user, each with an interpreter and a copy of the harness that the user can read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from booting import life_pipe

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("values", "machine", "rank", "rendezvous", "clock.py", "__init__.py")
HERE = Path(__file__).resolve().parent
SHARED = ("freezing.py",)
SLOW_S = 60


@dataclass(frozen=True)
class User:
    """A user who runs programs of the tests.

    Attributes:
        name: `root`, `ordinary`.
        python: an interpreter that this user may run.
        tree: the folder that holds the harness and the tests.
        folder: a folder that this user may write.
        become: makes a forked child this user; None if it is already.
    """

    name: str
    python: str
    tree: Path
    folder: Path
    become: Callable[[], None] | None

    @property
    def environment(self) -> dict[str, str]:
        tests = self.tree / "tests"
        paths = os.pathsep.join(map(str, (self.tree, tests, tests / "machine")))
        return {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    def argv(self, name: str, **arguments: Any) -> list[str]:
        """The command line of a function of `controllers`."""
        script = str(self.tree / "tests" / "machine" / "controllers.py")
        return [self.python, script, name, json.dumps(arguments)]

    def boot(self, life_fd: int, isolation: str, command: Sequence[str]) -> list[str]:
        boot = str(self.tree / "harness" / "machine" / "process" / "boot.py")
        return [self.python, "-I", "-S", boot, str(life_fd), isolation, *command]

    def run(self, argv: Sequence[str], pass_fds: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            env=self.environment,
            cwd=self.folder,
            pass_fds=pass_fds,
            preexec_fn=self.become,
            capture_output=True,
            text=True,
            timeout=SLOW_S,
            start_new_session=True,
        )

    def run_booted(
        self, isolation: str, command: Sequence[str], pass_fds: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        with life_pipe() as life:
            return self.run(self.boot(life, isolation, command), (life, *pass_fds))

    def ask(self, name: str, **arguments: Any) -> Any:
        """The answer of a function of `controllers`, run without boot."""
        return answer(self.run(self.argv(name, **arguments)))

    def ask_privately(self, script: str, *words: str) -> Any:
        """The answer of a script beside this file, run as pid 1 of private namespaces."""
        path = str(self.tree / "tests" / "machine" / script)
        return answer(self.run_booted("private", [self.python, path, *words]))


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON value in the last line that a program printed."""
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def this_user(folder: Path) -> Iterator[User]:
    yield User("root" if os.getuid() == 0 else "ordinary", sys.executable, ROOT, folder, None)


@contextmanager
def ordinary_user() -> Iterator[User]:
    """The user nobody, for tests run by root; raises LookupError if it has no interpreter."""
    top = Path(tempfile.mkdtemp(prefix="rdzv-ordinary-"))
    try:
        top.chmod(0o755)
        tree, folder = top / "tree", top / "folder"
        _copy(tree)
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
        yield User("ordinary", _python_for_nobody(), tree, folder, _become_nobody)
    finally:
        shutil.rmtree(top)


def _copy(tree: Path) -> None:
    (tree / "harness").mkdir(parents=True)
    for room in ROOMS:
        source, target = ROOT / "harness" / room, tree / "harness" / room
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copytree(HERE, tree / "tests" / "machine", ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    for name in SHARED:
        shutil.copy(HERE.parent / name, tree / "tests" / name)
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _python_for_nobody() -> str:
    for python in filter(None, [sys.executable, "/usr/bin/python3", shutil.which("python3")]):
        check = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
        try:
            if subprocess.run(check, preexec_fn=_become_nobody, capture_output=True).returncode == 0:
                return python
        except OSError:
            continue
    raise LookupError("no interpreter of Python 3.10 or later that an ordinary user may run")


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
