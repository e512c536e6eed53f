"""Parts of the harness that stand still: stopped, frozen, without a processor, and this process itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import clock
from harness.machine.process import stalls
from harness.machine.process.pidfd import hold
from harness.machine.process.stalls import (
    OWN_WORTH_NS,
    TICK_NS,
    WORTH_NS,
    Own,
    Part,
    StallWatch,
    forget,
    watch,
)
from harness.values.stall import CONTROLLER, STOPPED, WAITED, Stall

LIMIT_NS = 10_000_000_000
FREEZERS = (
    (Path("/sys/fs/cgroup/freezer"), "freezer.state", "FROZEN", "THAWED"),
    (Path("/sys/fs/cgroup/unified"), "cgroup.freeze", "1", "0"),
    (Path("/sys/fs/cgroup"), "cgroup.freeze", "1", "0"),
)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process that does nothing."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is watched."""
    monkeypatch.setattr(stalls, "_PARTS", [])


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for the block."""
    with hold(pid) as process:
        process.signal(signal.SIGSTOP)
        assert process.await_stop(True, LIMIT_NS)
        yield
        process.signal(signal.SIGCONT)
        assert process.await_stop(False, LIMIT_NS)


def test_a_part_that_was_stopped_is_seen_when_it_goes_on(sleeper: int) -> None:
    """From the first look that saw it stopped to the first that did not; once."""
    with contextlib.closing(Part("the proxy server", sleeper)) as part:
        assert list(part.look(10)) == []
        with stopped(sleeper):
            assert list(part.look(20)) == []
            assert list(part.look(30)) == []
            assert list(part.still(40)) == [Stall("the proxy server", STOPPED, 20, 40, 20)]
        assert list(part.look(50)) == [Stall("the proxy server", STOPPED, 20, 50, 30)]
        assert list(part.look(60)) == []
        assert list(part.still(70)) == []


def test_a_part_that_has_ended_is_looked_at_no_more(sleeper: int) -> None:
    """A zombie stands still for good, and another process may get its pid."""
    with contextlib.closing(Part("the zygote", sleeper)) as part:
        with hold(sleeper) as process:
            process.signal(signal.SIGKILL)
            assert process.await_end(LIMIT_NS)
        with pytest.raises(ProcessLookupError):
            list(part.look(10))
        os.waitpid(sleeper, 0)
        with pytest.raises(ProcessLookupError):
            list(part.look(20))


@pytest.mark.parametrize(("waited_ns", "seen"), [(WORTH_NS, False), (WORTH_NS + 1, True)])
def test_a_wait_for_a_processor_counts_from_its_worth(
    sleeper: int, waited_ns: int, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that waited longest; what a thread had waited before does not count."""
    delays = iter([7_000, 7_000 + waited_ns])
    monkeypatch.setattr(stalls, "delay_of", lambda thread: next(delays))
    with contextlib.closing(Part("the proxy server", sleeper)) as part:
        part.begin(8 * WORTH_NS)
        now_ns = 10 * WORTH_NS
        found = list(part.look_at_delays(now_ns))
    stall = Stall("the proxy server", WAITED, min(8 * WORTH_NS, now_ns - waited_ns), now_ns, waited_ns)
    assert found == ([stall] if seen else [])


def test_short_waits_add_up_until_they_are_worth_a_record(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost: a machine on which every wait is short is late all the same."""
    third = WORTH_NS // 3
    delays = iter([0, third, 2 * third, 4 * third, 5 * third])
    monkeypatch.setattr(stalls, "delay_of", lambda thread: next(delays))
    with contextlib.closing(Part("the proxy server", sleeper)) as part:
        part.begin(0)
        seen = [list(part.look_at_delays(look * 10 * WORTH_NS)) for look in range(1, 5)]
    assert seen == [[], [], [Stall("the proxy server", WAITED, 0, 30 * WORTH_NS, 4 * third)], []]


def test_the_controller_s_own_waits_are_those_that_the_kernel_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest wait of its threads, seen by the watch as that of any part."""
    own, waited = f"/proc/{os.getpid()}/task/", iter(range(0, 10**15, 10**6 * WORTH_NS))
    monkeypatch.setattr(stalls, "delay_of", lambda thread: next(waited) if thread.startswith(own) else 0)
    with StallWatch() as seen:
        pass
    found = max(seen.take(), key=lambda stall: stall.lasted_ns)
    assert (found.part, found.how) == (CONTROLLER, WAITED)
    assert found.lasted_ns >= 10**6 * WORTH_NS
    assert found.until_ns - found.since_ns >= found.lasted_ns


def test_a_frozen_part_stands_still(sleeper: int) -> None:
    """Its state does not show it: its cgroup does."""
    made = _made_cgroup()
    if made is None:
        pytest.skip("no cgroup can be made here")
    folder, file, freeze, thaw = made
    try:
        (folder / "cgroup.procs").write_text(str(sleeper))
        with contextlib.closing(Part("the proxy server", sleeper)) as part:
            assert list(part.look(10)) == []
            (folder / file).write_text(freeze)
            _await_frozen(folder, True)
            assert list(part.look(20)) == []
            (folder / file).write_text(thaw)
            _await_frozen(folder, False)
            assert list(part.look(50)) == [Stall("the proxy server", STOPPED, 20, 50, 30)]
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)
        folder.rmdir()


def _made_cgroup() -> tuple[Path, str, str, str] | None:
    """A cgroup that can be frozen, and how."""
    for root, *how in FREEZERS:
        folder = root / f"rdzv-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            return (folder, *how)
    return None


