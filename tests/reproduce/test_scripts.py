"""The text of a script: it is Python, it needs the standard library and torch alone, and it says what it shows."""

from __future__ import annotations

import ast
import builtins
import contextlib
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.loader import load, load_mapping
from harness.reproduce.compose import PARTS, Piece, composed, kept, reached
from harness.reproduce.issue import report
from harness.reproduce.limits import missing
from harness.reproduce.roles import STEPS
from harness.reproduce.script import Seen, known_entry, script
from harness.reproduce.trying import AS_EXPECTED, AS_FOUND, UNDECIDED, Run, others, seen_in
from harness.reproduce.written import literal, text
from harness.scenario.scenario import Scenario
from harness.values.errors import UsageError

SCENARIOS = Path(__file__).parents[2] / "scenarios"
PARTS_FOLDER = Path(__file__).parents[2] / "harness" / "reproduce" / "parts"

LONGEST, LONGEST_WITH_PROXY, LONGEST_WITH_MESSAGES = 490, 600, 720
"""Lines of a script: without a proxy, with one, and with one that reads the store's protocol."""


SAMPLE = (
    "dropped_masters/a-newcomer-to-a-frozen-master-gives-up-in-time",
    "dropped_masters/a-restarted-worker-counts-once",
    "latency/a-write-that-returned-is-visible",
    "latency/a-multi-set-is-seen-whole-or-not-at-all",
    "port_conflicts/a-silent-stranger-costs-the-timeout-at-most",
    "port_conflicts/a-held-port-raises-a-class-of-the-contract",
    "regressions/a-link-that-breaks-after-the-join-costs-one-timeout",
    "regressions/a-retried-join-counts-once",
    "regressions/two-jobs-on-one-port-do-not-merge",
    "store_reuse/a-closed-rendezvous-cannot-be-joined",
    "store_reuse/a-shut-down-handler-frees-its-port",
    "timeouts/nobody-returns-before-the-last-rank-has-begun",
    "wire/a-join-whose-count-reply-was-lost-counts-once",
    "wire/a-link-that-goes-silent-between-query-and-reply-costs-one-timeout",
    "wire/an-add-whose-reply-is-lost-ends-in-time",
)
"""Every kind of fault, moment and claim that a script has; all scenarios are read at night."""


def text_of(scenario: Scenario, seen: Seen | None = None) -> str:
    entry = known_entry(scenario, "static")
    assert entry is not None
    return script(scenario, "static", entry.breaks, entry.because).text(seen)


def world(**changes: Any) -> Scenario:
    keys: dict[str, Any] = {
        "world": {"size": 2, "timeout": "1s"},
        "workload": [{"id": "join", "do": "rendezvous"}],
        "expect": [{"step": "join", "is": "ok"}],
    }
    (scenario,) = load_mapping({**keys, **changes}, "made-up")
    return scenario


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The scripts of the sample, by the scenario's name."""
    return {name.split("/")[1]: text_of(load(SCENARIOS / f"{name}.rdzv.yaml")[0]) for name in SAMPLE}


@pytest.fixture(scope="module")
def trees(texts: dict[str, str]) -> dict[str, ast.Module]:
    """Each script as Python of 3.9, which torch 2.6 runs on, reads it; raises SyntaxError if it cannot."""
    return {name: ast.parse(source, name, feature_version=(3, 9)) for name, source in texts.items()}


@pytest.mark.nightly
def test_most_scenarios_that_stock_breaks_have_a_script() -> None:
    """In worlds that a script can play, all but those of checks that only the harness can make; each is Python."""
    cells = [cell for path in sorted(SCENARIOS.rglob("*.rdzv.yaml")) for cell in load(path)]
    playable = [cell for cell in cells if known_entry(cell, "static") and not missing(cell, "static")]
    found = []
    for cell in playable:
        with contextlib.suppress(UsageError):
            found.append(ast.parse(text_of(cell), cell.id, feature_version=(3, 9)))
    assert len(playable) - 10 <= len(found) >= 70


def test_a_script_imports_the_standard_library_and_torch_alone(trees: dict[str, ast.Module]) -> None:
    """So it runs wherever torch does, on Python 3.9 too."""
    for name, tree in trees.items():
        modules = [module for node in ast.walk(tree) for module in _imported(node)]
        assert {module.split(".")[0] for module in modules} <= {*sys.stdlib_module_names, "torch"}, name


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or "."]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_every_name_that_a_script_uses_is_defined_in_it(trees: dict[str, ast.Module]) -> None:
    """Each piece that one needs is there: names are read from the source, since a call that never comes hides one."""
    known = {*dir(builtins), "__file__", "__name__"}
    for name, tree in trees.items():
        nodes = list(ast.walk(tree))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        assert used - known - {bound for node in nodes for bound in _bound(node)} == set(), name


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    return [str(getattr(node, field)) for field in ("arg", "name") if getattr(node, field, None)]


