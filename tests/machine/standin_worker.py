"""A worker that does one thing, named by DO in its rank's environment: for tests of code that makes ranks."""

import json
import os
import signal
import struct
import sys
import threading


def main(request, control_fd, doorbell_fd):
    action, _, argument = os.environ["DO"].partition(" ")
    print(f"rank {request['rank']} does {action}")
    ACTIONS[action](request, control_fd, doorbell_fd, argument)
    os._exit(0)


def _exit(request, control_fd, doorbell_fd, argument):
    os._exit(int(argument))


def _abort(request, control_fd, doorbell_fd, argument):
    os.abort()


def _fail(request, control_fd, doorbell_fd, argument):
    raise RuntimeError("this worker is broken")


def _report(request, control_fd, doorbell_fd, argument):
    facts = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "plan": len(request["plan_object"].ranks),
        "message": os.read(control_fd, 100).decode(),
        "environment": dict(os.environ),
        "descriptors": {name: _target(name) for name in os.listdir("/proc/self/fd")},
        "threads": len(os.listdir("/proc/self/task")),
        "harness": [name for name in sys.modules if name.startswith("harness")],
        "torch": str(getattr(sys.modules.get("torch"), "__version__", "")),
    }
    with open(request["ops"], "w") as stream:
        json.dump(facts, stream)
    if doorbell_fd >= 0:
        os.write(doorbell_fd, struct.pack("<HH", request["rank"], request["life"]))


def _target(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


def _hang(request, control_fd, doorbell_fd, argument):
    wait_for_what_never_comes(control_fd)


def wait_for_what_never_comes(control_fd):
    print("waits", flush=True)
    os.read(control_fd, 1)


def _threads(request, control_fd, doorbell_fd, argument):
    """What must still work in a clone: threads, locks, a child process, signals to itself."""
    results = []
    workers = [threading.Thread(target=lambda: results.append(threading.get_native_id())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    child = os.fork()
    if child == 0:
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    assert len(results) == 4
    signal.raise_signal(signal.SIGTERM)


def _torch(request, control_fd, doorbell_fd, argument):
    import torch

    store = torch.distributed.HashStore()
    store.set("key", str(torch.ones(1000, 1000).sum().item()))
    with open(request["ops"], "wb") as stream:
        stream.write(store.get("key"))


ACTIONS = {name[1:]: action for name, action in list(globals().items()) if name.startswith("_") and callable(action)}
