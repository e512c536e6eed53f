"""Watches the harness's own processes, this one too: when one was stopped or got no processor, and for how long.

    main thread ── plays ──────────────────▶ takes what was seen, when it gets to it
    watch       ── looks every tick ───────▶ state, freezer and run-queue delay of each part; its own lateness

The watch is a thread, so that it also looks while the main thread waits for a part that stands still.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from harness import clock
from harness.machine.process.children import outer_pid
from harness.machine.process.pidfd import STOPPED_STATES
from harness.values.stall import CONTROLLER, STOPPED, WAITED, Stall

TICK_NS = 25_000_000
"""Between two looks at the states: a stop of this length is seen."""

_DELAYS_EVERY = 4
"""Ticks between two looks at the delays. The kernel counts them, so none is missed, and they cost more to read."""

WORTH_NS = 10_000_000
"""A wait for a processor that is recorded by itself; shorter ones are everyday, and recorded as one when they add up to
this."""

OWN_WORTH_NS = 50_000_000
"""Of a late tick of the watch, what no wait for a processor explains is worth this at least: a thread may wait some
milliseconds for the interpreter."""

_OWN_STOP_NS = 500_000_000
"""If this process neither ran nor waited for a processor for so long of a late tick, it was stopped. A hypervisor that
runs another machine meanwhile looks the same from here, so anything shorter counts as a wait, unless the signal came
that lets a stopped process go on."""

_LONGEST_STAT = 1024
_V1_FREEZER, _V2_ROOTS = Path("/sys/fs/cgroup/freezer"), (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_V1_THAWED = b"THAWED"
_V2_FROZEN = b"frozen 1"


class Part:
    """One process, by a descriptor of its `stat`: it never shows another process that gets the same pid.

    Attributes:
        pid: in this process's pid namespace.
    """

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        number = _number_in_proc(pid)
        self._tasks = f"/proc/{number}/task"
        self._stat = os.open(f"/proc/{number}/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._freezer = _freezer_of(number)
        self._stopped_since_ns = 0
        self._delays: dict[str, int] = {}
        self._delays_since_ns = 0

    def look(self, now_ns: int) -> Iterator[Stall]:
        """The stop that ended since the last look; raises ProcessLookupError if the process has ended."""
        state = os.pread(self._stat, _LONGEST_STAT, 0).rpartition(b")")[2].split(maxsplit=1)[0].decode()
        if state in "ZX":
            raise ProcessLookupError(self.name)
        if state in STOPPED_STATES or self._is_frozen():
            self._stopped_since_ns = self._stopped_since_ns or now_ns
        elif self._stopped_since_ns:
            yield from self.still(now_ns)
            self._stopped_since_ns = 0

    def still(self, now_ns: int) -> Iterator[Stall]:
        """The stop that goes on."""
        since_ns = self._stopped_since_ns
        if since_ns and now_ns > since_ns:
            yield Stall(self.name, STOPPED, since_ns, now_ns, now_ns - since_ns)

    def begin(self, now_ns: int) -> None:
        """Delays and stops count from now on."""
        self._stopped_since_ns = 0
        self._delays = dict(self._read_delays())
        self._delays_since_ns = now_ns

    def look_at_delays(self, now_ns: int) -> Iterator[Stall]:
        """The longest time that a thread waited for a processor, as soon as that is worth a record.

        Shorter waits add up until then, so none is lost.
        """
        delays = dict(self._read_delays())
        longest_ns = max((delay - self._delays.get(thread, 0) for thread, delay in delays.items()), default=0)
        if longest_ns > WORTH_NS:
            since_ns, self._delays, self._delays_since_ns = self._delays_since_ns, delays, now_ns
            yield Stall(self.name, WAITED, min(since_ns, now_ns - longest_ns), now_ns, longest_ns)

    def close(self) -> None:
        os.close(self._stat)
        if self._freezer >= 0:
            os.close(self._freezer)

    def _is_frozen(self) -> bool:
        if self._freezer < 0:
            return False
        with contextlib.suppress(OSError):
            text = os.pread(self._freezer, _LONGEST_STAT, 0)
            return _V2_FROZEN in text if b" " in text else not text.startswith(_V1_THAWED)
        return False

    def _read_delays(self) -> Iterator[tuple[str, int]]:
        with contextlib.suppress(OSError):
            for thread in os.listdir(self._tasks):
                yield thread, delay_of(f"{self._tasks}/{thread}")


_PARTS: list[Part] = []
_LAST_STOPS: deque[Stall] = deque()
"""Stops that went on until their part was forgotten: a helper is killed at its healing, stopped or not."""

_USED = threading.Lock()
"""Held by who looks at the parts, or closes one."""


def watch(pid: int, name: str) -> bool:
    """Count a process among the harness's own until it ends or is forgotten; whether it can be seen here.

    Args:
        pid: in this process's pid namespace.
        name: for people, as a sentence would have it: `the proxy server`.
    """
    try:
        part = Part(name, pid)
    except OSError:
        return False
    part.begin(clock.now_ns())
    with _USED:
        _PARTS.append(part)
    return True


def forget(pid: int) -> None:
    """Watch a process no longer, and close what was open for it; one that is not watched is passed over."""
    with _USED:
        for part in [part for part in _PARTS if part.pid == pid]:
            _LAST_STOPS.extend(part.still(clock.now_ns()))
            _PARTS.remove(part)
            part.close()


def _number_in_proc(pid: int) -> int:
    return pid if os.readlink("/proc/self") == str(os.getpid()) else outer_pid(pid)


class StallWatch:
    """Watches all parts and this process while it is entered.

    Args:
        now_ns: the clock.
    """

    def __init__(self, now_ns: Callable[[], int] = clock.now_ns) -> None:
        self._now_ns = now_ns
        self._seen: deque[Stall] = deque()
        self._continued_ns: list[int] = []
        self._handler: Any = None
        self._thread = threading.Thread(target=self._look_until_over, name="stall watch", daemon=True)

    def __enter__(self) -> StallWatch:
        with _USED:
            _LAST_STOPS.clear()
            for part in _PARTS:
                part.begin(self._now_ns())
        self._over_read, self._over_write = os.pipe()
        try:
            self._thread.start()
        except BaseException:
            os.close(self._over_read)
            os.close(self._over_write)
            raise
        self._handler = signal.signal(signal.SIGCONT, self._on_continue)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking; a stop that goes on counts up to now."""
        signal.signal(signal.SIGCONT, self._handler)
        os.close(self._over_write)
        self._thread.join()
        os.close(self._over_read)

    def take(self) -> Iterator[Stall]:
        """What was seen and not taken yet; to be called in the main thread, which handles signals first."""
        for stalls in (self._seen, _LAST_STOPS):
            while stalls:
                yield self._named(stalls.popleft())

    def _on_continue(self, number: int, frame: FrameType | None) -> None:
        self._continued_ns.append(self._now_ns())

    def _named(self, stall: Stall) -> Stall:
        """A wait of this process that ended with SIGCONT was a stop, however short."""
        until_ns = stall.until_ns + TICK_NS
        if stall.part == CONTROLLER and any(stall.since_ns <= at_ns <= until_ns for at_ns in self._continued_ns):
            return replace(stall, how=STOPPED)
        return stall

    def _look_until_over(self) -> None:
        tick, own = 0, Own(self._now_ns())
        delays = Part(CONTROLLER, os.getpid())
        delays.begin(self._now_ns())
        over = select.poll()
        over.register(self._over_read, select.POLLIN)
        while not over.poll(TICK_NS // 1_000_000):
            tick += 1
            self._seen.extend(own.look(self._now_ns()))
            self._look(delays if tick % _DELAYS_EVERY == 0 else None)
            own.begin(self._now_ns())
        now_ns = self._now_ns()
        self._seen.extend(own.look(now_ns))
        self._look(delays)
        with _USED:
            for part in _PARTS:
                self._seen.extend(part.still(now_ns))
        delays.close()
        own.close()

    def _look(self, own: Part | None) -> None:
        """Look at all parts; given this process as one of them, also at the delays of all."""
        if own is not None:
            self._seen.extend(own.look_at_delays(self._now_ns()))
        with _USED:
            for part in list(_PARTS):
                try:
                    self._seen.extend(part.look(self._now_ns()))
                    if own is not None:
                        self._seen.extend(part.look_at_delays(self._now_ns()))
                except (OSError, IndexError):
                    self._seen.extend(part.still(self._now_ns()))
                    _PARTS.remove(part)
                    part.close()


class Own:
    """This process as its watch sees it, by how late the watch wakes: what the kernel does not count as a wait."""

    def __init__(self, now_ns: int) -> None:
        self._delays = -1
        with contextlib.suppress(OSError):
            self._delays = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self.begin(now_ns)

    def close(self) -> None:
        if self._delays >= 0:
            os.close(self._delays)

    def begin(self, now_ns: int) -> None:
        """A sleep of one tick begins."""
        self._begun_ns = now_ns
        self._ran_ns = clock.processor_time_ns()
        self._delay_ns = self._waited_ns()

    def look(self, now_ns: int) -> Iterator[Stall]:
        """By how much the sleep was too long, and why; a wait that the kernel counts is seen as that of a `Part`."""
        due_ns = self._begun_ns + TICK_NS
        late_ns = now_ns - due_ns
        if late_ns < OWN_WORTH_NS:
            return
        counted_ns = self._waited_ns() - self._delay_ns
        explained_ns = clock.processor_time_ns() - self._ran_ns + counted_ns
        if self._delays >= 0 and late_ns - explained_ns > _OWN_STOP_NS:
            yield Stall(CONTROLLER, STOPPED, due_ns, now_ns, late_ns)
        elif late_ns - counted_ns >= OWN_WORTH_NS:
            yield Stall(CONTROLLER, WAITED, due_ns, now_ns, late_ns - counted_ns)

    def _waited_ns(self) -> int:
        return _delay_in(self._delays) if self._delays >= 0 else 0


def delay_of(thread: str) -> int:
    """For how long a thread has waited for a processor, in ns, from its folder in /proc; 0 if that cannot be read."""
    with contextlib.suppress(OSError):
        descriptor = os.open(f"{thread}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _delay_in(descriptor)
        finally:
            os.close(descriptor)
    return 0


def _delay_in(schedstat: int) -> int:
    """The second number that the kernel shows there."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(os.pread(schedstat, 100, 0).split()[1])
    return 0


def _freezer_of(pid: int) -> int:
    """A descriptor of what says whether a process's cgroup is frozen; -1 if that is this process's own, or unknown."""
    own = _cgroups_of("self")
    for (version, folder), name in _cgroups_of(pid).items():
        roots = [_V1_FREEZER] if version == "freezer" else _V2_ROOTS if version == "" else ()
        if (version, folder) in own:
            continue  # frozen together, which shows as a late tick
        for root in roots:
            with contextlib.suppress(OSError):
                return os.open(f"{root}{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    return -1


def _cgroups_of(pid: int | str) -> dict[tuple[str, str], str]:
    """(Controllers, folder) of each cgroup of a process that can be frozen, and the file that says whether it is."""
    with contextlib.suppress(OSError):
        rows = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        names = {"": "cgroup.events", "freezer": "freezer.state"}
        return {(row[1], row[2]): names[row[1]] for row in rows if len(row) == 3 and row[1] in names}
    return {}
