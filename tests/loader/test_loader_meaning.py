"""What the keys of a file mean once they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.loader import load_keys, load_mapping, load_text, written
from harness.scenario.moment import AllMoments, FaultMoment, StepMoment, TimeMoment, WireMoment
from harness.scenario.scenario import Scenario
from harness.values.errors import ScenarioError
from harness.values.plan import HandlerPlan

SECOND = 1_000_000_000
JOIN = {"id": "join", "do": "rendezvous"}
LATENCY = {"inject": "latency", "stream": "both", "latency": "10ms"}


def cells(**keys: Any) -> list[Scenario]:
    """The cells of a file with these keys, and sound ones for the rest."""
    whole = {"world": {"size": 3, "timeout": "2s"}, "workload": [JOIN], "expect": [{"step": "join"}], **keys}
    return load_mapping(whole, "a-claim")


def problems(**keys: Any) -> str:
    """All problems of such a file."""
    with pytest.raises(ScenarioError) as caught:
        cells(**keys)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "ranks"),
    [(2, (2,)), ([0, 2], (0, 2)), ("1-2", (1, 2)), ("workers", (1, 2)), ("all", (0, 1, 2)), ([2, 0, 2], (0, 2))],
)
def test_ranks_have_five_forms(written: Any, ranks: tuple[int, ...]) -> None:
    """A number, a list, a range, `workers`, `all`."""
    assert cells(workload=[JOIN, {"do": "sleep", "for": "1s", "ranks": written}])[0].steps[1].ranks == ranks


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("1s", TimeMoment(SECOND)),
        ("timeout + 1s", TimeMoment(3 * SECOND)),
        ("join", StepMoment("join")),
        ("slow", FaultMoment("slow")),
        ("exit", StepMoment("exit")),
        (["join", "slow"], AllMoments((StepMoment("join"), FaultMoment("slow")))),
        (["join"], StepMoment("join")),
        (
            {"step": "join", "ranks": 1, "is": ["ok", "died"], "count": 1},
            StepMoment("join", (1,), 1, ("ok", "died"), 1),
        ),
        ({"step": "join", "is": "begun", "plus": "timeout"}, StepMoment("join", state=("begun",), plus_ns=2 * SECOND)),
        ({"step": "join", "life": 2}, StepMoment("join", life=2)),
        ({"fault": "slow", "is": "healed", "plus": "1ms"}, FaultMoment("slow", "healed", 1_000_000)),
    ],
)
def test_moments_have_all_their_forms(written: Any, moment: Any) -> None:
    """A duration, a name, a list, a mapping of a step or of a fault."""
    slow = {"id": "slow", **LATENCY, "for": "1s"}
    late = {"do": "num_keys", "after": written}
    assert cells(workload=[JOIN, late], faults=[slow])[0].steps[1].after == moment


def test_a_step_of_one_life_is_awaited_in_that_life() -> None:
    """A moment of a step that only the second life has is a moment of the second life."""
    kill = {"inject": "kill", "ranks": 1, "after": "join", "for": "1s"}
    again = {"id": "again", "do": "num_keys", "ranks": 1, "life": 2}
    read = cells(workload=[JOIN, again, {"do": "get", "key": "a", "ranks": 0, "after": "again"}], faults=[kill])[0]
    assert read.steps[2].after == StepMoment("again", life=2)


def test_later_duplicates_get_numbers() -> None:
    """Unreferenced duplicates are distinguished by `.2`, `.3`; steps and faults share the names."""
    read = cells(workload=[JOIN, *[{"do": "num_keys"}] * 3], expect=[{"step": "join"}, {"step": "join", "is": "ok"}])[0]
    assert [step.name for step in read.steps] == ["join", "num_keys", "num_keys.2", "num_keys.3"]
    assert [claim.name for claim in read.expect] == ["join", "join.2"]


def test_a_link_fault_means_every_rank_that_has_a_link() -> None:
    """By default all but those whose every handler is given rank 0."""
    assert cells(faults=[LATENCY])[0].faults[0].ranks == (1, 2)
    ranks = {1: {"as_rank": 0}}
    assert cells(world={"size": 3, "ranks": ranks}, faults=[LATENCY])[0].faults[0].ranks == (2,)


def test_a_rank_has_a_link_if_any_handler_is_given_another_rank() -> None:
    """Rank 0 joins a second run as its rank 1: it has a link for that."""
    second = {"do": "rendezvous", "ranks": 0, "handler": "second", "as_rank": 1, "run_id": "b"}
    read = cells(workload=[JOIN, second], faults=[LATENCY])[0]
    assert read.faults[0].ranks == (0, 1, 2)


def test_the_nearest_of_step_rank_and_world_wins() -> None:
    """Step over rank over world over default, key by key."""
    world = {
        "size": 2,
        "timeout": "2s",
        "run_id": "world",
        "host": "localhost",
        "ranks": {1: {"run_id": "rank", "timeout": "4s"}},
    }
    workload = [{**JOIN, "run_id": "step", "ranks": 0}, {"do": "rendezvous", "ranks": 1, "config": {"timeout": "0.5"}}]
    first, second = (spec.handlers["main"] for spec in cells(world=world, workload=workload)[0].world.ranks)
    assert (first.run_id, first.timeout_ns, first.host, first.port) == ("step", 2 * SECOND, "localhost", None)
    assert (second.run_id, second.timeout_ns, second.config) == ("rank", 4 * SECOND, {"timeout": "0.5"})


@pytest.mark.parametrize("raw", ["127.0.0.1:99999", "no port", ""])
def test_an_endpoint_is_passed_as_it_is_written(raw: str) -> None:
    """Also one that no endpoint can be, and none; without the key it is made of host and port."""
    (cell,) = cells(world={"size": 2, "timeout": "2s", "ranks": {1: {"endpoint": raw}}})
    first, second = (spec.handlers["main"] for spec in cell.world.ranks)
    assert (first.endpoint, second.endpoint) == (None, raw)
    assert HandlerPlan(1, 2, "train", 1, "h", 1, "h", 1, endpoint=second.endpoint).given_endpoint == raw
    assert HandlerPlan(0, 2, "train", 1, "::1", 1, "h", 1, endpoint=first.endpoint).given_endpoint == "[::1]:1"


def test_a_guard_follows_the_longest_timeout_of_its_rank() -> None:
    """`timeout` in `guard` is not the world's where a rank has a longer one."""
    world = {"size": 2, "timeout": "2s", "guard": "3 * timeout", "ranks": {1: {"timeout": "10s"}}}
    assert [spec.guard_ns for spec in cells(world=world)[0].world.ranks] == [6 * SECOND, 30 * SECOND]


