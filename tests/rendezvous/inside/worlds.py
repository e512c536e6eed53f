"""Small worlds of handlers in this process, and peers that misbehave."""

import contextlib
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from harness.rendezvous.static import StaticTCPRendezvous

HOST = "127.0.0.1"


_BLOCK = 100


def free_port():
    """A free port of this process's own block, below the ephemeral range.

    Other processes may look for one at the same time, and a free port is not served yet. So each process first takes a
    block of ports, and keeps its lowest port bound for as long as it lives.
    """
    if not _own:
        _own.extend(_block())
    for candidate in _own[1]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, candidate))
            return candidate
    raise AssertionError("no free port is left of this process's block")


_own = []


def _block():
    for lowest in range(20000, 32000, _BLOCK):
        mark = socket.socket()
        with contextlib.suppress(OSError):
            mark.bind((HOST, lowest))
            return mark, iter(range(lowest + 1, lowest + _BLOCK))
        mark.close()
    raise AssertionError("no free block of ports")


def handler(rank, size, port, run_id="run", timeout=5.0, host=HOST):
    return StaticTCPRendezvous(host, port, rank, size, run_id, timeout)


def world(size, port=None, **more):
    port = port or free_port()
    return [handler(rank, size, port, **more) for rank in range(size)]


class Stopwatch:
    """Seconds without the delays of a busy machine, which are not delays of what is tested.

    A thread that does nothing but sleep measures them, and adds them up.
    """

    _NAP_S = 0.01
    _late_s = 0.0

    def __init__(self):
        self._begun, self._late_before = time.monotonic(), Stopwatch._late_s

    @property
    def seconds(self):
        return time.monotonic() - self._begun - (Stopwatch._late_s - self._late_before)

    @classmethod
    def nap(cls):
        while True:
            due = time.monotonic() + cls._NAP_S
            time.sleep(cls._NAP_S)
            cls._late_s += time.monotonic() - due


# From the start, since threads are counted.
threading.Thread(target=Stopwatch.nap, daemon=True).start()


class Call(threading.Thread):
    """One next_rendezvous in a thread; `wait` returns its info or raises its error."""

    def __init__(self, one):
        super().__init__(daemon=True)
        self.handler = one
        self.watch, self.begun = Stopwatch(), time.monotonic()
        self.info = self.error = None
        self.start()

    def run(self):
        try:
            self.info = self.handler.next_rendezvous()
        except BaseException as error:
            self.error = error
        self.elapsed, self.seconds = time.monotonic() - self.begun, self.watch.seconds

    def wait(self, within=10.0):
        watch = Stopwatch()
        while self.is_alive() and watch.seconds < within:
            self.join(0.05)
        if self.is_alive():
            raise AssertionError(f"rank {self.handler.rank} has not returned after {within} s")
        if self.error is not None:
            raise self.error
        return self.info


def join(handlers):
    """All handlers join; returns their infos."""
    calls = [Call(one) for one in handlers]
    return [call.wait() for call in calls]


def until(fact, within=5.0):
    """Wait until it is true."""
    watch = Stopwatch()
    while not fact():
        if watch.seconds > within:
            raise AssertionError("it did not come true")
        time.sleep(0.005)


def has_claimed(master, rank):
    """Whether a rank's slot of the open round is claimed, on the server of this process."""
    if master._store is None or not master._store.check([f"+={master.run_id}"]):
        return False
    name, _, number = master._store.get(f"+={master.run_id}").decode().split()
    return master._store.check([f"+{name}.{number}s{rank}"])


@contextlib.contextmanager
def peer(answer):
    """A listener that runs `answer(connection, done)` for each connection in a thread."""
    server = socket.create_server((HOST, 0))
    server.settimeout(0.05)
    done = threading.Event()
    threads = []

    def serve():
        while not done.is_set():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                threads.append(threading.Thread(target=guarded, args=(connection,), daemon=True))
                threads[-1].start()

    def guarded(connection):
        with connection, contextlib.suppress(OSError):
            answer(connection, done)

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        done.set()
        accepting.join()
        for thread in threads:
            thread.join()
        server.close()


def silent(connection, done):
    done.wait()


def dripping(connection, done):
    """Send a byte now and then, never enough for an answer in time."""
    while not done.wait(0.3):
        connection.send(b"\x00")


MASTER = """
import sys, time
from harness.rendezvous.static import StaticTCPRendezvous
master = StaticTCPRendezvous("127.0.0.1", int(sys.argv[1]), 0, int(sys.argv[2]), "run", 20)
if sys.argv[2] != "1":
    import threading
    threading.Thread(target=master.next_rendezvous, daemon=True).start()
    while master._store is None or not master._store.check(["+=run"]):
        time.sleep(0.005)
else:
    master.next_rendezvous()
print("serves", flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def other_master(port, size=2):
    """A master in another process, which can be stopped and killed."""
    process = subprocess.Popen([sys.executable, "-c", MASTER, str(port), str(size)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline().strip() == b"serves"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def frozen(process):
    """Stop a process; waits until it has stopped, because SIGSTOP takes effect after it is sent."""
    process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: set(states_of(process.pid)) == {"T"})
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def states_of(pid):
    """The state of each thread, as the kernel names it; a thread may end meanwhile."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{thread}/stat") as status:
            yield status.read().rsplit(")", 1)[1].split()[0]


def threads_now():
    return len(os.listdir("/proc/self/task"))


def descriptors_now():
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def descriptors_left(count):
    """This process can open so many descriptors more, if other threads open and close none."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = (number for number in itertools.count() if not os.path.exists(f"/proc/self/fd/{number}"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, count, None)), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
