"""What a rank does with its plan and its messages, seen from outside, with the subject that needs no torch."""

import contextlib
import os
import sys

from rank_world import handler_plan, step

from harness.rank.recorder import Recorder
from harness.values.ops import Op, Process


def _one(port, **more):
    return [handler_plan(0, 1, port, **more)]


def test_a_rank_reports_itself_first(ranks, port):
    """The first operation names the process and its interpreter."""
    world = ranks([], _one(port))
    world.await_fact(lambda: world.ops(0))
    first = world.ops(0)[0]
    assert (first.type, first.f, first.step) == ("info", "ready", "")
    assert first.value["python"] == ".".join(map(str, sys.version_info[:3]))
    assert first.value["threads"] == 1
    assert first.value["pid"] > 0


def test_a_call_that_sleeps_uses_no_processor(ranks, port):
    """The processor time of the call is that of its process: it was measured, and is a part of what the call lasted."""
    ops = ranks([step(0, "sleep", **{"for": 200_000_000})], _one(port)).play()[0]
    begun, ended = ops[1:3]
    assert 0 < ended.cpu_ns < (ended.time_ns - begun.time_ns) // 2


def test_a_cycle_is_recorded_call_by_call_with_what_the_rank_holds(ranks, port):
    """Joins but the first, shutdowns and drops are followed by a look; the next cycle has a new handler."""
    ops = ranks([step(0, "cycle", calls=6)], _one(port)).play()[0]
    assert [op.f for op in ops if op.type == "ok"] == ["rendezvous", "shutdown", "drop"] * 2
    looks = [op.value for op in ops if op.f == "holds"]
    assert [(look["after"], look["handlers"]) for look in looks] == [
        ("shutdown", ["main"]),
        ("drop", []),
        ("rendezvous", ["main"]),
        ("shutdown", ["main"]),
        ("drop", []),
    ]
    # The kernel counts a thread for a moment after its end.
    threads = [look["counts"].pop("threads") for look in (looks[1], looks[-1])]
    assert max(threads) - min(threads) <= 1
    assert looks[1] == looks[-1]
    assert looks[2]["counts"]["listening sockets"] == 1


def test_nothing_is_done_before_begin(ranks, port):
    """A rank that is ready waits; if `leave` comes first, it skips everything."""
    world = ranks([step(0, "rendezvous")], _one(port))
    world.await_fact(lambda: world.ops(0))
    world.leave()
    world.await_statuses()
    assert [op.value["outcome"] for op in world.ends(0)] == ["skipped"]
    assert not world.begun(0, "rendezvous")
    assert world.begun(0, "exit")


def test_each_call_is_recorded_twice(ranks, port):
    """An invoke with the arguments, a completion with the value; handler, run id and round on both."""
    steps = [step(0, "rendezvous"), step(1, "set", key="k", value="v"), step(2, "get", key="k", times=2)]
    ops = ranks(steps, _one(port)).play()[0]
    assert [(op.type, op.f, op.call) for op in ops[1:]] == [
        ("invoke", "rendezvous", 1),
        ("ok", "rendezvous", 1),
        ("invoke", "set", 1),
        ("ok", "set", 1),
        ("invoke", "get", 1),
        ("ok", "get", 1),
        ("invoke", "get", 2),
        ("ok", "get", 2),
        ("invoke", "exit", 1),
    ]
    assert ops[6].value == "v"
    assert {(op.handler, op.run_id, op.round) for op in ops[2:-1]} == {("main", "train", 1)}
    assert ops[1].value == {
        "rank": 0,
        "world_size": 1,
        "run_id": "train",
        "endpoint": f"127.0.0.1:{port}",
        "master_endpoint": f"127.0.0.1:{port}",
        "timeout_ns": 5_000_000_000,
    }
    listener = ops[2].value.pop("listeners")[0]
    assert listener["port"] == port
    assert ops[2].value.pop("opened") == [listener["inode"]]
    assert ops[2].value == {
        "rank": 0,
        "world_size": 1,
        "master_addr": "127.0.0.1",
        "master_port": port,
        "round": 1,
        "roster": [0],
    }


