"""The keys of a scenario file as pydantic models: one source of the checks, the JSON Schema and `explain`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, WithJsonSchema

from harness.loader.keys.fields import (
    LARGEST_INT,
    MOST_LIVES,
    MOST_TIMES,
    Count,
    Environment,
    ExitCodes,
    GuardText,
    Id,
    Keys,
    Length,
    Name,
    Outcomes,
    Ranks,
    Sentence,
    Settings,
    StepNames,
    Tags,
    Texts,
    Timeout,
    Within,
    Words,
    WorldTimeout,
    key,
)
from harness.loader.keys.moments import MomentText, Start
from harness.loader.keys.scope import MOST_RANKS

SCHEMA = "rdzv-scenario/v1"


def _check_world(kind: str) -> str:
    # Worlds import the machinery of processes, which loading needs only here.
    from harness.worlds.base import WORLDS

    if kind not in WORLDS:
        raise ValueError(WORLDS.why_not(kind))
    return kind


WorldKind = Annotated[str, AfterValidator(_check_world), WithJsonSchema({"x-ref": "WorldKind"})]


def _items(definition: str) -> WithJsonSchema:
    """A list whose entries are checked one by one, by the model of their kind."""
    return WithJsonSchema({"type": "array", "items": {"$ref": f"#/$defs/{definition}"}})


_SCALAR = {"type": ["string", "number", "boolean"]}
_LABELS = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}
_AXIS = {
    "anyOf": [
        {"type": "array", "items": _SCALAR, "minItems": 1},
        {"type": "object", "additionalProperties": {"type": "object"}, "minProperties": 1},
    ]
}
Steps = Annotated[list[Any], _items("Step")]
Faults = Annotated[list[Any], _items("Fault")]
Claims = Annotated[list[Any], _items("Claim")]
Knowns = Annotated[list[Any], _items("Known")]
Waivers = Annotated[list[Any], _items("Waiver")]
Axes = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": _AXIS})]
Cells = Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": _LABELS})]
Excluded = Annotated[
    list[Any], WithJsonSchema({"type": "array", "items": {"type": "object", "additionalProperties": _LABELS}})
]


_TIMEOUT = key(
    'the timeout, in whole seconds, as stock casts it; pass a fraction raw: `config: {timeout: "0.5"}`',
    default="5s", example="2s",
)  # fmt: skip


class HandlerKeys(Keys):
    """How a handler is configured: in `world`, in `world.ranks.N`, or in the step that builds it; the nearest wins."""

    run_id: str | None = key("the run's id", default="train", example="train-a")
    timeout: Timeout | None = _TIMEOUT
    host: str | None = key(
        "the endpoint's host", default="127.0.0.1; in worlds of hosts the master's name", example="localhost"
    )
    port: int | None = key("the endpoint's port", default="a free one", example="29500", ge=0, le=65535)
    endpoint: str | None = key(
        "passed raw to the subject in place of host and port, as `--rdzv-endpoint` is",
        default="the link's `HOST:PORT`; of the master, the real one",
        example='"127.0.0.1:99999"',
    )
    world_size: int | None = key("the world size", default="`world.size`", example="2", ge=-LARGEST_INT, le=LARGEST_INT)
    config: Settings | None = key(
        "passed raw to the subject, as `--rdzv-conf` is; values are text",
        default="none",
        example='{timeout: "0.5"}',
    )


class HandlerRankKeys(HandlerKeys):
    """How a handler of one rank is configured; the master (rank 0) gets the real endpoint, all others their link."""

    as_rank: int | None = key(
        "the rank that it is given", default="the rank's number", example="0", ge=-LARGEST_INT, le=LARGEST_INT
    )


class RankKeys(HandlerRankKeys):
    """What holds for one rank only."""

    start: Start | None = key("when the rank comes: a moment, or `never`", default="0s", example="300ms")
    env: Environment | None = key(
        "environment variables, over the world's", default="none", example="{LOGLEVEL: DEBUG}"
    )
    argv: Words | None = key(
        "of a job: this rank's program, over `job.argv` and the words behind `--`",
        default="that of all ranks", example="[python, server.py]",
    )  # fmt: skip


class JobKeys(Keys):
    """A program of one's own as each rank: `run --subject command` starts it, and its one step is `exit`."""

    argv: Words | None = key(
        "the program and its words, if none stand behind `--`; `{rank}`, `{world_size}`, `{master_addr}`, "
        "`{master_port}` and `{run_dir}` are those of the rank, `{python}` is the interpreter of `--python`",
        default="the words behind `--`", example='["{python}", train.py, --node, "{rank}"]',
    )  # fmt: skip


class Torchrun(Keys):
    """Each rank is a torchrun agent with one worker."""

    max_restarts: int = key("how often an agent restarts its worker", required=True, example="1", ge=0, le=MOST_LIVES)


