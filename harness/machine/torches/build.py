"""Makes an environment: built beside the others, tried, and only then given its name."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

from packaging.version import Version

from harness.machine.process.interpreter import clean_environment
from harness.machine.process.namespaces import end_with_parent
from harness.machine.torches import index
from harness.machine.torches.store import FACTS, Say, Store, size_of
from harness.machine.torches.uv import PYTHON, Uv, UvFailed
from harness.values.errors import HarnessError
from harness.values.refusals import cannot

TRIED_WITHIN_S = 300
"""Importing torch takes 2 to 10 s from a cold disk."""

_QUESTION = "import json, sys, torch; print(json.dumps([torch.__version__, '%d.%d.%d' % sys.version_info[:3]]))"


class BrokenTorch(HarnessError):
    """uv has installed it, and it cannot be imported."""


def build(store: Store, uv: Uv, version: str, held: int, say: Say) -> None:
    """Make the environment of a version; nothing has its name before it is complete.

    Args:
        held: the descriptor of the version's lock, held alone; uv holds it too, so that what a killed process left
            is not removed while uv still writes it.

    Raises UvFailed, BrokenTorch.
    """
    store.clear(version)
    folder = store.unfinished(version)
    try:
        python = folder / "bin" / "python"
        # Relocatable, since scripts such as torchrun would name the folder that they were installed into.
        uv.run(["venv", "--quiet", "--relocatable", "--allow-existing", "--python", PYTHON, str(folder)], held=[held])
        with store.locked("uv", fcntl.LOCK_SH) as filling:
            both = [held, filling]
            lock = folder / "pylock.toml"
            needed = index.needed(uv, python, version, lock, both)
            say(_announced(version, needed, store.folder))
            # By name and version: what a lock file names by its address, uv 0.13 takes from its cache only where the
            # index lets it. Compiled now, so that the first play starts as quickly as all others.
            words = ["pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--compile-bytecode"]
            uv.run([*words, "--python", str(python), "-r", "-"], "\n".join(needed.packages), both)
        facts = {
            "torch": version,
            "python": _tried(python, version, held),
            "size": size_of(folder),
            "packages": needed.packages,
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        folder.chmod(0o755)
        os.rename(folder, store.environments / version)
    except OSError as error:
        raise cannot(f"install torch {version} into {store.folder}", error) from error
    finally:
        store.discard(folder)


def _announced(version: str, needed: index.Needed, folder: Path) -> str:
    size = f"{needed.size / 1e9:.1f} GB" if needed.size else "of a size that the index does not say"
    return (
        f"installing torch {version} into {folder}: {len(needed.packages)} packages, {size}; "
        "what uv's cache has is not fetched again"
    )


def _tried(python: Path, version: str, held: int) -> str:
    """Import torch there; returns the version of Python. Raises BrokenTorch."""
    try:
        done = subprocess.run(
            [str(python), "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=TRIED_WITHIN_S,
            env=clean_environment(os.environ),
            cwd="/",
            pass_fds=[held],
            preexec_fn=end_with_parent,
        )
        found, its_python = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise BrokenTorch(f"torch {version} could not be imported within {TRIED_WITHIN_S} s; try again") from None
    except (ValueError, LookupError, TypeError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BrokenTorch(f"torch {version} was installed and cannot be imported ({last}); name another") from None
    if Version(str(found)).public != Version(version).public:
        raise UvFailed(f"uv installed torch {found} in place of {version}; try a newer uv")
    return str(its_python)
