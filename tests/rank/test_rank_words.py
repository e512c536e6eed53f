"""The small parts of a rank: errors as data, gates, listeners, and the declarations of the verbs."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from rank_world import HARNESS

from harness.rank.control import Control
from harness.rank.listeners import listening_sockets
from harness.rank.recorder import Usage, error_info
from harness.rank.steps import STEPS
from harness.rank.steps import store as store_steps
from harness.rank.subjects.rendezvous import chooses_ranks, torchrun_config
from harness.values.attribute import ATTRIBUTE_KINDS, REQUIRED
from harness.values.plan import HandlerPlan

# The verbs of the format with their arguments; `~` marks an optional one.
ARGUMENTS = {
    "rendezvous": "",
    "set": "key value",
    "append": "key value",
    "queue_push": "key value",
    "get": "key",
    "delete_key": "key",
    "queue_pop": "key",
    "check": "~key ~keys",
    "wait": "~key ~keys ~timeout",
    "multi_get": "~key ~keys",
    "multi_set": "values",
    "add": "key ~amount",
    "compare_set": "key expected desired",
    "sleep": "for",
    "exit": "~code",
    "mix": "calls ~keys ~weights",
    "fork_child": "~for",
    "bind": "",
    "num_keys": "",
    "drop": "",
    "shutdown": "",
    "set_closed": "",
    "is_closed": "",
    "num_nodes_waiting": "",
    "clone": "",
    "cycle": "calls",
    "set_bytes": "key hex ~repeat",
    "same_bytes": "key hex ~repeat",
    "move_wall_clock": "by ~back",
    "interrupt": "",
    "set_timeout": "timeout ~prefix",
    "uses_libuv": "",
    "init_process_group": "~port",
    "all_reduce": "",
}
IMPORT_ALL = """
import importlib, pkgutil, sys, types
harness = types.ModuleType("harness")
harness.__path__ = [sys.argv[1]]
sys.modules["harness"] = harness
before = set(sys.modules)
for room in ("values", "rank"):
    package = importlib.import_module(f"harness.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"harness.{room}."):
        importlib.import_module(module.name)
importlib.import_module("harness.clock")
foreign = {name.split(".")[0] for name in set(sys.modules) - before} - {"harness"}
print(*sorted(name for name in foreign if "site-packages" in (getattr(sys.modules[name], "__file__", "") or "")))
"""


def test_the_verbs_are_those_of_the_format():
    """Each verb has the arguments that the format gives it."""
    declared = {
        kind: " ".join(
            ("" if attribute.default is REQUIRED else "~") + attribute.name
            for attribute in member.declaration.attributes
        )
        for kind, member in STEPS.items()
    }
    assert declared == ARGUMENTS


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_a_verb_explains_itself(kind):
    """A sentence, an example that uses it, attributes of known kinds."""
    declaration = STEPS[kind].declaration
    assert declaration.kind == kind
    assert declaration.summary.endswith(".")
    assert f"do: {kind}" in declaration.example
    assert {attribute.kind for attribute in declaration.attributes} <= set(ATTRIBUTE_KINDS)


def test_a_verb_takes_key_or_keys():
    """One of them is needed; both are refused."""
    problems = STEPS["check"].problems
    assert not problems({"key": "a", "keys": None})
    assert not problems({"key": None, "keys": ("a",)})
    assert "not both" in problems({"key": "a", "keys": ("b",)})[0]
    assert "give `key: NAME`" in problems({"key": None, "keys": None})[0]


def test_a_mix_refuses_what_it_cannot_draw():
    """An unknown verb, weights below 0, weights that are all 0, no keys."""
    problems = STEPS["mix"].problems
    assert not problems({"keys": ("a",), "weights": None})
    assert "cannot draw 'drop'" in problems({"keys": ("a",), "weights": {"drop": 1}})[0]
    assert "below 0" in problems({"keys": ("a",), "weights": {"set": -1, "get": 1}})[0]
    assert "all weights are 0" in problems({"keys": ("a",), "weights": {"set": 0}})[0]
    assert "at least one key" in problems({"keys": (), "weights": None})[0]


@pytest.mark.parametrize("verb", store_steps.MIX_VERBS)
def test_what_a_mix_draws_has_the_arguments_of_its_verb(verb):
    """Each verb that may be drawn gets its required arguments."""
    drawn, arguments = store_steps.draw(Random(1), {"keys": ["a"], "weights": {verb: 1}})
    required = {item.name for item in STEPS[verb].declaration.attributes if item.default is REQUIRED}
    assert drawn == verb
    assert required <= arguments.keys()


def test_bytes_become_text():
    """UTF-8 is decoded, other bytes are escaped."""
    assert store_steps.text("é".encode()) == "é"
    assert store_steps.text(b"\xff1") == "\\xff1"


def test_an_error_is_recorded_with_its_chain():
    """An explicit cause hides the context; causes are first lines only; a cycle ends."""
    inner = KeyError("k")
    inner.__cause__ = OSError("first\nsecond")
    outer = ValueError("outer\nstack")
    outer.__context__ = inner
    inner.__cause__.__context__ = outer
    info = error_info(outer)
    assert info.kind == "ValueError"
    assert info.bases == ("ValueError", "Exception")
    assert info.message == "outer\nstack"
    assert info.causes == ("KeyError: 'k'", "OSError: first")


def test_a_suppressed_context_is_not_a_cause():
    """`raise ... from None` hides the context."""
    error = ValueError("v")
    error.__context__ = KeyError("k")
    error.__suppress_context__ = True
    assert error_info(error).causes == ()


def test_an_error_beyond_exception_keeps_its_bases():
    """SystemExit is recorded too."""
    assert error_info(SystemExit(1)).bases == ("SystemExit", "BaseException")


def test_an_error_whose_text_fails_is_recorded_too():
    """A broken `__str__` must not lose the call."""

    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    assert "RuntimeError" in error_info(Broken()).message


def test_lag_is_the_longest_wait_of_one_thread():
    """Not their sum: threads that wait for each other are the subject's own doing. One that has ended is gone."""
    before = Usage({"1": 100, "2": 500, "3": 900}, 0)
    assert Usage({"1": 140, "2": 530, "4": 20}, 0).lag_ns(before) == 40
    assert Usage({"1": 100, "4": 60}, 0).lag_ns(before) == 60
    assert Usage({}, 0).lag_ns(before) == 0


def test_lag_can_be_read():
    """Of every thread of this process, a number of nanoseconds that does not decrease."""
    first = Usage.now()
    second = Usage.now()
    assert first.waits
    assert second.lag_ns(first) >= 0
    assert all(second.waits.get(thread, waited_ns) >= waited_ns for thread, waited_ns in first.waits.items())


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")]
)
def test_a_listening_socket_is_seen_with_its_inode(family, address):
    """It has its address, port and inode, and is gone when it is closed."""
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError as error:
        pytest.skip(f"{address} cannot be bound here: {error}")
    with listener:
        expected = {
            "address": address,
            "port": listener.getsockname()[1],
            "inode": os.fstat(listener.fileno()).st_ino,
        }
        assert expected in listening_sockets()
    assert expected not in listening_sockets()