def test_times_of_one_rank_never_go_back(ranks, port):
    """Operations of one thread are stamped in the order in which they were written."""
    ops = ranks([step(0, "rendezvous"), step(1, "add", key="n", amount=1, times=20)], _one(port)).play()[0]
    stamps = [op.time_ns for op in ops]
    assert stamps == sorted(stamps)


def test_a_gate_holds_a_step_until_it_may_go(ranks, port):
    """A gated step does not begin before the controller's message, and runs after it."""
    world = ranks([step(0, "rendezvous"), step(1, "num_keys", gated=True)], _one(port))
    world.begin()
    world.await_end(0, "rendezvous")
    assert not world.begun(0, "num_keys")
    world.tell(0, go=1)
    assert world.await_end(0, "num_keys").value == 0


def test_a_skip_is_written_once_for_each_call(ranks, port):
    """A skipped step has no invoke, and its record has the reason."""
    world = ranks([step(0, "get", key="k", times=3, gated=True)], _one(port))
    world.begin()
    world.tell(0, skip=0, because="its moment cannot come")
    world.await_fact(lambda: len(world.ends(0)) == 3)
    assert [op.call for op in world.ends(0)] == [1, 2, 3]
    assert {op.value["because"] for op in world.ends(0)} == {"its moment cannot come"}
    assert not world.begun(0, "get")


def test_a_step_without_its_store_is_skipped(ranks, port):
    """Without a rendezvous that returned there is no store, and before the first one there is no handler either."""
    steps = [
        step(0, "get", key="k"),
        step(1, "shutdown"),
        step(2, "rendezvous"),
        step(3, "get", name="after", key="k"),
        step(4, "is_closed"),
        step(5, "all_reduce"),
        step(6, "init_process_group"),
    ]
    world = ranks(steps, [handler_plan(0, 2, port, timeout_s=0.2)])
    world.play()
    assert world.ends(0, "get")[0].value["because"] == "there is no handler 'main' in this rank"
    assert world.ends(0, "shutdown")[0].value["outcome"] == "skipped"
    assert world.ends(0, "rendezvous")[0].type == "fail"
    assert world.ends(0, "after")[0].value["because"].startswith("handler 'main' has no store")
    assert world.ends(0, "is_closed")[0].value is False
    assert world.ends(0, "all_reduce")[0].value["outcome"] == "skipped"
    assert world.ends(0, "init_process_group")[0].value["outcome"] == "skipped"


def test_a_process_group_needs_a_store_of_torch(ranks, port):
    """A subject with its own store has none, and its all_reduce is skipped too."""
    world = ranks([step(0, "rendezvous"), step(1, "init_process_group"), step(2, "all_reduce")], _one(port))
    world.play()
    assert "torch's own store" in world.ends(0, "init_process_group")[0].value["because"]
    assert "no process group" in world.ends(0, "all_reduce")[0].value["because"]


def test_an_error_is_recorded_with_its_classes_and_causes(ranks, port):
    """A port that is taken: the class, its bases, the message and the chain."""
    steps = [step(0, "rendezvous"), step(1, "rendezvous", ranks=[1], name="second", gated=True)]
    world = ranks(steps, [handler_plan(0, 1, port), handler_plan(0, 1, port, run_id="other")])
    world.begin()
    world.await_end(0, "rendezvous")
    world.tell(1, go=1)
    error = world.await_end(1, "second").error
    assert error.kind == "RendezvousConnectionError"
    assert error.bases == ("RendezvousConnectionError", "RendezvousError", "Exception")
    assert f"127.0.0.1:{port}: Address already in use" in error.message
    assert error.causes == ("OSError: [Errno 98] Address already in use",)


def test_threads_of_a_rank_run_side_by_side(ranks, port):
    """A get that waits in one thread is released by a set in another."""
    steps = [
        step(0, "rendezvous"),
        step(1, "get", key="late", gated=True),
        step(2, "set", key="late", value="1", thread="second", gated=True),
    ]
    world = ranks(steps, _one(port))
    world.begin()
    world.await_end(0, "rendezvous")
    world.tell(0, go=1)
    world.await_fact(lambda: world.begun(0, "get"))
    world.tell(0, go=2)
    assert world.await_end(0, "set").process.thread == "second"
    assert world.await_end(0, "get").value == "1"


