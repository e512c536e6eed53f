"""The entries of a file's lists as tagged unions: a model for each step, each fault and each kind of claim."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

from pydantic import Discriminator, PlainValidator, Tag, TypeAdapter, ValidationInfo

from harness.loader.keys import members
from harness.loader.keys.fields import Keys
from harness.loader.keys.models import AnyClaimKeys, FaultKeys, KnownKeys, StepClaimKeys, StepKeys, Waiver
from harness.values.attribute import Declaration

SUBJECTS = ("step", "check", "any")
"""The keys of which a claim has exactly one."""
_CHECK = "check "

Model = Callable[[], type[Keys]]


@dataclass(frozen=True)
class EntryUnion:
    """What an entry of a list may be.

    Attributes:
        noun: what an entry is called in messages.
        selectors: the keys that say of which kind an entry is; empty if there is one kind only.
        example: an entry, for messages.
        models: by tag, how to get the model of that kind; a model is made when a file first needs it.
        adapter: validates an entry; in its errors the tag comes first in each location, if there are selectors.
        keys: the keys that an entry of any kind may have, in the order of the format.
        attributes: further keys that an entry of some kind may have.
    """

    noun: str
    selectors: tuple[str, ...]
    example: str
    models: Mapping[str, Model]
    adapter: TypeAdapter[Any]
    keys: tuple[str, ...] = ()
    attributes: frozenset[str] = frozenset()

    @property
    def kinds(self) -> list[str]:
        """The kinds that a file can name, sorted."""
        return sorted(tag.removeprefix(_CHECK) for tag in self.models if self.selectors != SUBJECTS or _CHECK in tag)

    def title(self, tag: str, name: str) -> str:
        """An entry of that tag and that name in the file, as a message speaks of it."""
        if self.selectors != SUBJECTS:
            return f"{self.noun} {tag!r}" if self.selectors else f"a {self.noun}"
        if tag.startswith(_CHECK):
            return f"check {tag.removeprefix(_CHECK)!r}"
        return f"claim {name!r}" if name else "a claim"


@cache
def steps() -> EntryUnion:
    """An entry of `workload`."""
    known = members.step_members()
    attributes = _attributes(one.declaration for one in known.values())
    models = {kind: partial(members.step_model, kind) for kind in known}
    return _union("step", "do", "{do: rendezvous}", models, StepKeys, attributes)


@cache
def faults() -> EntryUnion:
    """An entry of `faults`."""
    known = members.fault_members()
    attributes = _attributes(one.declaration for one in known.values())
    models = {kind: partial(members.fault_model, kind) for kind in known}
    return _union(
        "fault", "inject", "{inject: latency, stream: upstream, latency: 100ms}", models, FaultKeys, attributes
    )


@cache
def claims() -> EntryUnion:
    """An entry of `expect`, `instead` or `any`: about steps, of a checker, or one of several."""
    models: dict[str, Model] = {"step": lambda: StepClaimKeys, "any": lambda: AnyClaimKeys}
    models.update({_CHECK + kind: partial(members.check_model, kind) for kind in members.check_declarations()})
    adapter = _adapter(models, _tag_of_claim)
    return EntryUnion(
        "claim", SUBJECTS, "{step: join, is: ok}", models, adapter, ("check", "any", *keys_of(StepClaimKeys))
    )


@cache
def known_failures() -> EntryUnion:
    """An entry of `known`."""
    return _single("known failure", "{subject: ..., torch: ...}", KnownKeys)


@cache
def waivers() -> EntryUnion:
    """An entry of `waive`."""
    return _single("waiver", "{check: ..., because: ...}", Waiver)


def keys_of(model: type[Keys]) -> tuple[str, ...]:
    """The keys of a model as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _attributes(declarations: Iterable[Declaration]) -> frozenset[str]:
    return frozenset(attribute.name for declaration in declarations for attribute in declaration.attributes)


def _single(noun: str, example: str, model: type[Keys]) -> EntryUnion:
    return EntryUnion(noun, (), example, {"": lambda: model}, TypeAdapter(model))


def _union(
    noun: str, selector: str, example: str, models: Mapping[str, Model], base: type[Keys], attributes: frozenset[str]
) -> EntryUnion:
    adapter = _adapter(models, lambda entry: entry.get(selector))
    return EntryUnion(noun, (selector,), example, models, adapter, keys_of(base), attributes)


def _adapter(models: Mapping[str, Model], tag_of: Callable[[Any], str | None]) -> TypeAdapter[Any]:
    choices = [Annotated[_made_late(model), Tag(tag)] for tag, model in models.items()]
    union: Any = functools.reduce(operator.or_, choices)
    tagged: Any = Annotated[union, Discriminator(lambda entry: _text(tag_of(entry)))]
    return TypeAdapter(tagged)


def _text(tag: Any) -> str | None:
    return tag if isinstance(tag, str) else None


def _made_late(model: Model) -> Any:
    """A choice of a union whose model is made when it is first chosen: all of them together take 150 ms."""

    def read(value: Any, info: ValidationInfo) -> Keys:
        return model().model_validate(value, context=info.context)

    return Annotated[Any, PlainValidator(read)]


def _tag_of_claim(entry: Any) -> str | None:
    subjects = [key for key in SUBJECTS if key in entry]
    if len(subjects) != 1:
        return None
    kind = entry.get("check")
    return subjects[0] if subjects != ["check"] else _CHECK + kind if isinstance(kind, str) else None