def _await_frozen(folder: Path, frozen: bool) -> None:
    deadline_ns = clock.now_ns() + LIMIT_NS
    while _is_frozen(folder) != frozen:
        assert clock.now_ns() < deadline_ns


def _is_frozen(folder: Path) -> bool:
    state = folder / "freezer.state"
    return state.read_text() == "FROZEN\n" if state.exists() else "frozen 1" in (folder / "cgroup.events").read_text()


def test_a_late_tick_is_this_process_s_own() -> None:
    """It neither ran nor waited for a processor for so long, so it was stopped."""
    late_ns = 6_000_000_000
    with contextlib.closing(Own(0)) as own:
        assert list(own.look(TICK_NS + OWN_WORTH_NS - 1)) == []
        (seen,) = own.look(TICK_NS + late_ns)
    assert seen == Stall(CONTROLLER, STOPPED, TICK_NS, TICK_NS + late_ns, late_ns)


def test_a_short_late_tick_is_a_wait() -> None:
    """A hypervisor may have run another machine meanwhile: nobody has stopped this process."""
    with contextlib.closing(Own(0)) as own:
        (seen,) = own.look(TICK_NS + 400_000_000)
    assert (seen.how, seen.lasted_ns) == (WAITED, 400_000_000)


WATCHED = """
import sys
from harness.machine.process.stalls import StallWatch
watch = StallWatch()
with watch:
    print("watches", flush=True)
    sys.stdin.readline()
for stall in watch.take():
    print(stall.part, stall.how, flush=True)
"""


def test_a_short_stop_is_known_by_the_signal_that_ended_it() -> None:
    """A stop of 0.2 s would else be taken for a pause of the machine."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCHED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as watched:
        assert watched.stdin is not None
        assert watched.stdout is not None
        assert watched.stdout.readline() == "watches\n"
        watched.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        watched.send_signal(signal.SIGCONT)
        out, _ = watched.communicate("\n")
    assert f"{CONTROLLER} {STOPPED}" in out.splitlines()


@pytest.mark.parametrize(
    ("counted_ns", "rest"),
    [(6_000_000_000, []), (6_000_000_000 - OWN_WORTH_NS, [(WAITED, OWN_WORTH_NS)]), (0, [(STOPPED, 6_000_000_000)])],
)
def test_a_late_tick_that_the_scheduler_explains_is_no_stop(
    counted_ns: int, rest: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel counts as a wait is seen as that of a part, and not twice; the rest is a wait of its own."""
    delays = iter([0, counted_ns])
    monkeypatch.setattr(stalls, "_delay_in", lambda schedstat: next(delays))
    with contextlib.closing(Own(0)) as own:
        seen = list(own.look(TICK_NS + 6_000_000_000))
    assert [(stall.how, stall.lasted_ns) for stall in seen] == rest


def test_the_watch_looks_while_the_main_thread_waits(sleeper: int) -> None:
    """Every part that was named is looked at; a stop that goes on at the end counts up to then."""
    assert watch(sleeper, "the name server")
    with hold(sleeper) as process, StallWatch() as seen:
        process.signal(signal.SIGSTOP)
        assert process.await_stop(True, LIMIT_NS)
        _await_ticks(2)
        process.signal(signal.SIGCONT)
        found = _await_stop_of(seen, "the name server")
        assert found.lasted_ns == found.until_ns - found.since_ns > 0
        process.signal(signal.SIGSTOP)
        assert process.await_stop(True, LIMIT_NS)
        _await_ticks(2)
    assert len([stall for stall in seen.take() if (stall.part, stall.how) == ("the name server", STOPPED)]) == 1


def _await_ticks(count: int) -> None:
    """Until the watch must have looked so often: it reads the time of each tick."""
    until_ns = clock.now_ns() + count * TICK_NS
    while clock.now_ns() < until_ns:
        os.sched_yield()


def _await_stop_of(seen: StallWatch, part: str) -> Stall:
    deadline_ns = clock.now_ns() + LIMIT_NS
    while clock.now_ns() < deadline_ns:
        for stall in seen.take():
            if (stall.part, stall.how) == (part, STOPPED):
                return stall
    raise TimeoutError(part)


def test_a_part_that_is_forgotten_leaves_nothing_open(sleeper: int) -> None:
    """What started it says so when it ends it."""
    descriptors = len(os.listdir("/proc/self/fd"))
    assert watch(sleeper, "the proxy server")
    assert len(os.listdir("/proc/self/fd")) > descriptors
    forget(sleeper)
    forget(sleeper)
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("forgotten", [True, False])
def test_a_part_that_is_killed_while_it_stands_still_was_stopped_until_then(sleeper: int, forgotten: bool) -> None:
    """A helper that was stopped is killed at the healing of its fault."""
    assert watch(sleeper, "the helper")
    with hold(sleeper) as process, StallWatch() as seen:
        process.signal(signal.SIGSTOP)
        assert process.await_stop(True, LIMIT_NS)
        _await_ticks(4)
        process.signal(signal.SIGKILL)
        assert process.await_end(LIMIT_NS)
        if forgotten:
            forget(sleeper)
        assert _await_stop_of(seen, "the helper").lasted_ns > 0


def test_a_process_that_is_not_there_cannot_be_watched() -> None:
    """The caller says so."""
    process = subprocess.Popen(["true"])
    process.wait()
    assert not watch(process.pid, "the proxy server")