class World(HandlerKeys):
    """The world of ranks: how many rank processes, and how they are configured."""

    timeout: WorldTimeout | None = _TIMEOUT
    size: int = key("number of rank processes, 0 to size - 1", required=True, example="2", ge=1, le=MOST_RANKS)
    kind: WorldKind | None = key("the kind of world", default="processes", example="processes")
    family: Literal["ipv4", "ipv6"] | None = key(
        "the only addresses there are, in a world with hosts", default="ipv4", example="ipv6"
    )
    route: Literal["proxy", "direct"] | None = key(
        "`direct`: no proxy and no link faults", default="proxy", example="direct"
    )
    fresh: bool | None = key(
        "a new interpreter for each rank, not a clone of a warm one", default="false", example="true"
    )
    guard: GuardText | None = key(
        "a call that lasts longer is `hung`; here `timeout` is the longest of any handler of the rank",
        default="2 * timeout + 5s; of a job 5min", example="20s",
    )  # fmt: skip
    torchrun: Torchrun | None = key(
        "each rank is a torchrun agent with one worker", default="absent", example="{max_restarts: 1}"
    )
    env: Environment | None = key(
        "environment variables of every rank", default="none", example="{GLOO_SOCKET_IFNAME: lo}"
    )
    ranks: Annotated[
        dict[Any, RankKeys],
        WithJsonSchema(
            {
                "type": "object",
                "patternProperties": {"^[0-9]+$": {"$ref": "#/$defs/RankKeys"}, "^x_": {}},
                "additionalProperties": False,
            }
        ),
    ] | None = key("what holds for rank N only", default="none", example="{1: {start: 300ms}}")  # fmt: skip


class Needs(Keys):
    """What the machine must offer; else the cell is skipped with this reason."""

    torch: str | None = key("versions of torch, as PEP 440 writes them", default="any", example='">=2.6"')
    world: str | None = key("what the world must be able to do", default="nothing", example="namespaces")
    proxy: Literal["embedded", "real", "toxiproxy"] | None = key(
        "the proxy server it needs: the `embedded` engine, a `real` toxiproxy-server, or any that speaks `toxiproxy`",
        default="any",
        example="embedded",
    )


class StepKeys(Keys):
    """One line of the workload: each rank goes through the steps that name it, from top to bottom."""

    id: Id | None = key("the step's name", default="the verb", example="join")
    do: str = key("the verb; its arguments lie beside it", required=True, example="rendezvous")
    ranks: Ranks | None = key(
        "the ranks that do it: 2, [0, 3], 1-6, `workers` (all but 0) or `all`", default="all", example="workers"
    )
    handler: Name | None = key(
        "by name: the first `rendezvous` builds it, a second one calls it again, store steps use its newest store",
        default="main", example="second",
    )  # fmt: skip
    thread: Name | None = key(
        "steps of one rank with one thread go in order; threads run side by side", default="main", example="watchdog"
    )
    life: int | None = key("only in the rank's 1st, 2nd ... life", default="every", example="1", ge=1, le=MOST_LIVES)
    after: MomentText | None = key("moment from which it may begin", default="the step above has ended", example="join")


class RepeatedStepKeys(StepKeys):
    """A step that may be called several times."""

    times: int | None = key("number of calls, one after another", default="1", example="5", ge=1, le=MOST_TIMES)


class FaultKeys(Keys):
    """One line of the faults: injected at a moment, and healed at another."""

    id: Id | None = key("the fault's name", default="the kind", example="broken")
    inject: str = key("the kind; its attributes lie beside it", required=True, example="latency")
    ranks: Ranks | None = key(
        "the ranks that it hits: 2, [0, 3], 1-6, `workers` (all but 0) or `all`",
        default="all; link faults: every rank that has a link", example="3",
    )  # fmt: skip
    after: MomentText | None = key(
        "moment at which it is injected", default="0s: before the clock starts", example="join"
    )
    for_: Length | None = key(
        "how long after its injection it is healed; or give `until`",
        "for",
        default="the end of the play",
        example="3 * timeout",
    )
    until: MomentText | None = key(
        "moment at which it is healed", default="the end of the play", example="{step: join, is: failed}"
    )


class ToxicKeys(FaultKeys):
    """A fault on a link that Toxiproxy calls a toxic."""

    stream: Literal["upstream", "downstream", "both"] = key(
        "the direction: `upstream` (to the master), `downstream` or `both`", required=True, example="downstream"
    )
    toxicity: float | None = key("the share of connections it hits", default="1", example="0.5", ge=0, le=1)