def test_a_step_of_another_life_is_not_run(ranks, port):
    """The second life runs the steps of the second life and those of every life."""
    steps = [step(0, "rendezvous"), step(1, "num_keys", life=1), step(2, "is_closed", life=2)]
    world = ranks(steps, _one(port), life=2)
    world.begin()
    world.await_end(0, "is_closed")
    world.leave()
    world.await_statuses()
    assert [op.step for op in world.ends(0)] == ["rendezvous", "is_closed"]
    assert {op.process.life for op in world.ops(0)} == {2}


def test_an_exit_step_ends_the_process_at_once(ranks, port):
    """Its call is recorded, the process's `exit` has begun, later steps are not run, and the status is the code."""
    steps = [step(0, "rendezvous"), step(1, "exit", name="crash", code=3), step(2, "num_keys")]
    world = ranks(steps, _one(port))
    world.begin()
    assert world.await_statuses() == {0: 3}
    assert [(op.type, op.f, op.step) for op in world.ops(0)[3:]] == [
        ("invoke", "exit", "crash"),
        ("ok", "exit", "crash"),
        ("invoke", "exit", "exit"),
    ]


def test_an_exit_in_a_thread_ends_the_whole_process(ranks, port):
    """The main thread waits at a gate, which does not keep the process alive."""
    steps = [step(0, "num_keys", gated=True), step(1, "exit", name="crash", code=4, thread="second")]
    world = ranks(steps, _one(port))
    world.begin()
    assert world.await_statuses() == {0: 4}


def test_a_rank_stays_until_it_must_leave(ranks, port):
    """After its last step it goes on serving; at `leave` it records its exit and ends with 0."""
    steps = [
        step(0, "rendezvous", ranks=[0, 1]),
        step(1, "set", key="k", value="1"),
        step(2, "get", ranks=[1], key="k"),
    ]
    world = ranks(steps, [handler_plan(rank, 2, port) for rank in (0, 1)])
    world.begin()
    assert world.await_end(1, "get").value == "1"
    assert not world.begun(0, "exit")
    world.leave()
    assert world.await_statuses() == {0: 0, 1: 0}
    assert world.ops(0)[-1].step == "exit"


def test_a_rank_ends_with_its_controller(ranks, port):
    """The end of the control pipe ends the process with 97, even in the middle of a call."""
    world = ranks([step(0, "rendezvous")], [handler_plan(0, 2, port, timeout_s=60)])
    world.begin()
    world.await_fact(lambda: world.begun(0, "rendezvous"))
    world.hang_up(0)
    assert world.await_statuses() == {0: 97}


def test_a_worker_that_cannot_run_its_plan_fails_with_a_traceback(ranks, port):
    """A bug of the harness itself ends with 70 and a traceback, never silently."""
    world = ranks([step(0, "no_such_verb")], _one(port))
    world.begin()
    assert world.await_statuses() == {0: 70}
    assert "KeyError: 'no_such_verb'" in world.log()


def test_a_mix_is_the_same_for_the_same_seed(ranks, port):
    """Verbs and arguments depend only on the seed, the rank and the step's name."""

    def calls(seed):
        mix = step(1, "mix", calls=25, times=25, keys=["a", "b"], weights=None)
        ops = ranks([step(0, "rendezvous"), mix], _one(port), seed=seed).play()[0]
        return [(op.f, op.call, str(op.value)) for op in ops if op.step == "mix" and op.type == "invoke"]

    first, again, other = calls(1), calls(1), calls(2)
    assert len(first) == 25
    assert first == again
    assert first != other
    assert len({verb for verb, _, _ in first}) > 2


def test_a_mix_draws_only_what_has_weight(ranks, port):
    """The weights select the verbs, and each call is recorded under its own verb."""
    mix = step(1, "mix", calls=10, times=10, keys=["a"], weights={"add": 1, "set": 0})
    ops = ranks([step(0, "rendezvous"), mix], _one(port)).play()[0]
    numbers = [op.value for op in ops if op.step == "mix" and op.type == "ok"]
    assert {op.f for op in ops if op.step == "mix"} == {"add"}
    assert numbers == list(range(1, 11))