def test_a_connected_socket_is_not_a_listener():
    """The accepted end has the same port and does not count."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            with accepted:
                assert [row["port"] for row in listening_sockets()].count(port) == 1


@pytest.fixture
def control():
    """A Control, and a function that sends it a message; the pipe stays open, since its end would end this process."""
    reader, writer = os.pipe()
    started = Control(reader)
    started.start()
    yield started, lambda **message: os.write(writer, (json.dumps(message) + "\n").encode())
    _KEPT_OPEN.append(writer)


_KEPT_OPEN = []


def test_the_first_message_for_a_gate_counts(control):
    """A skip after a go changes nothing; messages may come before a step waits."""
    receiver, send = control
    send(go=1)
    send(skip=1, because="late")
    send(skip=2, because="never")
    send(begin=True)
    assert receiver.wait_for_begin() is True
    assert receiver.wait_for_step(1) is None
    assert receiver.wait_for_step(2) == "never"


def test_leave_opens_what_is_still_closed(control):
    """A step that waits at a gate is skipped because the play has ended."""
    receiver, send = control
    receiver._gate(5)
    send(leave=True)
    assert receiver.wait_for_step(5) == "the play has ended"
    receiver.wait_for_leave()
    assert receiver.wait_for_begin() is False


@pytest.mark.parametrize(("backend", "rank"), [("static", 3), ("static-strict", "3"), ("c10d", "3")])
def test_a_backend_is_configured_as_torchrun_does(backend, rank):
    """Whole seconds, the rank as a number for `static`, else as text; the scenario's config takes precedence."""
    plan = HandlerPlan(3, 4, "r", 2_000_000_000, "h", 1, "h", 1, {"read_timeout": "5"})
    assert torchrun_config(backend, plan) == {"timeout": 2, "rank": rank, "read_timeout": "5"}
    raw = HandlerPlan(3, 4, "r", 2_000_000_000, "h", 1, "h", 1, {"timeout": "0.5"})
    assert torchrun_config(backend, raw)["timeout"] == "0.5"


def _python(version):
    """An interpreter of that version that starts; a shim on PATH may name one that does not."""
    candidates = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}*/bin/python")]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("version", ["3.9", "3.13", None])
def test_a_rank_needs_the_standard_library_only(version):
    """`values`, `clock` and `rank` import on the oldest interpreter, from a bare folder, without other packages."""
    python = sys.executable if version is None else _python(version)
    if python is None:
        pytest.skip(f"there is no python{version} here")
    done = subprocess.run([python, "-c", IMPORT_ALL, str(HARNESS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_a_handler_says_by_an_attribute_of_its_class_that_it_chooses_ranks():
    """Only True counts: a handler may have a method of that name."""
    kinds = {"theirs": {"chooses_ranks": True}, "other": {}, "odd": {"chooses_ranks": lambda self: False}}
    said = {name: chooses_ranks(type(name, (), attributes)()) for name, attributes in kinds.items()}
    assert said == {"theirs": True, "other": False, "odd": False}
