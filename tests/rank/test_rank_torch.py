"""Ranks with a real torch: the rendezvous of its registry, its store and its process group."""

import os
import socket
import subprocess
import textwrap

import pytest
from rank_world import HARNESS, handler_plan, step

pytestmark = pytest.mark.needs_torch


@pytest.fixture
def torch_ranks(ranks, rank_python):
    """Like `ranks`, for the stock static rendezvous."""

    def start(steps, plans, *, subject="static", **more):
        return ranks(steps, plans, subject=subject, python=rank_python, **more)

    return start


@pytest.fixture
def plugin(tmp_path):
    """A folder with an out-of-tree rendezvous for torchrun, as an installed package would provide it."""
    folder = tmp_path / "site"
    about = folder / "outsider-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[torchrun.handlers]\noutsider = outsider:get\nbystander = bystander:get\n")
    (folder / "bystander.py").write_text("raise ZeroDivisionError('bystander was imported')\n")
    (folder / "outsider.py").write_text(
        textwrap.dedent("""
            import os
            from torch.distributed.elastic.rendezvous import static_tcp_rendezvous as static
            print("outsider loaded in", os.getpid(), flush=True)
            class Outsider(static.StaticTCPRendezvous):
                round, roster = 7, [0]
                def get_backend(self):
                    return "outsider"
            def create(params):
                assert params.config["rank"] == "0", params.config
                host, port = params.endpoint.rsplit(":", 1)
                size, timeout = params.max_nodes, params.config["timeout"]
                return Outsider(host, int(port), int(params.config["rank"]), size, params.run_id, timeout)
            def get():
                return create
        """)
    )
    return str(folder)


def test_two_ranks_of_stock_join_and_share_a_store(torch_ranks, port):
    """Both return what torch reports; what rank 0 sets rank 1 reads."""
    steps = [step(0, "rendezvous", ranks=[0, 1]), step(1, "set", key="k", value="v")]
    steps += [step(2, "get", ranks=[1], key="k")]
    world = torch_ranks(steps, [handler_plan(rank, 2, port) for rank in (0, 1)])
    world.play()
    ready = world.ops(0)[0].value
    assert ready["torch"].split(".")[0] == "2"
    assert ready["torch_file"].endswith("torch/__init__.py")
    master, worker = (world.ends(rank, "rendezvous")[0].value for rank in (0, 1))
    assert worker == {"rank": 1, "world_size": 2, "master_addr": "127.0.0.1", "master_port": port}
    sockets = ("listeners", "opened")
    assert {**worker, "rank": 0} == {name: value for name, value in master.items() if name not in sockets}
    assert [listener["port"] for listener in master["listeners"]] == [port]
    assert master["listeners"][0]["inode"] > 0
    assert world.ends(1, "get")[0].value == "v"
    assert world.statuses == {0: 0, 1: 0}


def test_verbs_of_a_torch_store(torch_ranks, port):
    """Bytes come back as text, counters as numbers; a verb that this torch lacks is skipped with a reason."""
    steps = [
        step(0, "rendezvous"),
        step(1, "add", key="n", amount=5),
        step(2, "compare_set", key="new", expected="", desired="x"),
        step(3, "multi_set", values={"b": "1", "c": "2"}),
        step(4, "multi_get", keys=["b", "c"]),
        step(5, "append", key="b", value="é"),
        step(6, "get", key="b"),
        step(7, "wait", key="b", timeout=1_000_000_000),
        step(8, "check", keys=["b", "missing"]),
        step(9, "delete_key", key="c"),
        step(10, "num_keys"),
        step(11, "queue_push", key="q", value="first"),
        step(12, "queue_pop", key="q"),
        step(13, "is_closed"),
        step(14, "num_nodes_waiting"),
        step(15, "clone"),
        step(16, "get", name="of-the-clone", key="b"),
        step(17, "set_closed"),
        step(18, "shutdown"),
    ]
    world = torch_ranks(steps, [handler_plan(0, 1, port)])
    world.play()
    ends = {op.step: op for op in world.ends(0)}
    values = {name: ends[name].value for name in ("add", "compare_set", "multi_get", "get", "check", "delete_key")}
    assert values == {
        "add": 5,
        "compare_set": "x",
        "multi_get": ["1", "2"],
        "get": "1é",
        "check": False,
        "delete_key": True,
    }
    assert isinstance(ends["num_keys"].value, int)
    assert (ends["is_closed"].value, ends["shutdown"].value, ends["set_closed"].type) == (False, True, "ok")
    assert (ends["num_nodes_waiting"].value, ends["of-the-clone"].value) == (0, "1é")
    if ends["clone"].type == "info":
        assert "cannot be cloned" in ends["clone"].value["because"]
    queues = [ends[name].type for name in ("queue_push", "queue_pop")]
    if queues == ["info", "info"]:
        assert "has no queues" in ends["queue_pop"].value["because"]
    else:
        assert (queues, ends["queue_pop"].value) == (["ok", "ok"], "first")


def test_a_taken_port_is_an_error_with_its_bases(torch_ranks, port):
    """Torch's own class first, then its bases, and torch's message; the class depends on the version."""
    with socket.create_server(("127.0.0.1", port)):
        world = torch_ranks([step(0, "rendezvous")], [handler_plan(0, 1, port)])
        world.play()
    error = world.ends(0, "rendezvous")[0].error
    assert error.bases[0] == error.kind
    assert error.kind in ("DistNetworkError", "RuntimeError")
    assert error.bases[-2:] == ("RuntimeError", "Exception")
    assert "EADDRINUSE" in error.message


