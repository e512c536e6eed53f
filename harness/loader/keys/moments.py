"""Moments as they are written: a duration, a name, a list, or a mapping of what is awaited."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
)

from harness.loader.keys.fields import (
    MOST_COUNTED,
    MOST_LIVES,
    NEVER,
    FaultName,
    Keys,
    Length,
    Ranks,
    StepName,
    StepStates,
    check_many,
    key,
    read_length,
    scope_in,
)
from harness.scenario.moment import SIGHTINGS, FaultMoment, Moment, StepMoment, TimeMoment
from harness.scenario.scenario import EXIT
from harness.values.quantity import is_duration

LONGEST_PATTERN = 500
"""Characters of a pattern of keys: the engine compares it with every message; and of a text in a log."""

LONGEST_PATH = 4095
"""Bytes that the system takes as a path."""


class StepMomentKeys(Keys):
    """A moment of a step: a call of it that is so."""

    step: StepName = key("the name of a step", required=True, example="join")
    ranks: Ranks | None = key("whose calls", default="every rank that the step names", example="1")
    life: int | None = key("the rank's life, counted from 1", default="1", example="2", ge=1, le=MOST_LIVES)
    is_: StepStates | None = key(
        "how the call is: `begun`, `ended` (in any way, skipped too), `ok`, `failed`, `died`, `skipped`; or several",
        "is", default="ended", example="begun",
    )  # fmt: skip
    count: int | None = key("the count-th such call", default="all", example="1", ge=1, le=MOST_COUNTED)
    plus: Length | None = key("a duration added to it", default="0s", example="200ms")


class FaultMomentKeys(Keys):
    """A moment of a fault: it is in place, or healed."""

    fault: FaultName = key("the name of a fault", required=True, example="broken")
    is_: Literal["injected", "healed"] | None = key(
        "`injected` or `healed`", "is", default="injected", example="healed"
    )
    plus: Length | None = key("a duration added to it", default="0s", example="1s")


class WireKeys(Keys):
    """A message on the wire: one of `query` and `reply`."""

    query: str | None = key("the kind of message towards the master", example="wait")
    reply: str | None = key("the kind of message from the master", example="wait")
    ranks: Ranks | None = key("on whose links", default="every link", example="1")
    key_: str | None = key("the key it is about", "key", default="any", example="ready", max_length=LONGEST_PATTERN)


class WireMomentKeys(Keys):
    """A moment of the wire, seen by the embedded engine."""

    wire: WireKeys = key("the message", required=True)
    count: int | None = key("the count-th such message", default="1", example="2", ge=1, le=MOST_COUNTED)
    plus: Length | None = key("a duration added to it", default="0s", example="1ms")


class LogMomentKeys(Keys):
    """A moment of a job's log: a line contains a text. Needs `job`."""

    log: str = key(
        "a text within a line that a rank prints; it counts as soon as it is in the log",
        required=True, example="loss=", min_length=1, max_length=LONGEST_PATTERN,
    )  # fmt: skip
    ranks: Ranks | None = key("in whose logs, counted together", default="every rank", example="1")
    nth: int | None = key("the n-th such line, from 1", default="1", example="2", ge=1, le=MOST_COUNTED)
    plus: Length | None = key("a duration added to it", default="0s", example="1s")


class FileMomentKeys(Keys):
    """A moment of a file of a job: it appears, or another takes its place. Needs `job`."""

    file: str = key(
        "its path; `{run_dir}` is the run directory", required=True, example="'{run_dir}/checkpoint'",
        min_length=1, max_length=LONGEST_PATH,
    )  # fmt: skip
    plus: Length | None = key("a duration added to it", default="0s", example="1s")


class PortMomentKeys(Keys):
    """A moment of a port: somebody listens at it inside the world. Needs `job`."""

    port: int = key("its number", required=True, example="29501", ge=1, le=65535)
    plus: Length | None = key("a duration added to it", default="0s", example="1s")


JobMomentKeys = LogMomentKeys | FileMomentKeys | PortMomentKeys

MOMENT_TAGS: dict[str, type[Keys]] = {
    "moment:step": StepMomentKeys,
    "moment:fault": FaultMomentKeys,
    "moment:wire": WireMomentKeys,
    "moment:log": LogMomentKeys,
    "moment:file": FileMomentKeys,
    "moment:port": PortMomentKeys,
}
"""By the tag that pydantic puts into a location; no key contains a colon."""


MOMENT_KINDS = ("step", "fault", "wire", *SIGHTINGS)


def _moment_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "moment:text"
    if isinstance(value, list):
        return "moment:list"
    if isinstance(value, dict):
        return next((f"moment:{kind}" for kind in MOMENT_KINDS if kind in value), None)
    return None


def _read_moment_text(text: str, info: ValidationInfo) -> Moment | None:
    """A duration since the clock started, or the name of a step or a fault."""
    if is_duration(text):
        return TimeMoment(read_length(text, info))
    if not text[:1].isalpha():
        return None if scope_in(info).lenient else TimeMoment(read_length(text, info))
    if text == EXIT:
        return StepMoment(EXIT)
    found = scope_in(info).find(text)
    if found is None:
        return None
    return FaultMoment(found.name) if found.family == "fault" else StepMoment(found.name)


_UNLIKE = "is not a moment"
_Text = Annotated[str, AfterValidator(_read_moment_text), Tag("moment:text")]
_Single = (
    _Text
    | Annotated[StepMomentKeys, Tag("moment:step")]
    | Annotated[FaultMomentKeys, Tag("moment:fault")]
    | Annotated[WireMomentKeys, Tag("moment:wire")]
    | Annotated[LogMomentKeys, Tag("moment:log")]
    | Annotated[FileMomentKeys, Tag("moment:file")]
    | Annotated[PortMomentKeys, Tag("moment:port")]
)
_Several = list[
    Annotated[_Single, Discriminator(_moment_tag, custom_error_type="moment", custom_error_message=_UNLIKE)]
]
_MOMENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        _Single | Annotated[_Several, AfterValidator(check_many), Tag("moment:list")],
        Discriminator(_moment_tag, custom_error_type="moment", custom_error_message=_UNLIKE),
    ]
)


def _read_moment(value: Any, info: ValidationInfo) -> Any:
    return _MOMENT.validate_python(value, context=info.context)


def _read_start(value: Any, info: ValidationInfo) -> Any:
    return NEVER if value == NEVER else _read_moment(value, info)


# Made once and called, not written into each model that has a moment: a model is made in half the time.
MomentText = Annotated[Any, PlainValidator(_read_moment), WithJsonSchema({"x-ref": "Moment"})]
Start = Annotated[Any, PlainValidator(_read_start), WithJsonSchema({"x-ref": "Moment"})]
ReadMoment = Moment | StepMomentKeys | FaultMomentKeys | WireMomentKeys | JobMomentKeys | list[Any]