@pytest.mark.parametrize("name", ["TORCH_CPP_LOG_LEVEL", "OMP_NUM_THREADS", "LD_PRELOAD", "PYTHONHASHSEED"])
def test_what_is_read_at_import_needs_a_new_interpreter(name: str) -> None:
    """Such a variable makes its rank fresh, and no other."""
    world = {"size": 2, "ranks": {1: {"env": {name: "1"}}}}
    assert [spec.fresh for spec in cells(world=world)[0].world.ranks] == [False, True]


def test_a_mix_is_called_as_often_as_it_says() -> None:
    """`calls` of a mix are its calls; it takes no `times`."""
    mix = {"do": "mix", "calls": 30, "keys": ["a", "b"]}
    assert cells(workload=[JOIN, mix])[0].steps[1].times == 30
    assert "step 'mix' has no key 'times'" in problems(workload=[JOIN, {**mix, "times": 3}])


def test_a_partition_has_its_own_stream() -> None:
    """`stream` of a partition is an attribute with a default, and the fault's stream too."""
    assert cells(faults=[{"inject": "partition"}])[0].faults[0].stream == "both"


def test_a_fault_of_the_port_concerns_no_rank() -> None:
    """Without `ranks` it has none; a fault on ranks has all."""
    read = cells(faults=[{"inject": "occupy_port"}, {"inject": "kill", "after": "join"}])[0]
    assert [fault.ranks for fault in read.faults] == [(), (0, 1, 2)]


def test_keys_that_begin_with_x_are_ignored_at_every_level() -> None:
    """Notes of all kinds may stand anywhere, but not among what belongs to the user."""
    world = {"size": 2, "x_note": 1, "env": {"x_mine": "1"}, "ranks": {1: {"x_why": [1]}}}
    read = cells(world=world, workload=[{**JOIN, "x_a": 1}], expect=[{"step": "join", "x_b": {}}], x_c="")[0]
    assert read.world.env == {"x_mine": "1"}


