"""The floors of the house as rules: each takes a source and yields what is wrong with it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]

# From the ground up. A room imports from lower floors, from itself, and from the rooms to its left on its floor.
# `bases` are the contracts of families: their `base.py` files.
FLOORS = (
    ("values", "clock", "rendezvous"),
    ("registry", "scenario", "schedule", "history", "linearizability", "rank", "machine", "engine"),
    ("bases", "steps"),
    ("proxies", "worlds", "faults", "checkers"),
    ("judge", "reports", "loader", "reference", "archive"),
    ("play",),
    ("campaign", "clusters"),
    ("explore", "reproduce", "record"),
    ("cli", "pytest_plugin"),
)
PLACES = {room: (floor, place) for floor, rooms in enumerate(FLOORS) for place, room in enumerate(rooms)}

FAMILIES = ("proxies", "worlds", "faults", "checkers", "reports", "clusters", "rank.steps", "rank.subjects")

# What runs in a rank, under any interpreter with torch from Python 3.9 on, and what it may take from the harness.
IN_RANKS = {
    "values": ("values",),
    "clock": (),
    "rendezvous": ("rendezvous",),
    "rank": ("values", "clock", "rendezvous", "rank"),
    "machine.process.boot": (),
    "machine.launch.zygote": ("values", "clock", "rank"),
    "reproduce.parts": ("reproduce.parts",),
}
WITH_TORCH = ("torch", "importlib_metadata")
"""Not of the standard library, but there wherever torch is; the second on Python 3.9 only."""
TORCH_ANYWHERE = ("rendezvous",)
RELATIVE = "rendezvous"
"""Its modules are a distribution of their own too, under another name."""
TORCH_IN_FUNCTIONS = ("rank", "machine.launch.zygote", "reproduce.parts")

TIME = {
    "clock": "it is the clock",
    "rank.wall_clock": "it moves the clock that others read",
    "rendezvous": "it must run alone, without the harness",
    "machine.launch.zygote": "it is one file that runs before the rest of the harness can be found",
    "reproduce.parts": "it becomes part of scripts that run without the harness",
}
# What is awkward about a library is handled in one or two places.
FEW_PLACES = {
    "toxiproxy": ("machine.toxiproxy.client", "proxies.toxiproxy"),
    "watchfiles": ("machine.folder_changes",),
    "ruamel": ("loader", "reference.json_schema"),
}

# fmt: off
PURE = (
    "values", "scenario", "schedule", "history", "linearizability", "judge", "checkers", "reports.parts.statistics",
    "explore.draft", "explore.observation", "explore.profile", "explore.novelty", "explore.statistics",
    "explore.effort", "explore.edits", "explore.signature", "explore.sequential", "explore.shrink",
    "explore.investigation", "explore.measure", "explore.finding", "explore.promote", "explore.traits",
    "explore.canary", "explore.hunts", "explore.lanes", "explore.observe", "explore.parts", "explore.tally",
    "reproduce.claims", "reproduce.issue", "reproduce.limits", "reproduce.script", "reproduce.written",
    "reproduce.faults", "reproduce.roles",
    "campaign.plan", "campaign.driver",
    "explore.benign", "explore.coda", "explore.documents", "explore.generate", "explore.injecting", "explore.moments",
    "explore.mutate",
    "explore.ranges", "explore.traffic", "explore.workloads",
    "record.normal", "record.document", "record.observed", "record.words", "record.record", "record.catalogue",
    "record.difference", "record.bounds", "record.bisect", "record.pages", "record.derived", "record.html",
    "record.comparing", "record.named", "record.advice", "record.advice_page",
)
EFFECTS = (
    "asyncio", "ctypes", "docker", "io", "logging", "multiprocessing", "os", "psutil", "random", "requests", "resource",
    "select", "selectors", "shutil", "signal", "socket", "subprocess", "tempfile", "threading", "time", "urllib",
)
# fmt: on

RUN_WHAT_THEY_READ = ("cloudpickle", "dill", "joblib", "marshal", "multiprocessing", "pickle", "shelve")
"""Libraries that run code which a file or a message names; `multiprocessing` sends pickles."""

MOST_LINES = 400
LONGER: dict[str, str] = {
    "tests/judge/test_judge.py": "one test for each rule of the verdict",
    "tests/loader/test_loader_malformed.py": "a table: malformed files beside the exact text they get",
}
"""Files that may be longer, and why."""


@dataclass(frozen=True)
class Import:
    """One imported module, and where: `at_top` of the file or inside a function."""

    name: str
    line: int
    at_top: bool
    is_relative: bool = False


@dataclass(frozen=True)
class Module:
    """One source file of the package; `name` has no `harness.` before it and is empty for the package itself."""

    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def room(self) -> str:
        """The room it lies in: its first part, but `bases` for the contract of a family."""
        first, _, rest = self.name.partition(".")
        # Reports read judged results, so their contract lies on their own floor.
        return "bases" if first in FAMILIES and first != "reports" and rest.partition(".")[0] == "base" else first

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree, self.name, at_top=True))

    def within(self, *names: str) -> bool:
        """Whether it is one of these modules or lies in one of these packages."""
        return any(self.name == name or self.name.startswith(f"{name}.") for name in names)


def _imports(node: ast.AST, of: str, at_top: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from _imports_from(child, of, at_top)
        elif isinstance(child, ast.Call) and _imported_by_name(child):
            yield Import(_imported_by_name(child), child.lineno, at_top)
        inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(child, of, at_top and not inner)


def _imports_from(node: ast.ImportFrom, of: str, at_top: bool) -> Iterator[Import]:
    origin = node.module or ""
    if node.level:
        folders = of.split(".")[: -node.level]
        origin = ".".join(["harness", *folders, *([origin] if origin else [])])
    for alias in node.names:
        # `from harness import clock` and `from harness.machine import listening` import modules too.
        module = f"{origin}.{alias.name}" if origin.split(".")[0] == "harness" else origin
        yield Import(module, node.lineno, at_top, is_relative=node.level > 0)


def _imported_by_name(call: ast.Call) -> str:
    """The module that `import_module("...")` or `__import__("...")` names; empty for any other call."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    named = function in ("import_module", "__import__") and isinstance(first, ast.Constant)
    return str(first.value) if named and isinstance(first, ast.Constant) else ""


