"""Who may import whom, read from the sources; and every rule also meets a source that breaks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import floors
import pytest
from floors import Module

BROKEN = [
    (floors.imports_go_down, "values.history", "import harness.clock"),
    (floors.imports_go_down, "scenario", "from harness.schedule.schedule import Schedule"),
    (floors.imports_go_down, "machine.process.children", "from harness.play import nemesis"),
    (
        floors.imports_go_down,
        "proxies.direct",
        "import harness.values.errors\nfrom harness.faults import kill",
    ),
    (floors.imports_go_down, "faults.base", "from harness.faults.kill import Kill"),
    (floors.imports_go_down, "loader.keys.models", "def late():\n    from harness.play.play import play"),
    (floors.imports_go_down, "registry", "import importlib\nimportlib.import_module('harness.campaign.runner')"),
    (floors.imports_go_down, "brand_new_room", ""),
    (floors.members_do_not_know_each_other, "faults.kill", "from harness.faults.pause import Pause"),
    (floors.members_do_not_know_each_other, "checkers.together", "from harness.checkers import claims"),
    (floors.members_do_not_know_each_other, "rank.steps.flow", "from harness.rank.steps import store"),
    (floors.torch_stays_in_ranks, "runner", "def late():\n    import torch"),
    (floors.torch_stays_in_ranks, "controller", "import importlib\nimportlib.import_module('torch.distributed')"),
    (floors.torch_stays_in_ranks, "cli.app", "from harness.rendezvous.handler import StaticTCPRendezvous"),
    (floors.torch_stays_in_ranks, "rank.worker", "try:\n    import torch\nexcept ImportError:\n    pass"),
    (floors.torch_stays_in_ranks, "rank.worker", "class Worker:\n    import torch.distributed"),
    (floors.ranks_need_nothing_else, "values.plan", "import pydantic"),
    (floors.ranks_need_nothing_else, "rank.recorder", "from harness.scenario.scenario import Scenario"),
    (floors.ranks_need_nothing_else, "rendezvous.handler", "from harness.values.errors import HarnessError"),
    (floors.ranks_need_nothing_else, "clock", "import psutil"),
    (floors.ranks_need_nothing_else, "rank.worker", "match 1:\n    case _: pass"),
    (floors.what_has_two_names_imports_relatively, "rendezvous.handler", "from harness.rendezvous import keys"),
    (floors.what_has_two_names_imports_relatively, "play.play", "from .plan import Plan"),
    (floors.imports_go_down, "rendezvous.handler", "from ..scenario import scenario"),
    (floors.one_clock, "nemesis", "from time import monotonic"),
    (floors.libraries_have_their_place, "faults.latency", "from toxiproxy import Toxiproxy"),
    (floors.libraries_have_their_place, "archive", "from ruamel.yaml import YAML"),
    (floors.reading_runs_nothing, "campaign.pool", "from multiprocessing.connection import Connection"),
    (floors.reading_runs_nothing, "archive", "def late():\n    import pickle"),
    (floors.reading_runs_nothing, "archive", "eval('1')"),
    (floors.reading_runs_nothing, "rank.worker", "torch.load('weights')"),
    (floors.values_and_checkers_are_pure, "checkers.claims", "import os"),
    (floors.values_and_checkers_are_pure, "schedule", "from harness import clock"),
    (floors.values_and_checkers_are_pure, "history.wording", "print('hello')"),
    (floors.opens_with_a_sentence, "nemesis", "import os"),
    (floors.opens_with_a_sentence, "nemesis", '"""the nemesis"""'),
]

SOUND = [
    (
        floors.imports_go_down,
        "faults.kill",
        "import os\nfrom harness.faults.base import FAULTS",
    ),
    (floors.imports_go_down, "checkers.claims", "from harness.faults import kill"),
    (floors.imports_go_down, "archive", "from harness import __version__, clock\nfrom harness.loader import load_text"),
    (floors.members_do_not_know_each_other, "faults.kill", "from harness.faults.base import FAULTS"),
    (floors.members_do_not_know_each_other, "reports.console", "from harness.reports.parts import facts"),
    (floors.torch_stays_in_ranks, "rank.worker", "def late():\n    import torch"),
    (floors.torch_stays_in_ranks, "rendezvous.handler", "import torch"),
    (floors.ranks_need_nothing_else, "rank.recorder", "import json\nfrom harness.values.history import Op"),
    (floors.what_has_two_names_imports_relatively, "rendezvous.handler", "import os\nfrom .wire import Wire"),
    (floors.ranks_need_nothing_else, "rendezvous.handler", "from . import keys"),
    (floors.reading_runs_nothing, "rank.agent", "from torch.distributed.elastic.multiprocessing import errors"),
    (floors.one_clock, "clock", "import time"),
    (floors.values_and_checkers_are_pure, "checkers.claims", "import re"),
    (floors.opens_with_a_sentence, "nemesis", '"""Performing what the schedule says."""'),
]


@pytest.mark.parametrize("rule", floors.RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Callable[[Module], Iterator[str]]):
    """No module of the package breaks it."""
    assert [problem for module in floors.modules() for problem in rule(module)] == []


def test_nothing_imports_itself_in_a_circle():
    """Neither modules, nor the files and folders of one folder; imports inside functions and for types count too."""
    assert list(floors.circles(floors.modules())) == []


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        ({"play.play": "from harness.play.ranks import Ranks", "play.ranks": "def f():\n    import harness.play.play"},
         "a circle of modules: play.play -> play.ranks -> play.play"),
        ({"machine.docker.a": "from harness.machine.network import b", "machine.network.b": "",
          "machine.network.c": "from harness.machine.docker.d import D", "machine.docker.d": ""},
         "a circle in machine: docker -> network -> docker"),
        ({"history.joins": "", "judge.judge": "from harness.history import joins",
          "history.keys": "if TYPE_CHECKING:\n    from harness.judge.judge import judge"},
         "a circle in harness: history -> judge -> history"),
    ],
)  # fmt: skip
def test_a_circle_is_named(sources: dict[str, str], circle: str):
    """Of modules, of folders inside a folder, and of rooms."""
    problems = list(floors.circles([Module(name, source) for name, source in sources.items()]))
    assert circle in [_from_the_first(problem) for problem in problems]


def _from_the_first(problem: str) -> str:
    """A circle has no first: begin it where the alphabet does."""
    where, _, walked = problem.partition(": ")
    *places, _ = walked.split(" -> ")
    first = places.index(min(places))
    return f"{where}: {' -> '.join([*places[first:], *places[:first], places[first]])}"


@pytest.mark.parametrize(("rule", "name", "source"), BROKEN)
def test_a_rule_is_broken_by_a_source_that_breaks_it(rule: Callable[[Module], Iterator[str]], name: str, source: str):
    """The rule names the module and the line."""
    (problem,) = rule(Module(name, source))
    assert problem.startswith(f"harness.{name}")


@pytest.mark.parametrize(("rule", "name", "source"), SOUND)
def test_a_rule_is_kept_by_a_source_that_keeps_it(rule: Callable[[Module], Iterator[str]], name: str, source: str):
    """The rule is not broken by what looks like it."""
    assert list(rule(Module(name, source))) == []


def test_no_file_is_long():
    """Neither of the package nor of its tests and benchmarks; and no exception outlives its reason."""
    sources = floors.sources("harness", "tests", "benchmarks")
    assert [problem for path, source in sources.items() for problem in floors.stays_short(path, source)] == []
    assert [path for path in floors.LONGER if len(sources.get(path, "").splitlines()) <= floors.MOST_LINES] == []


def test_a_long_file_is_noticed():
    """One line too many is a problem that says how many are allowed."""
    assert list(floors.stays_short("harness/long.py", "\n" * floors.MOST_LINES)) == []
    (problem,) = floors.stays_short("harness/long.py", "\n" * (floors.MOST_LINES + 1))
    assert problem == "harness/long.py: 401 lines, at most 400"


def test_every_test_says_what_it_claims():
    """A docstring for each; one without is noticed."""
    tests = floors.sources("tests").items()
    assert [problem for path, source in tests for problem in floors.tests_state_their_claim(path, source)] == []
    (problem,) = floors.tests_state_their_claim("t.py", "def test_a():\n    pass")
    assert problem == "t.py:1: test_a does not say what it claims"


def test_no_two_test_files_have_one_name():
    """They lie in folders without `__init__.py`, where pytest tells them apart by name alone.

    The packages that tests install have one.
    """
    counts = Counter(Path(path).name for path in floors.sources("tests"))
    assert [name for name, count in counts.items() if count > 1 and name not in ("conftest.py", "__init__.py")] == []
