"""The process of a rank."""

from __future__ import annotations

import datetime
import faulthandler
import itertools
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from harness.reproduce.parts.log import NEVER, Moment, log, rows, time_of


class Absent(Exception):
    """What a call that failed returns: a call on it is skipped."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: Any) -> Any:
        raise self

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()


def static_handler(endpoint: str, run_id: str, nodes: int, **config: Any) -> Any:
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

    return get_rendezvous_handler(RendezvousParameters("static", endpoint, run_id, nodes, nodes, **config))


class Rank:
    """What the functions of the ranks use: it logs their calls."""

    def __init__(self, who: int | str) -> None:
        self.who, self.number, self.numbers = who, int(str(who).split()[0]), itertools.count()

    def run(self, role: Callable[[Rank], None], starts: Moment | None) -> None:
        import torch.distributed.elastic.rendezvous.static_tcp_rendezvous  # importing it is no part of a join

        faulthandler.register(signal.SIGUSR1)
        log(state="ready", who=self.who, torch=torch.__version__)
        self.wait(lambda: time_of(state="play"))
        (play,) = rows(state="play")
        self.master_port = play["port"]
        self.port = play["links"].get(str(self.number), play["port"])  # of the proxy, if there is one
        if starts is None or self.wait(starts):
            role(self)
        self.stay()

    def wait(self, moment: Moment) -> bool:
        """Wait until a moment has come; False if it cannot come."""
        while (came := moment()) is None or time.monotonic() < came < NEVER:
            time.sleep(0.005)
        return came < NEVER

    def call(self, step: str, function: Callable[[], Any], after: Moment | None = None) -> Any:
        """Make a call when its moment has come, and log its begin and its end; ABSENT unless it returned."""
        facts = {"call": f"{self.who}, {next(self.numbers)}", "step": step, "who": self.who}
        value: Any = ABSENT
        try:
            if after is not None and not self.wait(after):
                raise ABSENT
            log(**facts, outcome="runs", begun=time.monotonic())
            value = function()
            end = {"outcome": "ok", "value": value}
        except Absent:
            end = {"outcome": "skipped", "begun": NEVER}
        except BaseException as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            end = {"outcome": "failed", "kinds": kinds, "message": (str(error).strip().splitlines() or [""])[0]}
        log(**facts, **end, ended=time.monotonic())
        return value

    def stay(self, *threads: threading.Thread) -> None:
        """Keep the stores open until the play is over."""
        for thread in threads:
            thread.join()
        log(state="done", who=self.who)
        while True:
            signal.pause()


def aside(steps: Callable[[], None]) -> threading.Thread:
    """Make calls in a second thread."""
    thread = threading.Thread(target=steps)
    thread.start()
    return thread


def lasting(duration: float) -> datetime.timedelta:
    """A timeout as torch takes it."""
    return datetime.timedelta(seconds=duration)