def test_a_dropped_handler_frees_the_port_for_a_bind(ranks, port):
    """While the server is there a bind waits; after the drop it succeeds."""
    steps = [
        step(0, "rendezvous"),
        step(1, "bind", ranks=[1], gated=True),
        step(2, "bind", ranks=[1], name="again", gated=True),
        step(3, "drop", gated=True),
        step(4, "num_keys"),
    ]
    world = ranks(steps, [handler_plan(0, 1, port), handler_plan(0, 1, port, timeout_s=0.3)])
    world.begin()
    world.await_end(0, "rendezvous")
    world.tell(1, go=1)
    refused = world.await_end(1, "bind")
    assert refused.error.kind == "TimeoutError"
    assert f"127.0.0.1:{port} could not be bound within 300 ms" in refused.error.message
    world.tell(0, go=3)
    assert world.await_end(0, "drop").type == "ok"
    world.tell(1, go=2)
    assert world.await_end(1, "again").type == "ok"
    assert world.await_end(0, "num_keys").value["outcome"] == "skipped"


def test_a_sleep_belongs_to_no_handler(ranks, port):
    """It returns nothing, and its record has no run id."""
    world = ranks([step(0, "sleep", **{"for": 1_000_000})], _one(port))
    world.play()
    slept = world.ends(0, "sleep")[0]
    assert (slept.type, slept.value, slept.handler, slept.run_id) == ("ok", None, None, None)


def test_two_handlers_of_a_rank_are_two_tenants(ranks, port):
    """Each has its own run id and its own keys on one port."""
    steps = [
        step(0, "rendezvous"),
        step(1, "rendezvous", name="second", handler="b"),
        step(2, "set", key="k", value="1"),
        step(3, "check", handler="b", key="k"),
        step(4, "check", name="own", key="k"),
    ]
    world = ranks(steps, [{"main": handler_plan(0, 1, port), "b": handler_plan(0, 1, port, run_id="other")}])
    world.play()
    assert world.ends(0, "check")[0].value is False
    assert world.ends(0, "check")[0].run_id == "other"
    assert world.ends(0, "own")[0].value is True


def test_a_command_is_the_rank(ranks, port, tmp_path):
    """The program gets its rank and endpoint; its status is the rank's. Steps are skipped once `exit` has begun."""
    script = 'import os; print(*[os.environ[n] for n in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")]); exit(5)'
    plan = handler_plan(1, 4, port)
    world = ranks([step(0, "rendezvous")], [plan], subject="command", command=[sys.executable, "-c", script])
    world.begin()
    assert world.await_statuses() == {0: 5}
    assert [(op.type, op.step) for op in world.ops(0)[1:]] == [("invoke", "exit"), ("info", "rendezvous")]
    assert "takes no steps but `exit`" in world.ops(0)[2].value["because"]
    assert f"1 4 127.0.0.1 {port}" in world.log()


def test_a_command_that_does_not_exist_is_reported_before_anything_begins(ranks, port):
    """The rank's first operation is the failure."""
    world = ranks([], _one(port), subject="command", command=["no-such-program-anywhere"])
    assert world.await_statuses() == {0: 70}
    first = world.ops(0)[0]
    assert (first.type, first.f, first.error.kind) == ("fail", "ready", "FileNotFoundError")
    assert "no-such-program-anywhere" in first.error.message


def test_a_command_inherits_no_descriptor_of_the_harness(ranks, port):
    """It gets the three standard streams; the pipes and the file of operations are closed."""
    script = "import os; print('fds', *sorted(int(fd) for fd in os.listdir('/proc/self/fd')))"
    world = ranks([], _one(port), subject="command", command=[sys.executable, "-c", script])
    world.begin()
    world.await_statuses()
    # The fourth belongs to the listing itself.
    assert "fds 0 1 2 3\n" in world.log()


def test_a_rank_without_a_doorbell_records_all_the_same(tmp_path, port):
    """A negative descriptor means that there is none."""
    path = tmp_path / "ops.jsonl"
    Recorder(str(path), 0, 1, -1).write(Op(1, Process(0), "ok", "get", step="get"))
    assert path.read_text().count("\n") == 1


def test_a_full_doorbell_does_not_block_a_rank(tmp_path):
    """The bell has been rung already; the line is written."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    path = tmp_path / "ops.jsonl"
    Recorder(str(path), 0, 1, writer).write(Op(1, Process(0), "ok", "get", step="get"))
    os.close(reader)
    os.close(writer)
    assert path.read_text().count("\n") == 1