@cache
def modules() -> list[Module]:
    """Every source file of the package."""
    package = ROOT / "harness"
    return [Module(_name(path.relative_to(package)), path.read_text("utf-8")) for path in sorted(package.rglob("*.py"))]


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# -- the rules: each takes a module and yields what is wrong with it ---------------------------------------------------


def imports_go_down(module: Module) -> Iterator[str]:
    """From lower floors, from the own room, or from the left."""
    if not module.name:
        yield from (f"{at(module, one)} the package itself imports nothing" for one in _ours(module))
        return
    if module.room not in PLACES:
        yield f"harness.{module.name} has no floor; give {module.room!r} a place in FLOORS"
        return
    for one in _ours(module):
        target = Module(one.name.removeprefix("harness").removeprefix("."), "")
        if not target.name or target.room == "__version__" or target.room == module.room:
            continue
        to, of = PLACES.get(target.room), PLACES[module.room]
        if to is None or to[0] > of[0] or (to[0] == of[0] and to[1] > of[1]):
            yield f"{at(module, one)} {one.name} lies above or to the right"


def members_do_not_know_each_other(module: Module) -> Iterator[str]:
    """Members of a family share only its base."""
    family, _, member = module.name.rpartition(".")
    if family not in FAMILIES or member == "base":
        return
    for one in _ours(module):
        inside = one.name.removeprefix(f"harness.{family}.")
        first = inside.split(".")[0]
        if inside != one.name and first not in ("base", member) and _is_member(family, first):
            yield f"{at(module, one)} {first} is another member of {family}"


def _is_member(family: str, name: str) -> bool:
    """A package inside a family (`reports/parts`) is what its members share, not a member."""
    return not (ROOT / "harness" / family.replace(".", "/") / name).is_dir()


def torch_stays_in_ranks(module: Module) -> Iterator[str]:
    """The parent and the controller never import torch; ranks do so only inside functions."""
    for one in module.imports:
        if one.name.split(".")[0] == "torch":
            if not module.within(*TORCH_ANYWHERE, *TORCH_IN_FUNCTIONS):
                yield f"{at(module, one)} torch is for what runs in ranks"
            elif one.at_top and not module.within(*TORCH_ANYWHERE):
                yield f"{at(module, one)} torch is imported inside functions only"
        elif one.name.startswith("harness.rendezvous") and not module.within("rendezvous", *TORCH_IN_FUNCTIONS):
            yield f"{at(module, one)} the rendezvous imports torch, and so is for ranks"


def ranks_need_nothing_else(module: Module) -> Iterator[str]:
    """What runs in ranks imports the standard library, torch, and rooms that do the same; it parses as Python 3.9."""
    place = next((place for place in IN_RANKS if module.within(place)), None)
    if place is None:
        return
    for one in module.imports:
        first, rest = one.name.split(".")[0], one.name.removeprefix("harness.")
        if first == "harness":
            if not Module(rest, "").within(*IN_RANKS[place]):
                yield f"{at(module, one)} {place} may not use {one.name}"
        elif first not in sys.stdlib_module_names and first not in WITH_TORCH:
            yield f"{at(module, one)} {first} is not in the standard library"
    try:
        ast.parse(module.source, feature_version=(3, 9))
    except SyntaxError as error:
        yield f"harness.{module.name}:{error.lineno}: does not run on Python 3.9"


def what_has_two_names_imports_relatively(module: Module) -> Iterator[str]:
    """Its own modules; and nothing else does, so that each name of a module is found by searching for it."""
    for one in module.imports:
        is_own = module.within(RELATIVE) and one.name.startswith(f"harness.{RELATIVE}")
        if is_own != one.is_relative:
            how = "relatively" if is_own else "by its whole name"
            yield f"{at(module, one)} import {one.name} {how}"