def test_a_script_has_only_what_it_uses(texts: dict[str, str]) -> None:
    """Without a fault on a link there is no proxy, and without messages no decoder."""
    plain = texts["a-closed-rendezvous-cannot-be-joined"]
    assert "class Link" not in plain
    assert "class Kill" not in plain
    assert "class Link" in texts["a-write-that-returned-is-visible"]
    assert "GRAMMAR" not in texts["a-write-that-returned-is-visible"]
    assert "GRAMMAR" in texts["an-add-whose-reply-is-lost-ends-in-time"]


def test_scripts_stay_readable(texts: dict[str, str]) -> None:
    """A length that a person reads, in lines that fit."""
    for name, source in texts.items():
        lines = source.splitlines()
        proxied = LONGEST_WITH_PROXY if "class Link" in source else LONGEST
        assert len(lines) < (LONGEST_WITH_MESSAGES if "GRAMMAR" in source else proxied), name
        assert max(map(len, lines)) <= 121, name


def test_no_script_mentions_the_harness_but_for_one_line(texts: dict[str, str]) -> None:
    """Its reader need not know the harness."""
    for source in texts.values():
        assert source.count("harness") == 1
        assert "Written by `rdzv-harness reproduce`" in source


def test_the_header_says_how_often_it_failed() -> None:
    """As it was run, with where and what was broken; before that, that it was not run."""
    (cell,) = load(SCENARIOS / "store_reuse/a-closed-rendezvous-cannot-be-joined.rdzv.yaml")
    assert "It has not been run yet." in text_of(cell)
    seen = Seen(4, 5, "torch 2.15.0, Python 3.11.7, Linux", ("closed: rank 0: again ok",))
    header = ast.get_docstring(ast.parse(text_of(cell, seen))) or ""
    assert "It failed as described in 4 of 5 runs (torch 2.15.0, Python 3.11.7, Linux):\n    closed: rank 0" in header
    assert header.startswith("A closed rendezvous reports that it is closed, and cannot be joined.")
    assert "set_closed does nothing" in header


def test_a_refusal_names_everything_at_once() -> None:
    """World, steps, faults and claims, so that nobody has to ask twice."""
    scenario = world(
        world={"size": 2, "timeout": "1s", "kind": "namespaces"},
        workload=[
            {"id": "join", "do": "rendezvous"},
            {"do": "mix", "calls": 3},
            {"id": "grouped", "do": "init_process_group"},
        ],
        faults=[
            {"inject": "unplug", "ranks": 1},
            {"inject": "latency", "ranks": 1, "stream": "upstream", "latency": "5ms", "toxicity": 0.5},
        ],
        expect=[{"step": "exit", "is": "ok"}, {"check": "linearizable"}],
    )
    with pytest.raises(UsageError) as refused:
        script(scenario, "static-strict", ("linearizable",))
    for part in (
        "the subject static-strict",
        "a world of namespaces",
        "the step mix",
        "the step init_process_group",
        "the fault unplug",
        "a toxicity below 1",
        "a claim about the end of a process",
        "the check linearizable",
        "`rdzv-harness run`",
    ):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"inject": "blackhole", "stream": "upstream", "timeout": "1s"}, "a blackhole that closes"),
        ({"inject": "x_cut"}, "an x_cut after no bytes"),
        ({"inject": "x_drop_query", "query": "set", "per": "connection"}, "counts messages for each connection"),
        ({"inject": "impostor", "answers": "store"}, "an impostor that is a store"),
    ],
)
def test_a_form_of_a_fault_that_a_script_lacks_is_refused(fault: dict[str, Any], reason: str) -> None:
    """Rather than played as something else."""
    assert any(reason in one for one in missing(world(faults=[{"ranks": 1, **fault}]), "static"))


def test_a_claim_that_breaks_beside_one_that_is_not_judged_is_enough() -> None:
    """The script judges what it can, and says only that."""
    (cell,) = load(SCENARIOS / "prefix_isolation/run-ids-with-slashes-do-not-collide.rdzv.yaml")
    made = script(cell, "static", ("apart", "prefix_isolation"))
    assert made.breaks == ("apart",)


def test_a_scenario_without_a_known_failure_fails_by_any_claim() -> None:
    """The invariants that a script can judge stand beside the file's claims."""
    source = script(world(), "static", ()).text()
    assert "FOUND = ()" in source
    assert '"no_hang": no_hang()' in source
    assert '"agreement": agreement(' in source


def test_a_script_gives_its_handlers_the_endpoint_that_the_scenario_does() -> None:
    """As it is written, in place of the address of a link."""
    made = world(world={"size": 2, "timeout": "1s", "ranks": {1: {"endpoint": "127.0.0.1:99999"}}})
    assert '"127.0.0.1:99999"' in script(made, "static", ("join",)).text()


def test_the_pieces_are_all_in_the_order_of_a_script() -> None:
    """A piece that is not listed would never be used."""
    assert sorted(PARTS) == sorted(path.stem for path in PARTS_FOLDER.glob("*.py") if path.stem != "__init__")


