"""The play: it starts the ranks, lets each call begin at its moment, and keeps what came of it."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.reproduce.parts.scene import NEVER, Moment, Scene, Step, seconds, when_all

QUIET = 1.0  # if nothing runs or is due, and nothing has happened for so long, what waits can no longer come


@dataclass
class Call:
    """One call of one rank; times are those of time.monotonic()."""

    step: Step
    rank: int
    life: int
    begun: float | None = None
    ended: float | None = None
    outcome: str = "never began"  # then: runs, and ok, failed, died, skipped or hung
    value: Any = None
    kinds: list[str] = field(default_factory=list)  # the class of what it raised, and its bases
    message: str = ""
    paused: float = 0.0
    stacks: str = ""

    @property
    def took(self) -> float:
        return NEVER if self.begun is None or self.ended is None else self.ended - self.begun

    def took_since(self, moment: float | None) -> float:
        return NEVER if moment is None or self.ended is None else self.ended - moment

    def became(self, states: tuple[str, ...]) -> float | None:
        if "begun" in states and self.begun is not None:
            return self.begun
        return self.ended if "ended" in states or self.outcome in states else None

    def __str__(self) -> str:
        life = f" (process {self.life})" if self.life > 1 else ""
        took = "" if self.took == NEVER else f" after {self.took:.2f} s"
        said = f": {self.kinds[0]}: {self.message[:120]}" if self.kinds else ""
        value = "" if self.value is None else f", returned {self.value!r}"
        return f"rank {self.rank}{life}: {self.step.name} {self.outcome}{took}{said}{value}"


class Process:
    """One process of a rank: this script again, with --rank."""

    def __init__(self, play: Any, rank: int, life: int) -> None:
        self.rank, self.life, self.torch, self.gone = rank, life, "", False
        self.log = tempfile.TemporaryFile()
        # What torchrun would set must not come from outside.
        unwanted = re.compile(r"(RANK|WORLD_SIZE|(LOCAL|GROUP|ROLE)_.*|MASTER_.*|TORCH.*)\Z")
        kept = {name: value for name, value in os.environ.items() if not unwanted.match(name)}
        command = [sys.executable, __file__, "--rank", str(rank), "--endpoints", json.dumps(play.endpoints(rank))]
        environment = {**kept, **play.scene.env.get(rank, {})}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, env=environment, text=True)
        threading.Thread(target=self.read, args=(play.events,), daemon=True).start()

    def read(self, events: queue.Queue[Any]) -> None:
        for line in self.process.stdout or ():
            events.put((self, json.loads(line)))
        events.put((self, {"time": time.monotonic(), "outcome": "gone"}))

    def make(self, place: int) -> None:
        assert self.process.stdin is not None
        try:
            print(place, file=self.process.stdin, flush=True)
        except OSError:
            pass  # it has ended

    def said(self, since: int = 0) -> str:
        return os.pread(self.log.fileno(), 100_000, since).decode(errors="replace")

    def stacks(self) -> str:
        """Where its Python threads are now."""
        size = os.fstat(self.log.fileno()).st_size
        self.process.send_signal(signal.SIGUSR1)
        give_up = time.monotonic() + 1
        while not self.said(size).endswith("\n") and time.monotonic() < give_up:
            time.sleep(0.02)
        return self.said(size)


class Play:
    """One run of a scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.started = scene, 0.0
        self.calls: dict[tuple[int, int, int, int], Call] = {}  # by place of the step, rank, life, number
        self.events: queue.Queue[Any] = queue.Queue()
        self.paused: dict[int, float] = {}
        self.messages: list[Any] = []  # rank, message and time of what has passed the proxies
        self.held: list[threading.Event] = []  # proxies that wait until what their message sets off is done
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.links = scene.links(self)
        self.life = {rank: 1 for rank in range(scene.size) if scene.start.get(rank, seconds(0)) is not None}
        self.processes: dict[tuple[int, int], Process] = {}

    def endpoints(self, rank: int) -> dict[str, str]:
        """By the name of a handler what it connects to: the master, or the proxy in front of it."""
        found = {}
        for name in {getattr(step.call, "handler", "main") for step in self.scene.steps}:
            settings = self.scene.configuration(rank, name)
            host, port = settings.get("host", "127.0.0.1"), settings.get("port", self.port)
            if rank in self.links and int(settings["rank"]) != 0:
                host, port = "127.0.0.1", self.links[rank].port
            found[name] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return found

    def process(self, rank: int) -> Process:
        return self.processes[rank, self.life[rank]]

    def calls_of(self, name: str, *ranks: int, life: int | None = None) -> list[Call]:
        """The calls of a step: of these ranks or all, in one of their lives or their last."""
        found = []
        for place, step in enumerate(self.scene.steps):
            for rank in (ranks or step.ranks) if step.name == name else ():
                of = step.life or self.life.get(rank, 1) if life is None else life
                for number in range(step.times if step.life in (None, of) else 0):
                    found.append(self.calls.setdefault((place, rank, of, number), Call(step, rank, of)))
        return found

    def running(self) -> list[Call]:
        return [call for call in self.calls.values() if call.outcome == "runs" and call.rank not in self.paused]

    def run(self) -> None:
        """Play it to its end, and end every process."""
        try:
            self.start()
            quiet_since = self.started
            while True:
                wake = self.advance()
                while self.held:
                    self.held.pop().set()
                busy = self.running() or wake < NEVER
                if not busy and not any(self.waiting()) and not self.comes_again():
                    return
                limit = wake if busy else quiet_since + QUIET
                try:
                    self.take(*self.events.get(timeout=max(0.0, limit - time.monotonic()) if limit < NEVER else None))
                except queue.Empty:
                    if not busy and not self.skip_one():
                        return
                quiet_since = time.monotonic()
        finally:
            self.end()

    def start(self) -> None:
        """Start all processes, also those of later lives, and wait until each has imported torch."""
        for rank in self.life:
            for life in range(1, self.scene.lives.get(rank, 1) + 1):
                self.processes[rank, life] = Process(self, rank, life)
        while not all(process.torch for process in self.processes.values()):
            process, facts = self.events.get(timeout=120)
            if facts["outcome"] != "ready":
                raise RuntimeError(f"rank {process.rank} cannot start: {process.said()}")
            process.torch = facts["torch"]
        self.started = time.monotonic()

    def waiting(self) -> Iterator[tuple[int, Call]]:
        """The next call of each thread of each rank, with the place of its step, unless it runs already."""
        for rank in self.life:
            busy = set()
            for place, step in enumerate(self.scene.steps) if not self.process(rank).gone else ():
                for call in self.calls_of(step.name, rank, life=self.life[rank]) if rank in step.ranks else ():
                    if call.ended is None and step.thread not in busy:
                        busy.add(step.thread)
                        if call.outcome == "never began":
                            yield place, call

    def comes_again(self) -> bool:
        return any(
            fault.restarts and fault.until and fault.injected and not fault.healed for fault in self.scene.faults
        )

    def advance(self) -> float:
        """Do what is due; when something is due next, as far as that is known."""
        while True:
            now, wake, due = time.monotonic(), NEVER, []
            for order, (moment, act, give_up) in enumerate(self.pending()):
                came = moment(self)
                if came == NEVER and give_up is not None:
                    due.append((now, order, give_up))
                elif came is not None and came <= now:
                    due.append((came, order, act))
                elif came is not None:
                    wake = min(wake, came)
            if not due:
                return wake
            min(due)[2]()  # one, since it may change what else is due

    def pending(self) -> Iterator[tuple[Moment, Callable[[], None], Callable[[], None] | None]]:
        """What may happen: its moment, what to do then, and what to do if the moment cannot come."""
        for fault in self.scene.faults:
            if fault.injected is None:
                yield fault.after, partial(self.inject, fault), None
            elif fault.healed is None and fault.until is not None:
                yield fault.until, partial(self.heal, fault), None
        for place, call in self.waiting():
            start = self.scene.start.get(call.rank) if call.life == 1 else None
            begin = when_all(start or seconds(0), call.step.after or seconds(0))
            yield begin, partial(self.begin, place, call), partial(self.skip, call)
        for call in self.running():
            if call.begun is not None:
                limit = call.begun - self.started + self.scene.guard + call.paused
                yield seconds(limit), partial(self.hang, call), None

    def begin(self, place: int, call: Call) -> None:
        call.outcome = "runs"
        self.process(call.rank).make(place)

    def skip_one(self) -> bool:
        """Give up the first call that waits; whether there is one."""
        for _, call in self.waiting():
            self.skip(call)
            return True
        return False

    def skip(self, call: Call) -> None:
        call.ended, call.outcome = time.monotonic(), "skipped"

    def inject(self, fault: Any) -> None:
        fault.inject(self)
        fault.injected = time.monotonic()

    def heal(self, fault: Any) -> None:
        fault.heal(self)
        fault.healed = time.monotonic()

    def take(self, sender: Any, facts: dict[str, Any]) -> None:
        """What a rank reports, or a proxy."""
        if facts["outcome"] == "passed":
            self.messages.append((sender.rank, facts["message"], facts["time"]))
            self.held.append(facts["seen"])
            return
        sender.gone = sender.gone or facts["outcome"] == "gone"
        for (place, *_), call in self.calls.items():
            if (call.rank, call.life, call.outcome) != (sender.rank, sender.life, "runs"):
                continue
            if sender.gone:
                call.ended, call.outcome = facts["time"], "died"
            elif place == facts["place"] and facts["outcome"] == "runs":
                call.begun = facts["time"]
            elif place == facts["place"]:
                call.ended, call.outcome, call.value = facts["time"], facts["outcome"], facts.get("value")
                call.kinds, call.message = facts.get("kinds", []), facts.get("message", "")

    def hang(self, call: Call) -> None:
        process = self.processes[call.rank, call.life]
        call.ended, call.outcome, call.stacks = time.monotonic(), "hung", process.stacks()
        process.process.kill()

    def end(self) -> None:
        for fault in reversed(self.scene.faults):
            if fault.injected is not None and fault.healed is None and not fault.restarts:
                self.heal(fault)
        for process in self.processes.values():
            process.process.kill()
            process.process.wait()