class StepClaimKeys(Keys):
    """A claim about the calls of a step: about every one, unless `count`."""

    id: Name | None = key("the claim's name", default="the step", example="in-time")
    step: StepNames = key("the step, or several", required=True, example="join")
    ranks: Ranks | None = key("whose calls", default="all", example="workers")
    life: int | None = key("the rank's life", default="the last that has the step", example="2", ge=1, le=MOST_LIVES)
    is_: Outcomes | None = key(
        "`ok`, `failed` (raised), `died` (its process ended), `skipped` (never begun), `hung` (in `instead`); a list",
        "is", default="[ok, failed]", example="ok",
    )  # fmt: skip
    count: Count | None = key("how many of the calls: a number, or lowest and highest", default="all", example="[1, 6]")
    value: Any = key("what it returned; of a mapping the keys given", default="any", example='"1"')
    one_of: list[Any] | None = key("it returned one of these", default="any", example='["1", "2"]', min_length=1)
    error: Texts | None = key(
        "the class raised, or one of its bases; or several", default="any", example="RendezvousTimeoutError"
    )
    message: Texts | None = key(
        "all contained in the first line, case ignored; `{host}`, `{port}`, `{run_id}` are those of the rank",
        default="any", example='["address already in use", "{port}"]',
    )  # fmt: skip
    within: Within | None = key(
        "the upper bound, or [lower, upper]", default="any", example="[timeout, timeout + slack]"
    )
    since: MomentText | None = key(
        "moment from which `within` counts; what ended before it is negative",
        default="the call's own begin",
        example="broken",
    )
    code: ExitCodes | None = key("the exit code, or several; of `exit` only", default="any", example="1")


class CheckClaimKeys(Keys):
    """A claim that a checker judges; its parameters lie beside it."""

    id: Name | None = key("the claim's name", default="the check", example="reuse")
    check: str = key("the checker", required=True, example="store_reuse")


class AnyClaimKeys(Keys):
    """Claims of which one must hold for all it names."""

    id: Name | None = key("the claim's name", default="any", example="refused-or-published")
    any_: Claims = key("the claims", "any", required=True, min_length=1)


class KnownKeys(Keys):
    """A known failure: what one subject does instead of what a correct system does; strict."""

    subject: Sentence = key(
        "of which subject: `static`, `static-strict`, any backend's name, `echo`, `command`",
        required=True,
        example="static",
    )
    torch: str | None = key("versions of torch, as PEP 440 writes them", default="every version", example='">=2.6"')
    cells: Cells = key(
        "cells of the matrix: path to label, or labels", default="every cell", example="{faults.broken: mute}"
    )
    breaks: Texts = key(
        "claims and standing invariants that are broken, exactly these", required=True, example="[in-time]"
    )
    instead: Claims | None = key(
        "claims that hold instead", default="none", example="[{step: join, is: ok}]", min_length=1
    )
    because: Sentence = key("why, in one sentence", required=True, example="replies are read with no deadline")
    refs: list[Sentence] | None = key("F-numbers and issues", default="none", example="[F02]")


class Waiver(Keys):
    """A standing invariant that this fault makes meaningless, for any subject."""

    check: str = key("the standing invariant", required=True, example="nothing_left_behind")
    because: Sentence = key("why, in one sentence", required=True, example='"a muted socket may linger"')


class Document(Keys):
    """A scenario: one claim, one file."""

    schema_: Literal["rdzv-scenario/v1"] = key("the format", "schema", required=True, example=SCHEMA)
    title: Sentence = key("the claim in one sentence", required=True, example="All ranks join within a second")
    tags: Tags | None = key("pytest markers", default="none", example="[timeout, links]")
    refs: list[Sentence] | None = key("F-numbers and issues", default="none", example='[F02, "pytorch/pytorch#129367"]')
    needs: Needs | None = key(
        "what the machine must offer, else skipped", default="nothing", example='{torch: ">=2.6"}'
    )
    matrix: Axes | None = key(
        "one cell for each combination: path (`section.name.key`) to single values, or to label: what is laid over",
        default="none: one cell", example="{world.timeout: [1s, 3s]}",
    )  # fmt: skip
    exclude: Excluded | None = key(
        "cells that are left out", default="none", example="[{world.timeout: 3s, faults.broken: cut}]"
    )
    world: World = key("the world of ranks", required=True, example="{size: 2, timeout: 3s}")
    job: JobKeys | None = key(
        "in place of `workload`: the ranks are a program of one's own", default="none", example="{}"
    )
    workload: Steps | None = key(
        "the steps; required unless there is a `job`", default="the job", example="[{do: rendezvous}]", min_length=1
    )
    faults: Faults | None = key("the faults", default="none", example="[{inject: kill, ranks: 0, after: join}]")
    expect: Claims = key(
        "the claims: what a correct system does", required=True, example="[{step: join, is: ok}]", min_length=1
    )
    waive: Waivers | None = key("standing invariants that do not count", default="none")
    known: Knowns | None = key("what a subject does instead", default="none")


HANDLER_KEYS = tuple(HandlerRankKeys.model_fields)
"""The keys that configure a handler; a step that builds one may have them."""
