"""A page for each kind and each part of the format, as data: from declarations, models and prose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel

from harness.loader.keys import fields, models, moments
from harness.loader.keys.kinds import bounds_text, kind_word, written_default
from harness.loader.keys.members import catalogue, fault_members, needs, origin, step_members
from harness.loader.keys.moments import (
    FaultMomentKeys,
    FileMomentKeys,
    LogMomentKeys,
    PortMomentKeys,
    StepMomentKeys,
    WireKeys,
    WireMomentKeys,
)
from harness.reference.prose import TOPICS, Prose
from harness.values.attribute import REQUIRED, Attribute, Declaration


@dataclass(frozen=True)
class Row:
    """One key: what it may be, what holds without it, what it means, and an example."""

    key: str
    kind: str
    default: str
    meaning: str
    example: str = ""


@dataclass(frozen=True)
class Page:
    """Everything about one thing.

    Attributes:
        heading: `fault latency`, `the world`.
        beside: which other keys may stand beside those in `rows`, in words.
        origin: of a member, the package that it comes from.
        needs: likewise, what it needs of its world and of the machine.
    """

    name: str
    heading: str
    summary: str
    rows: tuple[Row, ...] = ()
    beside: str = ""
    example: str = ""
    details: str = ""
    others: tuple[str, ...] = ()
    origin: str = ""
    needs: str = ""

    def is_about(self, word: str) -> bool:
        """Whether `explain` finds it under this word."""
        return word in (self.name, *self.others)


_SECTIONS: tuple[tuple[str, str, type[BaseModel], tuple[str, ...]], ...] = (
    ("scenario", "a scenario", models.Document, ("document", "file", "title", "schema", "tags", "refs")),
    ("needs", "`needs`", models.Needs, ()),
    ("world", "`world`", models.World, ("size", "guard", "route", "fresh")),
    ("torchrun", "`world.torchrun`", models.Torchrun, ()),
    ("rank", "`world.ranks.N`", models.RankKeys, ("as_rank", "env")),
    ("workload", "a step of `workload`", models.RepeatedStepKeys, ("step", "steps", "do", "handler", "thread", "life")),
    ("faults", "a fault of `faults`", models.ToxicKeys, ("fault", "inject", "stream", "toxicity", "for")),
    (
        "expect",
        "a claim of `expect`",
        models.StepClaimKeys,
        ("claim", "claims", "check", "within", "is", "count"),
    ),
    ("any", "a claim of which one part must hold", models.AnyClaimKeys, ()),
    ("known", "an entry of `known`", models.KnownKeys, ()),
    ("waive", "an entry of `waive`", models.Waiver, ("waiver",)),
    ("moment", "a moment of a step", StepMomentKeys, ()),
    ("moment", "a moment of a fault", FaultMomentKeys, ()),
    ("moment", "a moment of the wire: a message that passes the embedded engine", WireMomentKeys, ("wire",)),
    ("wire", "`wire` of a moment", WireKeys, ()),
    ("moment", "a moment of a job: a line of a log", LogMomentKeys, ()),
    ("moment", "a moment of a job: a file that appears", FileMomentKeys, ()),
    ("moment", "a moment of a job: a port at which somebody listens", PortMomentKeys, ()),
)

_KIND_WORDS: tuple[tuple[Any, str], ...] = (
    (fields.GuardText, "duration"),
    (fields.Length, "duration"),
    (fields.Timeout, "duration"),
    (fields.WorldTimeout, "duration"),
    (fields.Ranks, "ranks"),
    (moments.MomentText, "moment"),
    (moments.Start, "moment"),
    (fields.StepName, "text"),
    (fields.FaultName, "text"),
    (fields.StepNames, "text, or several"),
    (fields.Within, "duration, or two"),
    (fields.Count, "number, or two"),
    (fields.Texts, "text, or several"),
    (fields.Outcomes, "word, or several"),
    (fields.StepStates, "word, or several"),
    (fields.Id, "name"),
    (fields.Name, "name"),
    (fields.Sentence, "text"),
    (models.WorldKind, "word"),
    (models.Cells, "path: labels"),
    (models.Axes, "path: values"),
    (str, "text"),
    (int, "number"),
    (float, "number"),
    (bool, "flag"),
    (Any, "value"),
)


def sections() -> list[Page]:
    """The parts of a file."""
    return [_section(*section) for section in _SECTIONS]


def topics() -> list[Page]:
    """What the format means beyond its keys."""
    return [_topic(prose) for prose in TOPICS]


def member_pages() -> dict[str, list[Page]]:
    """By family, a page for each member."""
    return {family: [_member(family, one) for one in members] for family, members in catalogue().items()}


def every_page() -> list[Page]:
    """All pages: members first, since what people ask for most is a kind."""
    return [*(page for pages in member_pages().values() for page in pages), *topics(), *sections()]


def _topic(prose: Prose) -> Page:
    return Page(prose.name, prose.title, "", details=prose.text.strip(), others=prose.others)


def _section(name: str, heading: str, model: type[BaseModel], others: tuple[str, ...]) -> Page:
    summary = " ".join((model.__doc__ or "").split())
    return Page(name, heading, summary, tuple(_model_rows(model)), _beside_section(model), others=others)


def _beside_section(model: type[BaseModel]) -> str:
    if model is models.RepeatedStepKeys:
        return "the verb's own arguments; for `rendezvous` also the handler's configuration (see `rank`)"
    if model is models.ToxicKeys:
        return "the kind's own attributes; `stream` and `toxicity` are for toxics only"
    if model is models.StepClaimKeys:
        return "in place of `step`: `check` with the checker's parameters, or `any` with a list of claims"
    return ""


def _model_rows(model: type[BaseModel]) -> list[Row]:
    hints = get_type_hints(model, include_extras=True)
    rows = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = "required" if field.is_required() else str(extra.get("x-default") or "none")
        example = str(extra.get("x-example") or "")
        rows.append(Row(field.alias or name, _kind_word(hints[name]), default, field.description or "", example))
    return rows


def _kind_word(hint: Any) -> str:
    """What a key may be, in a word or two."""
    arguments = [one for one in getattr(hint, "__args__", ()) if one is not type(None)]
    for known, word in _KIND_WORDS:
        if hint == known or (len(arguments) == 1 and arguments[0] == known and not hasattr(hint, "__metadata__")):
            return word
    text = str(hint)
    if "Literal[" in text:
        return text.split("Literal[")[1].split("]")[0].replace("'", "").replace(", ", " | ")
    return "list" if "list[" in text and "dict[" not in text else "mapping"


def _member(family: str, declaration: Declaration) -> Page:
    return Page(
        name=declaration.kind,
        heading=f"{family} {declaration.kind}",
        summary=_sentence(declaration.summary),
        rows=tuple(_attribute_row(one) for one in declaration.attributes),
        beside=_beside(family, declaration.kind),
        example=declaration.example,
        details=declaration.details,
        origin=origin(family, declaration.kind),
        needs=needs(family, declaration.kind),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".")


def _attribute_row(one: Attribute) -> Row:
    default = "required" if one.default is REQUIRED else written_default(one) or "none"
    bounds = bounds_text(one)
    return Row(one.name, kind_word(one), default, one.meaning + (f" ({bounds})" if bounds else ""))


def _beside(family: str, kind: str) -> str:
    if family == "step":
        config = ", and the handler's configuration (see `rank`)" if step_members()[kind].configures_handler else ""
        return f"the keys of every step (see `step`){config}"
    if family == "fault":
        toxic = fault_members()[kind].toxic
        return "the keys of every fault (see `fault`)" + (", with `stream` and `toxicity`" if toxic else "")
    return "`id`" if family == "check" else ""
