"""The members of the families as the loader sees them: what each declares, and the model that is built from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import create_model

from harness.checkers.base import CHECKERS
from harness.faults.base import FAULTS, FaultMember
from harness.loader.keys.fields import Keys, key
from harness.loader.keys.kinds import field_of
from harness.loader.keys.models import CheckClaimKeys, FaultKeys, HandlerRankKeys, RepeatedStepKeys, StepKeys, ToxicKeys
from harness.rank.steps import STEPS
from harness.rank.steps.base import StepMember
from harness.registry import OURS, NotLoaded, Registry
from harness.steps import STEP_MEMBERS
from harness.values.attribute import REQUIRED, Attribute, Declaration

# Subjects are chosen on the command line, and most of them are other people's: these are only described.
SUBJECTS = (
    Declaration(
        kind="static",
        summary="The installed torch's own static TCP rendezvous.",
        example="rdzv-harness run --subject static scenarios/",
        details="Built through torch's handler registry, as torchrun builds it. It is the default.",
    ),
    Declaration(
        kind="static-strict",
        summary="The static rendezvous that this project implements, registered with torch as an out-of-tree backend.",
        example="rdzv-harness run --subject static-strict scenarios/",
        details=(
            "Any other backend in torch's registry (`c10d`, your own) is chosen by its name in the same way. One of "
            "your own that chooses the ranks itself says so with `chooses_ranks = True` in its class of handlers: else "
            "`agreement` is broken wherever a process returns as another rank than it was given."
        ),
    ),
    Declaration(
        kind="echo",
        summary="A small key-value store on rank 0, standard library only: for tutorials and for tests without torch.",
        example="rdzv-harness run --subject echo scenarios/",
    ),
    Declaration(
        kind="command",
        summary="Any command per rank; its one step is `exit`.",
        example="rdzv-harness run --subject command scenarios/ -- python train.py",
        details="RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are those of the rank; the address is its link's.",
    ),
)


def step_members() -> Mapping[str, StepMember]:
    """The verbs, by kind, in the order in which their modules declare them."""
    STEP_MEMBERS.load()
    return STEPS


def fault_members() -> Mapping[str, type[FaultMember]]:
    """The faults, by kind."""
    return dict(FAULTS.items())


def check_declarations() -> Mapping[str, Declaration]:
    """The checkers that a claim may name, by kind; the standing ones are judged anyway."""
    return {kind: member.declaration for kind, member in CHECKERS.items() if not member.standing}


def invariant_declarations() -> Mapping[str, Declaration]:
    """The standing checkers, which judge every run, by kind."""
    return {kind: member.declaration for kind, member in CHECKERS.items() if member.standing}


def world_declarations() -> Mapping[str, Declaration]:
    """The kinds of world."""
    return {kind: member.declaration for kind, member in _registries()["world"].items()}


def report_declarations() -> Mapping[str, Declaration]:
    """The reports; what each is stands in the docstring of its class."""
    return {
        kind: Declaration(
            kind=kind,
            summary=(inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " "),
            example=f"rdzv-harness run --report {kind}=PATH scenarios/",
        )
        for kind, member in _registries()["report"].items()
    }


def needs(family: str, kind: str) -> str:
    """What a member needs of its world and of the machine, in words; empty if it needs nothing."""
    registries = _registries()
    if family not in ("fault", "world"):
        return ""
    member = registries[family][kind]
    capabilities = member.needs if family == "fault" else frozenset()
    worlds = [name for name, world in registries["world"].items() if capabilities <= world.capabilities]
    texts = [f"worlds of {' or '.join(worlds)}"] if len(worlds) < len(registries["world"].items()) else []
    said = {"world": "network namespaces", "engine": "a Docker engine"}
    return ", ".join([*texts, *(said.get(need, need) for need in member.declaration.needs)])


def catalogue() -> dict[str, tuple[Declaration, ...]]:
    """Everything that a scenario or the command line can name, by family, sorted by kind."""
    return {
        "step": tuple(member.declaration for member in step_members().values()),
        "fault": tuple(member.declaration for member in fault_members().values()),
        "check": tuple(check_declarations().values()),
        "invariant": tuple(invariant_declarations().values()),
        "world": tuple(world_declarations().values()),
        "report": tuple(report_declarations().values()),
        "subject": SUBJECTS,
    }


def origin(family: str, kind: str) -> str:
    """Which package a member comes from: `harness`, or a distribution with its version; empty for subjects."""
    registry = _registries().get(family)
    return "" if registry is None else registry.origin(kind).package


def is_ours(family: str, kind: str) -> bool:
    """Whether a member is described by the harness itself."""
    return origin(family, kind) in ("", OURS.package)


def foreign() -> dict[str, list[str]]:
    """By package, the members that other packages bring: `fault flood`, `world remote`."""
    found: dict[str, list[str]] = {}
    for family, declarations in catalogue().items():
        for one in declarations:
            if not is_ours(family, one.kind):
                found.setdefault(origin(family, one.kind), []).append(f"{family} {one.kind}")
    return found


def not_loaded() -> list[NotLoaded]:
    """The members of other packages that cannot be used."""
    return [problem for registry in dict.fromkeys(_registries().values()) for problem in registry.not_loaded]


def _registries() -> dict[str, Registry[Any]]:
    """The registry of each family; subjects have none, since they are only described."""
    # What worlds and reports import is not needed to read a scenario.
    from harness.reports.base import REPORTS
    from harness.worlds.base import WORLDS

    return {
        "step": STEP_MEMBERS,
        "fault": FAULTS,
        "check": CHECKERS,
        "invariant": CHECKERS,
        "world": WORLDS,
        "report": REPORTS,
    }


@cache
def step_model(kind: str) -> type[Keys]:
    """The keys of a step of that verb."""
    member = STEP_MEMBERS[kind]
    config: dict[str, Any] = {}
    if member.configures_handler:
        config = {name: (field.annotation, field) for name, field in HandlerRankKeys.model_fields.items()}
    fields = {**config, **_attributes(member.declaration), "do": _kind(kind, "the verb")}
    base = StepKeys if counts_itself(member.declaration) else RepeatedStepKeys
    return create_model(_class_name(kind, "Step"), __base__=base, __doc__=member.declaration.summary, **fields)


@cache
def fault_model(kind: str) -> type[Keys]:
    """The keys of a fault of that kind."""
    member = FAULTS[kind]
    base = ToxicKeys if member.toxic else FaultKeys
    fields = {**_attributes(member.declaration), "inject": _kind(kind, "the kind")}
    return create_model(_class_name(kind, "Fault"), __base__=base, __doc__=member.declaration.summary, **fields)


@cache
def check_model(kind: str) -> type[Keys]:
    """The keys of a claim that names that checker."""
    declaration = check_declarations()[kind]
    fields = {**_attributes(declaration), "check": _kind(kind, "the checker")}
    return create_model(_class_name(kind, "Check"), __base__=CheckClaimKeys, __doc__=declaration.summary, **fields)


def counts_itself(declaration: Declaration) -> bool:
    """Whether a verb counts its calls itself, so that `times` has no meaning beside it."""
    return any(attribute.name == "calls" for attribute in declaration.attributes)


def _class_name(kind: str, suffix: str) -> str:
    return "".join(part.capitalize() for part in kind.split("_")) + suffix


def _kind(kind: str, meaning: str) -> tuple[Any, Any]:
    return (Literal[kind], key(meaning, required=True, example=kind))


def _attributes(declaration: Declaration) -> dict[str, Any]:
    """Fields by a name that Python allows; the key in the file is the alias."""
    return {f"attribute_{one.name}": field_of(one) for one in declaration.attributes}


def attributes_of(model: Any, declaration: Declaration) -> dict[str, Any]:
    """A member's attributes as the code gets them; absent ones have their defaults."""
    return {
        one.name: _default(one) if (value := getattr(model, f"attribute_{one.name}")) is None else value
        for one in declaration.attributes
    }


def _default(attribute: Attribute) -> Any:
    return None if attribute.default is REQUIRED else attribute.default