def test_a_value_may_be_nothing() -> None:
    """`value: null` claims that a call returned nothing; elsewhere a key needs a value."""
    assert cells(expect=[{"step": "join", "value": None}])[0].expect[0].value is None  # type: ignore[union-attr]
    assert "the key 'is' has no value" in problems(expect=[{"step": "join", "is": None}])


def test_a_moment_on_the_wire_is_read_as_it_is_written() -> None:
    """Direction, kind, ranks, key, count and what is added."""
    wire = {"wire": {"reply": "add", "ranks": 1, "key": "n"}, "count": 3, "plus": "2ms"}
    read = cells(workload=[JOIN, {"do": "num_keys", "after": wire}])[0]
    assert read.steps[1].after == WireMoment("reply", "add", (1,), "n", 3, 2_000_000)


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({"query": "ad"}, "the store knows no query 'ad'"),
        ({"query": "add", "reply": "add"}, "a message is either a query or a reply"),
        ({"query": "add", "ranks": [0, 1]}, "rank 0 has no link to see it on"),
    ],
)
def test_a_moment_that_no_wire_shows_is_refused(wire: dict[str, Any], message: str) -> None:
    """What the store does not say, and what passes no link, never comes."""
    assert message in problems(workload=[JOIN, {"do": "num_keys", "after": {"wire": wire}}])


def test_a_host_moves_where_there_are_no_links() -> None:
    """Under `route: direct`, or because every rank is given rank 0."""
    moves = {"inject": "address_change"}
    assert "needs `route: direct`" in problems(world={"size": 2}, faults=[moves])
    for world in ({"size": 2, "route": "direct"}, {"size": 1}):
        assert [fault.kind for fault in cells(world=world, faults=[moves])[0].faults] == ["address_change"]


def test_without_links_no_moment_is_on_the_wire() -> None:
    """`route: direct` has nobody who sees it."""
    world = {"size": 2, "route": "direct"}
    steps = [JOIN, {"do": "num_keys", "after": {"wire": {"query": "add"}}}]
    assert "no rank of this world has a link to see it on" in problems(world=world, workload=steps)


def test_a_matrix_lays_values_and_mappings_over() -> None:
    """Paths lead to keys, entries and ranks; a label names what is laid over."""
    matrix = {
        "world.size": [2, 3],
        "world.ranks.1.start": ["0s", "never"],
        "workload.join": {"plain": {}, "late": {"after": "1s"}},
    }
    read = cells(matrix=matrix, exclude=[{"world.size": 2, "workload.join": ["plain", "late"]}])
    assert [one.cell_id for one in read] == [
        "size=3,start=0s,join=plain",
        "size=3,start=0s,join=late",
        "size=3,start=never,join=plain",
        "size=3,start=never,join=late",
    ]
    assert [one.world.ranks[1].start is None for one in read] == [False, False, True, True]
    assert [one.steps[0].after for one in read[:2]] == [None, TimeMoment(SECOND)]


def test_a_problem_of_some_cells_names_one_of_them() -> None:
    """A problem that not every cell has says where it was met."""
    text = problems(matrix={"world.timeout": ["1s", "1500ms"]})
    assert "1.5 s is not a whole number of seconds, and stock would cut it (in cell timeout=1500ms)" in text


def test_keys_from_python_need_no_file() -> None:
    """`load_mapping` adds schema and title, and its problems point into the YAML of the keys."""
    read = cells()[0]
    assert (read.title, read.name, str(read.path)) == ("a-claim", "a-claim", "a-claim.rdzv.yaml")
    assert load_text(read.text, read.path) == [read]
    text = problems(expect=[{"step": "joyn"}])
    assert text.startswith("a-claim.rdzv.yaml:")
    assert "did you mean 'join'?" in text


def test_keys_from_python_that_are_not_yaml_are_refused() -> None:
    """An object among the keys is a problem, not a traceback."""
    assert "cannot be written as YAML" in problems(expect=[object()])


