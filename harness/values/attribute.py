"""How a member of a family declares itself: one declaration feeds the loader, the JSON Schema, `list` and `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Tuple

REQUIRED = object()

# What an attribute may be in YAML, and what the code gets:
#   duration -> int nanoseconds    size -> int bytes    rate -> int bytes per second
#   int, number, text, flag -> as written    value -> text (numbers and flags are refused: quote them)
#   key -> text    keys -> tuple of text (a single one or a list)    mapping -> dict of text to text
#   weights -> dict of verb to number    choice -> one of `choices`    handlers -> tuple of handler names
#   pairs -> tuple of (ranks, ranks), each a tuple of int
ATTRIBUTE_KINDS = (
    "duration", "size", "rate", "int", "number", "text", "flag", "value", "key", "keys", "mapping", "weights", "choice",
    "handlers", "pairs",
)  # fmt: skip


@dataclass(frozen=True)
class Attribute:
    """One key that may stand beside `do`, `inject` or `check`.

    Attributes:
        name: the key in YAML.
        kind: one of `ATTRIBUTE_KINDS`.
        meaning: one phrase, with the unit.
        default: `REQUIRED`, or the converted value when the key is absent (a duration in ns, ...); None means absent.
        default_text: how the default is written in YAML, for `explain`; empty if it is simply `default`.
        choices: for `choice`.
        minimum, maximum: inclusive bounds of the converted value; None means no bound.
    """

    name: str
    kind: str
    meaning: str
    default: Any = REQUIRED
    default_text: str = ""
    choices: Tuple[str, ...] = ()
    minimum: Any = None
    maximum: Any = None


@dataclass(frozen=True)
class Declaration:
    """What a member of a family declares about itself.

    Attributes:
        kind: its name in YAML, and its file's name.
        summary: one sentence: what it does.
        attributes: the keys that may stand beside it.
        example: one YAML flow mapping, as it would stand in a file.
        details: a few sentences of meaning, units, traps; may be empty.
        needs: what the machine must have, by the names that `--require` takes (see `harness.scenario.needs`); where it
            lacks one, cells with this member are skipped.
    """

    kind: str
    summary: str
    attributes: Tuple[Attribute, ...] = ()
    example: str = ""
    details: str = ""
    needs: Tuple[str, ...] = ()
