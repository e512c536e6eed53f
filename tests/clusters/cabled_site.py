"""A site of machines on a switch: `python cabled_site.py FOLDER JSON` plays a campaign there and prints what it saw.

    px: the driver        switch        scheduler: Dask's        w1 ... w4: a nanny with its worker, and players

It runs as pid 1 of private namespaces. Each machine has a network namespace and a folder of its own. Losses come at
drawn times; a machine whose nanny is gone is started again, as a service manager would.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from one_campaign import JOB, POISON, Campaign, workers

from harness import clock
from harness.campaign.machine import PREFIX
from harness.clusters.parts.player import PLAYER
from harness.machine.network import sockets
from harness.machine.network.network import Network, NetworkHost
from harness.machine.process.scratch import scratch

PORT = 8786
STANDIN = Path(__file__).with_name("standin_driver.py")
MACHINES = ("w1", "w2", "w3", "w4")
PATIENCE_S = 60
ENDS_WITHIN_S = 20
DASK = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",  # the least: ten heartbeats; then it asks the nanny for 30 s
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",  # the least: a connection that is silent so long is closed
    "PYTHONDONTWRITEBYTECODE": "1",
}
PLAYS = ("joins.rdzv.yaml", "is-red.rdzv.yaml", "--subject", "echo", "--seed", "7")
JOINS = """\
schema: rdzv-scenario/v1
title: A rank NAME
world: {size: 1, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {id: all-join, step: join, is: IS}
"""


@dataclass
class Machine:
    """A host, its folder, and the process of Dask that runs there."""

    host: NetworkHost
    folder: Path
    program: Sequence[str]
    process: psutil.Popen | None = None
    begun_at: int = 0
    """Where in its log the process began that runs now."""

    def start(self) -> None:
        """Start its process of Dask in its network and its folder."""
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", *self.program, "--host", self.host.address, "--no-dashboard"]
        with open(self.folder / "log", "ab") as log, self.host.inside():
            self.begun_at = log.tell()
            self.process = psutil.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env={**os.environ, **DASK, "TMPDIR": str(temporary)}
            )

    @property
    def worker(self) -> psutil.Process:
        """Its worker; raises IndexError while there is none."""
        assert self.process is not None
        return workers(self.process)[0]

    def is_up(self) -> bool:
        """Whether its nanny has a worker that the scheduler knows, also after a loss."""
        log = (self.folder / "log").read_text()
        return "Registered to:" in log[max(self.begun_at, log.rfind("Restarting worker")) :]

    def listens(self) -> bool:
        """Whether any port of it is in use."""
        with self.host.inside():
            return bool(sockets.listeners())


@dataclass
class Site:
    """The machines, and what became of them."""

    scheduler: Machine
    machines: Mapping[str, Machine]
    draw: random.Random
    campaign: Campaign
    seen: dict[str, Any] = field(default_factory=dict)
    cut: list[Machine] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"dask://{self.scheduler.host.address}:{PORT}"

    def lose(self, kind: str) -> None:
        """Lose something; what it did is in `seen`."""
        self.seen[kind] = LOSSES[kind](self)

    def any_machine(self) -> Machine:
        """One that has a worker and its cable."""
        able = [one for one in self.machines.values() if one not in self.cut and one.process.is_running()]
        return self.draw.choice([one for one in able if workers(one.process)])


def _worker(site: Site) -> Any:
    """A worker is killed: its nanny starts another."""
    machine = site.any_machine()
    worker = machine.worker
    worker.kill()
    return {"ended": not psutil.wait_procs([worker], timeout=PATIENCE_S)[1]}


def _nanny(site: Site) -> Any:
    """A nanny is killed, and its worker ends with it: the machine is gone until somebody starts it again."""
    machine = site.any_machine()
    worker = machine.worker
    assert machine.process is not None
    machine.process.kill()
    machine.process.wait()
    ended = not psutil.wait_procs([worker], timeout=PATIENCE_S)[1]
    machine.start()
    return {"ended": ended}


def _cable(site: Site) -> Any:
    """The cable of a machine is pulled and stays out: nobody says so, and its worker goes on alone."""
    machine = site.any_machine()
    machine.host.unplug()
    site.cut.append(machine)
    with machine.host.inside(), socket.socket() as probe:
        probe.settimeout(0.3)
        reached = probe.connect_ex((site.scheduler.host.address, PORT)) == 0
    return {"address": machine.host.address, "reached": reached, "alive": machine.worker.is_running()}


def _driver(site: Site) -> Any:
    """The driver is killed, and the same command goes on."""
    campaign = site.campaign
    assert campaign.driver is not None
    campaign.driver.kill()
    campaign.wait()
    recorded = campaign.recorded()
    campaign.start()
    return {"recorded": recorded}


def _interrupt(site: Site) -> Any:
    """Ctrl-C, and the same command goes on."""
    campaign = site.campaign
    assert campaign.driver is not None
    begun_ns = clock.now_ns()
    campaign.driver.send_signal(signal.SIGINT)
    code = campaign.wait()
    seconds = (clock.now_ns() - begun_ns) / 1e9
    recorded, reported = campaign.recorded(), len(campaign.rows())
    campaign.start()
    return {"code": code, "seconds": seconds, "recorded": recorded, "reported": reported}


LOSSES: Mapping[str, Callable[[Site], Any]] = {
    "worker": _worker,
    "nanny": _nanny,
    "cable": _cable,
    "driver": _driver,
    "interrupt": _interrupt,
}


def write_cells(folder: Path) -> None:
    """The files of `PLAYS`: one cell is as expected, the other is red."""
    for name, outcome in (("joins", "ok"), ("is-red", "failed")):
        (folder / f"{name}.rdzv.yaml").write_text(JOINS.replace("IS", outcome).replace("NAME", name))


@contextlib.contextmanager
def site(folder: Path, seed: int, repeat: int, poison: int | None = None) -> Iterator[Site]:
    """The machines and their processes for the block; a campaign of two cells that waits to be started.

    Args:
        poison: has stand-ins of players play; this repetition of the first cell kills its worker.
    """
    write_cells(folder)
    with Network(["scheduler", *MACHINES], etc=folder / "etc") as network:
        scheduler = _machine(network, "scheduler", folder, "distributed.cli.dask_scheduler", "--port", str(PORT))
        at = f"tcp://{scheduler.host.address}:{PORT}"
        words = ("--nthreads", "1", "--memory-limit", "0", "--local-directory", "tmp")
        machines = {
            name: _machine(network, name, folder, "distributed.cli.dask_worker", at, *words) for name in MACHINES
        }
        plays = (*PLAYS, "--repeat", str(repeat))
        driver = ("-m", "harness.cli") if poison is None else (str(STANDIN), str(poison))
        campaign = Campaign(folder, f"dask://{scheduler.host.address}:{PORT}", plays, program=driver)
        one = Site(scheduler, machines, random.Random(seed), campaign)
        for machine in (scheduler, *machines.values()):
            machine.start()
        yield one
        for machine in one.cut:
            machine.host.plug()
        for machine in machines.values():  # a worker that starts deletes the folder of a killed one
            _until(machine.is_up, f"{machine.host.name} has no worker")
        one.seen["left"] = _left(one)


def _machine(network: Network, name: str, folder: Path, *program: str) -> Machine:
    return Machine(network.hosts[name], folder / name, program)


def _until(seen: Callable[[], bool], otherwise: str) -> None:
    deadline_ns = clock.now_ns() + PATIENCE_S * 10**9
    while not seen():
        assert clock.now_ns() < deadline_ns, otherwise
        time.sleep(0.05)


def _left(one: Site) -> Any:
    """What a site leaves: players after the campaign, then whatever there is once Dask's own processes were ended."""
    players = _outlive([each for each in _alive() if {PLAYER[-1], "standin_player.py"} & set(map(_name, _words(each)))])
    everywhere = (*one.machines.values(), one.scheduler)
    for group in (everywhere[:-1], everywhere[-1:]):  # a nanny without its scheduler waits for its worker to connect
        ending = [machine.process for machine in group if machine.process is not None]
        for process in ending:
            process.terminate()
        _outlive(ending)
    processes = _outlive(_alive())
    files = [str(path) for machine in everywhere for path in (machine.folder / "tmp").glob("*/*") if path.is_dir()]
    for machine in everywhere:
        tempfile.tempdir = str(machine.folder / "tmp")
        with scratch(PREFIX):  # what a player left that was killed is deleted by the next one
            pass
        files += [str(path) for path in (machine.folder / "tmp").glob("rdzv-*")]
    ports = [machine.host.name for machine in everywhere if machine.listens()]
    networks = {os.readlink(f"/proc/{each.pid}/ns/net") for each in _alive()} - {os.readlink("/proc/self/ns/net")}
    return {"players": players, "processes": processes, "files": files, "ports": ports, "networks": len(networks)}


def _alive() -> list[psutil.Process]:
    """Every process of this process tree but this one; one that has ended and waits for pid 1 is none."""
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and one.status() != psutil.STATUS_ZOMBIE]


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _outlive(processes: Sequence[psutil.Process]) -> list[list[str]]:
    """The command lines of those that do not end in time."""
    _, left = psutil.wait_procs(processes, timeout=ENDS_WITHIN_S)
    return [_words(one) for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def losses(folder: Path, seed: int, repeat: int, kinds: Sequence[str], poison: int | None = None) -> Any:
    """A campaign in which each kind of loss comes once, in drawn order at drawn times."""
    with site(folder, seed, repeat, poison) as one:
        order = one.draw.sample(list(kinds), len(kinds))
        times = sorted(one.draw.sample(range(5, 2 * repeat - 30), len(order)))
        one.campaign.start()
        for kind, count in zip(order, times, strict=True):
            one.campaign.until(lambda count=count: len(one.campaign.recorded()) >= count)
            one.lose(kind)
        code = one.campaign.wait()
    return {"code": code, "order": order, "times": times, **one.seen}


def poison(folder: Path, seed: int) -> Any:
    """A play that kills the worker of whichever machine plays it."""
    (folder / "a-job-ends.rdzv.yaml").write_text(JOB)
    (folder / "poison.py").write_text(POISON)
    with site(folder, seed, 1) as one:
        words = ("a-job-ends.rdzv.yaml", "--subject", "command", "--isolation", "host")
        campaign = Campaign(folder, one.address, words, (sys.executable, str(folder / "poison.py")))
        campaign.start()
        code = campaign.wait()
    return {"code": code, **one.seen}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored, and drivers inherit it
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]), **json.loads(sys.argv[3]))), flush=True)
    os._exit(0)
