"""What every cluster keeps, with a player that does as it is told."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import clock
from harness.clusters.base import CLUSTERS, Cluster, Ended, Event, Joined, Left, Lost, Said
from harness.clusters.dask import DaskCluster
from harness.clusters.local import LocalCluster
from harness.values.errors import HarnessError, UsageError

PATIENCE_S = 30.0
PLAYER = """
import os, signal, sys
word, _, rest = sys.stdin.readline().strip().partition(" ")
print("begun", os.getpid(), flush=True)
if word == "say":
    for number in range(int(rest)):
        print("line", number, flush=True)
elif word == "hang":
    sys.stdin.read()
    open(rest, "w").close()
elif word == "fail":
    sys.exit("the disk is full")
elif word == "kill":
    os.kill(os.getppid(), signal.SIGKILL)
    sys.stdin.read()
"""
COMMAND = (sys.executable, "-I", "-S", "-c", PLAYER)


@dataclass
class Opened:
    """An open cluster with two machines, and what it has said."""

    cluster: Cluster
    machines: Sequence[str]
    events: list[Event]

    def submit(self, order: str, machine: int = 0) -> int:
        return self.cluster.submit(self.machines[machine], order)

    def until(self, seen: Callable[[list[Event]], Any]) -> list[Event]:
        """Wait until what was said is enough."""
        deadline_ns = clock.now_ns() + round(PATIENCE_S * 1e9)
        while not seen(self.events):
            assert clock.now_ns() < deadline_ns, self.events
            self.events += self.cluster.completed(0.2)
        return self.events

    def over(self, *tickets: int) -> dict[int, list[str]]:
        """Wait for the ends of shards; returns the lines of each, and how it ended."""
        ends = (Ended, Lost)
        self.until(lambda events: set(tickets) <= {one.ticket for one in events if isinstance(one, ends)})
        return {
            ticket: [_said(one) for one in self.events if getattr(one, "ticket", None) == ticket] for ticket in tickets
        }


def _said(event: Event) -> str:
    if isinstance(event, Said):
        return "begun" if event.line.startswith("begun ") else event.line
    return f"lost: {event.because}" if isinstance(event, Lost) else type(event).__name__


SCHEDULER = """
import sys, distributed
with distributed.LocalCluster(
    n_workers=int(sys.argv[1]), threads_per_worker=2, memory_limit=0, dashboard_address="127.0.0.1:0", silence_logs=50
) as running:
    print(running.scheduler_address, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def _running(workers: int, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A Dask scheduler with workers, in processes of their own: its address, and the process to kill.

    Dask's threads and its helper processes would outlive the tests in the process of pytest.
    """
    pytest.importorskip("distributed")
    command = [sys.executable, "-c", SCHEDULER, str(workers)]
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder)},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, (folder / "log").read_text()
            yield address, process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask scheduler with two workers on this machine."""
    with _running(2, tmp_path_factory.mktemp("dask")) as (address, _):
        yield address


def _local() -> Cluster:
    return LocalCluster(2, COMMAND)


@pytest.fixture(params=["local", "dask"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Each kind of cluster."""
    kind = request.param
    cluster = _local() if kind == "local" else DaskCluster(request.getfixturevalue("scheduler"), 0, COMMAND)
    machines = cluster.open()
    try:
        yield Opened(cluster, machines, [])
    finally:
        cluster.close()


def test_machines_have_names(opened: Opened) -> None:
    """No two have one."""
    assert len(set(opened.machines)) == 2


def test_lines_come_in_order_and_then_the_end(opened: Opened) -> None:
    """Of shards on two machines at a time."""
    one, other = opened.submit("say 200"), opened.submit("say 3", machine=1)
    assert one != other
    said = opened.over(one, other)
    assert said[one] == ["begun", *(f"line {number}" for number in range(200)), "Ended"]
    assert said[other] == ["begun", "line 0", "line 1", "line 2", "Ended"]


def test_a_player_that_fails_is_lost_with_its_last_words(opened: Opened) -> None:
    """The machine lives, and plays the next."""
    failed, next_one = opened.submit("fail"), opened.submit("say 1")
    said = opened.over(failed, next_one)
    assert said[failed][0] == "begun"
    assert said[failed][1].startswith("lost: ")
    assert said[failed][1].endswith("the player ended with 1: the disk is full")
    assert said[next_one] == ["begun", "line 0", "Ended"]


def test_a_machine_plays_one_shard_at_a_time(opened: Opened, tmp_path: Path) -> None:
    """The next begins when the first was cancelled, whose player could heal its worlds."""
    hanging, waiting = opened.submit(f"hang {tmp_path / 'healed'}"), opened.submit("say 1")
    opened.until(lambda events: any(isinstance(one, Said) and one.ticket == hanging for one in events))
    opened.events += opened.cluster.completed(0.3)
    assert not any(getattr(one, "ticket", 0) == waiting for one in opened.events)
    opened.cluster.cancel(hanging)
    assert opened.over(waiting)[waiting] == ["begun", "line 0", "Ended"]
    assert (tmp_path / "healed").exists()


def test_closing_ends_what_plays_and_what_waits(opened: Opened, tmp_path: Path) -> None:
    """Soon, and the player may heal its worlds."""
    hanging = opened.submit(f"hang {tmp_path / 'healed'}")
    opened.submit(f"hang {tmp_path / 'never begun'}")
    opened.until(lambda events: any(isinstance(one, Said) and one.ticket == hanging for one in events))
    (line,) = [one.line for one in opened.events if isinstance(one, Said)]
    begun_ns = clock.now_ns()
    opened.cluster.close()
    assert clock.now_ns() - begun_ns < 5e9
    deadline_ns = clock.now_ns() + round(PATIENCE_S * 1e9)
    while Path(f"/proc/{line.split()[1]}").exists():  # a worker elsewhere ends it after the client is gone
        assert clock.now_ns() < deadline_ns
        os.sched_yield()
    assert (tmp_path / "healed").exists()
    assert not (tmp_path / "never begun").exists()


def test_a_worker_that_is_killed_is_named_and_replaced(scheduler: str) -> None:
    """Its shards are lost with it and run nowhere else; the nanny's next worker is another machine."""
    cluster = DaskCluster(scheduler, 0, COMMAND)
    opened = Opened(cluster, cluster.open(), [])
    try:
        opened.submit("kill")
        waiting = opened.submit("say 1")
        opened.until(lambda events: any(isinstance(one, Left) for one in events))
        opened.until(lambda events: any(isinstance(one, Joined) for one in events))
        (left,) = [one for one in opened.events if isinstance(one, Left)]
        (came,) = [one for one in opened.events if isinstance(one, Joined)]
        assert left.machine == opened.machines[0]
        assert came.machine not in opened.machines
        assert not any(isinstance(one, Said) and one.ticket == waiting for one in opened.events)
        again = cluster.submit(came.machine, "say 1")
        assert opened.over(again)[again] == ["begun", "line 0", "Ended"]
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("kind", "address", "said"),
    [
        ("local", "0", "from 1 to 64"), ("local", "65", "from 1 to 64"), ("local", "x", "local:4"),
        ("local", "", "local:4"),
        ("dask", "local:0", "dask://HOST:PORT"), ("dask", "//host", "dask://HOST:PORT"), ("dask", "", "dask:local:4"),
        ("dask", "ftp://a:1", "dask:tls://HOST:PORT"),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(kind: str, address: str, said: str) -> None:
    """Before anything starts."""
    with pytest.raises(UsageError, match=r"^--cluster ") as caught:
        CLUSTERS[kind].at(address)
    assert said in str(caught.value)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its address; no thread of Dask is left that would try again."""
    monkeypatch.setattr("harness.clusters.dask.CONNECTED_WITHIN_S", 0.2)
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        CLUSTERS["dask"].at("//127.0.0.1:9").open()
    assert [one.name for one in threading.enumerate() if one.name == "IO loop"] == []


def test_a_scheduler_that_is_killed_ends_the_campaign(tmp_path: Path) -> None:
    """It is said, also while Dask would wait for it to come back; closing waits for nothing then."""
    with _running(0, tmp_path) as (address, process):
        cluster = DaskCluster(address, 0, COMMAND)
        assert cluster.open() == []
        process.kill()
        with pytest.raises(HarnessError, match=r"^the Dask scheduler answers no more; .* With --ledger the same call"):
            Opened(cluster, [], []).until(lambda _: False)
        cluster.submit("tcp://127.0.0.1:9", "say 1")
        begun_ns = clock.now_ns()
        cluster.close()
        assert clock.now_ns() - begun_ns < 5e9


def test_without_the_package_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"there is no package `distributed` .*rdzv-harness\[dask\]"):
        CLUSTERS["dask"].at("local:2")


def test_no_engine_is_imported_unless_asked_for() -> None:
    """Not even to list the members of the family."""
    question = "import sys; from harness.clusters.base import CLUSTERS; list(CLUSTERS)\n"
    question += "sys.exit(bool(sys.modules.keys() & {'dask', 'distributed', 'ray', 'tornado'}))"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", question]) == 0