def test_a_definition_brings_what_it_uses() -> None:
    """Also indirectly, and nothing else."""
    pieces = {
        "a": Piece("a", "", frozenset({"b"})),
        "b": Piece("b", "", frozenset({"print"})),
        "c": Piece("c", "", frozenset({"a"})),
    }
    assert reached(["a", "nothing"], pieces) == {"a", "b"}


def test_a_piece_keeps_its_comment_and_loses_remarks_for_tools() -> None:
    """What a reader needs stays."""
    imports, source = composed(["GRAMMAR"])
    assert imports == ""
    assert source.startswith("# By the code of a query")
    assert "fmt: skip" not in source


@pytest.mark.parametrize("value", ["plain", 'a "quoted" word', "it's", "a\\b\n", (1,), [True, None], {"k": (0.5, "v")}])
def test_values_are_written_as_python(value: Any) -> None:
    """What is read back is equal."""
    assert ast.literal_eval(literal(value)) == value


def test_a_line_is_there_only_with_the_definition_that_it_is_for() -> None:
    """A script without a proxy has nothing of proxies, and the mark itself is in none."""
    source = "a = 1\nb = 2  # if Link\nc = 3"
    assert kept(source, ()) == "a = 1\nc = 3"
    assert kept(source, {"Link"}) == "a = 1\nb = 2\nc = 3"


def test_the_ranks_are_functions_that_call_torch() -> None:
    """Each is straight code; ranks that do the same share one, and a restarted rank is a process of its own."""
    source = script(
        world(
            workload=[{"id": "join", "do": "rendezvous"}, {"do": "set", "ranks": 1, "key": "k", "value": "v"}],
            faults=[{"id": "k", "inject": "kill", "ranks": 0, "after": "1s", "until": {"fault": "k", "plus": "1s"}}],
        ),
        "static",
        (),
    ).text()
    assert 'store = rank.call("join", lambda: handler.next_rendezvous()).store' in source
    assert 'rank.call("set", lambda: store.set("k", "v"))' in source
    assert "Process(0, rank_0)," in source
    assert 'Process("0 again", rank_0, starts=when_fault("k", "healed")),' in source
    assert "Process(1, rank_1)," in source


def test_a_finding_that_breaks_the_invariants_names_which() -> None:
    """The script claims the invariant that was violated, not all of them."""
    scenario = world(
        world={"size": 1, "timeout": "1s"},
        workload=[
            {"id": "join", "do": "rendezvous"},
            {"id": "end", "do": "shutdown"},
            {"id": "again", "do": "rendezvous"},
        ],
        expect=[{"check": "invariants"}],
    )
    source = script(scenario, "static", ("closing", "invariants")).text()
    assert 'FOUND = ("closing",)' in source
    assert '"closing": closing({("again", 0): "end"})' in source
    assert '"deadline"' not in source
    assert '"deadline": deadline({("join", 0): 1, ("again", 0): 1})' in script(scenario, "static", ()).text()


def test_a_report_of_a_finding_says_what_is_wrong() -> None:
    """Its title is the violated invariant; that of a scenario with claims of its own is the claim that is violated."""
    found = script(world(expect=[{"check": "invariants"}]), "static", ("no_hang", "invariants"))
    text_of_report = report(found, Seen(2, 3), "")
    assert text_of_report.startswith("# [elastic][rendezvous] static TCP rendezvous: a call hangs\n")
    assert "## What is expected\n\nEvery call ends." in text_of_report
    (cell,) = load(SCENARIOS / "store_reuse/a-closed-rendezvous-cannot-be-joined.rdzv.yaml")
    title, *_ = report(script(cell, "static", ("closed",)), Seen(2, 3), "").splitlines()
    assert title.endswith("violated: a closed rendezvous reports that it is closed, and cannot be joined")


def test_an_invariant_that_a_script_cannot_judge_is_named() -> None:
    """A refusal says which."""
    with pytest.raises(UsageError, match="the check add_once"):
        script(world(expect=[{"check": "invariants"}]), "static", ("add_once", "invariants"))


def test_texts_have_double_quotes_where_they_can() -> None:
    """As people write them."""
    assert text("ready") == '"ready"'
    assert text('say "x"') == "'say \"x\"'"
    assert text("1" * 64) == '"1" * 64'


def test_every_verb_that_is_written_is_a_step_of_the_harness() -> None:
    """A verb that was renamed would never be written again."""
    from harness.rank.steps import STEPS as known

    assert set(STEPS) <= set(known)


def test_runs_are_counted_by_their_exit_status() -> None:
    """k of n, with what the first that failed has printed."""
    output = "torch 2.15.0, Python 3\n 0.1 s  rank 0: join ok\nBROKEN closed: rank 0: again ok\n"
    runs = [Run(AS_EXPECTED, "torch 2.15.0\n"), Run(AS_FOUND, output), Run(UNDECIDED, ""), Run(-9, "")]
    assert seen_in(runs) == Seen(1, 4, "torch 2.15.0, Python 3", ("closed: rank 0: again ok",))
    assert others(runs) == "1 as expected, 1 undecided, 1 exit status -9"
    assert seen_in(runs[:1]) == Seen(0, 1, "torch 2.15.0", ())