def one_clock(module: Module) -> Iterator[str]:
    """Time is asked for in one place."""
    for one in module.imports:
        if one.name == "time" and not module.within(*TIME):
            yield f"{at(module, one)} ask harness.clock instead of time"


def libraries_have_their_place(module: Module) -> Iterator[str]:
    """What is awkward about a library stays where it is handled."""
    for one in module.imports:
        places = FEW_PLACES.get(one.name.split(".")[0], (module.name,))
        if not module.within(*places):
            yield f"{at(module, one)} {one.name} is for {' and '.join(places)} only"


def reading_runs_nothing(module: Module) -> Iterator[str]:
    """What another process has written is data: JSON, or YAML without tags; never code.

    Ranks run the steps of other packages, whose source comes from the controller.
    """
    for one in module.imports:
        if one.name.split(".")[0] in RUN_WHAT_THEY_READ:
            yield f"{at(module, one)} {one.name} runs what it reads"
    for node in ast.walk(module.tree) if module.name != "rank.step_modules" else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("eval", "exec", "torch.load", "yaml.load"):
            yield f"harness.{module.name}:{node.lineno}: {ast.unparse(node.func)}() runs what it reads"


def values_and_checkers_are_pure(module: Module) -> Iterator[str]:
    """What judges may neither look at the world nor change it, so that a history can be judged again anywhere."""
    if not module.within(*PURE):
        return
    for one in module.imports:
        if one.name.split(".")[0] in EFFECTS or one.name.startswith(("harness.machine", "harness.clock")):
            yield f"{at(module, one)} {one.name} has effects"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("open", "print", "input"):
            yield f"harness.{module.name}:{node.lineno}: {ast.unparse(node.func)}() is an effect"


def circles(modules: Sequence[Module]) -> Iterator[str]:
    """Modules, or folders of one folder, that import each other in a circle, also inside functions."""
    names = {module.name for module in modules}
    arrows = [(module.name, to) for module in modules for one in _ours(module) if (to := _target(one, names))]
    yield from (f"a circle of modules: {' -> '.join(circle)}" for circle in _circles(arrows))
    for folder in sorted({folder for name in names for folder in _folders(name)}):
        inside = [(_child(folder, a), _child(folder, b)) for a, b in arrows if _in(folder, a) and _in(folder, b)]
        for circle in _circles([(a, b) for a, b in inside if a and b and a != b]):
            yield f"a circle in {folder or 'harness'}: {' -> '.join(circle)}"


def _target(one: Import, names: Container[str]) -> str:
    """The module that an import reaches; of `from module import name` the module."""
    name = one.name.removeprefix("harness").removeprefix(".")
    return name if name in names else name.rpartition(".")[0]


def _folders(name: str) -> Iterator[str]:
    """All folders above a module; the package itself is the empty text."""
    while name:
        name = name.rpartition(".")[0]
        yield name


def _in(folder: str, name: str) -> bool:
    return not folder or name.startswith(f"{folder}.")


def _child(folder: str, name: str) -> str:
    """The file or folder, directly below a folder, that a module lies in."""
    return name.removeprefix(folder).removeprefix(".").partition(".")[0]


def _circles(arrows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    graph: dict[str, set[str]] = {}
    for origin, target in arrows:
        graph.setdefault(origin, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield tuple(error.args[1])


def opens_with_a_sentence(module: Module) -> Iterator[str]:
    """The sentence one would say to a colleague."""
    first = (ast.get_docstring(module.tree) or "").split("\n\n")[0].strip()
    if not first.endswith(".") or not (first[0].isupper() or first[0] == "`"):
        yield f"harness.{module.name}:1: does not open with a sentence"


def stays_short(path: str, source: str) -> Iterator[str]:
    """A file that needs more lines holds two ideas."""
    lines = len(source.splitlines())
    if lines > MOST_LINES and path not in LONGER:
        yield f"{path}: {lines} lines, at most {MOST_LINES}"


def tests_state_their_claim(path: str, source: str) -> Iterator[str]:
    """Every test has a docstring that could stand in the manual."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node):
            yield f"{path}:{node.lineno}: {node.name} does not say what it claims"


def at(module: Module, one: Import) -> str:
    return f"harness.{module.name}:{one.line}:"


def _ours(module: Module) -> list[Import]:
    return [one for one in module.imports if one.name.split(".")[0] == "harness"]


@cache
def sources(*folders: str) -> dict[str, str]:
    """Path from the root, and text, of every Python file in these folders."""
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


RULES: tuple[Callable[[Module], Iterator[str]], ...] = (
    imports_go_down,
    members_do_not_know_each_other,
    torch_stays_in_ranks,
    ranks_need_nothing_else,
    what_has_two_names_imports_relatively,
    one_clock,
    libraries_have_their_place,
    reading_runs_nothing,
    values_and_checkers_are_pure,
    opens_with_a_sentence,
)
