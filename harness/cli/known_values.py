"""What may stand in the place of an option's value or an argument, for completion: found without slow imports.

Each function takes what is typed so far, and where it needs them the context, and gives candidates; those that do not
begin so are left out by the caller.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

COMPLETION = "_RDZV_HARNESS_COMPLETE"
"""In the environment: a shell asks for the candidates of a line, and no command runs."""

ROOT = Path(__file__).parents[1]
SUFFIX = ".rdzv.yaml"
# These stand where they are defined too, behind imports that take longer than a completion should; a test compares.
SUBJECTS = ("static", "static-strict", "echo", "command")
LANES = ("systematic", "mutation", "uniform", "clean", "canary")
SERVERS = ("auto", "embedded", "real")
FORMS = ("text", "perfetto")
SHELLS = ("bash", "zsh", "fish")
_FINDINGS, _UNREPRODUCED = Path(".rdzv/findings"), "unreproduced"
_GROUPS = {"fault": "faults", "step": "steps", "check": "checkers", "world": "worlds", "report": "reports"}
FAMILIES = ("step", "fault", "check", "invariant", "world", "report", "subject", "scenario", "failure", "word")
# A name with any other character would need quotes, and each shell has its own.
_PLAIN = re.compile(r"[\w@%+=:,./~-]+")


def plain(names: Iterable[str]) -> list[str]:
    """Those of the names that every shell takes as they are."""
    return [name for name in names if _PLAIN.fullmatch(name)]


# -- scenarios and files -----------------------------------------------------------------------------------------------


def scenarios(incomplete: str) -> list[str]:
    """Built-in scenarios and their folders, folders, and scenario files."""
    return [*_builtin(incomplete), *plain(_files(incomplete))]


def built_in(incomplete: str) -> list[str]:
    """Built-in scenarios."""
    return _builtin(incomplete or "builtin:")


def scenarios_and_findings(incomplete: str) -> list[str]:
    """What `reproduce` takes."""
    return [*scenarios(incomplete), *plain(_finding_names(_FINDINGS))]


def _builtin(incomplete: str) -> list[str]:
    from harness.loader import builtin

    if not incomplete:
        return [str(builtin.ALL)]  # each of them would hide the files
    names = list(map(str, builtin.shipped()))
    folders = dict.fromkeys(f"{name.rpartition('/')[0]}/" for name in names)
    return [name for name in [*folders, *names] if name.startswith(incomplete)]


def _files(incomplete: str) -> Iterator[str]:
    """Folders, and scenario files, in the folder that is typed."""
    folder, slash, begun = incomplete.rpartition("/")
    for entry in _entries(os.path.expanduser(folder + slash) or "."):
        if entry.name.startswith(".") and not begun.startswith("."):
            continue
        if entry.is_dir():
            yield f"{folder}{slash}{entry.name}/"
        elif entry.name.endswith(SUFFIX):
            yield f"{folder}{slash}{entry.name}"


# -- members and words -------------------------------------------------------------------------------------------------


def kinds(family: str) -> list[str]:
    """The kinds of a family: the harness's own, and what entry points of other packages name."""
    own = _OWN[family]()
    group = _GROUPS.get(family)
    return sorted({*own, *_registered(f"rdzv_harness.{group}")} if group else own)


def _registered(group: str) -> list[str]:
    """The names of a group of entry points; no package is imported."""
    from importlib.metadata import entry_points

    return [entry.name for entry in entry_points(group=group)]


def _schema(definition: str, key: str) -> list[str]:
    import json

    text = (ROOT / "reference" / "rdzv-scenario.schema.json").read_text(encoding="utf-8")
    found: list[str] = json.loads(text)["$defs"][definition]["properties"][key]["enum"]
    return found


def _modules(package: str, *others: str) -> list[str]:
    """The modules of a package, which are its members, without those that are none."""
    names = [path.stem for path in (ROOT / package).glob("*.py")]
    return [name for name in names if name not in ("__init__", "base", *others)]


def _invariants() -> list[str]:
    return [name for name in _modules("checkers", "claims") if name not in _schema("Check", "check")]


