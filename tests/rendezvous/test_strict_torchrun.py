"""static-strict under torchrun: two nodes reduce, one crashes, both restart, and both end with status 0."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_torch

REPOSITORY = Path(__file__).parents[2]
# A node's worker: in the first attempt node 1's crashes after the first sum, so node 0's must be restarted too.
WORKER = """
import os, sys, time, torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.ones(1)
dist.all_reduce(value)
attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]
print("reduced", os.environ["RANK"], attempt, int(value.item()), flush=True)
if sys.argv[1] == "crash" and not os.path.exists(sys.argv[2]):
    if os.environ["RANK"] == "1":
        open(sys.argv[2], "w").close()
        os._exit(1)
    time.sleep(60)
dist.destroy_process_group()
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A free port on loopback, below the ephemeral range, and bound: only a socket with SO_REUSEADDR can use it.

    Torch's server has that option, and nobody listens here.
    """
    for candidate in range(20500, 32000):
        with socket.socket() as bound:
            try:
                bound.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            yield candidate
            return
    raise AssertionError("no free port")


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder with the entry point that pyproject.toml declares, as the installed package would provide it.

    The package has another name, because the installed one may be older.
    """
    about = tmp_path / "site" / "checkout-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: checkout\nVersion: 0\n")
    lines = (REPOSITORY / "pyproject.toml").read_text().splitlines()
    at = lines.index('[project.entry-points."torchrun.handlers"]')
    (about / "entry_points.txt").write_text("[torchrun.handlers]\n" + lines[at + 1].replace('"', "") + "\n")
    return about.parent


def nodes(python: str, port: int, plugin: Path, *arguments: str) -> list[tuple[int, str]]:
    """Run two agents to their end; the exit status and output of each."""
    script = plugin / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    path = os.pathsep.join([str(plugin), str(REPOSITORY)])
    # Look-ups end soon: torch's server makes one for each connection (F11).
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["RES_OPTIONS"] = "timeout:1 attempts:1"
    command = [python, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=1"]
    command += ["--rdzv-backend=static-strict", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=job"]
    with ExitStack() as stack:
        agents = [
            stack.enter_context(
                _agent([*command, "--rdzv-conf", f"rank={rank},timeout=60", str(script), *arguments], environment)
            )
            for rank in (0, 1)
        ]
        return [(agent.wait(), output) for agent in agents for output in [agent.communicate()[0]]]


def _agent(command: list[str], environment: dict[str, str]) -> Agent:
    return Agent(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Agent(subprocess.Popen):  # type: ignore[type-arg]
    """An agent that is terminated at the end of its block."""

    def __exit__(self, *why: object) -> None:
        self.terminate()
        super().__exit__(*why)  # type: ignore[arg-type]


def reduced(outputs: list[tuple[int, str]]) -> list[list[str]]:
    """What each node's workers printed: rank, attempt and sum."""
    return [[line[8:] for line in output.splitlines() if line.startswith("reduced ")] for _, output in outputs]


def test_two_nodes_reduce_and_end(rank_python: str, port: int, plugin: Path) -> None:
    """Torch finds it by its entry point; the rank comes from --rdzv-conf, as text."""
    ended = nodes(rank_python, port, plugin, "end", "-")
    assert [status for status, _ in ended] == [0, 0], ended
    assert reduced(ended) == [["0 0 2"], ["1 0 2"]]


def test_both_nodes_restart_when_the_worker_of_one_crashes(rank_python: str, port: int, plugin: Path) -> None:
    """Node 0's worker sleeps and does not notice; its agent sees that node 1 waits for the next round (F24)."""
    ended = nodes(rank_python, port, plugin, "crash", str(plugin / "crashed"))
    assert [status for status, _ in ended] == [0, 0], ended
    assert [len(lines) for lines in reduced(ended)] == [2, 2]
    assert {line.split()[2] for lines in reduced(ended) for line in lines} == {"2"}


def test_torch_finds_the_backend_by_its_entry_point(rank_python: str, plugin: Path) -> None:
    """Torch only warns about an exception when it loads the entry point, so the registry is checked."""
    code = (
        "from torch.distributed.elastic.rendezvous import rendezvous_handler_registry as registry\n"
        "print('static-strict' in registry._registry)"
    )
    path = os.pathsep.join([str(plugin), str(REPOSITORY)])
    done = subprocess.run(
        [rank_python, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "True", done.stderr


def test_the_entry_point_imports_nothing_but_the_standard_library() -> None:
    """Every process that torchrun starts loads it."""
    code = """
import sys, json
before = set(sys.modules)
from harness.rendezvous.entry import get_handler
assert callable(get_handler())
print(json.dumps([name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names]))
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout)) == {"harness", "harness.rendezvous", "harness.rendezvous.entry"}