def test_a_dropped_stock_handler_frees_the_port(torch_ranks, port):
    """Its store and the listener are gone with it; a new rendezvous listens again."""
    steps = [step(0, "rendezvous"), step(1, "drop"), step(2, "bind"), step(3, "rendezvous", name="again")]
    world = torch_ranks(steps, [handler_plan(0, 1, port, timeout_s=2)])
    world.play()
    assert [op.type for op in world.ends(0)] == ["ok"] * 4


def test_a_second_rendezvous_uses_the_same_handler(torch_ranks, port):
    """Stock torch keeps its store: one listening socket, the same in both rounds."""
    world = torch_ranks([step(0, "rendezvous"), step(1, "rendezvous", name="again")], [handler_plan(0, 1, port)])
    world.play()
    first, again = (world.ends(0, name)[0].value["listeners"] for name in ("rendezvous", "again"))
    assert len(first) == 1
    assert first == again


def test_a_process_group_sums_over_all_ranks(torch_ranks, port):
    """Gloo over the newest store; dropping the handler destroys the group too."""
    both = [0, 1]
    steps = [
        step(0, "rendezvous", ranks=both),
        step(1, "init_process_group", ranks=both),
        step(2, "all_reduce", ranks=both),
        step(3, "drop", ranks=both),
        step(4, "all_reduce", ranks=both, name="after"),
        step(5, "bind"),
    ]
    world = torch_ranks(steps, [handler_plan(rank, 2, port) for rank in both])
    world.play()
    for rank in both:
        assert [world.ends(rank, name)[0].type for name in ("init_process_group", "all_reduce", "drop")] == ["ok"] * 3
        assert world.ends(rank, "all_reduce")[0].value == 2
        assert world.ends(rank, "after")[0].value["outcome"] == "skipped"
    assert world.ends(0, "bind")[0].type == "ok"


def test_an_unknown_backend_is_reported_before_the_rank_is_ready(torch_ranks, port):
    """The message names the registered backends."""
    world = torch_ranks([step(0, "rendezvous")], [handler_plan(0, 1, port)], subject="statik")
    assert world.await_statuses() == {0: 70}
    first = world.ops(0)[0]
    assert (first.type, first.f) == ("fail", "ready")
    assert "no rendezvous backend 'statik'" in first.error.message
    assert "static" in first.error.message


def test_an_out_of_tree_backend_is_loaded_where_ranks_are_forked_from(torch_ranks, port, plugin):
    """Built as torchrun builds it, its round and roster reported; what is installed beside it is not imported."""
    world = torch_ranks([step(0, "rendezvous")], [handler_plan(0, 1, port)], subject="outsider", path=plugin)
    ops = world.play()[0]
    value = world.ends(0, "rendezvous")[0].value
    assert (value["round"], value["roster"]) == (7, [0])
    loaded = [line for line in world.log().splitlines() if line.startswith("outsider loaded")]
    assert loaded == [f"outsider loaded in {world.process.pid}"]
    assert ops[0].value["pid"] != world.process.pid
    assert "bystander" not in world.log()


def test_a_fresh_rank_imports_torch_itself(torch_ranks, port, plugin):
    """Its parent imported nothing; an out-of-tree backend is registered once."""
    world = torch_ranks(
        [step(0, "rendezvous")], [handler_plan(0, 1, port)], subject="outsider", path=plugin, preload=False
    )
    world.play()
    assert world.ends(0, "rendezvous")[0].type == "ok"
    assert world.log().count("outsider loaded") == 1
    assert "Exception while registering" not in world.log()


def test_a_backend_that_cannot_be_imported_is_reported_before_the_rank_is_ready(torch_ranks, port, plugin):
    """The message has the error of the import, not that there is no such backend."""
    world = torch_ranks(
        [step(0, "rendezvous")], [handler_plan(0, 1, port)], subject="bystander", path=plugin, preload=False
    )
    assert world.await_statuses() == {0: 70}
    message = world.ops(0)[0].error.message
    assert "'bystander' cannot be loaded: ZeroDivisionError: bystander was imported" in message


def test_a_helper_serves_a_store_of_another_run(rank_python, port):
    """The helper reports that it listens, and a store client reads the other job's key."""
    reader, writer = os.pipe()
    helper = textwrap.dedent(f"""
        import os, sys, types
        harness = types.ModuleType("harness")
        harness.__path__ = [{str(HARNESS)!r}]
        sys.modules["harness"] = harness
        from harness.rank import impostor_store
        arguments = {{"port": {port}, "run_id": "other"}}
        impostor_store.main(arguments, lambda text: os.write({writer}, (text + "\\n").encode()))
    """)
    client = f"""if True:
        import datetime, torch.distributed as d
        store = d.TCPStore("127.0.0.1", {port}, None, False, datetime.timedelta(seconds=5), wait_for_workers=False)
        print(d.PrefixStore("other", store).get("owner").decode())
    """
    with subprocess.Popen([rank_python, "-c", helper], pass_fds=[writer]) as process:
        os.close(writer)
        with os.fdopen(reader) as ready:
            line = ready.readline()
        try:
            assert line == f"a store of run other listens on port {port}\n"
            answer = subprocess.run([rank_python, "-c", client], capture_output=True, text=True, check=True)
            assert answer.stdout.strip() == "impostor"
        finally:
            process.kill()