@pytest.mark.parametrize(
    ("workload", "faults", "chain"),
    [
        ([{**JOIN, "after": "get"}, {"do": "get", "key": "a"}], [], "'join' waits for 'get', which waits for 'join'"),
        ([JOIN], [{"id": "f", **LATENCY, "after": "f"}], "'f' waits for 'f'"),
        ([JOIN], [{"id": "f", **LATENCY, "until": {"fault": "f", "is": "healed"}}], "the healing of 'f' waits for"),
        (
            [{**JOIN, "after": "a"}],
            [{"id": "a", **LATENCY, "after": "b"}, {"id": "b", **LATENCY, "after": {"step": "join", "count": 3}}],
            "'join' waits for 'a', which waits for 'b', which waits for 'join'",
        ),
    ],
)
def test_circles_are_refused_by_name(workload: list[Any], faults: list[Any], chain: str) -> None:
    """What waits for itself, over steps, threads and faults, is reported with every name in it."""
    assert chain in problems(workload=workload, faults=faults)


def test_a_start_that_waits_for_its_own_rank_is_a_circle() -> None:
    """A rank cannot come after a step of its own."""
    world = {"size": 2, "ranks": {1: {"start": {"step": "join", "ranks": 1, "is": "begun"}}}}
    assert "'join' waits for the start of rank 1" in problems(world=world)


@pytest.mark.parametrize(
    ("workload", "faults"),
    [
        ([{**JOIN, "after": {"step": "get", "count": 1}}, {"do": "get", "key": "a", "thread": "b"}], []),
        ([JOIN, {"do": "get", "key": "a", "ranks": 1, "after": {"step": "join", "ranks": 0}}], []),
        ([JOIN], [{"id": "f", "inject": "kill", "ranks": 0, "after": "join", "until": {"step": "join", "ranks": 1}}]),
        (
            [
                JOIN,
                {"id": "n", "do": "num_keys", "after": {"step": "m", "count": 1}},
                {"id": "m", "do": "num_keys", "ranks": 0, "thread": "t"},
            ],
            [],
        ),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_circle_is_read(workload: list[Any], faults: list[Any]) -> None:
    """Another thread, another rank or a count that others make up break a circle."""
    assert cells(workload=workload, faults=faults)


def test_a_text_with_a_byte_order_mark_is_read() -> None:
    """Editors that write one do no harm."""
    read = cells()[0]
    assert load_text("\ufeff" + read.text, Path("a-claim.rdzv.yaml"))[0].steps == read.steps


AGENTS = {"size": 2, "timeout": "2s", "torchrun": {"max_restarts": 1}}


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ([{"do": "sleep", "for": "1s"}, JOIN], "its rendezvous comes before its worker"),
        ([{**JOIN, "ranks": 0}], "every rank is an agent"),
        ([{**JOIN, "life": 1}], "`life` is not for the rendezvous of an agent"),
        ([{**JOIN, "times": 2}], "`times` is not for the rendezvous of an agent"),
        ([{**JOIN, "thread": "second"}], "`thread` is not for the rendezvous of an agent"),
        ([{**JOIN, "handler": "second"}], "`handler` is not for the rendezvous of an agent"),
        ([{**JOIN, "after": "1s"}], "say when an agent comes with `start`"),
        ([JOIN, {"id": "next", "do": "rendezvous"}], "an agent has one rendezvous in each of its lives"),
        ([JOIN, {"do": "shutdown"}], "`shutdown` needs the handler, which is the agent's"),
        ([JOIN, {"do": "cycle", "calls": 3}], "`cycle` needs the handler, which is the agent's"),
    ],
)
def test_the_one_rendezvous_of_agents_is_torchruns(workload: list[dict[str, Any]], message: str) -> None:
    """What torchrun does by itself cannot be written otherwise."""
    assert message in problems(world=AGENTS, workload=workload)


def test_agents_need_a_step_for_their_rendezvous() -> None:
    """Else nothing of it would be recorded."""
    assert "the rendezvous of the agents has no step" in problems(
        world=AGENTS, workload=[{"id": "join", "do": "sleep", "for": "1s"}]
    )


def test_the_keys_of_a_file_come_back_as_they_were_written() -> None:
    """Texts stay texts and numbers numbers: a file that the harness wrote can be written again, byte by byte."""
    keys = {"title": "yes", "a": ["1", 1, 1.5, True, None, {"0": "s", 1: "2s"}], "empty": {}, "text": "a: b\n\u00fc"}
    assert load_keys(written(keys), Path("x")) == keys
    with pytest.raises(ScenarioError):
        load_keys("- 1", Path("x"))
    with pytest.raises(ScenarioError):
        load_keys("a: [", Path("x"))