_OWN: dict[str, Callable[[], list[str]]] = {
    "fault": lambda: _modules("faults"),
    "step": lambda: _schema("Step", "do"),
    "check": lambda: _schema("Check", "check"),
    "invariant": _invariants,
    "world": lambda: _modules("worlds"),
    "report": lambda: _modules("reports"),
    "subject": lambda: list(SUBJECTS),
}


def worlds() -> list[str]:
    """Kinds of world."""
    return kinds("world")


def reports() -> list[str]:
    """Kinds of report, as `--report` takes them."""
    return [f"{kind}=" for kind in kinds("report")]


def subjects() -> list[str]:
    """Subjects, with the backends that packages of this interpreter register with torch."""
    return list(dict.fromkeys([*SUBJECTS, *_registered("torchrun.handlers")]))


def families() -> list[str]:
    """What `list` takes, as its help says it."""
    return [f"{family}s" for family in FAMILIES]


def words() -> list[str]:
    """What `explain` takes: kinds, failures of the catalogue, and words of the glossary that need no quotes."""
    named = [kind for family in _OWN for kind in kinds(family)]
    return plain(dict.fromkeys([*named, *_keys("failures.yaml"), *_keys("glossary.yaml")]))


def _keys(file: str) -> list[str]:
    """The keys at the top of a file of ours in YAML, spaces as `explain` also takes them: as hyphens."""
    text = (ROOT / "reference" / file).read_text(encoding="utf-8")
    return [key.replace(" ", "-") for key in re.findall(r"^([A-Za-z][\w -]*):", text, re.MULTILINE)]


def needs() -> list[str]:
    """What a cell may need, as `run --require` takes it."""
    from harness.scenario.needs import NEEDS

    return list(NEEDS)


def checks_of_doctor() -> list[str]:
    """What `doctor --require` takes."""
    from harness.cli.doctor import examinations

    return ["all", *(name for name, _ in examinations(""))]


def recorded_torches() -> list[str]:
    """Releases that the record of the harness has, from the names of its files."""
    names = [entry.name.split("+")[0].removesuffix(".json") for entry in _entries(ROOT / "record/results/static")]
    return plain(dict.fromkeys(names))


def isolations() -> list[str]:
    """Kinds of isolation."""
    from harness.cli.selecting import ISOLATIONS

    return list(ISOLATIONS)


def servers() -> list[str]:
    """Which proxy server; a URL is typed."""
    return list(SERVERS)


def lanes() -> list[str]:
    """Lanes of `explore`."""
    return list(LANES)


def forms() -> list[str]:
    """Forms of `show`."""
    return list(FORMS)


def shells() -> list[str]:
    """Shells whose completion there is."""
    return list(SHELLS)


# -- what is stored ----------------------------------------------------------------------------------------------------


def runs(context: typer.Context) -> list[str]:
    """Stored runs: `latest`, and names, in the folder that the line or a pyproject.toml names."""
    names = _folders(_folder(context, "runs_dir"))
    return ["latest", *plain(names)] if names else []


def findings(context: typer.Context) -> list[str]:
    """Findings, in the folder that the line or a pyproject.toml names."""
    return plain(_finding_names(_folder(context, "findings" if "findings" in context.params else "folder")))


def _finding_names(folder: Path) -> list[str]:
    return [name for name in [*_folders(folder), *_folders(folder / _UNREPRODUCED)] if name != _UNREPRODUCED]


def _folders(folder: Path) -> list[str]:
    """The names of the folders in a folder."""
    return [entry.name for entry in _entries(folder) if entry.is_dir() and not entry.name.startswith(".")]


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name; empty if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _folder(context: typer.Context, parameter: str) -> Path:
    """The value of an option that names a folder: of the command line, else of a pyproject.toml, else its default."""
    source = context.get_parameter_source(parameter)
    if source is not None and source.name == "COMMANDLINE":
        return Path(os.path.expanduser(str(context.params[parameter])))
    from harness.cli import defaults

    root: Any = context.find_root()
    configured: Any = defaults.of(root.command, root.params.get("config"), bool(root.params.get("no_config"))) or {}
    for name in context.command_path.split()[1:]:
        configured = configured.get(name) or {}
    return Path(configured.get(parameter) or context.params[parameter])
